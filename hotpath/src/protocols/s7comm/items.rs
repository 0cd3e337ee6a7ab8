//! Items: which operands a request names, and which values belong to them.

use smallvec::SmallVec;

use super::names::{COUNTER, NCK, OTHER_AREA, OTHER_ITEM, S7_200, SYMBOL, TIMER, TYPES};
use crate::bytes::{Cursor, Short};
use crate::protocols::Value;
use crate::protocols::pairing::OwnedObject;
use crate::words::{Access, ValueKind};

/// An item of one object, of several or of what is not understood; never of none.
pub(super) type Objects = SmallVec<[OwnedObject; 2]>;

/// Begins a specification of a variable.
const SPECIFICATION: u8 = 0x12;
const ANY: u8 = 0x10;
const NCKS: std::ops::RangeInclusive<u8> = 0x82..=0x84;
/// Many areas of data blocks in one item (S7-400).
const DB_READ: u8 = 0xB0;
const SYMBOLIC: u8 = 0xB2;

const BIT: u16 = 0;
const BYTE: u16 = 1;
const WORD: u16 = 2;
const INT: u16 = 3;
const DWORD: u16 = 4;
const DINT: u16 = 5;
const REAL: u16 = 6;

/// How long the text of an item is that has no name.
const MAX_SPELLED: usize = 16;

/// How many operands a data block read may name: more than its item has room for.
const MAX_DB_READS: usize = 64;

/// Bytes and kind of the elements of an operand's type (its kind modulo [`TYPES`]).
fn element(kind: u16) -> (usize, ValueKind) {
    match kind {
        TIMER | COUNTER => (2, ValueKind::Unsigned),
        S7_200.. => (1, ValueKind::Unsigned),
        _ => match kind % TYPES {
            BIT => (1, ValueKind::Bit),
            BYTE => (1, ValueKind::Unsigned),
            WORD => (2, ValueKind::Unsigned),
            INT => (2, ValueKind::Signed),
            DWORD => (4, ValueKind::Unsigned),
            DINT => (4, ValueKind::Signed),
            _ => (4, ValueKind::Float),
        },
    }
}

/// How far apart the addresses of neighbours are.
fn stride(kind: u16) -> u32 {
    match kind {
        TIMER.. => 1,
        _ => element(kind).0 as u32,
    }
}

pub(super) fn object(kind: u16, address: u64, count: u32, access: Access) -> OwnedObject {
    OwnedObject { kind, address, count, access, name: None }
}

pub(super) fn named(kind: u16, name: &str, access: Access) -> OwnedObject {
    OwnedObject { kind, address: 0, count: 1, access, name: Some(Box::from(name)) }
}

/// Reads one item specification; several objects come of a data block read only.
///
/// # Errors
/// The bytes end inside it, or it is no specification.
pub(super) fn specification(
    cursor: &mut Cursor<'_>,
    access: Access,
    objects: &mut Objects,
) -> Result<(), Short> {
    if cursor.u8()? != SPECIFICATION {
        return Err(Short);
    }
    let length = usize::from(cursor.u8()?);
    let body = cursor.take(length)?;
    let mut inner = Cursor::new(body);
    let before = objects.len();
    let understood = match inner.u8() {
        Ok(ANY) if length == 10 => any(inner, access, objects),
        Ok(DB_READ) => db_read(inner, access, objects),
        Ok(SYMBOLIC) => symbolic(inner, access, objects),
        Ok(syntax) if NCKS.contains(&syntax) => {
            objects.push(named(NCK, &hexadecimal(body), access));
            Ok(())
        }
        _ => Err(Short),
    };
    if understood.is_err() || objects.len() == before {
        objects.truncate(before);
        objects.push(named(OTHER_ITEM, &hexadecimal(body), access));
    }
    Ok(())
}

fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    for byte in bytes.iter().take(MAX_SPELLED) {
        // A string takes whatever is written to it.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// S7ANY: transport size, count, data block, area, address in bits.
fn any(mut cursor: Cursor<'_>, access: Access, objects: &mut Objects) -> Result<(), Short> {
    let (size, count) = (cursor.u8()?, u32::from(cursor.u16_be()?));
    let (block, area) = (u64::from(cursor.u16_be()?), cursor.u8()?);
    let [high, middle, low] = cursor.array()?;
    let bits = u64::from(u32::from_be_bytes([0, high, middle, low]));
    let place = match area {
        0x84 => Some(0),
        0x85 => Some(1),
        0x83 => Some(2),
        0x81 => Some(3),
        0x82 => Some(4),
        0x80 => Some(5),
        0x86 => Some(6),
        0x87 => Some(7),
        _ => None,
    };
    // A quantity of 0 touches nothing, and is no operand.
    if count == 0 {
        return Err(Short);
    }
    let kind = match (area, place) {
        (_, Some(place)) => {
            let (of, elements) = kind_of(size).ok_or(Short)?;
            let kind = place * TYPES + of;
            let address = if of == BIT { bits } else { bits >> 3 };
            let count = count * elements * stride(kind);
            // Only data blocks have a number.
            let block = if place <= 1 { block << 32 } else { 0 };
            objects.push(object(kind, block | address, count, access));
            return Ok(());
        }
        (0x1C, _) => COUNTER,
        (0x1D, _) => TIMER,
        (0x01, _) => S7_200,
        (0x03, _) => S7_200 + 1,
        (0x05..=0x07, _) => S7_200 + u16::from(area) - 3,
        (0x1E | 0x1F, _) => S7_200 + u16::from(area) - 0x19,
        _ => {
            let address = (u64::from(area) << 48) | (block << 24) | bits;
            objects.push(object(OTHER_AREA, address, count, access));
            return Ok(());
        }
    };
    let address = if matches!(kind, TIMER | COUNTER) { bits } else { bits >> 3 };
    let width = kind_of(size).filter(|_| kind >= S7_200).map_or(1, |(of, _)| element(of).0 as u32);
    objects.push(object(kind, address, count * width, access));
    Ok(())
}

/// The type of a transport size, and how many of its elements make one of the size.
fn kind_of(size: u8) -> Option<(u16, u32)> {
    Some(match size {
        1 => (BIT, 1),
        2 | 3 => (BYTE, 1),
        // Timers and counters are words.
        4 | 9 | 12 | 28 | 29 => (WORD, 1),
        5 => (INT, 1),
        6 | 10 => (DWORD, 1),
        7 | 11 => (DINT, 1),
        8 => (REAL, 1),
        15 => (BYTE, 8),
        _ => return None,
    })
}

/// How many areas; of each the bytes, the data block and the address in bytes.
fn db_read(mut cursor: Cursor<'_>, access: Access, objects: &mut Objects) -> Result<(), Short> {
    for _ in 0..cursor.u8()? {
        let count = u32::from(cursor.u8()?);
        let (block, address) = (u64::from(cursor.u16_be()?), u64::from(cursor.u16_be()?));
        if count == 0 || objects.len() >= MAX_DB_READS {
            return Err(Short);
        }
        objects.push(object(BYTE, (block << 32) | address, count, access));
    }
    Ok(())
}

/// The S7-1200's symbols: an area, the CRC of the symbol's declaration, and a path of local ids.
fn symbolic(mut cursor: Cursor<'_>, access: Access, objects: &mut Objects) -> Result<(), Short> {
    use std::fmt::Write;
    const DB: u16 = 0x8A0E;
    cursor.skip(1)?;
    let (area, block, crc) = (cursor.u16_be()?, cursor.u16_be()?, cursor.u32_be()?);
    let mut name = match (area, block) {
        (DB, block) => format!("DB{block}"),
        (0, 0x50) => "I".to_owned(),
        (0, 0x51) => "Q".to_owned(),
        (0, 0x52) => "M".to_owned(),
        (0, 0x53) => "C".to_owned(),
        (0, 0x54) => "T".to_owned(),
        _ => format!("{area:04x}.{block:04x}"),
    };
    // A string takes whatever is written to it.
    let _ = write!(name, " crc {crc:08x} lid");
    let mut separator = ' ';
    while let Ok(word) = cursor.u32_be() {
        let _ = write!(name, "{separator}{}", word & 0x0FFF_FFFF);
        separator = '.';
    }
    objects.push(named(SYMBOL, &name, access));
    Ok(())
}

/// The return code of an item that was read or written.
pub(super) const SUCCESS: u8 = 0xFF;

/// Data of one item: its return code, and the bytes that follow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Data<'a> {
    pub(super) code: u8,
    pub(super) bytes: &'a [u8],
}

/// Reads the data of an item; between items there is a fill byte where their length is odd.
///
/// # Errors
/// The bytes end inside it.
pub(super) fn data<'a>(cursor: &mut Cursor<'a>) -> Result<Data<'a>, Short> {
    let (code, size, length) = (cursor.u8()?, cursor.u8()?, usize::from(cursor.u16_be()?));
    let length = match size {
        // These lengths are in bits.
        3..=5 => length.div_ceil(8),
        _ => length,
    };
    // An error has no data, whatever its length says.
    let length = if code == SUCCESS || code == 0 { length } else { length.min(cursor.remaining()) };
    let bytes = cursor.take(length)?;
    if length % 2 == 1 && !cursor.is_empty() {
        cursor.skip(1)?;
    }
    Ok(Data { code, bytes })
}

