//! From a PDU to the messages that it is: what it says itself, and what its request lends it.

use super::items::{self, Objects, SUCCESS};
use super::names::{self, RESERVED, UNKNOWN, USERDATA};
use super::pdu::{self, FOREIGN, Pdu};
use super::userdata::{self, CPU, CYCLIC, Kind, Parameters, READ_SZL, UNSUBSCRIBE};
use super::{Teller, parts};
use crate::bytes::{Cursor, Short};
use crate::protocols::pairing::{Answer, OwnedObject, Pending};
use crate::protocols::{Emit, Message, NO_SUBFUNCTION, Object, Party, Told};
use crate::words::{Access, NoticeKind, Role};

const FIELDS: &str = "the PDU ends inside a field";
const LONG: &str = "the PDU is longer than its header claims";
const EMPTY: &str = "the PDU has no function";
const UNLIKE: &str = "the response does not fit what was asked";
const UNASKED: &str = "no request of this reference and function waits";

/// What a message says beside its objects.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) from: Party,
    pub(super) role: Role,
    pub(super) function: u32,
    pub(super) subfunction: u32,
    pub(super) unit: u32,
    pub(super) status: u16,
    pub(super) reply_to: Option<Told>,
    pub(super) length: usize,
}

impl Head {
    pub(super) const fn new(from: Party, role: Role, function: u32, length: usize) -> Self {
        Self {
            from,
            role,
            function,
            subfunction: NO_SUBFUNCTION,
            unit: 0,
            status: 0,
            reply_to: None,
            length,
        }
    }
}

/// References are used anew for each direction; connections have none.
const fn key(asker: Party, reference: u16) -> u64 {
    ((asker as u64) << 16) | reference as u64
}

/// The status of an item from its return code.
const fn status(code: u8) -> u16 {
    match code {
        SUCCESS => 0,
        0 => RESERVED,
        code => code as u16,
    }
}

impl Teller {
    pub(super) fn tell_data(
        &mut self,
        from: Party,
        tsdu: &[u8],
        length: usize,
        out: &mut dyn Emit,
    ) {
        self.begin();
        let pdu = match Pdu::parse(tsdu) {
            Ok(pdu) => pdu,
            Err(detail) => {
                let foreign = NoticeKind::ForeignProtocol;
                let kind = if detail == FOREIGN { foreign } else { NoticeKind::MalformedPdu };
                out.notice(from, kind, detail, None);
                return;
            }
        };
        let fault = match pdu.kind {
            pdu::JOB => self.tell_job(from, &pdu, length, out),
            pdu::ACK | pdu::ACK_DATA => self.tell_answer(from, &pdu, length, out),
            pdu::USERDATA => self.tell_userdata(from, &pdu, length, out),
            kind => {
                let function = UNKNOWN + u32::from(kind);
                self.emit(Head::new(from, Role::Request, function, length), &[], out);
                None
            }
        };
        if let Some(detail) = fault.or(pdu.is_longer.then_some(LONG)) {
            out.notice(from, NoticeKind::MalformedPdu, detail, None);
        }
    }

    pub(super) fn begin(&mut self) {
        self.values.clear();
        self.statuses.clear();
    }

