//! What the specification demands of a PDU: its length and the limits of its fields.
//!
//! Modbus Application Protocol V1.1b3, clause 6. Nothing here looks at more than one PDU, and
//! nothing looks behind the fields that decide.

use super::names::{UMAS, UMAS_ERROR, UMAS_OK, is_umas};
use crate::bytes::{Cursor, Short};
use crate::protocols::Party;

/// Clause 6.1: coils or discrete inputs of one read.
const MAX_READ_BITS: u16 = 2000;
/// Clause 6.3: registers of one read.
const MAX_READ_REGISTERS: u16 = 125;
/// Clause 6.11: coils of one write.
const MAX_WRITE_BITS: u16 = 1968;
/// Clause 6.12: registers of one write.
const MAX_WRITE_REGISTERS: u16 = 123;
/// Clause 6.17: registers written while reading.
const MAX_READ_WRITE_REGISTERS: u16 = 121;
/// Clause 6.18: registers in a FIFO queue.
pub(super) const MAX_FIFO_REGISTERS: u16 = 31;
/// Clauses 6.14 and 6.15: the only reference type.
pub(super) const FILE_REFERENCE: u8 = 6;
/// Clause 6.14: bytes of one sub-request of a file read.
const FILE_READ_GROUP: usize = 7;
/// Encapsulated interface (clause 6.19): `CANopen` general reference.
const MEI_CANOPEN: u8 = 13;
/// Encapsulated interface (clause 6.21): read device identification.
pub(super) const MEI_IDENTIFICATION: u8 = 14;
/// An exception response sets this bit of its function code.
pub(super) const EXCEPTION: u8 = 0x80;
/// No rule of [`check`] looks farther than this.
pub(super) const HEAD: usize = 10;

/// What the specification demands of the length of a PDU, its function code included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// This many bytes.
    Exactly(usize),
    /// This many bytes or more.
    AtLeast(usize),
    /// The function code is not defined, or not in this direction.
    Undefined,
    /// It takes this many bytes to tell.
    More(usize),
}

/// The shape of the PDU that begins here; bytes behind it do no harm.
#[inline]
pub(super) fn shape(from: Party, pdu: &[u8]) -> Shape {
    let Some(&code) = pdu.first() else { return Shape::More(1) };
    match (from, code) {
        (Party::Server, 7 | EXCEPTION..) => Shape::Exactly(2),
        (Party::Client, 1..=6) | (Party::Server, 5 | 6 | 11 | 15 | 16) => Shape::Exactly(5),
        (Party::Server, 1..=4 | 12 | 17 | 20 | 21 | 23) | (Party::Client, 20 | 21) => {
            counted(pdu, 1)
        }
        (Party::Client, 15 | 16) => counted(pdu, 5),
        (Party::Client, 23) => counted(pdu, 9),
        (Party::Client, 7 | 11 | 12 | 17) => Shape::Exactly(1),
        (_, 8) => match pdu.get(1..3) {
            Some([0, 1..=20]) => Shape::Exactly(5),
            Some(_) => Shape::AtLeast(3),
            None => Shape::More(3),
        },
        (_, 22) => Shape::Exactly(7),
        (Party::Client, 24) => Shape::Exactly(3),
        (Party::Server, 24) => match pdu.get(1..3) {
            Some(&[high, low]) => Shape::Exactly(usize::from(u16::from_be_bytes([high, low])) + 3),
            _ => Shape::More(3),
        },
        (_, 43) => match (from, pdu.get(1)) {
            (Party::Client, Some(&MEI_IDENTIFICATION)) => Shape::Exactly(4),
            (Party::Server, Some(&MEI_IDENTIFICATION)) => Shape::AtLeast(7),
            (_, Some(_)) => Shape::AtLeast(2),
            (_, None) => Shape::More(2),
        },
        (_, UMAS) => Shape::AtLeast(3),
        _ => Shape::Undefined,
    }
}

/// A PDU that ends with as many bytes as its byte count at `place` says.
#[inline]
fn counted(pdu: &[u8], place: usize) -> Shape {
    match pdu.get(place) {
        Some(&count) => Shape::Exactly(place + 1 + usize::from(count)),
        None => Shape::More(place + 1),
    }
}

/// Whether the fields keep to the specification; looks at the first [`HEAD`] bytes only, and
/// passes over fields that are missing (their absence is told by the shape).
#[inline]
pub(super) fn check(from: Party, pdu: &[u8]) -> Result<(), &'static str> {
    match from {
        Party::Client => check_request(pdu),
        Party::Server => check_response(pdu),
    }
    .unwrap_or(Ok(()))
}

/// The rule that is broken, in words.
pub(super) type Verdict = Result<(), &'static str>;

pub(super) fn rule(kept: bool, broken: &'static str) -> Verdict {
    if kept { Ok(()) } else { Err(broken) }
}

const QUANTITY: &str = "the quantity is outside of what the function allows";
const BYTE_COUNT: &str = "the byte count does not fit";
const COIL_VALUE: &str = "a coil is set to neither 0x0000 nor 0xFF00";

