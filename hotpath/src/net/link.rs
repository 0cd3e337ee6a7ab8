//! Link layers: Ethernet, Linux cooked, raw IP, BSD loopback; VLAN tags and ARP.
//!
//! Layouts: <https://www.tcpdump.org/linktypes.html>, IEEE 802.3, IEEE 802.1Q, RFC 826.
//! A frame check sequence or padding at the end is cut off by the lengths of the layers above.

use super::{Address, Arp, Body, Mac, Malformed, Packet, Unwrapped, Vlan, ip, shims};
use crate::bytes::{Cursor, Short};
use crate::source::{Frame, LinkType};
use crate::words::Encapsulation;

/// Tags that a frame may carry; more are hostile.
const MAX_VLAN_TAGS: usize = 4;
/// Smaller values in the place of an `EtherType` are 802.3 lengths (of LLC without padding).
pub(super) const MIN_ETHER_TYPE: u16 = 0x600;

pub(super) const ETHER_IPV4: u16 = 0x0800;
pub(super) const ETHER_ARP: u16 = 0x0806;
pub(super) const ETHER_IPV6: u16 = 0x86DD;
/// 802.1Q, 802.1ad, and the number that `QinQ` had before 802.1ad.
const ETHER_TAGS: [u16; 3] = [0x8100, 0x88A8, 0x9100];

/// Linux cooked frames from these hardware types have no `EtherType` in their protocol field:
/// GRE (778), 802.11 bare and with capture headers (801 to 803), netlink (824).
const HARDWARE_WITHOUT_ETHER_TYPE: [u16; 5] = [778, 801, 802, 803, 824];

const SHORT_LINK: Malformed = Malformed("link header is cut short");
const SHORT_TAG: Malformed = Malformed("VLAN tag is cut short");
const SHORT_ARP: Malformed = Malformed("ARP is cut short");

/// What is known of a packet before it is read: the frame that it lies in, as far as it goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Around {
    pub(super) unwrapped: Unwrapped,
    pub(super) vlan: Vlan,
    pub(super) source_mac: Option<Mac>,
    pub(super) target_mac: Option<Mac>,
    /// Bytes that the snap length cut off the end.
    pub(super) cut: u32,
}

impl Around {
    /// Nothing tells of a link.
    pub(super) const fn bare(cut: u32, unwrapped: Unwrapped) -> Self {
        Self { unwrapped, vlan: Vlan(0), source_mac: None, target_mac: None, cut }
    }

    /// With one more encapsulation, in the same frame.
    pub(super) fn inside(self, kind: Encapsulation) -> Result<Self, Malformed> {
        Ok(Self { unwrapped: self.unwrapped.with(kind)?, ..self })
    }

    /// The packet that it was around.
    #[inline]
    pub(super) const fn packet(self, body: Body<'_>) -> Packet<'_> {
        let Self { unwrapped, vlan, source_mac, target_mac, cut } = self;
        Packet { unwrapped, vlan, source_mac, target_mac, is_cut: cut > 0, body }
    }
}

/// Takes the link layer off a frame. A link type that is not understood gives [`Body::Other`]
/// with `EtherType` 0 and all bytes.
///
/// # Errors
/// [`Malformed`] if a header cannot be right, or was cut by the snap length (then
/// `frame.original_length` exceeds `frame.data.len()`).
#[inline]
pub fn parse<'a>(frame: &Frame<'a>) -> Result<Packet<'a>, Malformed> {
    let mut cursor = Cursor::new(frame.data);
    let cut = frame.original_length.saturating_sub(frame.data.len() as u32);
    let bare = Around::bare(cut, Unwrapped::default());
    match frame.link {
        LinkType::Ethernet => ethernet(cursor, cut, Unwrapped::default()),
        LinkType::LinuxSll => linux_cooked(cursor, cut),
        LinkType::LinuxSll2 => linux_cooked_v2(cursor, cut),
        LinkType::RawIp => Ok(bare.packet(Body::Ip(ip::parse(frame.data, cut)?))),
        LinkType::Null => {
            let family = cursor.array::<4>().map_err(|Short| SHORT_LINK)?;
            typed(loopback_ether_type(family), cursor.rest(), bare)
        }
        LinkType::Other(_) => Ok(bare.packet(Body::Other { ether_type: 0, payload: frame.data })),
    }
}

