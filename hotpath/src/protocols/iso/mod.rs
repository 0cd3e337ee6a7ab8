//! ISO transport on TCP: what S7comm, S7comm-plus and MMS have in common on port 102.
//!
//! TPKT (RFC 1006) frames TPDUs of COTP class 0 (ISO 8073, X.224): a connection is asked for and
//! granted, then data TPDUs carry TSDUs, in several parts where they are long. [`Iso`] finds them
//! in a stream; a protocol above is an [`User`] of it.
//!
//! All parts of a TSDU wait in the stream until its last one is there, so that what the bytes cost
//! is counted by who holds them, and its first frame is that of its first byte.

mod probe;
mod tpdu;

pub use self::probe::{Beginning, probe};
pub use self::tpdu::{Ends, Look, Tpdu};

use self::tpdu::TPKT;
use super::{Emit, Party, Step};
use crate::words::NoticeKind;

/// Function of a connection request and its answer: beyond what one byte can hold.
pub const CONNECT: u32 = 0x2E0;
/// Function of a disconnection.
pub const DISCONNECT: u32 = 0x280;
/// Function of a transport error.
pub const ERROR: u32 = 0x270;

/// The name of a function of the transport.
#[must_use]
pub fn function_name(function: u32) -> Option<&'static str> {
    Some(match function {
        CONNECT => "COTP Connect",
        DISCONNECT => "COTP Disconnect",
        ERROR => "COTP Error",
        _ => return None,
    })
}

const LOST: &str = "no TPKT begins here";
const CUT: &str = "the bytes end inside a TPDU";
const AFTER_GAP: &str = "the rest of a TSDU whose beginning is missing";
const UNENDED: &str = "a TSDU has no last part";

/// The protocol above.
pub trait User {
    /// A TPDU that is not data came, in a packet of `length` bytes.
    fn connection(&mut self, from: Party, tpdu: &Tpdu<'_>, length: usize, out: &mut dyn Emit);

    /// A whole TSDU came, in packets of `length` bytes in all; it is never empty.
    fn data(&mut self, from: Party, tsdu: &[u8], length: usize, out: &mut dyn Emit);

    /// Whether a TSDU of the protocol begins so; else it may be the rest of one.
    fn begins(&self, tsdu: &[u8]) -> bool;
}

/// What is known of the place in one party's stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A TSDU begins here.
    Sound,
    /// A TPDU begins here, perhaps amid a TSDU.
    Amid,
    /// Bytes are missing before these: most often a TPDU begins here all the same.
    Gapped,
    /// A TPDU begins at the next place where a plausible one does.
    Lost(NoticeKind, &'static str),
}

#[derive(Debug, Clone, Copy)]
struct Lane {
    place: Place,
    /// Bytes at the head whose packets were looked at: parts of a TSDU that is not whole yet.
    parts: usize,
}

impl Lane {
    const fn new(place: Place) -> Self {
        Self { place, parts: 0 }
    }
}

/// Finds TPDUs in both streams of a flow.
#[derive(Debug)]
pub struct Iso {
    client: Lane,
    server: Lane,
    /// Kept for its capacity.
    joined: Vec<u8>,
}

impl Default for Iso {
    /// A capture may begin amid a flow.
    fn default() -> Self {
        let lane = Lane::new(Place::Amid);
        Self { client: lane, server: lane, joined: Vec::new() }
    }
}

/// Room that a flow keeps to join the parts of TSDUs.
const MAX_SPARE: usize = 2_048;

impl Iso {
    fn lane(&mut self, from: Party) -> &mut Lane {
        match from {
            Party::Client => &mut self.client,
            Party::Server => &mut self.server,
        }
    }

    /// See [`super::Decoder::gap`].
    pub fn gap(&mut self, from: Party) {
        *self.lane(from) = Lane::new(Place::Gapped);
    }

    /// See [`super::Decoder::step`].
    pub fn step(
        &mut self,
        user: &mut impl User,
        from: Party,
        bytes: &[u8],
        out: &mut dyn Emit,
    ) -> Step {
        let (notice, detail) = match self.lane(from).place {
            Place::Sound | Place::Amid => return self.step_packets(user, from, bytes, out),
            Place::Gapped => (NoticeKind::Gap, AFTER_GAP),
            Place::Lost(notice, detail) => (notice, detail),
        };
        match tpdu::strict(bytes) {
            Look::Yes(_) => {
                *self.lane(from) = Lane::new(Place::Amid);
                self.step_packets(user, from, bytes, out)
            }
            Look::More(needed) => Step::More(needed),
            Look::No(_) => {
                *self.lane(from) = Lane::new(Place::Lost(notice, detail));
                Step::Malformed { skip: tpdu::seek(bytes, false), notice, detail }
            }
        }
    }

