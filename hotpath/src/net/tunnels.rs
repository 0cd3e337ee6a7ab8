//! Packets and frames that IP carries: IP in IP, MPLS, GRE, ERSPAN, VXLAN, Geneve.
//!
//! What a receiver would not open (another version, reserved bits that must be zero, control
//! messages) is no tunnel here either, but a packet like others.

use super::link::{self, Around, ETHER_IPV4, ETHER_IPV6};
use super::{IpPacket, Malformed, Packet, Unwrapped, shims, udp};
use crate::bytes::{Cursor, Short};
use crate::words::Encapsulation;

#[cfg(test)]
mod tests;

// Protocol numbers: IPv4 (RFC 2003), IPv6 (RFC 2473, RFC 4213), GRE (RFC 2784), MPLS (RFC 4023).
const IPV4: u8 = 4;
const IPV6: u8 = 41;
const GRE: u8 = 47;
const MPLS: u8 = 137;

const VXLAN_PORT: u16 = 4789;
const GENEVE_PORT: u16 = 6081;

const ETHER_BRIDGED: u16 = 0x6558;
const ETHER_ERSPAN: u16 = 0x88BE;
const ETHER_ERSPAN_III: u16 = 0x22EB;

/// A switch that truncates what it mirrors does not say by how much.
const UNKNOWN_CUT: u32 = 65_535;

/// What stands at the head of what is carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inner {
    /// The header of an Ethernet frame.
    Frame,
    /// What follows this `EtherType`.
    Typed(u16),
}

/// A packet that carries another one, or a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tunnel<'a> {
    /// In which way.
    pub kind: Encapsulation,
    /// How long what it carries was, before the snap length cut it.
    pub length: u32,
    inner: Inner,
    bytes: &'a [u8],
    cut: u32,
}

impl<'a> Tunnel<'a> {
    const fn new(kind: Encapsulation, inner: Inner, cursor: Cursor<'a>, cut: u32) -> Self {
        let bytes = cursor.rest();
        Self { kind, length: (bytes.len() as u32).saturating_add(cut), inner, bytes, cut }
    }

    /// Takes out what it carries, which lies within `unwrapped`.
    ///
    /// # Errors
    /// [`Malformed`] if the headers inside cannot be right or are not whole.
    pub fn open(&self, unwrapped: Unwrapped) -> Result<Packet<'a>, Malformed> {
        let cursor = Cursor::new(self.bytes);
        match self.inner {
            Inner::Frame => link::ethernet(cursor, self.cut, unwrapped),
            Inner::Typed(kind) => link::tagged(kind, cursor, Around::bare(self.cut, unwrapped)),
        }
    }
}

/// The tunnel that a whole packet is, if it is one.
///
/// # Errors
/// [`Malformed`] if it is GRE whose header is not whole.
pub fn of<'a>(packet: &IpPacket<'a>) -> Result<Option<Tunnel<'a>>, Malformed> {
    let typed = |kind, ether_type| {
        let cursor = Cursor::new(packet.payload);
        Ok(Some(Tunnel::new(kind, Inner::Typed(ether_type), cursor, packet.missing)))
    };
    match packet.protocol {
        udp::PROTOCOL => Ok(over_udp(packet)),
        IPV4 => typed(Encapsulation::IpInIp, ETHER_IPV4),
        IPV6 => typed(Encapsulation::IpInIp, ETHER_IPV6),
        MPLS => typed(Encapsulation::Mpls, shims::ETHER_MPLS[0]),
        GRE => gre(packet).map_err(|Short| Malformed("GRE header is cut short")),
        _ => Ok(None),
    }
}

/// GRE (RFC 2784 section 2, RFC 2890 section 2): flags, version, protocol; checksum, key and
/// sequence number where flags say so.
fn gre<'a>(packet: &IpPacket<'a>) -> Result<Option<Tunnel<'a>>, Short> {
    const CHECKSUM: u16 = 0x8000;
    const KEY: u16 = 0x2000;
    const SEQUENCE: u16 = 0x1000;
    // Routing and strict routes (RFC 1701), which receivers discard, and the version.
    const MUST_BE_ZERO: u16 = 0x4C07;
    let mut cursor = Cursor::new(packet.payload);
    let (flags, ether_type) = (cursor.u16_be()?, cursor.u16_be()?);
    if flags & MUST_BE_ZERO != 0 {
        return Ok(None);
    }
    for optional in [CHECKSUM, KEY, SEQUENCE] {
        if flags & optional != 0 {
            cursor.skip(4)?;
        }
    }
    let is_numbered = flags & SEQUENCE != 0;
    let inner = match ether_type {
        ETHER_ERSPAN if is_numbered => return erspan_ii(cursor, packet.missing),
        ETHER_ERSPAN => {
            let kind = Encapsulation::Erspan; // Type I has no header of its own.
            return Ok(Some(Tunnel::new(kind, Inner::Frame, cursor, packet.missing)));
        }
        ETHER_ERSPAN_III => return erspan_iii(cursor, packet.missing),
        other => inner_of(other),
    };
    Ok(inner.map(|inner| Tunnel::new(Encapsulation::Gre, inner, cursor, packet.missing)))
}

