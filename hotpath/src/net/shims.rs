//! What stands between the link layer and a packet: LLC with SNAP, MPLS, `PPPoE`, and the tags of
//! Cisco's switches. What is not understood stays with its `EtherType`.

use super::link::{self, Around, ETHER_ARP, ETHER_IPV4, ETHER_IPV6, MIN_ETHER_TYPE};
use super::{Body, Malformed, Packet, ip};
use crate::bytes::{Cursor, Short};
use crate::words::Encapsulation;

#[cfg(test)]
mod tests;

/// MPLS labels that a packet may carry; more are hostile.
const MAX_LABELS: usize = 16;

pub(super) const ETHER_MPLS: [u16; 2] = [0x8847, 0x8848];
const ETHER_PPPOE_SESSION: u16 = 0x8864;
/// Registered for another maker's heartbeats, and used for `TTag` all the same.
const ETHER_CISCO_TTAG: u16 = 0x8988;
const ETHER_CISCO_CMD: u16 = 0x8909;

/// In the place of an `EtherType`, Linux cooked frames name LLC so.
const COOKED_LLC: u16 = 4;

/// Reads what follows an `EtherType`, or an 802.3 length, that stands before no packet.
///
/// # Errors
/// [`Malformed`] if a header cannot be right or is not whole.
#[cold]
pub(super) fn parse(
    ether_type: u16,
    bytes: &[u8],
    around: Around,
) -> Result<Packet<'_>, Malformed> {
    match ether_type {
        0..MIN_ETHER_TYPE => llc(ether_type, bytes, around),
        kind if ETHER_MPLS.contains(&kind) => mpls(kind, bytes, around),
        ETHER_PPPOE_SESSION => pppoe(bytes, around),
        ETHER_CISCO_TTAG => ttag(bytes, around),
        ETHER_CISCO_CMD => cmd(bytes, around),
        _ => Ok(other(ether_type, bytes, around)),
    }
}

const fn other(ether_type: u16, payload: &[u8], around: Around) -> Packet<'_> {
    around.packet(Body::Other { ether_type, payload })
}

/// IEEE 802.2: an IP or ARP packet under SNAP, organisation 000000, is one (RFC 1042).
fn llc(length: u16, bytes: &[u8], around: Around) -> Result<Packet<'_>, Malformed> {
    const SNAP: [u8; 6] = [0xAA, 0xAA, 0x03, 0x00, 0x00, 0x00];
    let payload = if around.target_mac.is_some() {
        // On Ethernet the length tells where the padding begins.
        bytes.get(..usize::from(length)).unwrap_or(bytes)
    } else if length == COOKED_LLC {
        bytes
    } else {
        return Ok(other(length, bytes, around));
    };
    let mut cursor = Cursor::new(payload);
    match (cursor.array::<6>(), cursor.u16_be()) {
        (Ok(SNAP), Ok(ether_type @ (ETHER_IPV4 | ETHER_IPV6 | ETHER_ARP))) => {
            link::typed(ether_type, cursor.rest(), around.inside(Encapsulation::LlcSnap)?)
        }
        _ => Ok(other(length, payload, around)),
    }
}

/// A label stack (RFC 3032 section 2.1). It does not name what follows: the explicit null labels
/// do, else the first half byte tells IP (RFC 4928 section 3), else it may be an Ethernet frame.
fn mpls(ether_type: u16, bytes: &[u8], around: Around) -> Result<Packet<'_>, Malformed> {
    const BOTTOM: u32 = 0x100;
    const IPV4_NULL: u32 = 0;
    const IPV6_NULL: u32 = 2;
    let around = around.inside(Encapsulation::Mpls)?;
    let mut cursor = Cursor::new(bytes);
    for _ in 0..MAX_LABELS {
        let short = |Short| Malformed("MPLS label stack is cut short");
        let entry = cursor.u32_be().map_err(short)?;
        if entry & BOTTOM == 0 {
            continue;
        }
        let payload = cursor.rest();
        let is_ip = match entry >> 12 {
            IPV4_NULL => return link::typed(ETHER_IPV4, payload, around),
            IPV6_NULL => return link::typed(ETHER_IPV6, payload, around),
            _ => matches!(payload.first().map(|first| first >> 4), Some(4 | 6)),
        };
        return match (is_ip, ip::parse(payload, around.cut)) {
            (true, Ok(ip)) => Ok(around.packet(Body::Ip(ip))),
            // An address of a frame may begin with the same half byte.
            (true, Err(malformed)) => pseudowire(payload, around).ok_or(malformed),
            _ => {
                Ok(pseudowire(payload, around).unwrap_or_else(|| other(ether_type, bytes, around)))
            }
        };
    }
    Err(Malformed("more than 16 MPLS labels"))
}