/// Takes the header off an Ethernet frame, which may have come out of encapsulations.
///
/// # Errors
/// [`Malformed`] as for [`parse`].
#[inline]
pub(super) fn ethernet(
    mut cursor: Cursor<'_>,
    cut: u32,
    unwrapped: Unwrapped,
) -> Result<Packet<'_>, Malformed> {
    let target = cursor.array::<6>().map_err(|Short| SHORT_LINK)?;
    let source = cursor.array::<6>().map_err(|Short| SHORT_LINK)?;
    let ether_type = cursor.u16_be().map_err(|Short| SHORT_LINK)?;
    let bare = Around::bare(cut, unwrapped);
    let around = Around { source_mac: Some(source), target_mac: Some(target), ..bare };
    tagged(ether_type, cursor, around)
}

/// Linux cooked v1: packet type, hardware type, address length, address (8), protocol.
fn linux_cooked(mut cursor: Cursor<'_>, cut: u32) -> Result<Packet<'_>, Malformed> {
    let mut header = Cursor::new(cursor.take(16).map_err(|Short| SHORT_LINK)?);
    let fields = |header: &mut Cursor<'_>| {
        header.skip(2)?;
        Ok((header.u16_be()?, header.u16_be()?, header.array::<8>()?, header.u16_be()?))
    };
    let (hardware, length, address, protocol) = fields(&mut header).map_err(|Short| SHORT_LINK)?;
    cooked(hardware, length, address, protocol, cursor, cut)
}

/// Linux cooked v2: protocol, reserved, interface (4), hardware type, packet type (1), address
/// length (1), address (8).
fn linux_cooked_v2(mut cursor: Cursor<'_>, cut: u32) -> Result<Packet<'_>, Malformed> {
    let mut header = Cursor::new(cursor.take(20).map_err(|Short| SHORT_LINK)?);
    let fields = |header: &mut Cursor<'_>| {
        let protocol = header.u16_be()?;
        header.skip(6)?;
        let hardware = header.u16_be()?;
        header.skip(1)?;
        Ok((protocol, hardware, u16::from(header.u8()?), header.array::<8>()?))
    };
    let (protocol, hardware, length, address) = fields(&mut header).map_err(|Short| SHORT_LINK)?;
    cooked(hardware, length, address, protocol, cursor, cut)
}

fn cooked(
    hardware: u16,
    length: u16,
    address: [u8; 8],
    protocol: u16,
    cursor: Cursor<'_>,
    cut: u32,
) -> Result<Packet<'_>, Malformed> {
    let source_mac = address.first_chunk::<6>().copied().filter(|_| length == 6);
    let around = Around { source_mac, ..Around::bare(cut, Unwrapped::default()) };
    if HARDWARE_WITHOUT_ETHER_TYPE.contains(&hardware) {
        return Ok(around.packet(Body::Other { ether_type: 0, payload: cursor.rest() }));
    }
    tagged(protocol, cursor, around)
}

/// Takes off VLAN tags, if there are any.
///
/// # Errors
/// [`Malformed`] as for [`parse`].
#[inline]
pub(super) fn tagged(
    mut ether_type: u16,
    mut cursor: Cursor<'_>,
    mut around: Around,
) -> Result<Packet<'_>, Malformed> {
    let mut tags = 0_usize;
    while ETHER_TAGS.contains(&ether_type) {
        if tags == MAX_VLAN_TAGS {
            return Err(Malformed("more than four VLAN tags"));
        }
        tags = tags.saturating_add(1);
        let id = u32::from(cursor.u16_be().map_err(|Short| SHORT_TAG)? & 0x0FFF);
        ether_type = cursor.u16_be().map_err(|Short| SHORT_TAG)?;
        // Of more than two tags the two outermost name the VLAN.
        if id != 0 && around.vlan.0 <= 0x0FFF {
            around.vlan = Vlan((around.vlan.0 << 12) | id);
        }
    }
    typed(ether_type, cursor.rest(), around)
}

