//! Link frames: where one begins and ends, and its CRCs.
//!
//! IEEE 1815-2012, clause 9: the FT3 format of IEC 60870-5-1. A header of eight bytes and its
//! CRC, then user data in blocks of up to sixteen bytes, each with a CRC of its own.

use crate::protocols::{Party, Probe, Transport};
use crate::words::NoticeKind;

/// Bytes of a header with its CRC.
pub(super) const HEADER: usize = 10;
/// Bytes of user data in a block.
const BLOCK: usize = 16;
/// Least value of the length field: control, destination and source.
const MIN_LENGTH: u8 = 5;

/// Primary functions that carry user data: confirmed, and unconfirmed.
pub(super) const CONFIRMED_DATA: u8 = 3;
pub(super) const UNCONFIRMED_DATA: u8 = 4;

/// The first of the addresses by which a master reaches all outstations (clause 9.2.5.2).
const FIRST_BROADCAST: u16 = 0xFFFD;

/// Who sent a frame to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) source: u16,
    pub(super) destination: u16,
}

impl Ends {
    /// The way back.
    pub(super) const fn back(self) -> Self {
        Self { source: self.destination, destination: self.source }
    }

    /// Whether this is meant for everybody, and nobody answers.
    pub(super) const fn is_broadcast(self) -> bool {
        self.destination >= FIRST_BROADCAST
    }

    /// Both addresses as a number.
    pub(super) fn key(self) -> u64 {
        (u64::from(self.source) << 16) | u64::from(self.destination)
    }
}

/// The header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    control: u8,
    pub(super) ends: Ends,
    /// Bytes of user data, without CRCs.
    pub(super) user: usize,
}

impl Header {
    /// Whether a master says so of itself (the DIR bit).
    pub(super) const fn is_from_master(self) -> bool {
        self.control & 0x80 != 0
    }

    /// Whether the frame asks something of the other link layer, or carries data (the PRM bit).
    pub(super) const fn is_primary(self) -> bool {
        self.control & 0x40 != 0
    }

    pub(super) const fn function(self) -> u8 {
        self.control & 0x0F
    }

    /// Bytes of the whole frame.
    pub(super) const fn size(self) -> usize {
        HEADER + self.user + 2 * self.user.div_ceil(BLOCK)
    }
}

/// An answer about the bytes at hand. No further bytes ever change `Yes` or `No`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    Yes(Header),
    No(NoticeKind, &'static str),
    /// It takes this many bytes to tell.
    More(usize),
}

/// The header that begins here.
#[inline]
pub(super) fn header(bytes: &[u8]) -> Look {
    const START: Look = Look::No(NoticeKind::MalformedPdu, "no frame begins here");
    const LENGTH: Look = Look::No(NoticeKind::MalformedPdu, "the length of a frame is below 5");
    match *bytes {
        [0x05, 0x64, 0..MIN_LENGTH, ..] => LENGTH,
        [0x05, 0x64, length, control, d0, d1, s0, s1, c0, c1, ..] => {
            if crc(&[0x05, 0x64, length, control, d0, d1, s0, s1]) != [c0, c1] {
                return Look::No(NoticeKind::BadChecksum, "the CRC of a header does not fit");
            }
            let (source, destination) =
                (u16::from_le_bytes([s0, s1]), u16::from_le_bytes([d0, d1]));
            let user = usize::from(length - MIN_LENGTH);
            Look::Yes(Header { control, ends: Ends { source, destination }, user })
        }
        [] | [0x05] | [0x05, 0x64, ..] => Look::More(HEADER),
        _ => START,
    }
}

/// The first offset but 0, below `end`, at which a frame begins or, for all that is known, could;
/// where these are the `last` bytes, what would take more is none.
pub(super) fn seek(bytes: &[u8], end: usize, last: bool) -> usize {
    let end = end.min(bytes.len());
    (1..end)
        .find(|offset| match header(bytes.get(*offset..).unwrap_or_default()) {
            Look::Yes(_) => true,
            Look::More(_) => !last,
            Look::No(..) => false,
        })
        .unwrap_or(end)
}

/// Takes the CRCs out of the blocks of a frame; `data` then holds its user data. False where a
/// CRC does not fit.
#[inline]
pub(super) fn unblock(blocks: &[u8], data: &mut Vec<u8>) -> bool {
    data.clear();
    blocks.chunks(BLOCK + 2).all(|block| match block.split_last_chunk::<2>() {
        Some((user, sum)) if crc(user) == *sum => {
            data.extend_from_slice(user);
            true
        }
        _ => false,
    })
}

/// See [`crate::protocols::Protocol::probe`]. Eight bytes of which two are fixed, and a CRC that
/// fits, are no accident.
pub(super) fn probe(_: Transport, head: &[u8]) -> Probe {
    match header(head) {
        Look::Yes(found) if found.is_from_master() => Probe::Yes(Some(Party::Client)),
        Look::Yes(_) => Probe::Yes(Some(Party::Server)),
        Look::No(..) => Probe::No,
        Look::More(_) => Probe::More,
    }
}

/// The table of the CRC-16 with the reflected polynomial 0xA6BC (clause 9.2.6).
static CRC_TABLE: [u16; 256] = crc_table();

const fn crc_table() -> [u16; 256] {
    let mut table = [0; 256];
    let mut index: u16 = 0;
    while index < 256 {
        let (mut crc, mut bit) = (index, 0);
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xA6BC } else { crc >> 1 };
            bit += 1;
        }
        #[expect(clippy::indexing_slicing, reason = "a constant, bounded by the loop")]
        {
            table[index as usize] = crc;
        }
        index += 1;
    }
    table
}

/// The CRC of a block, as it stands on the wire.
fn crc(bytes: &[u8]) -> [u8; 2] {
    let sum = bytes.iter().fold(0_u16, |crc, byte| {
        let place = usize::from(crc.to_le_bytes()[0] ^ byte);
        (crc >> 8) ^ CRC_TABLE.get(place).copied().unwrap_or_default()
    });
    (!sum).to_le_bytes()
}
