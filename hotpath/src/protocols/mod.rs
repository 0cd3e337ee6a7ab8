//! Decoders: one file per protocol, all of one shape, and one line each in [`REGISTRY`].
//!
//! A decoder sees the bytes of one flow in stream order and says what it understood. It has
//! three answers and never confuses them: [`Step::Done`], [`Step::More`], [`Step::Malformed`].
//! It never judges.

use crate::words::{Access, Activity, NoticeKind, Role, ValueKind};

pub mod dnp3;
pub mod iec104;
pub mod iec61850;
pub mod iso;
pub mod modbus;
pub mod mqtt;
pub mod pairing;
pub mod s7comm;
pub mod s7plus;
mod values;

pub use values::{Block, Blocks, Values};

/// Every protocol that is decoded natively. A protocol's place is its number in the columns.
/// Where several have a port, they are considered in this order, and the first one names what does
/// not tell which of them it is.
pub static REGISTRY: &[&Protocol] = &[
    &modbus::PROTOCOL,
    &iec104::PROTOCOL,
    &iec61850::goose::PROTOCOL,
    &iec61850::sv::PROTOCOL,
    &s7comm::PROTOCOL,
    &s7plus::PROTOCOL,
    &dnp3::PROTOCOL,
    &mqtt::PROTOCOL,
];

/// The protocol that frames of this `EtherType` carry, and how.
#[must_use]
pub fn on_link(ether_type: u16) -> Option<(&'static Protocol, &'static Link)> {
    REGISTRY.iter().find_map(|protocol| {
        let link = protocol.link.as_ref().filter(|link| link.ether_types.contains(&ether_type));
        link.map(|link| (*protocol, link))
    })
}

/// Absent sub-function.
pub const NO_SUBFUNCTION: u32 = u32::MAX;

/// What the engine needs to know of a protocol.
#[derive(Debug)]
pub struct Protocol {
    /// Its name, in lower case, as people see it.
    pub name: &'static str,
    /// Registered TCP ports: one valid PDU is enough to claim a flow there.
    pub tcp_ports: &'static [u16],
    /// Registered UDP ports, likewise.
    pub udp_ports: &'static [u16],
    /// Which frames without IP carry it, if it is spoken on the link layer.
    pub link: Option<Link>,
    /// Looks at the first bytes of one side of a flow, without state. Strict.
    pub probe: fn(transport: Transport, head: &[u8]) -> Probe,
    /// A decoder for a new flow.
    pub decoder: fn(transport: Transport) -> Box<dyn Decoder>,
    /// The specification's name of a function (and sub-function), if it has one.
    pub function_name: fn(function: u32, subfunction: u32) -> Option<&'static str>,
    /// The name of a status (exception) code; 0 is success and has none.
    pub status_name: fn(status: u16) -> Option<&'static str>,
    /// The object types, by number; see [`Object::kind`].
    pub objects: &'static [ObjectKind],
}

/// How a protocol is spoken directly on the link layer.
#[derive(Debug, Clone, Copy)]
pub struct Link {
    /// Its `EtherTypes`: one valid PDU is enough to claim a flow there.
    pub ether_types: &'static [u16],
    /// The port at which a frame's receiver is addressed (APPID, frame id): each is a conversation
    /// of its own, from one sender to one receiver. At 0, what both send to each other is one.
    pub port: fn(ether_type: u16, payload: &[u8]) -> u16,
}

/// A type of object that a protocol addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectKind {
    /// Its name, in lower case with hyphens, as people see it.
    pub name: &'static str,
    /// Whether addresses are dense, so that neighbours get neighbouring ids.
    pub dense: bool,
}

/// What carries the flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// A reassembled stream.
    Tcp,
    /// Datagrams: each is one or several whole PDUs.
    Udp,
    /// Frames of a registered `EtherType`: the same, maybe with padding at the end.
    Link,
}

/// Answer of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// Not this protocol.
    No,
    /// Not this protocol, but one that has its port by right, too, and for which there is no decoder.
    Akin,
    /// It could be; more bytes are needed to tell.
    More,
    /// More bytes are needed to tell; if none come, it is rather this protocol than another one of
    /// its port. Of the sender the same is known as with [`Probe::Yes`].
    Likely(Option<Party>),
    /// It is; and the sender is known to be the client, the server, or it cannot be told.
    Yes(Option<Party>),
}

/// Who an end of a conversation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Party {
    /// Asks.
    Client,
    /// Answers.
    Server,
}

impl Party {
    /// The opposite party.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// A decoder's answer about the bytes at the head of a stream (or of a datagram's rest).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// One PDU of this many bytes (at least 1) was understood and its messages were emitted.
    /// A PDU that is framed rightly but broken inside is `Done` too, beside its notice.
    Done(usize),
    /// Nothing was consumed: the PDU needs at least this many bytes in all, more than are here.
    More(usize),
    /// This many bytes (at least 1) are no PDU and are passed over; the engine raises the notice.
    Malformed {
        /// Bytes to pass over.
        skip: usize,
        /// Which rule was broken.
        notice: NoticeKind,
        /// What is wrong, in words.
        detail: &'static str,
    },
}