/// Reads what an `EtherType` stands before.
///
/// # Errors
/// [`Malformed`] as for [`parse`].
#[inline]
pub(super) fn typed(
    ether_type: u16,
    bytes: &[u8],
    around: Around,
) -> Result<Packet<'_>, Malformed> {
    let body = match ether_type {
        ETHER_IPV4 => Body::Ip(ip::parse_v4(bytes, around.cut)?),
        ETHER_IPV6 => Body::Ip(ip::parse_v6(bytes, around.cut)?),
        ETHER_ARP => arp(bytes)?,
        _ => return shims::parse(ether_type, bytes, around),
    };
    Ok(around.packet(body))
}

/// Whether packets or VLAN tags follow an `EtherType` that are read here.
pub(super) fn is_read(ether_type: u16) -> bool {
    matches!(ether_type, ETHER_IPV4 | ETHER_IPV6 | ETHER_ARP) || ETHER_TAGS.contains(&ether_type)
}

/// The `EtherType` that says the same as an address family. Families above 0xFFFF are of a host
/// of the other byte order. IPv6 is 24, 28 or 30 on the BSDs and macOS, 10 on Linux.
fn loopback_ether_type(family: [u8; 4]) -> u16 {
    let little = u32::from_le_bytes(family);
    let family = if little > 0xFFFF { little.swap_bytes() } else { little };
    match family {
        2 => ETHER_IPV4,
        10 | 24 | 28 | 30 => ETHER_IPV6,
        _ => 0,
    }
}

