//! Modbus over TCP and UDP, and RTU frames over TCP.
//!
//! Modbus Application Protocol V1.1b3, Modbus Messaging on TCP/IP V1.0b, Modbus over Serial Line
//! V1.02. UMAS (function 90) is told at function level.
//!
//! What a reader of the messages should know:
//! - A response gives the objects of its request, and the values of a read stand on them. Without
//!   its request a read's response has neither; the echoes (5, 6, 15, 16, 21, 22) name their own.
//! - A function code that is unknown, or whose body does not fit, is a message all the same.
//! - A mask write (22) has a value only where the masks determine all bits.
//! - Values are told only where their address is sure: none where a response brings another
//!   quantity, or echoes another address, than was asked.
//!
//! In a stream, a length that contradicts the function leaves two places at which the next PDU may
//! begin. What stands there decides, never where a segment ends; see [`Lane`].

mod framing;
mod names;
mod pdu;
mod rules;

use self::framing::{FRAME, Framing, Look, MBAP};
use self::names::{NO_EXCEPTION_CODE, OBJECTS, UMAS, UMAS_ERROR};
use self::pdu::Objects;
use self::rules::{EXCEPTION, Shape};
use super::pairing::{Answer, OwnedObject, Pairing, Pending};
use super::{
    Decoder, Emit, Message, NO_SUBFUNCTION, Object, Party, Protocol, Step, Told, Transport, Value,
};
use crate::words::{NoticeKind, Role};

/// Modbus over TCP, UDP, and RTU over TCP.
pub static PROTOCOL: Protocol = Protocol {
    name: "modbus",
    tcp_ports: &[502],
    udp_ports: &[502],
    probe: framing::probe,
    decoder: |transport| Box::new(Modbus::new(transport)),
    function_name: names::function_name,
    status_name: names::status_name,
    objects: OBJECTS,
};

const SHORT: &str = "the PDU is shorter than its function demands";
const LONG: &str = "the PDU is longer than its function demands";
const FIELDS: &str = "the PDU ends inside a field";
const UNLIKE: &str = "the response does not fit what was asked";
const LOST: &str = "no PDU begins here";
const CUT: &str = "the bytes end inside a PDU";
const AFTER_GAP: &str = "the rest of a PDU whose beginning is missing";

/// What is known of the place in one party's stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    /// A PDU begins here.
    Sound,
    /// The last header claimed this many bytes more than its function demands. The next PDU
    /// begins here if one plausible in all its parts does, else behind those bytes if a header
    /// stands there, else here if at least a header does.
    Doubt(usize),
    /// As many bytes belong to the last PDU, unless a plausible PDU begins among them.
    Slack(usize),
    /// A PDU begins at the next place where a plausible one does; the reason goes with the notice.
    Lost(NoticeKind, &'static str),
}

#[derive(Debug)]
struct Modbus {
    transport: Transport,
    framing: Framing,
    client: Lane,
    server: Lane,
    pairing: Pairing,
    /// Kept for its capacity.
    values: Vec<Value<'static>>,
}

/// An ADU with its framing taken off.
#[derive(Clone, Copy)]
struct Adu<'a> {
    from: Party,
    key: u64,
    unit: u8,
    /// Never empty.
    pdu: &'a [u8],
    length: usize,
    /// What is wrong with its length.
    fault: Option<&'static str>,
    /// A serial line's address 0, which nobody answers.
    broadcast: bool,
}

impl Decoder for Modbus {
    fn step(&mut self, from: Party, bytes: &[u8], out: &mut dyn Emit) -> Step {
        if bytes.is_empty() {
            return Step::More(1);
        }
        if self.transport == Transport::Udp {
            return self.step_sound(from, bytes, out);
        }
        match *self.lane(from) {
            Lane::Sound => self.step_sound(from, bytes, out),
            Lane::Doubt(left) => self.step_doubt(from, left, bytes, out),
            Lane::Slack(left) => self.step_slack(from, left, bytes, out),
            Lane::Lost(notice, detail) => self.step_lost(from, notice, detail, bytes, out),
        }
    }

    fn gap(&mut self, from: Party) {
        *self.lane(from) = Lane::Lost(NoticeKind::Gap, AFTER_GAP);
        self.pairing.gap();
    }

    fn expire(&mut self, now: i64, out: &mut dyn Emit) {
        self.pairing.expire(now, out);
    }

