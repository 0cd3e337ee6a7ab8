//! Device attributes: what an outstation says of itself.
//!
//! IEEE 1815-2012, clause A.1: the variation says which attribute it is, the index which set.

use super::content::{Content, Reading, read_moment, read_number, signed};
use super::layouts::Form;
use super::names::DEVICE_ATTRIBUTE;
use crate::bytes::{Cursor, Short};
use crate::words::{Access, ValueKind};

const TEXT: u8 = 1;
const UNSIGNED: u8 = 2;
const SIGNED: u8 = 3;
const FLOAT: u8 = 4;
const TIME: u8 = 7;

/// Reads type, length and value. What has no form that a value can have is named only.
pub(super) fn read<'a>(
    address: u64,
    access: Access,
    cursor: &mut Cursor<'a>,
    content: &mut Content<'a>,
) -> Result<(), Short> {
    let (sort, length) = (cursor.u8()?, cursor.u8()?);
    let bytes = cursor.take(usize::from(length))?;
    let mut inner = Cursor::new(bytes);
    let form = match (sort, length) {
        (UNSIGNED, 1) => Form::U8,
        (UNSIGNED, 2) => Form::U16,
        (UNSIGNED, 4) => Form::U32,
        (SIGNED, 2) => Form::I16,
        (SIGNED, 4) => Form::I32,
        (FLOAT, 4) => Form::F32,
        (FLOAT, 8) => Form::F64,
        (SIGNED, 1) => {
            let number = inner.array().map(i8::from_le_bytes)?;
            let kind = ValueKind::Signed;
            let reading = Reading { kind, ..Reading::plain(signed(number)) };
            content.tell(DEVICE_ATTRIBUTE, address, access, 0, reading);
            return Ok(());
        }
        (TIME, 6) => {
            let moment = read_moment(&mut inner)?;
            content.tell(DEVICE_ATTRIBUTE, address, access, 0, Reading::plain(moment));
            return Ok(());
        }
        (TEXT, _) => {
            content.tell_text(DEVICE_ATTRIBUTE, address, access, bytes);
            if let (Some(key), false, true) =
                (fact(address), bytes.is_empty(), access != Access::Write)
            {
                content.facts.push((key, String::from_utf8_lossy(bytes)));
            }
            return Ok(());
        }
        _ => {
            content.touch(DEVICE_ATTRIBUTE, address, 1, access, 0);
            return Ok(());
        }
    };
    let (kind, raw) = read_number(&mut inner, form)?;
    content.tell(DEVICE_ATTRIBUTE, address, access, 0, Reading { kind, ..Reading::plain(raw) });
    Ok(())
}

/// The key of a fact that an attribute of the default set tells.
const fn fact(address: u64) -> Option<&'static str> {
    Some(match address {
        242 => "revision",
        247 => "name",
        248 => "serial",
        250 => "product",
        252 => "vendor",
        _ => return None,
    })
}