/// ARP over Ethernet for IPv4 (RFC 826); other hardware and protocols are [`Body::Other`].
fn arp(bytes: &[u8]) -> Result<Body<'_>, Malformed> {
    const ETHERNET_AND_IPV4: [u8; 6] = [0x00, 0x01, 0x08, 0x00, 6, 4];
    let read = || {
        let mut cursor = Cursor::new(bytes);
        if cursor.array::<6>()? != ETHERNET_AND_IPV4 {
            return Ok(Body::Other { ether_type: ETHER_ARP, payload: bytes });
        }
        Ok(Body::Arp(Arp {
            operation: cursor.u16_be()?,
            sender_mac: cursor.array()?,
            sender_ip: Address::V4(cursor.array()?),
            target_mac: cursor.array()?,
            target_ip: Address::V4(cursor.array()?),
        }))
    };
    read().map_err(|Short| SHORT_ARP)
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::net::{Address, Body, Malformed, Packet, Vlan};
    use crate::source::{Frame, LinkType};
    use proptest::prelude::*;

    const MACS: [u8; 12] = [
        0x02, 0x00, 0x00, 0x00, 0x00, 0x0B, // receiver
        0x02, 0x00, 0x00, 0x00, 0x00, 0x0A, // sender
    ];
    const IPV4: [u8; 24] = [
        0x45, 0x00, 0x00, 0x18, // version 4, 5 words; total length 24
        0x00, 0x07, 0x00, 0x00, // identification 7; not fragmented
        0x40, 0x11, 0x00, 0x00, // TTL 64, UDP, checksum
        10, 0, 0, 1, // source
        10, 0, 0, 2, // target
        1, 2, 3, 4, // payload
    ];

    fn frame(link: LinkType, data: &[u8]) -> Frame<'_> {
        Frame { number: 1, time: 0, link, interface: 0, data, original_length: data.len() as u32 }
    }

    fn payload<'a>(packet: &Packet<'a>) -> &'a [u8] {
        match packet.body {
            Body::Ip(ip) => ip.payload,
            Body::Other { payload, .. } => payload,
            Body::Arp(_) => &[],
        }
    }

    #[test]
    fn ethernet_gives_macs_and_drops_padding() {
        let mut data = [&MACS[..], &[0x08, 0x00], &IPV4].concat();
        data.extend([0; 22]);
        let packet = parse(&frame(LinkType::Ethernet, &data)).unwrap();
        assert_eq!(packet.source_mac, Some([2, 0, 0, 0, 0, 0x0A]));
        assert_eq!(packet.target_mac, Some([2, 0, 0, 0, 0, 0x0B]));
        assert_eq!(packet.vlan, Vlan(0));
        assert_eq!(payload(&packet), [1, 2, 3, 4]);
    }

    #[test]
    fn ethernet_of_802_3_is_other_without_padding() {
        let mut data = [&MACS[..], &[0x00, 0x26]].concat();
        data.extend((0..46).collect::<Vec<u8>>());
        let packet = parse(&frame(LinkType::Ethernet, &data)).unwrap();
        let Body::Other { ether_type: 0x26, payload } = packet.body else { panic!("{packet:?}") };
        assert_eq!(payload.len(), 0x26);
    }

    #[test]
    fn vlan_tags_are_taken_off() {
        let cases: [(&[u8], u32); 6] = [
            (&[0x81, 0x00, 0x60, 0x05], 5),
            (&[0x81, 0x00, 0xE0, 0x00], 0), // a priority tag is none
            (&[0x88, 0xA8, 0x00, 0x07, 0x81, 0x00, 0x00, 0x05], (7 << 12) | 5),
            (&[0x91, 0x00, 0x00, 0x07, 0x81, 0x00, 0x00, 0x05], (7 << 12) | 5),
            (&[0x81, 0x00, 0x00, 0x00, 0x81, 0x00, 0x00, 0x05], 5),
            (&[0x81, 0, 0, 1, 0x81, 0, 0, 2, 0x81, 0, 0, 3, 0x81, 0, 0, 4], (1 << 12) | 2),
        ];
        for (tags, vlan) in cases {
            let data = [&MACS[..], tags, &[0x08, 0x00], &IPV4].concat();
            let packet = parse(&frame(LinkType::Ethernet, &data)).unwrap();
            assert_eq!(packet.vlan, Vlan(vlan), "{tags:02x?}");
            assert_eq!(payload(&packet), [1, 2, 3, 4]);
        }
        let five = [&MACS[..], &[0x81, 0, 0, 1].repeat(5), &[0x08, 0x00], &IPV4].concat();
        assert_eq!(
            parse(&frame(LinkType::Ethernet, &five)),
            Err(Malformed("more than four VLAN tags"))
        );
    }

    #[test]
    fn linux_cooked_gives_the_sender() {
        let header = [
            0x00, 0x00, // to us
            0x00, 0x01, // Ethernet
            0x00, 0x06, // address length
            0x02, 0, 0, 0, 0, 0x0A, 0, 0, // address, padded
            0x08, 0x00, // IPv4
        ];
        let data = [&header[..], &IPV4].concat();
        let packet = parse(&frame(LinkType::LinuxSll, &data)).unwrap();
        assert_eq!((packet.source_mac, packet.target_mac), (Some([2, 0, 0, 0, 0, 0x0A]), None));
        assert_eq!(payload(&packet), [1, 2, 3, 4]);
    }

    #[test]
    fn linux_cooked_v2_gives_the_sender() {
        let header = [
            0x08, 0x00, 0x00, 0x00, // IPv4; reserved
            0x00, 0x00, 0x00, 0x03, // interface
            0x00, 0x01, 0x04, 0x06, // Ethernet, outgoing, address length
            0x02, 0, 0, 0, 0, 0x0A, 0, 0, // address, padded
        ];
        let data = [&header[..], &IPV4].concat();
        let packet = parse(&frame(LinkType::LinuxSll2, &data)).unwrap();
        assert_eq!(packet.source_mac, Some([2, 0, 0, 0, 0, 0x0A]));
        assert_eq!(payload(&packet), [1, 2, 3, 4]);
    }

    #[test]
    fn linux_cooked_netlink_is_not_taken_for_ip() {
        let mut header = [0_u8; 16];
        header[2..4].copy_from_slice(&824_u16.to_be_bytes());
        header[14..16].copy_from_slice(&[0x08, 0x00]);
        let data = [&header[..], &IPV4].concat();
        let packet = parse(&frame(LinkType::LinuxSll, &data)).unwrap();
        assert!(matches!(packet.body, Body::Other { ether_type: 0, .. }));
        assert_eq!(packet.source_mac, None);
    }

    #[test]
    fn loopback_families_are_read_in_either_byte_order() {
        for family in [[2, 0, 0, 0], [0, 0, 0, 2]] {
            let data = [&family[..], &IPV4].concat();
            assert_eq!(
                payload(&parse(&frame(LinkType::Null, &data)).unwrap()),
                [1, 2, 3, 4],
                "{family:?}"
            );
        }
        let mut ipv6 = [0_u8; 40];
        ipv6[0] = 0x60;
        ipv6[6] = 59;
        for number in [10_u32, 24, 28, 30] {
            for family in [number.to_le_bytes(), number.to_be_bytes()] {
                let data = [&family[..], &ipv6].concat();
                let packet = parse(&frame(LinkType::Null, &data)).unwrap();
                assert!(matches!(packet.body, Body::Ip(ip) if ip.protocol == 59), "{family:?}");
            }
        }
        let packet = parse(&frame(LinkType::Null, &[7, 0, 0, 0, 9])).unwrap();
        assert_eq!(packet.body, Body::Other { ether_type: 0, payload: &[9] });
    }

    #[test]
    fn raw_ip_is_told_by_its_version() {
        assert_eq!(payload(&parse(&frame(LinkType::RawIp, &IPV4)).unwrap()), [1, 2, 3, 4]);
        assert!(parse(&frame(LinkType::RawIp, &[0x55; 40])).is_err());
        assert!(parse(&frame(LinkType::RawIp, &[])).is_err());
    }

    #[test]
    fn an_unknown_link_type_is_other() {
        let packet = parse(&frame(LinkType::Other(147), &[1, 2])).unwrap();
        assert_eq!(packet.body, Body::Other { ether_type: 0, payload: &[1, 2] });
    }

    #[test]
    fn arp_is_read() {
        let arp = [
            0x00, 0x01, 0x08, 0x00, 6, 4, // Ethernet, IPv4, lengths
            0x00, 0x02, // reply
            0x02, 0, 0, 0, 0, 0x0A, 10, 0, 0, 1, // sender
            0x02, 0, 0, 0, 0, 0x0B, 10, 0, 0, 2, // target
        ];
        let data = [&MACS[..], &[0x08, 0x06], &arp, &[0; 18]].concat();
        let packet = parse(&frame(LinkType::Ethernet, &data)).unwrap();
        let Body::Arp(read) = packet.body else { panic!("{packet:?}") };
        assert_eq!(read.operation, 2);
        assert_eq!(read.sender_mac, [2, 0, 0, 0, 0, 0x0A]);
        assert_eq!(read.sender_ip, Address::V4([10, 0, 0, 1]));
        assert_eq!(read.target_mac, [2, 0, 0, 0, 0, 0x0B]);
        assert_eq!(read.target_ip, Address::V4([10, 0, 0, 2]));

        let short = [&MACS[..], &[0x08, 0x06], &arp[..27]].concat();
        assert_eq!(parse(&frame(LinkType::Ethernet, &short)), Err(Malformed("ARP is cut short")));
        let mut token_ring = data.clone();
        token_ring[15] = 6;
        let packet = parse(&frame(LinkType::Ethernet, &token_ring)).unwrap();
        assert!(matches!(packet.body, Body::Other { ether_type: 0x0806, .. }));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            link in prop::sample::select(vec![
                LinkType::Null, LinkType::Ethernet, LinkType::RawIp,
                LinkType::LinuxSll, LinkType::LinuxSll2,
            ]),
            valid in 0_usize..40,
            random in prop::collection::vec(any::<u8>(), 0..80),
            cut in 0_u32..2000,
        ) {
            let whole = [&MACS[..], &[0x08, 0x00], &IPV4].concat();
            let data = [&whole[..valid.min(whole.len())], &random[..]].concat();
            let mut frame = frame(link, &data);
            frame.original_length += cut;
            if let Ok(packet) = parse(&frame) {
                prop_assert!(payload(&packet).len() <= data.len());
            }
        }
    }
}
