//! MQTT 3.1, 3.1.1 and 5.0: publishers, subscribers, and the broker between them, over TCP.
//!
//! MQTT V3.1 Protocol Specification (IBM, Eurotech 2010), MQTT Version 3.1.1 and MQTT Version 5.0
//! (OASIS 2014, 2019).
//!
//! What a reader of the messages should know:
//! - The broker is the server. Function is the packet type; see [`names`] for sub-functions.
//! - A PUBLISH is a report, whoever sends it: a sensor's to the broker is no more a command than
//!   the broker's to a subscriber, and bytes do not tell which topics are obeyed.
//! - A topic that is published is an object by name; a filter that is subscribed to is another one.
//! - Payloads are told where they are a number, a word, or JSON of such; see [`payload`].
//! - Acknowledgements of a PUBLISH name its topic only where they refuse it. A CONNACK names the
//!   user, SUBACK and UNSUBACK the filters.
//! - Of a packet of more than [`framing::WHOLE`] bytes only what begins it is looked at.

mod aliases;
mod framing;
mod names;
mod packet;
mod payload;
mod properties;
mod tell;

use self::aliases::Aliases;
use self::framing::{Header, Look, WHOLE};
use self::payload::Leaf;
use super::pairing::Pairing;
use super::{Decoder, Emit, Party, Protocol, Step, Transport};
use crate::words::NoticeKind;

/// MQTT over TCP.
pub static PROTOCOL: Protocol = Protocol {
    name: "mqtt",
    tcp_ports: &[1883],
    udp_ports: &[],
    link: None,
    probe: framing::probe,
    decoder: |_: Transport| Box::new(Mqtt::default()),
    function_name: names::function_name,
    status_name: names::status_name,
    objects: names::OBJECTS,
};

const LOST: &str = "no control packet begins here";
const CUT: &str = "the bytes end inside a control packet";
const AFTER_GAP: &str = "the rest of a control packet whose beginning is missing";

/// What is known of the place in one party's stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Lane {
    /// A packet begins here.
    #[default]
    Sound,
    /// So many bytes of a large packet are left, which was told by its beginning.
    Rest(usize),
    /// A segment was lost: a packet may well begin here, else as with `Lost`.
    Behind,
    /// A packet begins at the next place where a plausible one does; the reason goes with the
    /// notice.
    Lost(NoticeKind, &'static str),
}

/// What is known of one party.
#[derive(Debug, Default)]
struct Side {
    lane: Lane,
    aliases: Aliases,
}

#[derive(Debug, Default)]
struct Mqtt {
    client: Side,
    server: Side,
    /// The protocol level (3, 4 or 5), once something has shown it.
    level: Option<u8>,
    /// CONNECT and PINGREQ: the broker owes an answer.
    requests: Pairing,
    /// What has a packet identifier. It may be answered late, or on another connection.
    deliveries: Pairing,
    /// Whether it was said that there are too many topic aliases.
    is_full: bool,
    /// Kept for its capacity.
    leaves: Vec<Leaf>,
}

impl Decoder for Mqtt {
    fn step(&mut self, from: Party, bytes: &[u8], out: &mut dyn Emit) -> Step {
        let look = match self.side(from).lane {
            Lane::Rest(left) => {
                let used = left.min(bytes.len());
                let left = left - used;
                self.side(from).lane = if left == 0 { Lane::Sound } else { Lane::Rest(left) };
                return Step::Done(used);
            }
            Lane::Sound => framing::header(bytes),
            Lane::Behind => framing::strict(bytes),
            Lane::Lost(..) => framing::followed(bytes),
        };
        match look {
            Look::More(needed) => Step::More(needed),
            Look::Yes(header) => self.take(from, header, bytes, out),
            Look::No(detail) => self.lose(from, detail, bytes),
        }
    }

    fn gap(&mut self, from: Party) {
        let side = self.side(from);
        side.lane = Lane::Behind;
        side.aliases.forget();
        self.requests.gap();
        self.deliveries.gap();
    }

    fn expire(&mut self, now: i64, out: &mut dyn Emit) {
        self.requests.expire(now, out);
        self.deliveries.expire(now, out);
    }

    fn flush(&mut self, from: Party, bytes: &[u8], out: &mut dyn Emit) -> Step {
        let step = self.step(from, bytes, out);
        let Step::More(_) = step else { return step };
        // Amid garbage a packet must be followed by another one; the last one cannot be.
        if let (Lane::Lost(..), Look::Yes(header)) = (self.side(from).lane, framing::strict(bytes))
        {
            if header.length == bytes.len() {
                return self.take(from, header, bytes, out);
            }
        }
        self.side(from).lane = Lane::Lost(NoticeKind::Gap, CUT);
        let skip = framing::seek(bytes, true).max(1);
        Step::Malformed { skip, notice: NoticeKind::Gap, detail: CUT }
    }
}

impl Mqtt {
    const fn side(&mut self, of: Party) -> &mut Side {
        match of {
            Party::Client => &mut self.client,
            Party::Server => &mut self.server,
        }
    }

    /// Tells a packet once it is whole, or as much of it as is ever looked at.
    fn take(&mut self, from: Party, header: Header, bytes: &[u8], out: &mut dyn Emit) -> Step {
        let shown = header.length.min(WHOLE);
        let Some(body) = bytes.get(header.head..shown) else { return Step::More(shown) };
        let used = header.length.min(bytes.len());
        let left = header.length - used;
        self.side(from).lane = if left == 0 { Lane::Sound } else { Lane::Rest(left) };
        self.tell(from, header, body, out);
        Step::Done(used)
    }

    /// No packet begins here: passes over what cannot begin one. Where garbage goes on over
    /// several steps, the first notice gives the reason and later ones only say that it does.
    fn lose(&mut self, from: Party, detail: &'static str, bytes: &[u8]) -> Step {
        let side = self.side(from);
        let (notice, detail) = match side.lane {
            Lane::Sound | Lane::Rest(_) => (NoticeKind::MalformedPdu, detail),
            Lane::Behind => (NoticeKind::Gap, AFTER_GAP),
            Lane::Lost(notice, detail) => (notice, detail),
        };
        side.lane = match side.lane {
            Lane::Behind => Lane::Lost(NoticeKind::Gap, AFTER_GAP),
            lost @ Lane::Lost(..) => lost,
            Lane::Sound | Lane::Rest(_) => Lane::Lost(NoticeKind::MalformedPdu, LOST),
        };
        Step::Malformed { skip: framing::seek(bytes, false).max(1), notice, detail }
    }
}