    /// See [`super::Decoder::flush`].
    pub fn flush(
        &mut self,
        user: &mut impl User,
        from: Party,
        bytes: &[u8],
        out: &mut dyn Emit,
    ) -> Step {
        match self.step(user, from, bytes, out) {
            Step::More(_) => {
                let before = std::mem::replace(self.lane(from), Lane::new(Place::Gapped));
                // Parts of a TSDU that will never be whole go at once: else each would be looked at
                // again for each one before it.
                let skip = match before.parts {
                    0 => tpdu::seek(bytes, true).max(1),
                    parts => parts,
                };
                Step::Malformed { skip, notice: NoticeKind::Gap, detail: CUT }
            }
            step => step,
        }
    }

    /// Goes from packet to packet until a TSDU ends.
    fn step_packets(
        &mut self,
        user: &mut impl User,
        from: Party,
        bytes: &[u8],
        out: &mut dyn Emit,
    ) -> Step {
        let mut at = self.lane(from).parts;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            let length = match tpdu::packet(rest) {
                Look::Yes(length) => length,
                Look::More(needed) => return self.wait(from, at, needed),
                Look::No(detail) if at == 0 => return self.lose(from, detail, bytes),
                Look::No(_) => return self.give_up(from, at),
            };
            let Some(body) = rest.get(TPKT..length) else { return self.wait(from, at, length) };
            match tpdu::parse(body) {
                Ok(Tpdu::Data { part: [], is_last: false }) if at == 0 => {
                    return Step::Done(length);
                }
                Ok(Tpdu::Data { part, is_last: true }) if at == 0 => {
                    return self.tell(user, from, part, length, out);
                }
                Ok(Tpdu::Data { is_last, .. }) => {
                    at += length;
                    if is_last {
                        return self.join(user, from, bytes.get(..at).unwrap_or(bytes), out);
                    }
                }
                _ if at > 0 => return self.give_up(from, at),
                Ok(other) => {
                    *self.lane(from) = Lane::new(Place::Sound);
                    user.connection(from, &other, length, out);
                    return Step::Done(length);
                }
                Err(detail) => {
                    *self.lane(from) = Lane::new(Place::Amid);
                    let notice = NoticeKind::MalformedPdu;
                    return Step::Malformed { skip: length, notice, detail };
                }
            }
        }
    }

    fn wait(&mut self, from: Party, at: usize, needed: usize) -> Step {
        self.lane(from).parts = at;
        Step::More(at + needed)
    }

    /// The parts up to `at` are followed by something else than the next one.
    fn give_up(&mut self, from: Party, at: usize) -> Step {
        *self.lane(from) = Lane::new(Place::Sound);
        Step::Malformed { skip: at, notice: NoticeKind::MalformedPdu, detail: UNENDED }
    }

    /// No packet begins here: passes over what cannot begin one.
    fn lose(&mut self, from: Party, detail: &'static str, bytes: &[u8]) -> Step {
        let notice = NoticeKind::MalformedPdu;
        *self.lane(from) = Lane::new(Place::Lost(notice, LOST));
        Step::Malformed { skip: tpdu::seek(bytes, false), notice, detail }
    }

    /// Tells a TSDU whose packets are all of `packets`.
    fn join(
        &mut self,
        user: &mut impl User,
        from: Party,
        packets: &[u8],
        out: &mut dyn Emit,
    ) -> Step {
        let mut joined = std::mem::take(&mut self.joined);
        joined.clear();
        let mut rest = packets;
        while let Look::Yes(length) = tpdu::packet(rest) {
            let Some((packet, behind)) = rest.split_at_checked(length) else { break };
            if let Ok(Tpdu::Data { part, .. }) = tpdu::parse(packet.get(TPKT..).unwrap_or_default())
            {
                joined.extend_from_slice(part);
            }
            rest = behind;
        }
        let step = self.tell(user, from, &joined, packets.len(), out);
        joined.truncate(MAX_SPARE);
        joined.shrink_to(MAX_SPARE);
        self.joined = joined;
        step
    }

    fn tell(
        &mut self,
        user: &mut impl User,
        from: Party,
        tsdu: &[u8],
        length: usize,
        out: &mut dyn Emit,
    ) -> Step {
        let before = std::mem::replace(self.lane(from), Lane::new(Place::Sound));
        if tsdu.is_empty() {
            self.lane(from).place = before.place;
        } else if before.place == Place::Amid && !user.begins(tsdu) {
            let notice = NoticeKind::Gap;
            return Step::Malformed { skip: length, notice, detail: AFTER_GAP };
        } else {
            user.data(from, tsdu, length, out);
        }
        Step::Done(length)
    }
}
