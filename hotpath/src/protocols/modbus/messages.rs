//! From a PDU to the message that it is: what it says itself, and what its request lends it.

use super::names::{NO_EXCEPTION_CODE, UMAS, UMAS_ERROR};
use super::pdu::Objects;
use super::rules::EXCEPTION;
use super::{Modbus, SHORT, names, pdu, rules};
use crate::protocols::pairing::{Answer, OwnedObject, Pairing, Pending};
use crate::protocols::{Emit, Message, NO_SUBFUNCTION, Object, Party, Told, Values};
use crate::words::{NoticeKind, Role};

const FIELDS: &str = "the PDU ends inside a field";
const UNLIKE: &str = "the response does not fit what was asked";
const UNASKED: &str = "no request of this transaction, unit and function waits";

/// An ADU with its framing taken off.
#[derive(Clone, Copy)]
pub(super) struct Adu<'a> {
    pub(super) from: Party,
    pub(super) key: u64,
    pub(super) unit: u8,
    /// Never empty.
    pub(super) pdu: &'a [u8],
    pub(super) length: usize,
    /// What is wrong with its length.
    pub(super) fault: Option<&'static str>,
    /// A serial line's address 0, which nobody answers.
    pub(super) broadcast: bool,
}

impl Modbus {
    #[inline]
    pub(super) fn tell(&mut self, adu: Adu<'_>, out: &mut dyn Emit) {
        self.values.clear();
        match adu.from {
            Party::Client => self.tell_request(adu, out),
            Party::Server => self.tell_response(adu, out),
        }
    }

    /// The objects and values that a PDU names itself, and the first rule that it breaks.
    #[inline]
    fn parse(&mut self, adu: Adu<'_>) -> (Objects<'static>, Option<&'static str>) {
        let mut objects = Objects::new();
        let mut fault = adu.fault;
        if fault != Some(SHORT)
            && pdu::parse(adu.from, adu.pdu, &mut objects, &mut self.values).is_err()
        {
            objects.clear();
            self.values.clear();
            fault = fault.or(Some(FIELDS));
        }
        (objects, fault.or(rules::check(adu.from, adu.pdu).err()))
    }

    fn tell_request(&mut self, adu: Adu<'_>, out: &mut dyn Emit) {
        let (objects, fault) = self.parse(adu);
        let function = adu.pdu.first().map_or(0, |code| u32::from(*code));
        let subfunction = pdu::subfunction(adu.from, adu.pdu);
        let id = out.message(
            adu.from,
            &Message {
                role: Role::Request,
                activity: names::activity(function, subfunction),
                function,
                subfunction,
                unit: u32::from(adu.unit),
                status: 0,
                objects: &objects,
                values: Values::Blocks(&self.values),
                reply_to: None,
                length: adu.length as u32,
            },
        );
        if let Some(detail) = fault {
            out.notice(adu.from, NoticeKind::MalformedPdu, detail, None);
        }
        if adu.broadcast {
            return;
        }
        let now = out.now();
        let request = Pending {
            told: Told { id, frame: now.frame, time: now.time },
            from: adu.from,
            function,
            subfunction,
            objects: objects.iter().map(OwnedObject::from).collect(),
            owed: !is_listen_only(function, subfunction),
        };
        self.pairing.ask(adu.key, request, out);
    }