/// What a protocol type, which is an `EtherType`, stands before, if it is understood.
fn inner_of(ether_type: u16) -> Option<Inner> {
    match ether_type {
        ETHER_BRIDGED => Some(Inner::Frame),
        kind if link::is_read(kind) || shims::ETHER_MPLS.contains(&kind) => {
            Some(Inner::Typed(kind))
        }
        _ => None,
    }
}

/// ERSPAN type II (draft-foschiano-erspan section 4.2): version 1 and VLAN, then class, kind of
/// trunk, truncation and session; an index.
fn erspan_ii(mut cursor: Cursor<'_>, missing: u32) -> Result<Option<Tunnel<'_>>, Short> {
    let head = cursor.u32_be()?;
    cursor.skip(4)?;
    Ok((head >> 28 == 1).then(|| erspan(head, Inner::Frame, cursor, missing)))
}

/// ERSPAN type III (draft-foschiano-erspan section 4.3): version 2 and the rest as type II has it;
/// a time stamp; group tag, kind of frame, hardware, direction, and whether a subheader follows.
fn erspan_iii(mut cursor: Cursor<'_>, missing: u32) -> Result<Option<Tunnel<'_>>, Short> {
    const HAS_SUBHEADER: u16 = 1;
    let head = cursor.u32_be()?;
    cursor.skip(6)?;
    let flags = cursor.u16_be()?;
    if flags & HAS_SUBHEADER != 0 {
        cursor.skip(8)?;
    }
    let frame_type = (flags >> 10) & 0x1F;
    let version = cursor.rest().first().map(|first| first >> 4);
    let inner = match (head >> 28, frame_type, version) {
        (2, 0, _) => Inner::Frame,
        (2, 2, Some(4)) => Inner::Typed(ETHER_IPV4),
        (2, 2, Some(6)) => Inner::Typed(ETHER_IPV6),
        _ => return Ok(None),
    };
    Ok(Some(erspan(head, inner, cursor, missing)))
}

fn erspan(head: u32, inner: Inner, cursor: Cursor<'_>, missing: u32) -> Tunnel<'_> {
    const TRUNCATED: u32 = 0x0400;
    let tunnel = Tunnel::new(Encapsulation::Erspan, inner, cursor, missing);
    if head & TRUNCATED == 0 { tunnel } else { Tunnel { cut: UNKNOWN_CUT, ..tunnel } }
}

/// VXLAN and Geneve are told by the port that they are sent to. What has no room for their headers
/// is a datagram like others, and what is wrong with UDP itself is told where those are read.
fn over_udp<'a>(packet: &IpPacket<'a>) -> Option<Tunnel<'a>> {
    let port = packet.payload.get(2..).and_then(<[u8]>::first_chunk).copied();
    let read = match port.map(u16::from_be_bytes) {
        Some(VXLAN_PORT) => vxlan,
        Some(GENEVE_PORT) => geneve,
        _ => return None,
    };
    let datagram = udp::parse(packet).ok()?;
    read(Cursor::new(datagram.payload), datagram.missing).ok().flatten()
}

/// VXLAN (RFC 7348 section 5): flags, of which one must be set; reserved; network; reserved.
fn vxlan(mut cursor: Cursor<'_>, missing: u32) -> Result<Option<Tunnel<'_>>, Short> {
    const HAS_NETWORK: u8 = 0x08;
    let [flags, ..] = cursor.array::<8>()?;
    let is_valid = flags & HAS_NETWORK != 0;
    Ok(is_valid.then(|| Tunnel::new(Encapsulation::Vxlan, Inner::Frame, cursor, missing)))
}

/// Geneve (RFC 8926 section 3.4): version and length of options, flags, protocol; network; options.
fn geneve(mut cursor: Cursor<'_>, missing: u32) -> Result<Option<Tunnel<'_>>, Short> {
    const CONTROL: u8 = 0x80;
    let [head, flags] = cursor.array()?;
    let ether_type = cursor.u16_be()?;
    cursor.skip(4)?;
    if head >> 6 != 0 || flags & CONTROL != 0 {
        return Ok(None);
    }
    cursor.skip(usize::from(head & 0x3F) * 4)?;
    Ok(inner_of(ether_type).map(|inner| Tunnel::new(Encapsulation::Geneve, inner, cursor, missing)))
}
