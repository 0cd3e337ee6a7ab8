//! From an APDU to the message that it is, and to the request that it answers.

use super::asdu::{Body, Identifier};
use super::names::{self, C_RD, F_SC, NEGATIVE, STARTDT, STOPDT, TESTFR, UNKNOWN, UNNUMBERED};
use super::{Iec104, asdu};
use crate::bytes::Cursor;
use crate::protocols::pairing::{Again, Answer, Pending};
use crate::protocols::{Emit, Message, NO_SUBFUNCTION, Party, Told, Values};
use crate::words::{Activity, NoticeKind, Role};

const NO_ASDU: &str = "the APDU ends inside the data unit identifier";
const UNASKED: &str = "no command of this type and address waits for a confirmation";
/// The common address of all stations at once.
const EVERY_STATION: u16 = 0xFFFF;
/// The cause of a termination, which comes after a confirmation.
const TERMINATION: u8 = 10;
/// Marks the keys of requests that were confirmed and wait for their termination.
const CONFIRMED: u64 = 1 << 56;
/// Marks the function of a request that was refused. Many stations refuse twice: negatively, and by
/// what they do not know.
const REFUSED: u32 = 1 << 31;
/// Marks the keys of U frames.
const SESSION: u64 = 1 << 57;

impl Iec104 {
    pub(super) fn tell_asdu(
        &mut self,
        from: Party,
        length: usize,
        bytes: &[u8],
        out: &mut dyn Emit,
    ) {
        let mut cursor = Cursor::new(bytes);
        let Ok(id) = Identifier::read(&mut cursor) else {
            out.notice(from, NoticeKind::MalformedPdu, NO_ASDU, None);
            return;
        };
        self.values.clear();
        let mut body = Body::read(id, from, cursor.rest(), out.now().time, &mut self.values);
        let role = role(id, from);
        let status = status(id, role, &body);
        for object in &mut body.objects {
            object.status = status;
        }
        let asked = Asked { id, qualifier: body.qualifier, address: first_address(&body) };
        let (answer, is_to_all) = match role {
            Role::Response => self.find(from, asked, status),
            Role::Request | Role::Report => (Answer::Unknown, false),
        };
        let request = match &answer {
            Answer::To(request) => Some(request.told),
            Answer::Unasked | Answer::Unknown => None,
        };
        let subfunction = asked.subfunction();
        let message = Message {
            role,
            activity: activity(id, body.qualifier),
            function: u32::from(id.type_id),
            subfunction,
            unit: u32::from(id.common_address),
            status,
            objects: &body.objects,
            values: (&self.values).into(),
            reply_to: request,
            length: length as u32,
        };
        let told = Told { id: out.message(from, &message), ..here(out) };
        if let Some(detail) = body.fault {
            out.notice(from, NoticeKind::MalformedPdu, detail, None);
        }
        if role == Role::Request {
            self.ask(from, asked, told, out);
        }
        self.settle(from, asked, answer, status, bytes, out);
        if let (Some(told), true) = (request, is_to_all) {
            let again = pending(told, from.other(), asked.id.type_id.into(), asked.asks(), false);
            self.pairing.ask(asked.key(EVERY_STATION), again, out);
        }
        self.note_originator(from, id, role, out);
    }

    /// A request waits for its confirmation, or a read for its object.
    fn ask(&mut self, from: Party, asked: Asked, told: Told, out: &mut dyn Emit) {
        if asked.is_answered() {
            let pending = pending(told, from, asked.id.type_id.into(), asked.subfunction(), true);
            self.pairing.ask(asked.key(asked.id.common_address), pending, out);
        }
    }

    /// The request that this answers, and whether it went to all stations, each of which answers.
    fn find(&mut self, from: Party, asked: Asked, status: u16) -> (Answer, bool) {
        let fits = |request: &Pending| {
            request.from != from
                && asked.answers(request.subfunction)
                && (status != 0 || request.function & REFUSED == 0)
        };
        match self.pairing.answer(asked.key(asked.id.common_address), fits) {
            found @ Answer::To(_) => (found, false),
            none => match self.pairing.answer(asked.key(EVERY_STATION), fits) {
                found @ Answer::To(_) => (found, true),
                _ => (none, false),
            },
        }
    }

    /// What an answer leaves behind: a request that still waits for more, or a notice.
    fn settle(
        &mut self,
        from: Party,
        asked: Asked,
        answer: Answer,
        status: u16,
        bytes: &[u8],
        out: &mut dyn Emit,
    ) {
        let key = asked.key(asked.id.common_address);
        let time = out.now().time;
        match answer {
            Answer::To(request) => {
                self.pairing.keep(key, essence(status, bytes), time);
                let again = Pending { owed: false, ..request };
                if asked.is_to_be_terminated() && status == 0 {
                    self.pairing.ask(CONFIRMED | key, again.clone(), out);
                }
                if status != 0 {
                    let function = again.function | REFUSED;
                    self.pairing.ask(key, Pending { function, ..again }, out);
                } else if asked.id.type_id == C_RD {
                    self.pairing.ask(key, again, out);
                }
            }
            Answer::Unasked if asked.is_owed_to_a_request() => {
                let again = self.pairing.again(key, essence(status, bytes), time);
                let detail = again.map_or(UNASKED, Again::detail);
                out.notice(from, NoticeKind::UnaskedResponse, detail, None);
            }
            Answer::Unasked | Answer::Unknown => {}
        }
    }