fn check_request(pdu: &[u8]) -> Result<Verdict, Short> {
    let mut cursor = Cursor::new(pdu);
    let code = cursor.u8()?;
    Ok(match code {
        0 => Err("function code 0"),
        EXCEPTION.. => Err("a request with the exception bit"),
        1..=4 => {
            cursor.skip(2)?;
            let most = if code <= 2 { MAX_READ_BITS } else { MAX_READ_REGISTERS };
            rule((1..=most).contains(&cursor.u16_be()?), QUANTITY)
        }
        5 => check_coil(cursor)?,
        15 | 16 => {
            cursor.skip(2)?;
            let (quantity, bytes) = (cursor.u16_be()?, cursor.u8()?);
            let (most, expected) = if code == 15 {
                (MAX_WRITE_BITS, quantity.div_ceil(8))
            } else {
                (MAX_WRITE_REGISTERS, quantity.saturating_mul(2))
            };
            rule((1..=most).contains(&quantity), QUANTITY)
                .and_then(|()| rule(u16::from(bytes) == expected, BYTE_COUNT))
        }
        20 | 21 => {
            let (bytes, reference) = (cursor.u8()?, cursor.u8()?);
            let fits = if code == 20 {
                (7..=0xF5).contains(&bytes) && usize::from(bytes) % FILE_READ_GROUP == 0
            } else {
                (9..=0xFB).contains(&bytes)
            };
            rule(fits, BYTE_COUNT).and_then(|()| check_reference(reference))
        }
        23 => {
            cursor.skip(2)?;
            let read = cursor.u16_be()?;
            cursor.skip(2)?;
            let (write, bytes) = (cursor.u16_be()?, cursor.u8()?);
            let fits = (1..=MAX_READ_REGISTERS).contains(&read)
                && (1..=MAX_READ_WRITE_REGISTERS).contains(&write);
            rule(fits, QUANTITY)
                .and_then(|()| rule(u16::from(bytes) == write.saturating_mul(2), BYTE_COUNT))
        }
        43 if cursor.u8()? == MEI_IDENTIFICATION => {
            rule((1..=4).contains(&cursor.u8()?), "an unknown device identification code")
        }
        _ => Ok(()),
    })
}

fn check_response(pdu: &[u8]) -> Result<Verdict, Short> {
    let mut cursor = Cursor::new(pdu);
    let code = cursor.u8()?;
    Ok(match code {
        0 => Err("function code 0"),
        EXCEPTION.. => rule(cursor.u8()? != 0, "exception code 0"),
        1 | 2 => rule((1..=250).contains(&cursor.u8()?), BYTE_COUNT),
        3 | 4 | 23 => {
            let bytes = cursor.u8()?;
            rule((2..=250).contains(&bytes) && bytes % 2 == 0, BYTE_COUNT)
        }
        5 => check_coil(cursor)?,
        11 => check_busy(cursor.u16_be()?),
        12 => {
            let bytes = cursor.u8()?;
            rule((6..=70).contains(&bytes), BYTE_COUNT).and(check_busy(cursor.u16_be()?))
        }
        15 | 16 => {
            cursor.skip(2)?;
            let most = if code == 15 { MAX_WRITE_BITS } else { MAX_WRITE_REGISTERS };
            rule((1..=most).contains(&cursor.u16_be()?), QUANTITY)
        }
        17 => rule(cursor.u8()? >= 2, BYTE_COUNT),
        20 => {
            let bytes = cursor.u8()?;
            cursor.skip(1)?;
            rule((4..=0xF5).contains(&bytes), BYTE_COUNT).and(check_reference(cursor.u8()?))
        }
        21 => {
            let bytes = cursor.u8()?;
            rule((9..=0xFB).contains(&bytes), BYTE_COUNT).and(check_reference(cursor.u8()?))
        }
        24 => {
            let (bytes, queued) = (cursor.u16_be()?, cursor.u16_be()?);
            rule(queued <= MAX_FIFO_REGISTERS, QUANTITY)
                .and(rule(bytes == queued.saturating_mul(2).saturating_add(2), BYTE_COUNT))
        }
        43 if cursor.u8()? == MEI_IDENTIFICATION => {
            let (asked, conformity) = (cursor.u8()?, cursor.u8()?);
            rule((1..=4).contains(&asked), "an unknown device identification code")
                .and(rule(matches!(conformity & 0x7F, 1..=3), "an unknown conformity level"))
        }
        _ => Ok(()),
    })
}

fn check_coil(mut cursor: Cursor<'_>) -> Result<Verdict, Short> {
    cursor.skip(2)?;
    Ok(rule(matches!(cursor.u16_be()?, 0 | 0xFF00), COIL_VALUE))
}

fn check_reference(reference: u8) -> Verdict {
    rule(reference == FILE_REFERENCE, "an unknown file reference type")
}

fn check_busy(status: u16) -> Verdict {
    rule(matches!(status, 0 | 0xFFFF), "a status word that is neither ready nor busy")
}

/// Whether this can hardly be anything but a PDU: the function is defined in this direction and
/// every rule is kept. `pdu` holds [`HEAD`] bytes, or all of it.
pub(super) fn is_plausible(from: Party, pdu: &[u8]) -> bool {
    let known = match (from, pdu) {
        (_, [8, high, low, ..]) => *high == 0 && *low <= 20,
        (_, [43, interface, ..]) => matches!(*interface, MEI_CANOPEN | MEI_IDENTIFICATION),
        (Party::Client, [UMAS, _, function, ..]) => is_umas(*function),
        (Party::Server, [UMAS, _, answer, ..]) => matches!(*answer, UMAS_OK | UMAS_ERROR),
        (Party::Server, [EXCEPTION..=255, code, ..]) => (1..=11).contains(code),
        _ => shape(from, pdu) != Shape::Undefined,
    };
    known && check(from, pdu).is_ok()
}
