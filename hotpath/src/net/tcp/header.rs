//! TCP headers (RFC 9293 section 3.1).

use crate::bytes::{Cursor, Short};
use crate::net::{IpPacket, Malformed};

/// The number of TCP in IP.
pub const PROTOCOL: u8 = 6;

const HEADER: usize = 20;

/// The control bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(pub u8);

impl Flags {
    /// No more data from the sender.
    pub const FIN: Self = Self(0x01);
    /// Synchronise sequence numbers.
    pub const SYN: Self = Self(0x02);
    /// Reset the connection.
    pub const RST: Self = Self(0x04);
    /// The acknowledgment number counts.
    pub const ACK: Self = Self(0x10);

    /// Whether any of `flags` is set.
    #[inline]
    #[must_use]
    pub const fn has(self, flags: Self) -> bool {
        self.0 & flags.0 != 0
    }

    /// Both sets of flags.
    #[must_use]
    pub const fn with(self, flags: Self) -> Self {
        Self(self.0 | flags.0)
    }
}

/// One segment. Options are not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Port of the sender.
    pub source_port: u16,
    /// Port of the receiver.
    pub target_port: u16,
    /// Number of the first byte, or of the SYN.
    pub sequence: u32,
    /// The number that the sender expects next from the other side, if [`Flags::ACK`] is set.
    pub acknowledgment: u32,
    /// Control bits.
    pub flags: Flags,
    /// Receive window as on the wire, unscaled.
    pub window: u16,
    /// The payload as far as captured.
    pub payload: &'a [u8],
    /// Payload bytes that the snap length cut off.
    pub missing: u32,
}

/// Reads the segment in a whole packet. Options that the snap length cut are no fault.
///
/// # Errors
/// [`Malformed`] if the header is not whole or the data offset cannot be right.
#[inline]
pub fn parse<'a>(packet: &IpPacket<'a>) -> Result<Segment<'a>, Malformed> {
    let short = |Short| Malformed("TCP header is cut short");
    let mut cursor = Cursor::new(packet.payload);
    let mut header = Cursor::new(cursor.take(HEADER).map_err(short)?);
    let mut fields = || {
        let (source, target) = (header.u16_be()?, header.u16_be()?);
        let (sequence, acknowledgment) = (header.u32_be()?, header.u32_be()?);
        Ok((source, target, sequence, acknowledgment, header.array::<2>()?, header.u16_be()?))
    };
    let (source_port, target_port, sequence, acknowledgment, [offset, flags], window) =
        fields().map_err(short)?;
    let options = (usize::from(offset >> 4) * 4)
        .checked_sub(HEADER)
        .ok_or(Malformed("TCP data offset is below 20"))?;
    let cut = options.saturating_sub(cursor.remaining());
    let missing = packet
        .missing
        .checked_sub(cut as u32)
        .ok_or(Malformed("TCP data offset exceeds the packet"))?;
    cursor.skip(options - cut).map_err(short)?;
    Ok(Segment {
        source_port,
        target_port,
        sequence,
        acknowledgment,
        flags: Flags(flags),
        window,
        payload: cursor.rest(),
        missing,
    })
}

#[cfg(test)]
mod tests {
    use super::{Flags, parse};
    use crate::net::{Address, IpPacket, Malformed};
    use proptest::prelude::*;

    const SEGMENT: [u8; 27] = [
        0xC0, 0x01, 0x01, 0xF6, // ports 49153, 502
        0x00, 0x00, 0x10, 0x00, // sequence
        0x00, 0x00, 0x20, 0x00, // acknowledgment
        0x60, 0x18, 0xFA, 0xF0, // 6 words, PSH and ACK, window 64240
        0x00, 0x00, 0x00, 0x00, // checksum, urgent pointer
        0x01, 0x01, 0x01, 0x00, // options
        7, 8, 9, // payload
    ];

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

    #[test]
    fn reads_the_fields_and_skips_the_options() {
        let segment = parse(&packet(&SEGMENT, 5)).unwrap();
        assert_eq!((segment.source_port, segment.target_port), (49153, 502));
        assert_eq!((segment.sequence, segment.acknowledgment), (0x1000, 0x2000));
        assert!(segment.flags.has(Flags::ACK));
        assert!(!segment.flags.has(Flags::SYN.with(Flags::FIN).with(Flags::RST)));
        assert_eq!(segment.window, 64240);
        assert_eq!((segment.payload, segment.missing), (&[7_u8, 8, 9][..], 5));
    }

    #[test]
    fn options_may_be_cut_by_the_snap_length() {
        let segment = parse(&packet(&SEGMENT[..22], 5)).unwrap();
        assert_eq!((segment.payload, segment.missing), (&[][..], 3));
        assert_eq!(
            parse(&packet(&SEGMENT[..22], 1)),
            Err(Malformed("TCP data offset exceeds the packet"))
        );
    }

    #[test]
    fn headers_that_cannot_be_right() {
        assert_eq!(parse(&packet(&SEGMENT[..19], 9)), Err(Malformed("TCP header is cut short")));
        let mut bytes = SEGMENT;
        bytes[12] = 0x40;
        assert_eq!(parse(&packet(&bytes, 0)), Err(Malformed("TCP data offset is below 20")));
        bytes[12] = 0x70;
        assert_eq!(parse(&packet(&bytes, 0)), Err(Malformed("TCP data offset exceeds the packet")));
    }

    proptest! {
        #![proptest_config(crate::net::tcp::tests::config(256))]

        #[test]
        fn payload_is_what_the_offset_leaves(
            bytes in prop::collection::vec(any::<u8>(), 0..90), missing in 0_u32..2000,
        ) {
            if let Ok(segment) = parse(&packet(&bytes, missing)) {
                let offset = usize::from(bytes[12] >> 4) * 4;
                let told = segment.payload.len() + segment.missing as usize;
                prop_assert_eq!(offset + told, bytes.len() + missing as usize);
            }
        }
    }
}
