//! UDP headers (RFC 768).

use super::{IpPacket, Malformed};
use crate::bytes::{Cursor, Short};

/// The number of UDP in IP.
pub const PROTOCOL: u8 = 17;

/// One datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// Port of the sender.
    pub source_port: u16,
    /// Port of the receiver.
    pub target_port: u16,
    /// The payload as far as captured.
    pub payload: &'a [u8],
    /// Payload bytes that the header promises but the snap length cut off.
    pub missing: u32,
}

/// Reads the datagram in a whole packet. A length of 0 takes what is there: a jumbogram
/// (RFC 2675), or a header that segmentation offload completes later.
///
/// # Errors
/// [`Malformed`] if the header is not whole, or its length is below 8 or beyond the packet.
#[inline]
pub fn parse<'a>(packet: &IpPacket<'a>) -> Result<Datagram<'a>, Malformed> {
    let mut cursor = Cursor::new(packet.payload);
    let mut fields = || Ok((cursor.u16_be()?, cursor.u16_be()?, cursor.u16_be()?, cursor.skip(2)?));
    let (source_port, target_port, length, ()) =
        fields().map_err(|Short| Malformed("UDP header is cut short"))?;
    let rest = cursor.rest();
    let (payload, missing) = if length == 0 {
        (rest, packet.missing)
    } else {
        let promised = u32::from(length)
            .checked_sub(8)
            .ok_or(Malformed("UDP length is below its header length"))?;
        match rest.get(..promised as usize) {
            Some(payload) => (payload, 0),
            None => (rest, promised.saturating_sub(rest.len() as u32)),
        }
    };
    if missing > packet.missing {
        return Err(Malformed("UDP length exceeds the packet"));
    }
    Ok(Datagram { source_port, target_port, payload, missing })
}

#[cfg(test)]
mod tests {
    use super::{Datagram, parse};
    use crate::net::{Address, IpPacket, Malformed};
    use proptest::prelude::*;

    fn packet(payload: &[u8], missing: u32) -> IpPacket<'_> {
        IpPacket {
            source: Address::V4([10, 0, 0, 1]),
            target: Address::V4([10, 0, 0, 2]),
            ttl: 64,
            protocol: super::PROTOCOL,
            fragment: None,
            payload,
            missing,
            bytes: &[],
        }
    }

    const DATAGRAM: [u8; 11] = [
        0xC0, 0x01, 0xBA, 0xC0, // ports 49153, 47808
        0x00, 0x0A, 0x00, 0x00, // length 10, no checksum
        1, 2,    // payload
        0xFF, // behind the datagram
    ];

    #[test]
    fn reads_ports_and_the_promised_payload() {
        assert_eq!(
            parse(&packet(&DATAGRAM, 0)),
            Ok(Datagram { source_port: 49153, target_port: 47808, payload: &[1, 2], missing: 0 })
        );
    }

    #[test]
    fn a_length_of_zero_takes_what_is_there() {
        let mut bytes = DATAGRAM;
        bytes[5] = 0;
        let datagram = parse(&packet(&bytes, 3)).unwrap();
        assert_eq!((datagram.payload, datagram.missing), (&[1_u8, 2, 0xFF][..], 3));
    }

    #[test]
    fn a_snap_length_leaves_missing_bytes() {
        let datagram = parse(&packet(&DATAGRAM[..9], 1)).unwrap();
        assert_eq!((datagram.payload, datagram.missing), (&[1_u8][..], 1));
        assert_eq!(
            parse(&packet(&DATAGRAM[..9], 0)),
            Err(Malformed("UDP length exceeds the packet"))
        );
    }

    #[test]
    fn headers_that_cannot_be_right() {
        assert_eq!(parse(&packet(&DATAGRAM[..7], 9)), Err(Malformed("UDP header is cut short")));
        let mut bytes = DATAGRAM;
        bytes[5] = 7;
        assert_eq!(
            parse(&packet(&bytes, 0)),
            Err(Malformed("UDP length is below its header length"))
        );
    }

    proptest! {
        #[test]
        fn payload_and_missing_are_what_the_length_says(
            bytes in prop::collection::vec(any::<u8>(), 0..40), missing in 0_u32..70_000,
        ) {
            if let Ok(datagram) = parse(&packet(&bytes, missing)) {
                let length = usize::from(u16::from_be_bytes([bytes[4], bytes[5]]));
                let told = datagram.payload.len() + datagram.missing as usize + 8;
                prop_assert!(length == 0 || length == told);
            }
        }
    }
}
