//! Where a control packet begins and ends: its fixed header (MQTT 3.1.1 and 5.0, 2.1), and what
//! must follow it where a packet is looked for.

use super::names::{self, CONNECT, PINGREQ, PINGRESP, PUBLISH, PUBREL, SUBSCRIBE, UNSUBSCRIBE};
use super::packet;
use crate::bytes::Cursor;
use crate::protocols::{Party, Probe, Transport};

/// Bytes of a packet that are looked at; what goes beyond is payload as a rule.
pub(super) const WHOLE: usize = 8_192;
/// Bytes of a packet that must be here before one that is looked for is believed.
const PROBED: usize = 256;
/// The remaining length takes at most so many bytes.
const LENGTH_BYTES: usize = 4;

const RESERVED: &str = "the packet type is 0, which is reserved";
const LENGTH: &str = "the remaining length takes more than four bytes";
const PING: &str = "a PINGREQ or PINGRESP has a body";
const UNLIKE: &str = "no control packet begins here";

/// A fixed header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// The packet type.
    pub(super) kind: u8,
    pub(super) flags: u8,
    /// Bytes of the header itself.
    pub(super) head: usize,
    /// Bytes of the packet, header included.
    pub(super) length: usize,
}

/// An answer about the bytes at hand. No further bytes ever change `Yes` or `No`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look<T> {
    Yes(T),
    No(&'static str),
    /// It takes this many bytes to tell.
    More(usize),
}

/// The fixed header that begins here.
#[inline]
pub(super) fn header(bytes: &[u8]) -> Look<Header> {
    let Some((first, rest)) = bytes.split_first() else { return Look::More(2) };
    let (kind, flags) = (first >> 4, first & 0x0F);
    if kind == 0 {
        return Look::No(RESERVED);
    }
    let mut remaining = 0;
    for (place, octet) in rest.iter().take(LENGTH_BYTES).enumerate() {
        remaining |= usize::from(octet & 0x7F) << (7 * place);
        if octet & 0x80 == 0 {
            if matches!(kind, PINGREQ | PINGRESP) && remaining != 0 {
                return Look::No(PING);
            }
            let head = place + 2;
            return Look::Yes(Header { kind, flags, head, length: head + remaining });
        }
    }
    if rest.len() >= LENGTH_BYTES { Look::No(LENGTH) } else { Look::More(bytes.len().max(1) + 1) }
}

/// Whether the flags are those of the packet type (2.1.3). In MQTT 3.1 what is sent again
/// is marked (DUP), whatever it is.
pub(super) const fn is_regular(header: Header) -> bool {
    match (header.kind, header.flags) {
        (PUBLISH, flags) => flags & 0x06 != 0x06 && flags & 0x0E != 0x08,
        (PUBREL | SUBSCRIBE | UNSUBSCRIBE, flags) => flags & 0x07 == 0x02,
        (_, flags) => flags == 0,
    }
}

/// The packet that begins here, if it looks like one in all that must be right.
pub(super) fn strict(bytes: &[u8]) -> Look<Header> {
    let found = match header(bytes) {
        Look::Yes(found) if is_regular(found) => found,
        Look::Yes(_) => return Look::No(UNLIKE),
        other => return other,
    };
    let shown = found.length.min(PROBED);
    let body = bytes.get(found.head..bytes.len().min(shown)).unwrap_or_default();
    let is_whole = bytes.len() >= found.length;
    let fits = match found.kind {
        CONNECT => connects(body, found.length - found.head),
        PUBLISH => publishes(body, found),
        _ if found.length > PROBED => Some(false),
        _ if !is_whole => return Look::More(found.length),
        _ => Some(packet::is_sound(found.kind, found.flags, body)),
    };
    match fits {
        Some(true) => Look::Yes(found),
        Some(false) => Look::No(UNLIKE),
        None if bytes.len() >= shown => Look::No(UNLIKE),
        None => Look::More(bytes.len() + 1),
    }
}

/// As [`strict`], but what is not a CONNECT must be followed by the header of another packet:
/// amid other bytes, four that look like an acknowledgement are soon found.
pub(super) fn followed(bytes: &[u8]) -> Look<Header> {
    let found = match strict(bytes) {
        Look::Yes(found) if found.kind != CONNECT && found.length <= PROBED => found,
        other => return other,
    };
    match header(bytes.get(found.length..).unwrap_or_default()) {
        Look::Yes(next) if is_regular(next) => Look::Yes(found),
        Look::Yes(_) | Look::No(_) => Look::No(UNLIKE),
        Look::More(needed) => Look::More(found.length + needed),
    }
}

/// Whether this begins the body of a CONNECT; `None`: more bytes are needed to tell.
fn connects(body: &[u8], remaining: usize) -> Option<bool> {
    const LEAST: usize = 12;
    if remaining < LEAST {
        return Some(false);
    }
    for (name, levels) in names::PROTOCOLS {
        let (begins, of_name) = (body.get(..name.len()), body.len().min(name.len()));
        if begins == Some(*name) {
            return body.get(name.len()).map(|level| levels.contains(&(level & 0x7F)));
        }
        if name.get(..of_name) == Some(body) {
            return None;
        }
    }
    Some(false)
}

/// Whether this begins the body of a PUBLISH; `None`: more bytes are needed to tell.
fn publishes(body: &[u8], found: Header) -> Option<bool> {
    let mut cursor = Cursor::new(body);
    let remaining = found.length - found.head;
    let identified = found.flags & 0x06 != 0;
    let before = 2 + if identified { 2 } else { 0 };
    if remaining <= before {
        return Some(false);
    }
    let length = usize::from(cursor.u16_be().ok()?);
    if length > remaining - before || length > PROBED - before {
        return Some(false);
    }
    let topic = cursor.take(length).ok()?;
    if length > 0 && !packet::is_topic(topic) {
        return Some(false);
    }
    if identified && cursor.u16_be().ok()? == 0 {
        return Some(false);
    }
    // A number stands for the topic.
    if length == 0 { packet::has_alias(cursor) } else { Some(true) }
}

/// The first offset but 0 at which a packet begins or, for all that is known, could; where these
/// are the `last` bytes, what would take more is none.
pub(super) fn seek(bytes: &[u8], last: bool) -> usize {
    (1..bytes.len())
        .find(|offset| {
            let rest = bytes.get(*offset..).unwrap_or_default();
            match followed(rest) {
                Look::Yes(_) => true,
                Look::No(_) => false,
                Look::More(_) if !last => true,
                Look::More(_) => {
                    matches!(strict(rest), Look::Yes(found) if found.length == rest.len())
                }
            }
        })
        .unwrap_or(bytes.len())
}

/// See [`crate::protocols::Protocol::probe`].
pub(super) fn probe(transport: Transport, head: &[u8]) -> Probe {
    if transport != Transport::Tcp {
        return Probe::No;
    }
    match strict(head) {
        Look::Yes(found) => Probe::Yes(speaker(found.kind)),
        Look::More(_) => Probe::More,
        Look::No(_) => Probe::No,
    }
}

/// Who sends a packet of this type, if only one party does.
const fn speaker(kind: u8) -> Option<Party> {
    match kind {
        CONNECT | SUBSCRIBE | UNSUBSCRIBE | PINGREQ => Some(Party::Client),
        names::CONNACK | names::SUBACK | names::UNSUBACK | PINGRESP => Some(Party::Server),
        _ => None,
    }
}
