//! IPv4 (RFC 791) and IPv6 (RFC 8200) headers, up to the transport header.
//!
//! The header checksum of IPv4 is not verified: on a host that captures its own traffic the
//! network card fills it in after the capture.

use super::{Address, Fragment, IpPacket, Malformed};
use crate::bytes::{Cursor, Short};

/// Extension headers that a packet may carry; more are hostile.
const MAX_EXTENSION_HEADERS: usize = 16;

const HOP_BY_HOP: u8 = 0;
const TCP: u8 = 6;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;

const SHORT_V4: Malformed = Malformed("IPv4 header is cut short");
const SHORT_V6: Malformed = Malformed("IPv6 header is cut short");
const SHORT_EXTENSION: Malformed = Malformed("IP extension header is cut short");

/// Reads an IPv4 or IPv6 packet, told by its version. `cut` is how many bytes of the frame the
/// snap length cut off.
///
/// # Errors
/// [`Malformed`] if the header cannot be right or is not whole.
#[inline]
pub fn parse(bytes: &[u8], cut: u32) -> Result<IpPacket<'_>, Malformed> {
    match bytes.first().map(|first| first >> 4) {
        Some(4) => parse_v4(bytes, cut),
        Some(6) => parse_v6(bytes, cut),
        _ => Err(Malformed("neither IPv4 nor IPv6")),
    }
}

/// Reads an IPv4 packet (RFC 791 section 3.1), and an authentication header (RFC 4302) if it
/// has one. A total length of 0, as segmentation offload leaves it, takes what is there.
///
/// # Errors
/// [`Malformed`] as for [`parse`].
#[inline]
pub fn parse_v4(bytes: &[u8], cut: u32) -> Result<IpPacket<'_>, Malformed> {
    let mut cursor = Cursor::new(bytes);
    let header = cursor.array::<20>().map_err(|Short| SHORT_V4)?;
    let [
        version_and_words,
        _,
        length_high,
        length_low,
        id_high,
        id_low,
        place_high,
        place_low,
        ttl,
        protocol,
        _,
        _,
        s0,
        s1,
        s2,
        s3,
        t0,
        t1,
        t2,
        t3,
    ] = header;
    if version_and_words >> 4 != 4 {
        return Err(Malformed("IPv4 version is not 4"));
    }
    let header_length = usize::from(version_and_words & 0x0F) * 4;
    let options =
        header_length.checked_sub(20).ok_or(Malformed("IPv4 header length is below 20"))?;
    cursor.skip(options).map_err(|Short| SHORT_V4)?;
    let total_length = u32::from(u16::from_be_bytes([length_high, length_low]));
    let (payload, missing) = if total_length == 0 {
        (cursor.rest(), cut)
    } else {
        let promised = total_length
            .checked_sub(20)
            .and_then(|rest| rest.checked_sub(options as u32))
            .ok_or(Malformed("IPv4 total length is below its header length"))?;
        within(cursor.rest(), promised, cut)?
    };
    let place = u16::from_be_bytes([place_high, place_low]);
    let more = place & 0x2000 != 0;
    let offset = u32::from(place & 0x1FFF) * 8;
    let fragment = (more || offset != 0).then(|| Fragment {
        id: u32::from(u16::from_be_bytes([id_high, id_low])),
        offset,
        more,
    });
    let packet = IpPacket {
        bytes: bytes.get(..header_length.saturating_add(payload.len())).unwrap_or_default(),
        source: Address::V4([s0, s1, s2, s3]),
        target: Address::V4([t0, t1, t2, t3]),
        ttl,
        protocol,
        fragment,
        payload,
        missing,
    };
    if protocol == AUTHENTICATION && fragment.is_none() {
        return without_extensions(packet);
    }
    Ok(packet)
}

