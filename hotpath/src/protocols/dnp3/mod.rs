//! DNP3 over TCP and UDP.
//!
//! IEEE 1815-2012. Frames of the link layer carry segments of fragments (transport function), and
//! a fragment is a message: a function, and objects behind headers.
//!
//! What a reader of the messages should know:
//! - The unit is the link address of the outstation.
//! - A response has the function of its request, as it answers it; without its request it has the
//!   one on the wire (129). A response in several fragments is as many messages.
//! - A response gives the objects that it brings; if it brings none, those of its request.
//! - A point is its type and its index. Groups of states, of their changes and of their commands
//!   are one type where they have the same values; variations never make a difference.
//! - Changes (events) are reported: their access is `report`, and their symbols name types only.
//! - Statuses of requests, commands, files and links stand in one space of numbers, see
//!   [`names::status_name`].
//! - An internal indication that tells of a device's state is an object where it is set.
//! - A frame whose CRCs do not all fit is none, as for every receiver; nothing of it is told.

mod attributes;
mod content;
mod exchanges;
mod files;
mod layouts;
mod link;
mod links;
mod messages;
mod names;
mod objects;
mod transport;

use self::exchanges::Exchanges;
use self::files::Files;
use self::link::{CONFIRMED_DATA, HEADER, Header, Look, UNCONFIRMED_DATA};
use self::messages::Fragment;
use self::transport::Assemblies;
use super::pairing::Pairing;
use super::{Decoder, Emit, Object, Party, Protocol, Step, Transport, Value};
use crate::words::NoticeKind;

/// DNP3 over TCP and UDP.
pub static PROTOCOL: Protocol = Protocol {
    name: "dnp3",
    tcp_ports: &[20000],
    udp_ports: &[20000],
    link: None,
    probe: link::probe,
    decoder: |transport| Box::new(Dnp3::new(transport)),
    function_name: names::function_name,
    status_name: names::status_name,
    objects: names::OBJECTS,
};

const CUT: &str = "the bytes end inside a frame";
const BLOCK: &str = "the CRC of a block does not fit";
const AFTER_GAP: &str = "the rest of a frame whose beginning is missing";

#[derive(Debug)]
struct Dnp3 {
    transport: Transport,
    /// Whether no frame was found since bytes were missing, by party.
    is_gapped: [bool; 2],
    assemblies: Assemblies,
    pairing: Pairing,
    link_pairing: Pairing,
    exchanges: Exchanges,
    files: Files,
    /// Kept for their capacity.
    user: Vec<u8>,
    objects: Vec<Object<'static>>,
    values: Vec<Value<'static>>,
}

impl Decoder for Dnp3 {
    fn step(&mut self, from: Party, bytes: &[u8], out: &mut dyn Emit) -> Step {
        let header = match link::header(bytes) {
            Look::Yes(header) => header,
            Look::More(needed) => return Step::More(needed),
            Look::No(notice, detail) => {
                let skip = self.seek(bytes, bytes.len());
                return self.malformed(from, skip.max(1), notice, detail);
            }
        };
        let Some(blocks) = bytes.get(HEADER..header.size()) else {
            return Step::More(header.size());
        };
        let mut user = std::mem::take(&mut self.user);
        let fits = link::unblock(blocks, &mut user);
        if fits {
            *self.is_gapped(from) = false;
            self.hear(from, header, &user, out);
        }
        self.user = user;
        if fits {
            Step::Done(header.size())
        } else {
            // Of a frame that was cut, another one takes the place.
            let skip = self.seek(bytes, header.size());
            self.malformed(from, skip, NoticeKind::BadChecksum, BLOCK)
        }
    }

    fn gap(&mut self, from: Party) {
        *self.is_gapped(from) = true;
        self.assemblies.gap(from);
        self.pairing.gap();
        self.link_pairing.gap();
        self.exchanges.gap();
    }

    fn expire(&mut self, now: i64, out: &mut dyn Emit) {
        self.pairing.expire(now, out);
        self.link_pairing.expire(now, out);
    }

    /// What remains of a datagram is malformed; what remains of a stream is not in the capture.
    fn flush(&mut self, from: Party, bytes: &[u8], out: &mut dyn Emit) -> Step {
        let step = self.step(from, bytes, out);
        let Step::More(_) = step else { return step };
        let skip = link::seek(bytes, bytes.len(), true).max(1);
        let notice = match self.transport {
            Transport::Udp | Transport::Link => NoticeKind::MalformedPdu,
            Transport::Tcp => NoticeKind::Gap,
        };
        Step::Malformed { skip, notice, detail: CUT }
    }
}

impl Dnp3 {
    fn new(transport: Transport) -> Self {
        Self {
            transport,
            is_gapped: [false; 2],
            assemblies: Assemblies::default(),
            pairing: Pairing::default(),
            link_pairing: Pairing::default(),
            exchanges: Exchanges::default(),
            files: Files::default(),
            user: Vec::new(),
            objects: Vec::new(),
            values: Vec::new(),
        }
    }

    fn is_gapped(&mut self, from: Party) -> &mut bool {
        let [client, server] = &mut self.is_gapped;
        if from == Party::Client { client } else { server }
    }

    fn seek(&self, bytes: &[u8], end: usize) -> usize {
        link::seek(bytes, end, self.transport == Transport::Udp)
    }

    /// What follows a gap is nobody's fault.
    fn malformed(
        &mut self,
        from: Party,
        skip: usize,
        notice: NoticeKind,
        detail: &'static str,
    ) -> Step {
        if *self.is_gapped(from) {
            return Step::Malformed { skip, notice: NoticeKind::Gap, detail: AFTER_GAP };
        }
        Step::Malformed { skip, notice, detail }
    }

    /// A whole frame came: its segment goes to a fragment, or it speaks of the link itself.
    fn hear(&mut self, from: Party, header: Header, user: &[u8], out: &mut dyn Emit) {
        let carries_data = matches!(header.function(), CONFIRMED_DATA | UNCONFIRMED_DATA);
        if !(header.is_primary() && carries_data) {
            self.tell_link(from, header, out);
            return;
        }
        let mut assemblies = std::mem::take(&mut self.assemblies);
        let (whole, fault) = assemblies.add(from, header.ends, user, header.size());
        if let Some((notice, detail)) = fault {
            out.notice(from, notice, detail, None);
        }
        if let Some(whole) = whole {
            let ends = header.ends;
            self.tell(Fragment { from, ends, bytes: whole.bytes, length: whole.length }, out);
        }
        self.assemblies = assemblies;
    }
}