    /// What remains of a datagram is malformed; what remains of a stream is not in the capture.
    fn flush(&mut self, from: Party, bytes: &[u8], out: &mut dyn Emit) -> Step {
        let mut step = self.step(from, bytes, out);
        if let (Step::More(_), Lane::Doubt(_)) = (step, *self.lane(from)) {
            // No header will follow behind the bytes in doubt.
            *self.lane(from) = Lane::Slack(bytes.len());
            if let Look::Yes(_) = framing::header(bytes) {
                step = self.step_mbap(from, bytes, out);
            }
        }
        let Step::More(_) = step else { return step };
        let skip = framing::seek(self.framing, from, bytes, true).max(1);
        match std::mem::replace(self.lane(from), Lane::Sound) {
            Lane::Doubt(_) | Lane::Slack(_) => Step::Done(skip),
            _ if self.transport == Transport::Udp => {
                Step::Malformed { skip, notice: NoticeKind::MalformedPdu, detail: CUT }
            }
            _ => Step::Malformed { skip, notice: NoticeKind::Gap, detail: CUT },
        }
    }
}

impl Modbus {
    fn new(transport: Transport) -> Self {
        let framing = match transport {
            Transport::Tcp => Framing::Unknown,
            Transport::Udp => Framing::Mbap,
        };
        let (client, server) = (Lane::Sound, Lane::Sound);
        Self { transport, framing, client, server, pairing: Pairing::default(), values: Vec::new() }
    }

    fn lane(&mut self, from: Party) -> &mut Lane {
        match from {
            Party::Client => &mut self.client,
            Party::Server => &mut self.server,
        }
    }

    #[inline]
    fn step_sound(&mut self, from: Party, bytes: &[u8], out: &mut dyn Emit) -> Step {
        match self.framing {
            Framing::Mbap => self.step_mbap(from, bytes, out),
            Framing::Rtu => self.step_rtu(from, bytes, out),
            Framing::Unknown => match framing::header(bytes) {
                Look::Yes(_) => self.settle(Framing::Mbap, from, bytes, out),
                Look::More(needed) => Step::More(needed),
                Look::No(detail) => match framing::strict_frame(from, bytes) {
                    Look::Yes(_) => self.settle(Framing::Rtu, from, bytes, out),
                    Look::More(needed) => Step::More(needed),
                    Look::No(_) => self.lose(from, NoticeKind::MalformedPdu, detail, bytes),
                },
            },
        }
    }

    fn settle(&mut self, framing: Framing, from: Party, bytes: &[u8], out: &mut dyn Emit) -> Step {
        self.framing = framing;
        self.step_sound(from, bytes, out)
    }

    fn step_mbap(&mut self, from: Party, bytes: &[u8], out: &mut dyn Emit) -> Step {
        let header = match framing::header(bytes) {
            Look::Yes(header) => header,
            Look::More(needed) => return Step::More(needed),
            Look::No(detail) => return self.lose(from, NoticeKind::MalformedPdu, detail, bytes),
        };
        let rest = bytes.get(MBAP..).unwrap_or_default();
        let claimed = rest.get(..header.pdu).unwrap_or(rest);
        let (length, fault) = match rules::shape(from, claimed) {
            Shape::Exactly(length) if length < header.pdu => (length, Some(LONG)),
            Shape::Exactly(length) | Shape::AtLeast(length) if length > header.pdu => {
                (header.pdu, Some(SHORT))
            }
            Shape::More(length) if length > header.pdu => (header.pdu, Some(SHORT)),
            Shape::More(length) => return Step::More(MBAP + length),
            Shape::Exactly(_) | Shape::AtLeast(_) | Shape::Undefined => (header.pdu, None),
        };
        let Some(pdu) = claimed.get(..length) else { return Step::More(MBAP + length) };
        let key = u64::from(header.transaction) << 8 | u64::from(header.unit);
        self.tell(
            Adu {
                from,
                key,
                unit: header.unit,
                pdu,
                length: MBAP + header.pdu,
                fault,
                broadcast: false,
            },
            out,
        );
        if self.transport == Transport::Udp {
            return Step::Done((MBAP + header.pdu).min(bytes.len()));
        }
        let left = header.pdu - length;
        *self.lane(from) = if left == 0 { Lane::Sound } else { Lane::Doubt(left) };
        Step::Done(MBAP + length)
    }