/// By value, so that packets without extensions need not live in memory on their way.
#[cold]
fn without_extensions(mut packet: IpPacket<'_>) -> Result<IpPacket<'_>, Malformed> {
    skip_extensions(&mut packet)?;
    Ok(packet)
}

/// Reads an IPv6 packet (RFC 8200 section 3) with its extension headers. An atomic fragment
/// (RFC 6946) is no fragment. A payload length of 0 before TCP or a jumbo option (RFC 2675), as
/// segmentation offload leaves it, takes what is there.
///
/// # Errors
/// [`Malformed`] as for [`parse`].
pub fn parse_v6(bytes: &[u8], cut: u32) -> Result<IpPacket<'_>, Malformed> {
    let mut cursor = Cursor::new(bytes);
    let fields = |cursor: &mut Cursor<'_>| {
        let version = cursor.array::<4>()?[0] >> 4;
        let length = cursor.u16_be()?;
        let (next, ttl) = (cursor.u8()?, cursor.u8()?);
        Ok((version, length, next, ttl, cursor.array::<16>()?, cursor.array::<16>()?))
    };
    let (version, length, next, ttl, source, target) =
        fields(&mut cursor).map_err(|Short| SHORT_V6)?;
    if version != 6 {
        return Err(Malformed("IPv6 version is not 6"));
    }
    let (payload, missing) = if length == 0 && matches!(next, TCP | HOP_BY_HOP) {
        (cursor.rest(), cut)
    } else {
        within(cursor.rest(), u32::from(length), cut)?
    };
    let mut packet = IpPacket {
        bytes: bytes.get(..payload.len().saturating_add(40)).unwrap_or_default(),
        source: Address::V6(source),
        target: Address::V6(target),
        ttl,
        protocol: next,
        fragment: None,
        payload,
        missing,
    };
    skip_extensions(&mut packet)?;
    Ok(packet)
}

/// The part of `rest` that the header promises, and how much of it the snap length cut.
/// A promise that not even the whole frame could hold is a lie that no receiver accepts.
#[inline]
fn within(rest: &[u8], promised: u32, cut: u32) -> Result<(&[u8], u32), Malformed> {
    if let Some(payload) = rest.get(..promised as usize) {
        return Ok((payload, 0));
    }
    let missing = promised.saturating_sub(rest.len() as u32);
    if missing > cut {
        return Err(Malformed("IP length exceeds the frame"));
    }
    Ok((rest, missing))
}

/// Walks from `packet.protocol` over the extension headers at the head of `packet.payload`.
/// Stops behind a fragment header: what follows is readable only in the whole packet, which
/// comes back here for the extension headers inside it. Stops before ESP and No Next Header.
///
/// # Errors
/// [`Malformed`] if a header is not whole or there are too many.
pub(super) fn skip_extensions(packet: &mut IpPacket<'_>) -> Result<(), Malformed> {
    let mut cursor = Cursor::new(packet.payload);
    for _ in 0..=MAX_EXTENSION_HEADERS {
        match packet.protocol {
            HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS | AUTHENTICATION => {
                let next = skip_extension(packet.protocol, &mut cursor)
                    .map_err(|Short| SHORT_EXTENSION)?;
                packet.protocol = next;
            }
            FRAGMENT if packet.fragment.is_some() => {
                return Err(Malformed("IPv6 fragment of a fragment"));
            }
            FRAGMENT => {
                let (next, fragment) =
                    read_fragment(&mut cursor).map_err(|Short| SHORT_EXTENSION)?;
                packet.protocol = next;
                if fragment.more || fragment.offset != 0 {
                    packet.fragment = Some(fragment);
                    packet.payload = cursor.rest();
                    return Ok(());
                }
            }
            _ => {
                packet.payload = cursor.rest();
                return Ok(());
            }
        }
    }
    Err(Malformed("more than 16 IP extension headers"))
}

/// Skips one header and returns the number of the next one.
fn skip_extension(protocol: u8, cursor: &mut Cursor<'_>) -> Result<u8, Short> {
    let [next, length] = cursor.array::<2>()?;
    // AH counts in words of 4 bytes less 2 (RFC 4302), the others in words of 8 bytes less 1.
    let bytes = if protocol == AUTHENTICATION {
        usize::from(length) * 4 + 8
    } else {
        usize::from(length) * 8 + 8
    };
    cursor.skip(bytes - 2)?;
    Ok(next)
}

