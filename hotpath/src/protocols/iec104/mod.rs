//! IEC 60870-5-104: telecontrol of substations over TCP.
//!
//! IEC 60870-5-104 (2006) for the APDU and its numbers, IEC 60870-5-101 (2003) for the ASDU.
//!
//! What a reader of the messages should know:
//! - One ASDU is one message. Function and sub-function are those of [`names`]: a select is another
//!   operation than an execute, a test another than what is meant.
//! - Unit is the common address, an object's address the information object address. Neighbours of
//!   an ASDU are one range, whether it says so (SQ = 1) or not.
//! - A negative confirmation and an unknown type, cause or address are status.
//! - What a station reports is a report, also where it was interrogated; the confirmation and the
//!   termination are what answers an interrogation. A read command is answered by the report.
//! - U frames are messages of the session. S frames say nothing but which numbers came, and are no
//!   messages; their numbers are checked as those of all others.

mod asdu;
mod elements;
mod framing;
mod messages;
mod names;
mod objects;
mod sequence;
mod time;

use self::framing::{APCI, Control, Header, Look};
use self::objects::OBJECTS;
use self::sequence::Sequence;
use super::pairing::Pairing;
use super::{Decoder, Emit, Party, Protocol, Step, Transport, Value};
use crate::words::NoticeKind;

/// IEC 60870-5-104.
pub static PROTOCOL: Protocol = Protocol {
    name: "iec104",
    tcp_ports: &[2404],
    udp_ports: &[],
    link: None,
    probe: framing::probe,
    decoder: |_: Transport| Box::new(Iec104::default()),
    function_name: names::function_name,
    status_name: names::status_name,
    objects: OBJECTS,
};

const LOST: &str = "no APDU begins here";
const CUT: &str = "the bytes end inside an APDU";
const AFTER_GAP: &str = "the rest of an APDU whose beginning is missing";

/// What is known of the place in one party's stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Lane {
    /// An APDU begins here.
    #[default]
    Sound,
    /// An APDU begins at the next place where a plausible one does; the reason goes with the
    /// notice.
    Lost(NoticeKind, &'static str),
}

#[derive(Debug, Default)]
struct Iec104 {
    client: Lane,
    server: Lane,
    sequence: Sequence,
    pairing: Pairing,
    /// The originator address that the client was last heard to use.
    originator: u8,
    /// Kept for its capacity.
    values: Vec<Value<'static>>,
}

impl Decoder for Iec104 {
    fn step(&mut self, from: Party, bytes: &[u8], out: &mut dyn Emit) -> Step {
        let look = match *self.lane(from) {
            Lane::Sound => framing::header(bytes),
            Lane::Lost(..) => framing::strict(bytes),
        };
        match look {
            Look::More(needed) => Step::More(needed),
            Look::Yes(header) => self.tell(from, header, bytes, out),
            Look::No(detail) => self.lose(from, detail, bytes),
        }
    }

    fn gap(&mut self, from: Party) {
        *self.lane(from) = Lane::Lost(NoticeKind::Gap, AFTER_GAP);
        self.sequence.gap(from);
        self.pairing.gap();
    }

    fn expire(&mut self, now: i64, out: &mut dyn Emit) {
        self.pairing.expire(now, out);
    }

    fn flush(&mut self, from: Party, bytes: &[u8], out: &mut dyn Emit) -> Step {
        let step = self.step(from, bytes, out);
        let Step::More(_) = step else { return step };
        *self.lane(from) = Lane::Lost(NoticeKind::Gap, CUT);
        let skip = framing::seek(bytes, true).max(1);
        Step::Malformed { skip, notice: NoticeKind::Gap, detail: CUT }
    }
}

impl Iec104 {
    const fn lane(&mut self, from: Party) -> &mut Lane {
        match from {
            Party::Client => &mut self.client,
            Party::Server => &mut self.server,
        }
    }

    fn tell(&mut self, from: Party, header: Header, bytes: &[u8], out: &mut dyn Emit) -> Step {
        let Some(body) = bytes.get(APCI..header.length) else { return Step::More(header.length) };
        *self.lane(from) = Lane::Sound;
        let broken = match header.control {
            Control::Information { send, receive } => {
                self.tell_asdu(from, header.length, body, out);
                self.sequence.take(from, Some(send), receive)
            }
            Control::Supervisory { receive } => self.sequence.take(from, None, receive),
            Control::Unnumbered(octet) => {
                self.tell_unnumbered(from, octet, out);
                None
            }
        };
        if let Some(broken) = broken {
            let detail = broken.to_string();
            out.notice(from, NoticeKind::OutOfSequence, &detail, None);
        }
        Step::Done(header.length)
    }

    /// No APDU begins here: passes over what cannot begin one. Where garbage goes on over several
    /// steps, the first notice gives the reason and later ones only say that it does.
    fn lose(&mut self, from: Party, detail: &'static str, bytes: &[u8]) -> Step {
        let lane = self.lane(from);
        let (notice, detail) = match *lane {
            Lane::Sound => (NoticeKind::MalformedPdu, detail),
            Lane::Lost(notice, detail) => (notice, detail),
        };
        if *lane == Lane::Sound {
            *lane = Lane::Lost(NoticeKind::MalformedPdu, LOST);
        }
        Step::Malformed { skip: framing::seek(bytes, false).max(1), notice, detail }
    }
}
