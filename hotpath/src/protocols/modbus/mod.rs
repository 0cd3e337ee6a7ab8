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
//! Where garbage goes on over several steps, each is [`Step::Malformed`] again, for its bytes are
//! counted: how many there are depends on the segments, the messages do not. What follows a gap
//! has the notice kind of a gap, for it is nobody's fault.
//!
//! In a stream, a length that contradicts the function leaves two places at which the next PDU may
//! begin. What stands there decides, never where a segment ends; see [`Lane`].

mod framing;
mod messages;
mod names;
mod pdu;
mod rules;

use self::framing::{FRAME, Framing, Look, MBAP};
use self::messages::Adu;
use self::names::OBJECTS;
use self::rules::Shape;
use super::pairing::Pairing;
use super::{Blocks, Decoder, Emit, Party, Protocol, Step, Transport};
use crate::words::NoticeKind;

/// Modbus over TCP, UDP, and RTU over TCP.
pub static PROTOCOL: Protocol = Protocol {
    name: "modbus",
    tcp_ports: &[502],
    udp_ports: &[502],
    link: None,
    probe: framing::probe,
    decoder: |transport| Box::new(Modbus::new(transport)),
    function_name: names::function_name,
    status_name: names::status_name,
    objects: OBJECTS,
};

/// What is wrong with the length of a PDU that is told all the same.
const SHORT: &str = "the PDU is shorter than its function demands";
const LONG: &str = "the PDU is longer than its function demands";
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
    /// Bytes are missing before these. Most often a PDU begins here all the same, but its header
    /// counts only if it is plausible in all its parts, or another header or the next hole follows.
    Gapped,
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
    values: Blocks,
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
            Lane::Gapped => self.step_gapped(from, bytes, out),
            Lane::Lost(notice, detail) => self.step_lost(from, notice, detail, bytes, out),
        }
    }

    fn gap(&mut self, from: Party) {
        *self.lane(from) = Lane::Gapped;
        self.pairing.gap();
    }

    fn expire(&mut self, now: i64, out: &mut dyn Emit) {
        self.pairing.expire(now, out);
    }

    /// What remains of a datagram is malformed; what remains of a stream is not in the capture.
    fn flush(&mut self, from: Party, bytes: &[u8], out: &mut dyn Emit) -> Step {
        let mut step = self.step(from, bytes, out);
        if let Step::More(_) = step {
            step = self.last_step(from, bytes, out);
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
            Transport::Udp | Transport::Link => Framing::Mbap,
        };
        let (client, server) = (Lane::Sound, Lane::Sound);
        Self {
            transport,
            framing,
            client,
            server,
            pairing: Pairing::default(),
            values: Blocks::default(),
        }
    }

    fn lane(&mut self, from: Party) -> &mut Lane {
        match from {
            Party::Client => &mut self.client,
            Party::Server => &mut self.server,
        }
    }

    /// What was put off until more bytes come is decided without them.
    fn last_step(&mut self, from: Party, bytes: &[u8], out: &mut dyn Emit) -> Step {
        let Look::Yes(header) = framing::header(bytes) else { return Step::More(MBAP) };
        let lane = *self.lane(from);
        match lane {
            // No header will follow behind the bytes in doubt.
            Lane::Doubt(_) => {
                *self.lane(from) = Lane::Slack(bytes.len());
                self.step_mbap(from, bytes, out)
            }
            // From one hole to the next there is just one PDU.
            Lane::Gapped if bytes.len() == MBAP + header.pdu && self.framing != Framing::Rtu => {
                self.settle(Framing::Mbap, from, bytes, out)
            }
            _ => Step::More(MBAP),
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
            Look::No(detail) if self.transport == Transport::Udp => {
                return self.lose(from, NoticeKind::MalformedPdu, detail, bytes);
            }
            Look::No(detail) => {
                return self.turn(Framing::Rtu, from, NoticeKind::MalformedPdu, detail, bytes, out);
            }
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
        let key = (u64::from(header.transaction) << 8) | u64::from(header.unit);
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
        if !framing::tells_length(from, bytes) {
            // Up to 256 bytes may have to be waited for: a PDU of the other framing is told first.
            match framing::foreign(Framing::Rtu, Framing::Mbap, from, bytes) {
                Look::Yes(framing) => return self.settle(framing, from, bytes, out),
                Look::More(needed) => return Step::More(needed),
                Look::No(_) => {}
            }
        }
        let length = match framing::frame(from, bytes) {
            Look::Yes(length) => length,
            Look::More(needed) => return Step::More(needed),
            Look::No(detail) => {
                return self.turn(Framing::Mbap, from, NoticeKind::BadChecksum, detail, bytes, out);
            }
        };
        let (Some(&unit), Some(pdu)) = (bytes.first(), bytes.get(1..length + 1 - FRAME)) else {
            return Step::More(length);
        };
        let (key, broadcast) = (u64::from(unit), unit == 0);
        self.tell(Adu { from, key, unit, pdu, length, fault: None, broadcast }, out);
        *self.lane(from) = Lane::Sound;
        Step::Done(length)
    }

    /// See [`Lane::Gapped`].
    fn step_gapped(&mut self, from: Party, bytes: &[u8], out: &mut dyn Emit) -> Step {
        if let (Look::No(_), Look::Yes(header)) =
            (framing::begins(self.framing, from, bytes), framing::header(bytes))
        {
            let behind = bytes.get(MBAP + header.pdu..).unwrap_or_default();
            match framing::header(behind) {
                _ if self.framing == Framing::Rtu => {}
                Look::Yes(_) => return self.settle(Framing::Mbap, from, bytes, out),
                Look::More(needed) => return Step::More(MBAP + header.pdu + needed),
                Look::No(_) => {}
            }
        }
        let step = self.step_lost(from, NoticeKind::Gap, AFTER_GAP, bytes, out);
        if let Step::Malformed { .. } = step {
            *self.lane(from) = Lane::Lost(NoticeKind::Gap, AFTER_GAP);
        }
        step
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

    /// No PDU of the flow's framing begins here: perhaps one of the other does, in which the flow
    /// then goes on.
    fn turn(
        &mut self,
        other: Framing,
        from: Party,
        notice: NoticeKind,
        detail: &'static str,
        bytes: &[u8],
        out: &mut dyn Emit,
    ) -> Step {
        match framing::foreign(self.framing, other, from, bytes) {
            Look::Yes(framing) => self.settle(framing, from, bytes, out),
            Look::More(needed) => Step::More(needed),
            Look::No(_) => self.lose(from, notice, detail, bytes),
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
}
