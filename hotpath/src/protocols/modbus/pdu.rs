//! The PDU: what stands behind a function code, as objects, values and facts.
//!
//! Modbus Application Protocol V1.1b3, clause 6. Everything here looks at one PDU; framing and
//! pairing are the siblings' business.

use smallvec::SmallVec;

use super::names::{
    COIL, DEVICE_IDENTIFICATION, DISCRETE_INPUT, FIFO_QUEUE, FILE_RECORD, HOLDING_REGISTER,
    INPUT_REGISTER, UMAS, UMAS_SIGNED,
};
use super::rules::{FILE_REFERENCE, MAX_FIFO_REGISTERS, MEI_IDENTIFICATION, Verdict, rule};
use crate::bytes::{Cursor, Short};
use crate::protocols::pairing::OwnedObject;
use crate::protocols::{Blocks, NO_SUBFUNCTION, Object, Party};
use crate::words::{Access, ValueKind};

pub(super) type Objects<'a> = SmallVec<[Object<'a>; 2]>;

/// The sub-function that a PDU names itself. A signed UMAS request stands for what it signs
/// (a magic byte, 32 bytes of signature, then the request again from its function code on).
pub(super) fn subfunction(from: Party, pdu: &[u8]) -> u32 {
    match (from, pdu) {
        (_, [8, high, low, ..]) => u32::from(u16::from_be_bytes([*high, *low])),
        (_, [43, interface, ..]) => u32::from(*interface),
        (Party::Client, [UMAS, _, UMAS_SIGNED, rest @ ..]) => match rest.get(33..36) {
            Some(&[UMAS, _, signed]) => u32::from(signed),
            _ => u32::from(UMAS_SIGNED),
        },
        (Party::Client, [UMAS, _, function, ..]) => u32::from(*function),
        _ => NO_SUBFUNCTION,
    }
}

fn range(kind: u16, address: u64, count: u16, access: Access) -> Object<'static> {
    Object { kind, address, count: u32::from(count), access, status: 0, name: None }
}

/// The object and values that a PDU names itself: every request, and the answers that echo.
/// A mask write has a value only where its masks determine all bits (AND mask 0).
///
/// # Errors
/// [`Short`] if fields are missing; what was told before them stays in place.
#[inline]
pub(super) fn parse(
    from: Party,
    pdu: &[u8],
    objects: &mut Objects<'static>,
    values: &mut Blocks,
) -> Result<(), Short> {
    let mut cursor = Cursor::new(pdu);
    let code = cursor.u8()?;
    match (from, code) {
        (Party::Client, 1..=4) => {
            let kind = match code {
                1 => COIL,
                2 => DISCRETE_INPUT,
                3 => HOLDING_REGISTER,
                _ => INPUT_REGISTER,
            };
            push_range(&mut cursor, kind, Access::Read, objects)?;
        }
        (_, 5) => {
            let address = u64::from(cursor.u16_be()?);
            objects.push(range(COIL, address, 1, Access::Write));
            if let set @ (0 | 0xFF00) = cursor.u16_be()? {
                values.push(0, 0, ValueKind::Bit, |raws| raws.push(u64::from(set != 0)));
            }
        }
        (_, 6) => {
            let address = u64::from(cursor.u16_be()?);
            objects.push(range(HOLDING_REGISTER, address, 1, Access::Write));
            push_words(cursor.take(2)?, 0, 1, values);
        }
        (_, 15 | 16) => {
            let kind = if code == 15 { COIL } else { HOLDING_REGISTER };
            let count = push_range(&mut cursor, kind, Access::Write, objects)?;
            if from == Party::Client {
                cursor.skip(1)?;
                if code == 15 {
                    push_bits(cursor.rest(), 0, count, values);
                } else {
                    push_words(cursor.rest(), 0, count, values);
                }
            }
        }
        (Party::Client, 20) | (_, 21) => {
            cursor.skip(1)?;
            parse_file_records(code, cursor, objects, values)?;
        }
        (_, 22) => {
            let address = u64::from(cursor.u16_be()?);
            objects.push(range(HOLDING_REGISTER, address, 1, Access::Write));
            if cursor.u16_be()? == 0 {
                push_words(cursor.take(2)?, 0, 1, values);
            }
        }
        (Party::Client, 23) => {
            push_range(&mut cursor, HOLDING_REGISTER, Access::Read, objects)?;
            let place = objects.len() as u16;
            let count = push_range(&mut cursor, HOLDING_REGISTER, Access::Write, objects)?;
            cursor.skip(1)?;
            push_words(cursor.rest(), place, count, values);
        }
        (Party::Client, 24) => {
            let address = u64::from(cursor.u16_be()?);
            objects.push(range(FIFO_QUEUE, address, MAX_FIFO_REGISTERS, Access::Read));
        }
        (Party::Client, 43) if cursor.u8()? == MEI_IDENTIFICATION => {
            cursor.skip(1)?;
            let id = u64::from(cursor.u8()?);
            objects.push(range(DEVICE_IDENTIFICATION, id, 1, Access::Read));
        }
        _ => {}
    }
    Ok(())
}