/// The values that these bytes give to an object; whether they are as many as it has room for.
pub(super) fn values(
    bytes: &[u8],
    place: usize,
    object: &OwnedObject,
    values: &mut Vec<Value<'static>>,
) -> bool {
    if object.kind >= OTHER_AREA {
        return true;
    }
    let (width, kind) = element(object.kind);
    let stride = stride(object.kind);
    if bytes.len() as u64 * u64::from(stride) != u64::from(object.count) * width as u64 {
        return false;
    }
    let offsets = (0..).step_by(stride as usize);
    values.extend(bytes.chunks_exact(width).zip(offsets).map(|(chunk, offset)| Value {
        object: place as u16,
        offset,
        kind,
        raw: number(chunk, kind),
        text: None,
        quality: 0,
        source_time: 0,
    }));
    true
}

/// The number in the bytes of one element.
#[allow(clippy::cast_sign_loss)] // two's complement is how signed values go
fn number(chunk: &[u8], kind: ValueKind) -> u64 {
    match (kind, chunk) {
        (ValueKind::Bit, [byte]) => u64::from(byte & 1),
        (ValueKind::Signed, [a, b]) => i64::from(i16::from_be_bytes([*a, *b])) as u64,
        (ValueKind::Signed, [a, b, c, d]) => i64::from(i32::from_be_bytes([*a, *b, *c, *d])) as u64,
        (ValueKind::Float, [a, b, c, d]) => {
            f64::from(f32::from_be_bytes([*a, *b, *c, *d])).to_bits()
        }
        _ => chunk.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte)),
    }
}

/// The values of a data block read: of each area a return code and its bytes, one after the other.
///
/// # Errors
/// The bytes end inside them.
fn nested(
    bytes: &[u8],
    objects: &[OwnedObject],
    statuses: &mut Vec<u8>,
    found: &mut Vec<Value<'static>>,
) -> Result<(), Short> {
    let mut cursor = Cursor::new(bytes);
    for (place, object) in objects.iter().enumerate() {
        let code = cursor.u8()?;
        if code == SUCCESS {
            values(cursor.take(object.count as usize)?, place, object, found);
        }
        statuses.push(code);
    }
    Ok(())
}

/// An operand of a programming device's table: area and type in one byte, repetitions (of a bit,
/// its number), data block, address.
pub(super) fn table_operand(
    [area, count, block_high, block_low, high, low]: [u8; 6],
    access: Access,
) -> Option<OwnedObject> {
    let block = u64::from(u16::from_be_bytes([block_high, block_low]));
    let address = u64::from(u16::from_be_bytes([high, low]));
    let repeated = u32::from(count.max(1));
    let place = match area >> 4 {
        0 => 2,
        1 => 3,
        2 => 4,
        3 => 5,
        5 => return Some(object(TIMER, address, repeated, access)),
        6 => return Some(object(COUNTER, address, repeated, access)),
        7 => 0,
        _ => return None,
    };
    let block = if place == 0 { block << 32 } else { 0 };
    let of = match area & 0xF {
        0 => {
            let bit = (address << 3) | u64::from(count & 7);
            return Some(object(place * TYPES + BIT, block | bit, 1, access));
        }
        1 => BYTE,
        2 => WORD,
        3 => DWORD,
        _ => return None,
    };
    let kind = place * TYPES + of;
    Some(object(kind, block | address, repeated * stride(kind), access))
}

/// Whether an answer is that of a data block read: one item of several objects, or of one with its
/// own return code in front.
fn is_db_read(bytes: &[u8], count: usize, objects: &[OwnedObject]) -> bool {
    match *objects {
        _ if count != 1 => false,
        [OwnedObject { kind: BYTE, count: asked, .. }] => {
            let length = data(&mut Cursor::new(bytes)).map(|one| one.bytes.len() as u64);
            length == Ok(u64::from(asked) + 1)
        }
        _ => objects.len() > 1,
    }
}

/// The data of `count` items, placed on the objects that were asked for.
///
/// # Errors
/// The bytes end inside an item; what was told before stays in place.
pub(super) fn answers(
    cursor: &mut Cursor<'_>,
    count: usize,
    objects: &[OwnedObject],
    statuses: &mut Vec<u8>,
    found: &mut Vec<Value<'static>>,
) -> Result<(), Short> {
    let is_nested = is_db_read(cursor.rest(), count, objects);
    let objects = if is_nested || count == objects.len() { objects } else { &[] };
    for place in 0..count {
        let one = data(cursor)?;
        if is_nested && one.code == SUCCESS {
            nested(one.bytes, objects, statuses, found)?;
            continue;
        }
        statuses.push(one.code);
        if let (SUCCESS, Some(object)) = (one.code, objects.get(place)) {
            values(one.bytes, place, object, found);
        }
    }
    Ok(())
}