/// An Ethernet frame right behind the labels, with a control word (RFC 4448 section 4.6) or
/// without. Nothing says so: it is one if a packet that is understood can be read out of it.
fn pseudowire(bytes: &[u8], around: Around) -> Option<Packet<'_>> {
    let unwrapped = around.unwrapped.with(Encapsulation::Pseudowire).ok()?;
    // Without comes first: of a tagged frame to an address that begins like a control word, what
    // follows the tag reads as a frame too.
    let behind_control_word = bytes.strip_prefix(&[0, 0]).and_then(|word| word.get(2..));
    [Some(bytes), behind_control_word]
        .into_iter()
        .flatten()
        .find_map(|frame| understood(link::ethernet(Cursor::new(frame), around.cut, unwrapped)))
}

/// A packet that is more than an `EtherType` and bytes.
fn understood(packet: Result<Packet<'_>, Malformed>) -> Option<Packet<'_>> {
    packet.ok().filter(|packet| !matches!(packet.body, Body::Other { .. }))
}

/// A `PPPoE` session (RFC 2516 section 4): version and type, code, session, length; then PPP
/// (RFC 1661 section 2). Other PPP protocols than IP keep the `EtherType`.
fn pppoe(bytes: &[u8], around: Around) -> Result<Packet<'_>, Malformed> {
    const PPP_IPV4: u16 = 0x0021;
    const PPP_IPV6: u16 = 0x0057;
    let mut cursor = Cursor::new(bytes);
    let mut fields = || {
        let head = cursor.array::<2>()?;
        cursor.skip(2)?;
        Ok((head, cursor.u16_be()?))
    };
    let (head, length) = fields().map_err(|Short| Malformed("PPPoE header is cut short"))?;
    if head != [0x11, 0x00] {
        return Err(Malformed("PPPoE version, type or code is that of no session"));
    }
    let rest = cursor.rest();
    let payload = match rest.get(..usize::from(length)) {
        Some(payload) => payload,
        None if around.cut > 0 => rest,
        None => return Err(Malformed("PPPoE length exceeds the frame")),
    };
    let mut cursor = Cursor::new(payload);
    let protocol = cursor.u16_be().map_err(|Short| Malformed("PPP header is cut short"))?;
    let around = around.inside(Encapsulation::Pppoe)?;
    match protocol {
        PPP_IPV4 => link::typed(ETHER_IPV4, cursor.rest(), around),
        PPP_IPV6 => link::typed(ETHER_IPV6, cursor.rest(), around),
        _ => Ok(other(ETHER_PPPOE_SESSION, bytes, around)),
    }
}

/// Cisco's `TTag`, which Nexus switches leave in what they mirror: a time stamp of 6 bytes, and
/// the `EtherType` of what follows. The number is another maker's by right, so that it is `TTag`
/// only if a packet that is understood follows.
fn ttag(bytes: &[u8], around: Around) -> Result<Packet<'_>, Malformed> {
    let mut cursor = Cursor::new(bytes);
    if let (Ok(_), Ok(ether_type)) = (cursor.array::<6>(), cursor.u16_be()) {
        let inside = around.inside(Encapsulation::CiscoTtag)?;
        if link::is_read(ether_type) {
            if let Some(packet) = understood(link::tagged(ether_type, cursor, inside)) {
                return Ok(packet);
            }
        }
    }
    Ok(other(ETHER_CISCO_TTAG, bytes, around))
}

/// Cisco `MetaData`: version 1, one option of 4 bytes (a security group tag), and the `EtherType`
/// of what follows.
fn cmd(bytes: &[u8], around: Around) -> Result<Packet<'_>, Malformed> {
    let mut cursor = Cursor::new(bytes);
    match (cursor.array::<6>(), cursor.u16_be()) {
        (Ok([1, 1, ..]), Ok(ether_type)) => {
            link::tagged(ether_type, cursor, around.inside(Encapsulation::CiscoCmd)?)
        }
        _ => Ok(other(ETHER_CISCO_CMD, bytes, around)),
    }
}