/// Reads first address and quantity; a quantity of 0 touches nothing.
#[inline]
fn push_range(
    cursor: &mut Cursor<'_>,
    kind: u16,
    access: Access,
    objects: &mut Objects<'static>,
) -> Result<u16, Short> {
    let (address, count) = (cursor.u16_be()?, cursor.u16_be()?);
    if count > 0 {
        objects.push(range(kind, u64::from(address), count, access));
    }
    Ok(count)
}

fn parse_file_records(
    code: u8,
    mut cursor: Cursor<'_>,
    objects: &mut Objects<'static>,
    values: &mut Blocks,
) -> Result<(), Short> {
    let access = if code == 20 { Access::Read } else { Access::Write };
    while !cursor.is_empty() {
        cursor.skip(1)?;
        let (file, record, length) = (cursor.u16_be()?, cursor.u16_be()?, cursor.u16_be()?);
        let place = objects.len() as u16;
        let address = (u64::from(file) << 16) | u64::from(record);
        if length > 0 {
            objects.push(range(FILE_RECORD, address, length, access));
        }
        if code == 21 {
            push_words(cursor.take(usize::from(length) * 2)?, place, length, values);
        }
    }
    Ok(())
}

/// Up to `count` bits, the first in the lowest bit of the first byte.
fn push_bits(bytes: &[u8], object: u16, count: u16, values: &mut Blocks) {
    let count = usize::from(count);
    let bytes = bytes.get(..count.div_ceil(8)).unwrap_or(bytes);
    values.push(object, 0, ValueKind::Bit, |raws| {
        let end = raws.len() + count;
        for byte in bytes {
            let bit = |place: u32| u64::from(byte >> place & 1);
            raws.extend_from_slice(&[0, 1, 2, 3, 4, 5, 6, 7].map(bit));
        }
        raws.truncate(end);
    });
}

/// Up to `count` registers.
fn push_words(bytes: &[u8], object: u16, count: u16, values: &mut Blocks) {
    let words = bytes.chunks_exact(2).map(|pair| match pair {
        [high, low] => u64::from(u16::from_be_bytes([*high, *low])),
        _ => 0,
    });
    values.push(object, 0, ValueKind::Unsigned, |raws| raws.extend(words.take(usize::from(count))));
}