    fn tell_response(&mut self, adu: Adu<'_>, out: &mut dyn Emit) {
        let (own_objects, mut fault) = self.parse(adu);
        let answer = Response::new(adu.pdu);
        let (reply, fits) = answer.find(&mut self.pairing, adu);
        let (request, unasked) = match reply {
            Answer::To(request) => (Some(request), false),
            Answer::Unasked => (None, true),
            Answer::Unknown => (None, false),
        };
        let unasked = unasked.then(|| match self.pairing.again(adu.key, adu.pdu, out.now().time) {
            None => UNASKED,
            Some(again) => again.detail(),
        });
        if request.is_some() {
            self.pairing.keep(adu.key, adu.pdu, out.now().time);
        }
        let asked: &[OwnedObject] = request.as_ref().map_or(&[], |request| &request.objects);
        let inherited: Objects<'_> =
            asked.iter().map(|object| object.borrow(answer.status)).collect();
        let objects: &[Object<'_>] = if inherited.is_empty() { &own_objects } else { &inherited };
        if !fits {
            self.values.clear();
            fault = fault.or(Some(UNLIKE));
        } else if answer.status == 0 && fault != Some(SHORT) {
            fault = fault.or(pdu::parse_answer(adu.pdu, objects, &mut self.values).err());
            if answer.function == 21 {
                // An echo may claim more records, or longer ones, than were written.
                self.values
                    .clip(|place| objects.get(usize::from(place)).map_or(0, |object| object.count));
            }
        }
        let subfunction = match &request {
            Some(request) => request.subfunction,
            None => answer.subfunction,
        };
        out.message(
            adu.from,
            &Message {
                role: Role::Response,
                activity: names::activity(answer.function, subfunction),
                function: answer.function,
                subfunction,
                unit: u32::from(adu.unit),
                status: answer.status,
                objects,
                values: Values::Blocks(&self.values),
                reply_to: request.as_ref().map(|request| request.told),
                length: adu.length as u32,
            },
        );
        if !answer.is_exception {
            let told = pdu::facts(adu.pdu, |key, value| out.fact(adu.from, key, value));
            fault = fault.or(told.err());
        }
        if let Some(detail) = fault {
            out.notice(adu.from, NoticeKind::MalformedPdu, detail, None);
        }
        if let Some(detail) = unasked {
            out.notice(adu.from, NoticeKind::UnaskedResponse, detail, None);
        }
    }
}

/// Diagnostics, force listen only: the server falls silent at once (clause 6.8.1).
fn is_listen_only(function: u32, subfunction: u32) -> bool {
    (function, subfunction) == (8, 4)
}

/// What a response says of itself.
#[derive(Clone, Copy)]
struct Response {
    /// Without the exception bit.
    function: u32,
    subfunction: u32,
    status: u16,
    is_exception: bool,
}

impl Response {
    fn new(pdu: &[u8]) -> Self {
        let code = pdu.first().copied().unwrap_or_default();
        let is_exception = code & EXCEPTION != 0;
        let status = match *pdu {
            _ if is_exception => match pdu.get(1) {
                None | Some(0) => NO_EXCEPTION_CODE,
                Some(&status) => u16::from(status),
            },
            [UMAS, _, UMAS_ERROR, ..] => u16::from(UMAS_ERROR),
            _ => 0,
        };
        let subfunction =
            if is_exception { NO_SUBFUNCTION } else { pdu::subfunction(Party::Server, pdu) };
        Self { function: u32::from(code & !EXCEPTION), subfunction, status, is_exception }
    }

    /// Finds the request that waits for this: rather one that it fits in all, else one of its
    /// function. The second is whether it fits.
    fn find(self, pairing: &mut Pairing, adu: Adu<'_>) -> (Answer, bool) {
        let is_same = |request: &Pending| {
            let code = u32::from(!EXCEPTION);
            let asked = if self.is_exception { request.function & code } else { request.function };
            asked == self.function
                && (self.subfunction == NO_SUBFUNCTION || request.subfunction == self.subfunction)
        };
        if self.is_exception {
            return (pairing.answer(adu.key, is_same), true);
        }
        let fits =
            |request: &Pending| is_same(request) && pdu::fits(adu.pdu, request.objects.first());
        match pairing.answer(adu.key, fits) {
            found @ Answer::To(_) => (found, true),
            _ => match pairing.answer(adu.key, is_same) {
                found @ Answer::To(_) => (found, false),
                none => (none, true),
            },
        }
    }
}