fn read_fragment(cursor: &mut Cursor<'_>) -> Result<(u8, Fragment), Short> {
    let [next, _] = cursor.array::<2>()?;
    let place = cursor.u16_be()?;
    let id = cursor.u32_be()?;
    Ok((next, Fragment { id, offset: u32::from(place & 0xFFF8), more: place & 1 != 0 }))
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::net::{Address, Fragment, Malformed};
    use proptest::prelude::*;

    const IPV4: [u8; 24] = [
        0x45, 0x00, 0x00, 0x18, // version 4, 5 words; total length 24
        0x12, 0x34, 0x00, 0x00, // identification; not fragmented
        0x3F, 0x06, 0x00, 0x00, // TTL 63, TCP, checksum
        10, 0, 0, 1, // source
        10, 0, 0, 2, // target
        1, 2, 3, 4, // payload
    ];

    fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x60, 0x00, 0x00, 0x00];
        bytes.extend((payload.len() as u16).to_be_bytes());
        bytes.extend([next, 61]);
        bytes.extend([0xFE, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        bytes.extend([0xFE, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
        bytes.extend(payload);
        bytes
    }

    #[test]
    fn reads_ipv4() {
        let packet = parse(&IPV4, 0).unwrap();
        assert_eq!(packet.source, Address::V4([10, 0, 0, 1]));
        assert_eq!(packet.target, Address::V4([10, 0, 0, 2]));
        assert_eq!((packet.ttl, packet.protocol, packet.fragment), (63, 6, None));
        assert_eq!((packet.payload, packet.missing), (&[1_u8, 2, 3, 4][..], 0));
    }

    #[test]
    fn skips_ipv4_options() {
        let mut bytes = IPV4.to_vec();
        bytes[0] = 0x46;
        let packet = parse(&bytes, 0).unwrap();
        assert_eq!(packet.payload, []);
        bytes[3] = 28;
        bytes.extend([5, 6, 7, 8]);
        assert_eq!(parse(&bytes, 0).unwrap().payload, [5, 6, 7, 8]);
    }

    #[test]
    fn an_ipv4_fragment_tells_its_place() {
        let mut bytes = IPV4;
        bytes[6..8].copy_from_slice(&[0x20, 0x03]);
        assert_eq!(
            parse(&bytes, 0).unwrap().fragment,
            Some(Fragment { id: 0x1234, offset: 24, more: true })
        );
        bytes[6..8].copy_from_slice(&[0x40, 0x00]);
        assert_eq!(parse(&bytes, 0).unwrap().fragment, None, "don't fragment is no fragment");
    }

    #[test]
    fn the_total_length_rules() {
        let mut bytes = IPV4.to_vec();
        bytes.extend([0; 22]);
        assert_eq!(parse(&bytes, 0).unwrap().payload, [1, 2, 3, 4], "padding is cut");
        bytes[3] = 0;
        assert_eq!(parse(&bytes, 0).unwrap().payload.len(), 26, "offload: what is there");
        assert_eq!(parse(&bytes, 7).unwrap().missing, 7);
        bytes[3] = 19;
        assert_eq!(
            parse(&bytes, 0),
            Err(Malformed("IPv4 total length is below its header length"))
        );
    }

    #[test]
    fn a_snap_length_leaves_missing_bytes() {
        let packet = parse(&IPV4[..22], 2).unwrap();
        assert_eq!((packet.payload, packet.missing), (&[1_u8, 2][..], 2));
        assert_eq!(parse(&IPV4[..22], 1), Err(Malformed("IP length exceeds the frame")));
        let packet = ipv6(17, &[1, 2, 3, 4]);
        let packet = parse(&packet[..41], 3).unwrap();
        assert_eq!((packet.payload, packet.missing), (&[1_u8][..], 3));
    }

    #[test]
    fn headers_that_cannot_be_right() {
        let mut bytes = IPV4;
        bytes[0] = 0x44;
        assert_eq!(parse(&bytes, 0), Err(Malformed("IPv4 header length is below 20")));
        assert_eq!(parse(&IPV4[..19], 5), Err(Malformed("IPv4 header is cut short")));
        assert_eq!(parse(&[0x60; 39], 0), Err(Malformed("IPv6 header is cut short")));
        assert_eq!(parse(&[0x70; 60], 0), Err(Malformed("neither IPv4 nor IPv6")));
    }

    #[test]
    fn reads_ipv6_with_extension_headers() {
        let payload = [
            43, 0, 0, 0, 0, 0, 0, 0, // hop-by-hop, 8 bytes
            60, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // routing, 16 bytes
            51, 0, 0, 0, 0, 0, 0, 0, // destination options, 8 bytes
            17, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // AH, 12 bytes
            9, 8, 7, // payload
        ];
        let bytes = ipv6(0, &payload);
        let packet = parse(&bytes, 0).unwrap();
        assert_eq!((packet.protocol, packet.ttl), (17, 61));
        assert_eq!(packet.payload, [9, 8, 7]);
        for end in 40..83 {
            assert!(parse(&bytes[..end], 100).is_err(), "cut at {end} inside the headers");
        }
    }

    #[test]
    fn ipv6_stops_at_esp_and_no_next_header() {
        for next in [50, 59] {
            let bytes = ipv6(60, &[next, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
            let packet = parse(&bytes, 0).unwrap();
            assert_eq!((packet.protocol, packet.payload), (next, &[1_u8, 2][..]));
        }
    }

    #[test]
    fn an_ipv6_fragment_tells_its_place() {
        let fragment = [
            60, 0, // destination options come next; reserved
            0x00, 0x09, // offset 8, more follow
            0xDE, 0xAD, 0xBE, 0xEF, // identification
            17, 0, 0, 0, 0, 0, 0, 0, // fragmentable part
        ];
        let bytes = ipv6(44, &fragment);
        let packet = parse(&bytes, 0).unwrap();
        assert_eq!(packet.fragment, Some(Fragment { id: 0xDEAD_BEEF, offset: 8, more: true }));
        assert_eq!((packet.protocol, packet.payload.len()), (60, 8));
    }

    #[test]
    fn an_atomic_fragment_is_no_fragment() {
        let bytes = ipv6(44, &[17, 0, 0, 0, 0, 0, 0, 1, 5]);
        let packet = parse(&bytes, 0).unwrap();
        assert_eq!((packet.protocol, packet.fragment, packet.payload), (17, None, &[5_u8][..]));
    }

    #[test]
    fn the_number_of_extension_headers_is_bounded() {
        let chain = |count: usize| {
            let mut payload = [60, 0, 0, 0, 0, 0, 0, 0].repeat(count - 1);
            payload.extend([17, 0, 0, 0, 0, 0, 0, 0]);
            ipv6(60, &payload)
        };
        assert_eq!(parse(&chain(16), 0).unwrap().protocol, 17);
        assert_eq!(parse(&chain(17), 0), Err(Malformed("more than 16 IP extension headers")));
    }

    #[test]
    fn offload_and_jumbo_leave_the_ipv6_length_at_zero() {
        let mut bytes = ipv6(6, &[1, 2, 3]);
        bytes[4..6].fill(0);
        assert_eq!(parse(&bytes, 0).unwrap().payload, [1, 2, 3]);
        bytes[6] = 59;
        assert_eq!(parse(&bytes, 0).unwrap().payload, [], "else it is padding");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            first in prop::sample::select(vec![0x45_u8, 0x46, 0x4F, 0x60]),
            next in prop::sample::select(vec![0_u8, 6, 43, 44, 51, 60]),
            mut bytes in prop::collection::vec(any::<u8>(), 1..120),
            cut in 0_u32..70_000,
        ) {
            bytes[0] = first;
            if let Some(field) = bytes.get_mut(6) {
                *field = next;
            }
            if let Ok(packet) = parse(&bytes, cut) {
                prop_assert!(packet.payload.len() <= bytes.len());
                prop_assert!(packet.missing <= cut);
            }
        }
    }
}