/// Whether the answer's bytes are as many as were asked for, or echo what was asked.
#[inline]
pub(super) fn fits(pdu: &[u8], first: Option<&OwnedObject>) -> bool {
    let Some(asked) = first else { return true };
    match *pdu {
        [1 | 2, bytes, ..] => u32::from(bytes) == asked.count.div_ceil(8),
        [3 | 4 | 23, bytes, ..] => u32::from(bytes) == asked.count.saturating_mul(2),
        [5 | 6 | 22, high, low, ..] => asked.address == u64::from(u16::from_be_bytes([high, low])),
        [15 | 16, high, low, count_high, count_low, ..] => {
            asked.address == u64::from(u16::from_be_bytes([high, low]))
                && asked.count == u32::from(u16::from_be_bytes([count_high, count_low]))
        }
        _ => true,
    }
}

/// The values that a read brought, placed on the objects of its request.
///
/// # Errors
/// The rule that is broken; what was told before stays in place.
#[inline]
pub(super) fn parse_answer(
    pdu: &[u8],
    asked: &[Object<'_>],
    values: &mut Blocks,
) -> Result<(), &'static str> {
    let count = asked.first().map_or(0, |object| object.count as u16);
    match pdu {
        [1 | 2, _, bits @ ..] => push_bits(bits, 0, count, values),
        [3 | 4 | 23, _, words @ ..] => push_words(words, 0, count, values),
        [20, _, records @ ..] => return parse_file_answer(records, asked, values),
        [24, _, _, high, low, words @ ..] => {
            let queued = u16::from_be_bytes([*high, *low]).min(count);
            push_words(words, 0, queued, values);
        }
        _ => {}
    }
    Ok(())
}

fn parse_file_answer(
    records: &[u8],
    asked: &[Object<'_>],
    values: &mut Blocks,
) -> Result<(), &'static str> {
    const BROKEN: &str = "the file records are not those that were asked for";
    let mut cursor = Cursor::new(records);
    for (place, object) in asked.iter().enumerate() {
        let length = usize::from(cursor.u8().map_err(|Short| BROKEN)?);
        let record = cursor.take(length).map_err(|Short| BROKEN)?;
        let [FILE_REFERENCE, words @ ..] = record else { return Err(BROKEN) };
        push_words(words, place as u16, object.count as u16, values);
        if words.len() as u64 != u64::from(object.count) * 2 {
            return Err(BROKEN);
        }
    }
    cursor.expect_empty().map_err(|_| BROKEN)
}

/// What a device says of itself: a fact's key and its text.
pub(super) fn facts(pdu: &[u8], mut tell: impl FnMut(&'static str, &str)) -> Verdict {
    match pdu {
        [17, _, data @ ..] => {
            if let Some(text) = longest_text(data) {
                tell("name", text);
            }
            Ok(())
        }
        [43, MEI_IDENTIFICATION, rest @ ..] => identification(rest, tell)
            .map_err(|Short| "the identification's objects are longer than the PDU")?,
        _ => Ok(()),
    }
}

/// Clause 6.21: code, conformity, more follows, next object, number of objects, objects.
fn identification(rest: &[u8], mut tell: impl FnMut(&'static str, &str)) -> Result<Verdict, Short> {
    let mut cursor = Cursor::new(rest);
    cursor.skip(4)?;
    for _ in 0..cursor.u8()? {
        let (id, length) = (cursor.u8()?, cursor.u8()?);
        let text = String::from_utf8_lossy(cursor.take(usize::from(length))?);
        let key = match id {
            0 => "vendor",
            1 => "product-code",
            2 => "revision",
            3 => "url",
            4 => "product",
            5 => "model",
            6 => "application",
            _ => continue,
        };
        if !text.is_empty() {
            tell(key, &text);
        }
    }
    Ok(rule(cursor.is_empty(), "bytes follow the identification's last object"))
}

/// The longest run of at least four printable ASCII characters: the rest of a server id has no
/// form that the specification would tell.
fn longest_text(data: &[u8]) -> Option<&str> {
    data.split(|byte| !(b' '..=b'~').contains(byte))
        .filter(|run| run.len() >= 4)
        .max_by_key(|run| run.len())
        .and_then(|run| std::str::from_utf8(run).ok())
}
