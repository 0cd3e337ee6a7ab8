//! Where a PDU begins and ends: MBAP headers, RTU frames, and how either is found again.
//!
//! Modbus Messaging on TCP/IP V1.0b, clause 3.1.3; Modbus over Serial Line V1.02, clause 2.5.1.

use super::names::UMAS;
use super::rules::{HEAD, Shape, check, is_plausible, shape};
use crate::meter;
use crate::protocols::{Party, Probe, Transport};

/// Bytes of the MBAP header, unit identifier included.
pub(super) const MBAP: usize = 7;
/// Least value of the MBAP length field: unit identifier and function code.
const MIN_LENGTH: u16 = 2;
/// Greatest value of the MBAP length field: unit identifier and a PDU of 253 bytes.
const MAX_LENGTH: u16 = 254;
/// UMAS negotiates PDUs of up to 1024 bytes.
const MAX_UMAS_LENGTH: u16 = 1025;
/// Greatest length of an RTU frame: address, PDU, CRC.
const MAX_FRAME: usize = 256;
/// Address and CRC around the PDU of an RTU frame.
pub(super) const FRAME: usize = 3;
/// How many PDUs of a head a probe looks at.
const PROBED: usize = 4;

/// How the PDUs of a flow are framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// Not told yet.
    Unknown,
    /// A header with transaction, length and unit.
    Mbap,
    /// Serial-line frames with a CRC, as many gateways pass them through.
    Rtu,
}

/// An MBAP header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) transaction: u16,
    pub(super) unit: u8,
    /// Bytes of the PDU, as the header claims.
    pub(super) pdu: usize,
}

/// An answer about the bytes at hand. No further bytes ever change `Yes` or `No`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look<T> {
    Yes(T),
    No(&'static str),
    /// It takes this many bytes to tell.
    More(usize),
}

/// The MBAP header that begins here, if its fields can be right.
#[inline]
pub(super) fn header(bytes: &[u8]) -> Look<Header> {
    const FOREIGN: &str = "the protocol identifier is not 0";
    const LENGTH: &str = "the length field is outside 2 to 254";
    match *bytes {
        [t0, t1, 0, 0, l0, l1, unit, function, ..] => {
            let length = u16::from_be_bytes([l0, l1]);
            let most = if function == UMAS { MAX_UMAS_LENGTH } else { MAX_LENGTH };
            if !(MIN_LENGTH..=most).contains(&length) {
                return Look::No(LENGTH);
            }
            let transaction = u16::from_be_bytes([t0, t1]);
            Look::Yes(Header { transaction, unit, pdu: usize::from(length) - 1 })
        }
        [_, _, 1..=255, ..] | [_, _, _, 1..=255, ..] => Look::No(FOREIGN),
        [_, _, _, _, l0, ..] if l0 > MAX_UMAS_LENGTH.to_be_bytes()[0] => Look::No(LENGTH),
        [_, _, _, _, 0, 0 | 1, ..] => Look::No(LENGTH),
        _ => Look::More(MBAP + 1),
    }
}

/// The header that begins here, if it is followed by what a PDU from this party must look like
/// and both agree on its length. What is found amid garbage must pass this.
pub(super) fn strict(from: Party, bytes: &[u8]) -> Look<Header> {
    const UNLIKE: &str = "no PDU begins here";
    let found = match header(bytes) {
        Look::Yes(found) => found,
        other => return other,
    };
    let rest = bytes.get(MBAP..).unwrap_or_default();
    let head = rest.get(..found.pdu).unwrap_or(rest);
    match shape(from, head) {
        Shape::Exactly(length) if length != found.pdu => return Look::No(UNLIKE),
        Shape::AtLeast(length) if length > found.pdu => return Look::No(UNLIKE),
        Shape::Undefined => return Look::No(UNLIKE),
        Shape::More(length) if length > found.pdu => return Look::No(UNLIKE),
        _ => {}
    }
    let needed = found.pdu.min(HEAD);
    if head.len() < needed {
        Look::More(MBAP + needed)
    } else if is_plausible(from, head) {
        Look::Yes(found)
    } else {
        Look::No(UNLIKE)
    }
}