/// Understands the PDUs of one flow.
pub trait Decoder: Send {
    /// Looks at the PDU at the head of `bytes`, sent by `from`, and emits what it says.
    /// Must do work linear in the bytes it consumes. At the end of a datagram or stream
    /// ([`Decoder::flush`]) bytes for which it answered `More` are malformed.
    fn step(&mut self, from: Party, bytes: &[u8], out: &mut dyn Emit) -> Step;

    /// Bytes of `from` are missing before the next ones: what follows starts anywhere.
    /// Pending requests may stay unanswered by no fault of the server.
    fn gap(&mut self, from: Party);

    /// Capture time moved on to `now` (at most once a second), or the flow ended (`i64::MAX`):
    /// requests that wait too long are emitted as unanswered.
    fn expire(&mut self, now: i64, out: &mut dyn Emit);

    /// The stream of `from` ended, or a hole follows: these bytes will never be completed.
    /// Returns like [`Decoder::step`], but never `More`.
    fn flush(&mut self, from: Party, bytes: &[u8], out: &mut dyn Emit) -> Step;
}

/// Takes what a decoder understood. The engine adds time, frames, conversation and ids.
pub trait Emit {
    /// One message, sent by `from`. Returns its id, for [`Message::reply_to`] of its answer.
    fn message(&mut self, from: Party, message: &Message<'_>) -> u64;

    /// A rule was broken inside a PDU that was framed rightly, or a request stayed unanswered.
    /// `of` dates it at an earlier message (its frame and time) instead of the present frame.
    fn notice(&mut self, from: Party, kind: NoticeKind, detail: &str, of: Option<Told>);

    /// Something that `about` said of itself (keys: vendor, product, product-code, revision,
    /// model, serial, name, plant, application, url, client-id).
    fn fact(&mut self, about: Party, key: &'static str, value: &str);

    /// Time and frame of the PDU that is being decoded.
    fn now(&self) -> crate::net::Arrival;
}

/// A message that was emitted earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// Its id.
    pub id: u64,
    /// Its frame (the one that completed it).
    pub frame: u64,
    /// Its time in nanoseconds.
    pub time: i64,
}

/// One application PDU, or one service of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Message<'a> {
    /// Request, response or report.
    pub role: Role,
    /// What it does.
    pub activity: Activity,
    /// Function code as on the wire, without an exception bit.
    pub function: u32,
    /// Sub-function, or [`NO_SUBFUNCTION`].
    pub subfunction: u32,
    /// Unit, station or common address within the server; 0 where there is none.
    pub unit: u32,
    /// 0 for success; otherwise the protocol's exception or status code.
    pub status: u16,
    /// The objects that it touches, in order; a response gives those of its request.
    pub objects: &'a [Object<'a>],
    /// The values that it carries.
    pub values: Values<'a>,
    /// The request that it answers.
    pub reply_to: Option<Told>,
    /// Length of the PDU in bytes with its framing.
    pub length: u32,
}

/// A range of objects of one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Object<'a> {
    /// Place in [`Protocol::objects`].
    pub kind: u16,
    /// First address.
    pub address: u64,
    /// How many.
    pub count: u32,
    /// How they are touched.
    pub access: Access,
    /// 0 for success; otherwise the protocol's code for this object.
    pub status: u16,
    /// Its name, where the protocol addresses by name; `address` is then the place of its first
    /// member, or 0 if it has none.
    pub name: Option<&'a str>,
}

/// One value of one object.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Value<'a> {
    /// Place in [`Message::objects`].
    pub object: u16,
    /// Distance from the object's first address.
    pub offset: u32,
    /// How `raw` is to be read.
    pub kind: ValueKind,
    /// The bits.
    pub raw: u64,
    /// The text of a [`ValueKind::Text`].
    pub text: Option<&'a str>,
    /// The protocol's quality bits, 0 for good.
    pub quality: u32,
    /// The time that the device gave, in nanoseconds since the epoch, 0 for none.
    pub source_time: i64,
}

impl Value<'_> {
    /// A value without text, quality or time.
    #[must_use]
    pub const fn plain(object: u16, offset: u32, kind: ValueKind, raw: u64) -> Self {
        Self { object, offset, kind, raw, text: None, quality: 0, source_time: 0 }
    }

    /// Whether `next` is the same but for its bits, and stands right behind.
    #[inline]
    #[must_use]
    pub fn leads_to(&self, next: &Self) -> bool {
        self.offset.wrapping_add(1) == next.offset
            && self.object == next.object
            && self.kind == next.kind
            && self.quality == next.quality
            && self.source_time == next.source_time
            && self.text.is_none()
            && next.text.is_none()
    }
}