    /// A request that somebody is to answer. Returns the rule that it breaks.
    fn tell_job(
        &mut self,
        from: Party,
        pdu: &Pdu<'_>,
        length: usize,
        out: &mut dyn Emit,
    ) -> Option<&'static str> {
        let Some(code) = pdu.function() else { return Some(EMPTY) };
        let mut head = Head::new(from, Role::Request, u32::from(code), length);
        let mut objects = Objects::new();
        let parsed = match head.function {
            names::READ => specifications(pdu.parameters, Access::Read, &mut objects),
            names::WRITE => {
                let parsed = specifications(pdu.parameters, Access::Write, &mut objects);
                parsed.and_then(|count| self.written(pdu.data, count, &objects).map(|()| count))
            }
            names::REQUEST_DOWNLOAD..=names::DOWNLOAD_ENDED => {
                parts::block(pdu.parameters, Access::Write, &mut objects).map(|()| 0)
            }
            names::START_UPLOAD => {
                parts::block(pdu.parameters, Access::Read, &mut objects).map(|()| 0)
            }
            names::PI_SERVICE => parts::service(pdu.parameters, &mut objects).map(|subfunction| {
                head.subfunction = subfunction;
                0
            }),
            _ => Ok(0),
        };
        self.ask(key(from, pdu.reference), head, objects, out);
        parsed.err().map(|Short| FIELDS)
    }

    /// The values of a write, item by item.
    fn written(&mut self, data: &[u8], count: usize, objects: &Objects) -> Result<(), Short> {
        let mut cursor = Cursor::new(data);
        if count != objects.len() {
            return Ok(());
        }
        for (place, object) in objects.iter().enumerate() {
            let one = items::data(&mut cursor)?;
            items::values(one.bytes, place, object, &mut self.values);
        }
        Ok(())
    }

    /// An answer to a job, with or without data. Returns the rule that it breaks.
    fn tell_answer(
        &mut self,
        from: Party,
        pdu: &Pdu<'_>,
        length: usize,
        out: &mut dyn Emit,
    ) -> Option<&'static str> {
        let code = pdu.function().map(u32::from);
        let fits = |request: &Pending| code.is_none_or(|code| code == request.function);
        let found = self.pairing.answer(key(from.other(), pdu.reference), fits);
        let function = match &found {
            Answer::To(request) => request.function,
            _ => code.unwrap_or(UNKNOWN + u32::from(pdu.kind)),
        };
        let head = Head { status: pdu.error, ..Head::new(from, Role::Response, function, length) };
        let Answer::To(request) = found else {
            self.emit(head, &[], out);
            if found == Answer::Unasked {
                out.notice(from, NoticeKind::UnaskedResponse, UNASKED, None);
            }
            return None;
        };
        let parsed = match (function, pdu.error) {
            (names::READ, 0) => self.read(pdu, &request.objects),
            (names::WRITE, 0) => {
                self.statuses.extend_from_slice(pdu.data);
                rule(self.statuses.len() == request.objects.len())
            }
            _ => Ok(()),
        };
        self.reply(&request, head, out);
        parsed.err()
    }

    /// The values of a read, item by item.
    fn read(&mut self, pdu: &Pdu<'_>, objects: &[OwnedObject]) -> Result<(), &'static str> {
        let count = usize::from(pdu.parameters.get(1).copied().unwrap_or_default());
        let mut cursor = Cursor::new(pdu.data);
        items::answers(&mut cursor, count, objects, &mut self.statuses, &mut self.values)
            .map_err(|Short| FIELDS)?;
        rule(self.statuses.len() == objects.len())
    }

    fn tell_userdata(
        &mut self,
        from: Party,
        pdu: &Pdu<'_>,
        length: usize,
        out: &mut dyn Emit,
    ) -> Option<&'static str> {
        let Ok(told) = userdata::parameters(pdu.parameters) else { return Some(FIELDS) };
        let body = userdata::body(pdu.data);
        let role = match told.kind {
            Kind::Push => Role::Report,
            Kind::Request => Role::Request,
            Kind::Response => Role::Response,
        };
        let head = Head {
            subfunction: u32::from(told.subfunction),
            status: told.error,
            ..Head::new(from, role, USERDATA + u32::from(told.group), length)
        };
        match told.kind {
            Kind::Push => self.tell_push(told, body, head, out),
            Kind::Request => {
                let mut objects = Objects::new();
                let parsed = userdata::request(told, body, &mut objects, &mut self.values);
                if (told.group, told.subfunction) == (CYCLIC, UNSUBSCRIBE) {
                    self.end_job(body.get(1).copied().unwrap_or_default());
                }
                self.ask(key(from, pdu.reference), head, objects, out);
                parsed.err().map(|Short| FIELDS)
            }
            Kind::Response => self.tell_told(told, pdu.reference, body, head, out),
        }
    }

    fn tell_push(
        &mut self,
        told: Parameters,
        body: &[u8],
        head: Head,
        out: &mut dyn Emit,
    ) -> Option<&'static str> {
        let mut objects = Objects::new();
        let mut parsed = Ok(());
        if told.group == CYCLIC {
            objects = self.job(told.sequence);
            let (statuses, values) = (&mut self.statuses, &mut self.values);
            parsed = userdata::cyclic(body, &objects, statuses, values);
        }
        self.emit(head, &objects, out);
        parsed.err().map(|Short| FIELDS)
    }

    /// The response of userdata.
    fn tell_told(
        &mut self,
        told: Parameters,
        reference: u16,
        body: &[u8],
        head: Head,
        out: &mut dyn Emit,
    ) -> Option<&'static str> {
        let is_same = |request: &Pending| {
            (request.function, request.subfunction) == (head.function, head.subfunction)
        };
        let found = self.pairing.answer(key(head.from.other(), reference), is_same);
        let mut parsed = Ok(());
        if let Answer::To(request) = &found {
            if told.group == CYCLIC && told.subfunction != UNSUBSCRIBE && told.error == 0 {
                let (statuses, values) = (&mut self.statuses, &mut self.values);
                if !body.is_empty() {
                    parsed = userdata::cyclic(body, &request.objects, statuses, values);
                }
                self.keep_job(told.sequence, request.objects.clone());
            }
            self.reply(request, head, out);
        } else {
            self.emit(head, &[], out);
        }
        if (told.group, told.subfunction, told.error) == (CPU, READ_SZL, 0) {
            let mut fact = |key, value: &str| out.fact(head.from, key, value);
            self.list.take(told.sequence, told.is_cut, body, &mut fact);
        }
        if found == Answer::Unasked {
            out.notice(head.from, NoticeKind::UnaskedResponse, UNASKED, None);
        }
        parsed.err().map(|Short| FIELDS)
    }

    /// Emits a request, and waits for its answer.
    pub(super) fn ask(&mut self, key: u64, head: Head, objects: Objects, out: &mut dyn Emit) {
        let id = self.emit(head, &objects, out);
        let now = out.now();
        let request = Pending {
            told: Told { id, frame: now.frame, time: now.time },
            from: head.from,
            function: head.function,
            subfunction: head.subfunction,
            objects,
            owed: true,
        };
        self.pairing.ask(key, request, out);
    }

    /// Emits the answer to a request.
    pub(super) fn reply(&mut self, request: &Pending, mut head: Head, out: &mut dyn Emit) {
        head.subfunction = request.subfunction;
        head.reply_to = Some(request.told);
        let failed = |code: &u8| *code != SUCCESS;
        if head.status == 0 && !self.statuses.is_empty() && self.statuses.iter().all(failed) {
            head.status = self.statuses.first().map_or(0, |code| status(*code));
        }
        self.emit(head, &request.objects, out);
    }

    /// Emits a message with these objects, and the values and return codes that were read.
    pub(super) fn emit(&mut self, head: Head, objects: &[OwnedObject], out: &mut dyn Emit) -> u64 {
        let codes = self.statuses.iter().map(|code| status(*code));
        let codes = codes.chain(std::iter::repeat(head.status));
        let objects: smallvec::SmallVec<[Object<'_>; 4]> =
            objects.iter().zip(codes).map(|(object, code)| object.borrow(code)).collect();
        out.message(
            head.from,
            &Message {
                role: head.role,
                activity: names::activity(head.function, head.subfunction),
                function: head.function,
                subfunction: head.subfunction,
                unit: head.unit,
                status: head.status,
                objects: &objects,
                values: (&self.values).into(),
                reply_to: head.reply_to,
                length: head.length as u32,
            },
        )
    }
}

/// Function, how many items, and their specifications.
fn specifications(
    parameters: &[u8],
    access: Access,
    objects: &mut Objects,
) -> Result<usize, Short> {
    let mut cursor = Cursor::new(parameters);
    cursor.skip(1)?;
    let count = cursor.u8()?;
    for _ in 0..count {
        items::specification(&mut cursor, access, objects)?;
        // In front of each but the first one there is a fill byte where the length is odd.
        if cursor.rest().first() == Some(&0) {
            cursor.skip(1)?;
        }
    }
    Ok(usize::from(count))
}

const fn rule(holds: bool) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(UNLIKE) }
}