/// The table of the CRC-16 with the reflected polynomial 0xA001.
static CRC_TABLE: [u16; 256] = crc_table();

const fn crc_table() -> [u16; 256] {
    let mut table = [0; 256];
    let mut index: u16 = 0;
    while index < 256 {
        let (mut crc, mut bit) = (index, 0);
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xA001 } else { crc >> 1 };
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

#[inline]
fn crc_step(crc: u16, byte: u8) -> u16 {
    let place = usize::from(crc.to_le_bytes()[0] ^ byte);
    (crc >> 8) ^ CRC_TABLE.get(place).copied().unwrap_or_default()
}

/// CRC-16 of a serial line; 0 over a whole frame with its right CRC.
fn crc(bytes: &[u8]) -> u16 {
    meter::work(bytes.len());
    bytes.iter().fold(0xFFFF, |crc, byte| crc_step(crc, *byte))
}

/// What is wrong with an RTU frame, to be told apart from other faults.
pub(super) const BAD_CRC: &str = "no RTU frame with a right CRC begins here";

/// The length of the RTU frame that begins here. The function tells it and the CRC confirms;
/// where the function leaves it open, the first length with a right CRC is taken.
pub(super) fn frame(from: Party, bytes: &[u8]) -> Look<usize> {
    let least = match shape(from, bytes.get(1..).unwrap_or_default()) {
        Shape::Exactly(_) => return strict_frame(from, bytes),
        Shape::More(length) => return Look::More(length + 1),
        Shape::AtLeast(length) => length + FRAME,
        Shape::Undefined => 1 + FRAME,
    };
    let mut crc = 0xFFFF;
    meter::work(bytes.len().min(MAX_FRAME));
    for (byte, length) in bytes.iter().zip(1..=MAX_FRAME) {
        crc = crc_step(crc, *byte);
        if crc == 0 && length >= least {
            return Look::Yes(length);
        }
    }
    if bytes.len() < MAX_FRAME { Look::More(bytes.len() + 1) } else { Look::No(BAD_CRC) }
}

/// Whether the function tells how long the RTU frame is that begins here, or will.
pub(super) fn tells_length(from: Party, bytes: &[u8]) -> bool {
    let shape = shape(from, bytes.get(1..).unwrap_or_default());
    matches!(shape, Shape::Exactly(_) | Shape::More(_))
}

/// As [`frame`], but only where the function tells the length.
pub(super) fn strict_frame(from: Party, bytes: &[u8]) -> Look<usize> {
    let length = match shape(from, bytes.get(1..).unwrap_or_default()) {
        Shape::Exactly(length) if length + FRAME <= MAX_FRAME => length + FRAME,
        Shape::More(length) => return Look::More(length + 1),
        _ => return Look::No(BAD_CRC),
    };
    match bytes.get(..length) {
        None => Look::More(length),
        Some(whole) if crc(whole) == 0 => Look::Yes(length),
        Some(_) => Look::No(BAD_CRC),
    }
}

/// Whether a PDU begins here, and in which framing; strict. The framing that was told before comes
/// first, but whoever hits on the other one, or forges it, must not make all that follows unread.
pub(super) fn begins(framing: Framing, from: Party, bytes: &[u8]) -> Look<Framing> {
    let (first, other) = match framing {
        Framing::Unknown | Framing::Mbap => (Framing::Mbap, Framing::Rtu),
        Framing::Rtu => (Framing::Rtu, Framing::Mbap),
    };
    match whole(first, from, bytes) {
        Look::Yes(_) => Look::Yes(first),
        Look::More(needed) => Look::More(needed),
        Look::No(_) if framing == Framing::Unknown => match strict_frame(from, bytes) {
            Look::Yes(_) => Look::Yes(other),
            Look::More(needed) => Look::More(needed),
            Look::No(why) => Look::No(why),
        },
        Look::No(_) => foreign(first, other, from, bytes),
    }
}

/// The length of the PDU, with its framing, that begins here; strict.
fn whole(framing: Framing, from: Party, bytes: &[u8]) -> Look<usize> {
    match framing {
        Framing::Rtu => strict_frame(from, bytes),
        Framing::Unknown | Framing::Mbap => match strict(from, bytes) {
            Look::Yes(header) => Look::Yes(MBAP + header.pdu),
            Look::More(needed) => Look::More(needed),
            Look::No(why) => Look::No(why),
        },
    }
}

/// Whether a PDU of another framing than the flow's begins here: one that is there as a whole, and
/// in which none of the flow's own framing begins. Until then each byte may tell.
pub(super) fn foreign(own: Framing, other: Framing, from: Party, bytes: &[u8]) -> Look<Framing> {
    const MIXED: &str = "a PDU of the flow's own framing begins inside";
    let (length, is_whole) = match whole(other, from, bytes) {
        Look::Yes(length) => (length, length <= bytes.len()),
        Look::More(needed) => (needed, false),
        Look::No(why) => return Look::No(why),
    };
    let inside = bytes.get(..length).unwrap_or(bytes);
    let begins_inside = (1..inside.len()).any(|offset| {
        meter::work(1);
        matches!(whole(own, from, inside.get(offset..).unwrap_or_default()), Look::Yes(_))
    });
    match (begins_inside, is_whole) {
        (true, _) => Look::No(MIXED),
        (false, true) => Look::Yes(other),
        (false, false) => Look::More(bytes.len() + 1),
    }
}

/// The first offset but 0 at which a PDU begins or, for all that is known, could; where these are
/// the `last` bytes, what would take more is none.
pub(super) fn seek(framing: Framing, from: Party, bytes: &[u8], last: bool) -> usize {
    (1..bytes.len())
        .find(|offset| {
            meter::work(1);
            let rest = bytes.get(*offset..).unwrap_or_default();
            match begins(framing, from, rest) {
                Look::Yes(_) => true,
                Look::More(_) => !last,
                Look::No(_) => false,
            }
        })
        .unwrap_or(bytes.len())
}

/// See [`crate::protocols::Protocol::probe`]. A header alone is too little to claim a flow: its
/// PDU must be plausible, or another header must follow where it ends.
pub(super) fn probe(transport: Transport, head: &[u8]) -> Probe {
    match (probe_mbap(head), transport) {
        (Probe::No, Transport::Tcp) => probe_rtu(head),
        (answer, _) => answer,
    }
}

fn probe_mbap(head: &[u8]) -> Probe {
    let mut rest = head;
    for place in 0..PROBED {
        let found = match header(rest) {
            Look::Yes(found) => found,
            Look::More(_) => return Probe::More,
            Look::No(_) => return Probe::No,
        };
        match (strict(Party::Client, rest), strict(Party::Server, rest)) {
            (Look::Yes(_), Look::Yes(_)) => return Probe::Yes(None),
            (Look::Yes(_), Look::No(_)) => return Probe::Yes(Some(Party::Client)),
            (Look::No(_), Look::Yes(_)) => return Probe::Yes(Some(Party::Server)),
            (Look::No(_), Look::No(_)) if place > 0 => return Probe::Yes(None),
            (Look::No(_), Look::No(_)) => {}
            (Look::More(_), _) | (_, Look::More(_)) => return Probe::More,
        }
        rest = rest.get(MBAP + found.pdu..).unwrap_or_default();
    }
    Probe::No
}

fn probe_rtu(head: &[u8]) -> Probe {
    /// Serial line, clause 2.2: 248 to 255 are reserved.
    const MAX_ADDRESS: u8 = 247;
    if head.first().is_some_and(|address| *address > MAX_ADDRESS) {
        return Probe::No;
    }
    let look = |from| match check(from, head.get(1..).unwrap_or_default()) {
        Ok(()) => strict_frame(from, head),
        Err(why) => Look::No(why),
    };
    match (look(Party::Client), look(Party::Server)) {
        (Look::Yes(_), Look::Yes(_)) => Probe::Yes(None),
        (Look::Yes(_), _) => Probe::Yes(Some(Party::Client)),
        (_, Look::Yes(_)) => Probe::Yes(Some(Party::Server)),
        (Look::More(_), _) | (_, Look::More(_)) => Probe::More,
        _ => Probe::No,
    }
}