    /// A controlling station says which it is, where several share a line.
    fn note_originator(&mut self, from: Party, id: Identifier, role: Role, out: &mut dyn Emit) {
        let is_new = id.originator != 0 && id.originator != self.originator;
        if is_new && role == Role::Request && from == Party::Client {
            self.originator = id.originator;
            out.fact(from, "originator", &id.originator.to_string());
        }
    }

    pub(super) fn tell_unnumbered(&mut self, from: Party, octet: u8, out: &mut dyn Emit) {
        let (asks, is_request) = match octet {
            STARTDT | STOPDT | TESTFR => (octet, true),
            // The bit that confirms stands beside the one that asks.
            _ => ((octet & !3) >> 1 | 3, false),
        };
        let function = UNNUMBERED | u32::from(asks);
        let key = SESSION | u64::from(asks);
        let answer = if is_request {
            Answer::Unknown
        } else {
            self.pairing.answer(key, |request| request.from != from)
        };
        let message = Message {
            role: if is_request { Role::Request } else { Role::Response },
            activity: Activity::Session,
            function,
            subfunction: NO_SUBFUNCTION,
            unit: 0,
            status: 0,
            objects: &[],
            values: Values::default(),
            reply_to: match &answer {
                Answer::To(request) => Some(request.told),
                Answer::Unasked | Answer::Unknown => None,
            },
            length: super::APCI as u32,
        };
        let told = Told { id: out.message(from, &message), ..here(out) };
        if is_request {
            let request = pending(told, from, function, NO_SUBFUNCTION, true);
            self.pairing.ask(key, request, out);
        } else if answer == Answer::Unasked {
            out.notice(from, NoticeKind::UnaskedResponse, UNASKED, None);
        }
    }
}

/// An ASDU as pairing sees it.
#[derive(Debug, Clone, Copy)]
struct Asked {
    id: Identifier,
    qualifier: u32,
    /// Address of its first object.
    address: u64,
}

impl Asked {
    /// See [`names`].
    fn subfunction(self) -> u32 {
        let test = if self.id.is_test { names::IS_TEST } else { 0 };
        u32::from(self.id.cause) | test | self.qualifier << 8
    }

    /// Whether something answers it.
    fn is_answered(self) -> bool {
        self.id.type_id == C_RD
            || (names::is_commanded(self.id.type_id) && matches!(self.id.cause, 6 | 8))
    }

    /// Whether it confirms, which nobody does unasked.
    fn is_owed_to_a_request(self) -> bool {
        names::is_commanded(self.id.type_id) && matches!(self.id.cause, 7 | 9 | 44..=47)
    }

    /// Whether it confirms what a termination will follow: commands that are executed, and
    /// interrogations.
    fn is_to_be_terminated(self) -> bool {
        let is_executed = matches!(self.id.type_id, 45..=64) && self.qualifier == 0;
        self.id.cause == 7 && (is_executed || matches!(self.id.type_id, 100 | 101))
    }

    /// The sub-function of the request that it confirms.
    fn asks(self) -> u32 {
        const ACTIVATION: u32 = 6;
        ACTIVATION | self.qualifier << 8
    }

    /// Under what it waits, or looks for what waits.
    fn key(self, common_address: u16) -> u64 {
        let type_id = if names::is_monitored(self.id.type_id) { C_RD } else { self.id.type_id };
        let confirmed = if self.id.cause == TERMINATION { CONFIRMED } else { 0 };
        confirmed
            | u64::from(type_id) << 40
            | u64::from(common_address) << 24
            | (self.address & 0xFF_FFFF)
    }

    /// Whether a request with this sub-function is one that it answers.
    fn answers(self, subfunction: u32) -> bool {
        let cause = subfunction & 0x3F;
        let is_same = names::is_monitored(self.id.type_id) || subfunction >> 8 == self.qualifier;
        is_same
            && match self.id.cause {
                // Some stations confirm a read command before they answer it.
                7 if self.id.type_id == C_RD => cause == 5,
                7 | TERMINATION => cause == 6,
                9 => cause == 8,
                _ => true,
            }
    }
}

fn pending(told: Told, from: Party, function: u32, subfunction: u32, owed: bool) -> Pending {
    Pending { told, from, function, subfunction, objects: smallvec::SmallVec::new(), owed }
}

/// What of an answer must not be contradicted: one refusal is as good as another.
fn essence(status: u16, bytes: &[u8]) -> &[u8] {
    if status == 0 { bytes } else { b"refused" }
}

fn here(out: &dyn Emit) -> Told {
    let now = out.now();
    Told { id: 0, frame: now.frame, time: now.time }
}

fn first_address(body: &asdu::Body) -> u64 {
    body.objects.first().map_or(0, |object| object.address)
}

fn role(id: Identifier, from: Party) -> Role {
    let is_commanded = names::is_commanded(id.type_id);
    match id.cause {
        6 | 8 => Role::Request,
        7 | 9 | TERMINATION | 44..=47 => Role::Response,
        5 if id.type_id == C_RD && from == Party::Client => Role::Request,
        5 => Role::Response,
        _ if matches!(id.type_id, F_SC | 127) => Role::Request,
        _ if is_commanded && from == Party::Client => Role::Request,
        _ => Role::Report,
    }
}

fn activity(id: Identifier, qualifier: u32) -> Activity {
    match names::activity(id.type_id, qualifier) {
        Activity::Report if id.cause == 5 => Activity::Read,
        activity => activity,
    }
}

fn status(id: Identifier, role: Role, body: &asdu::Body) -> u16 {
    match role {
        Role::Request => 0,
        _ if UNKNOWN.contains(&id.cause) => u16::from(id.cause),
        _ if id.is_negative => NEGATIVE,
        _ => body.refusal,
    }
}