    fn step_rtu(&mut self, from: Party, bytes: &[u8], out: &mut dyn Emit) -> Step {
        let length = match framing::frame(from, bytes) {
            Look::Yes(length) => length,
            Look::More(needed) => return Step::More(needed),
            Look::No(detail) => return self.lose(from, NoticeKind::BadChecksum, detail, bytes),
        };
        let (Some(&unit), Some(pdu)) = (bytes.first(), bytes.get(1..length + 1 - FRAME)) else {
            return Step::More(length);
        };
        let (key, broadcast) = (u64::from(unit), unit == 0);
        self.tell(Adu { from, key, unit, pdu, length, fault: None, broadcast }, out);
        *self.lane(from) = Lane::Sound;
        Step::Done(length)
    }

    /// See [`Lane::Doubt`].
    fn step_doubt(&mut self, from: Party, left: usize, bytes: &[u8], out: &mut dyn Emit) -> Step {
        match framing::strict(from, bytes) {
            Look::Yes(_) => return self.step_mbap(from, bytes, out),
            Look::More(needed) => return Step::More(needed),
            Look::No(_) => {}
        }
        if let Look::Yes(_) = framing::header(bytes) {
            let behind = bytes.get(left..).unwrap_or_default();
            match framing::header(behind) {
                Look::Yes(_) => {}
                Look::More(needed) => return Step::More(left + needed),
                Look::No(_) => return self.step_mbap(from, bytes, out),
            }
        }
        self.skip_slack(from, left, bytes)
    }

    /// See [`Lane::Slack`].
    fn step_slack(&mut self, from: Party, left: usize, bytes: &[u8], out: &mut dyn Emit) -> Step {
        match framing::strict(from, bytes) {
            Look::Yes(_) => self.step_mbap(from, bytes, out),
            Look::More(needed) => Step::More(needed),
            Look::No(_) => self.skip_slack(from, left, bytes),
        }
    }

    /// Passes over bytes of the last PDU; its notice was raised with it.
    fn skip_slack(&mut self, from: Party, left: usize, bytes: &[u8]) -> Step {
        let slack = bytes.get(..left).unwrap_or(bytes);
        // A candidate may reach beyond the slack, so the whole of the bytes is looked at.
        let skip = (1..slack.len())
            .find(|offset| {
                let rest = bytes.get(*offset..).unwrap_or_default();
                !matches!(framing::strict(from, rest), Look::No(_))
            })
            .unwrap_or(slack.len());
        *self.lane(from) = if skip == left { Lane::Sound } else { Lane::Slack(left - skip) };
        Step::Done(skip)
    }

    /// See [`Lane::Lost`].
    fn step_lost(
        &mut self,
        from: Party,
        notice: NoticeKind,
        detail: &'static str,
        bytes: &[u8],
        out: &mut dyn Emit,
    ) -> Step {
        match framing::begins(self.framing, from, bytes) {
            Look::Yes(framing) => {
                *self.lane(from) = Lane::Sound;
                self.settle(framing, from, bytes, out)
            }
            Look::More(needed) => Step::More(needed),
            Look::No(_) => {
                let skip =
                    framing::seek(self.framing, from, bytes, self.transport == Transport::Udp);
                Step::Malformed { skip, notice, detail }
            }
        }
    }

    /// No PDU begins here: passes over what cannot begin one. Where garbage goes on over several
    /// steps, the first notice gives the reason and later ones only say that it does.
    fn lose(
        &mut self,
        from: Party,
        notice: NoticeKind,
        detail: &'static str,
        bytes: &[u8],
    ) -> Step {
        *self.lane(from) = Lane::Lost(NoticeKind::MalformedPdu, LOST);
        let skip = framing::seek(self.framing, from, bytes, self.transport == Transport::Udp);
        Step::Malformed { skip, notice, detail }
    }

    #[inline]
    fn tell(&mut self, adu: Adu<'_>, out: &mut dyn Emit) {
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
                values: &self.values,
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
        let asked: &[OwnedObject] = request.as_ref().map_or(&[], |request| &request.objects);
        let inherited: Objects<'_> =
            asked.iter().map(|object| object.borrow(answer.status)).collect();
        let objects: &[Object<'_>] = if inherited.is_empty() { &own_objects } else { &inherited };
        if !fits {
            self.values.clear();
            fault = fault.or(Some(UNLIKE));
        } else if answer.status == 0 && fault != Some(SHORT) {
            fault = fault.or(pdu::parse_answer(adu.pdu, objects, &mut self.values).err());
            self.values.retain(|value| {
                let object = objects.get(usize::from(value.object));
                object.is_some_and(|object| value.offset < object.count)
            });
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
                values: &self.values,
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
        if unasked {
            let detail = "no request of this transaction, unit and function waits";
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
