//! Parts of jobs that name blocks and program invocation services.

use super::items::{Objects, named};
use super::names::{self, BLOCK, PI};
use crate::bytes::{Cursor, Short};
use crate::protocols::NO_SUBFUNCTION;
use crate::words::Access;

/// Bytes of a block's file name: `_`, its type, five digits, where it goes.
const FILE_NAME: usize = 9;

/// The name of a block type, from the two characters that stand for it on the wire.
pub(super) const fn block_type(code: &[u8]) -> &'static str {
    match code {
        b"08" => "OB",
        b"09" => "CMOD",
        b"0A" => "DB",
        b"0B" => "SDB",
        b"0C" => "FC",
        b"0D" => "SFC",
        b"0E" => "FB",
        b"0F" => "SFB",
        _ => "block",
    }
}

/// The name of a block as people write it ("DB1"), of another file its own.
fn block_name(file: &[u8]) -> String {
    match file {
        [b'_', high, low, digits @ .., _] if digits.len() == 5 => {
            let kind = block_type(&[*high, *low]);
            let digits = String::from_utf8_lossy(digits);
            let number = digits.trim_start_matches('0');
            format!("{kind}{}", if number.is_empty() { "0" } else { number })
        }
        _ => String::from_utf8_lossy(file).into_owned(),
    }
}

/// The block that a request of an upload or download names: a status, then a file name.
pub(super) fn block(parameters: &[u8], access: Access, objects: &mut Objects) -> Result<(), Short> {
    let mut cursor = Cursor::new(parameters);
    // Function, status, an error code (2), a handle (4).
    cursor.skip(8)?;
    let length = usize::from(cursor.u8()?);
    let file = cursor.take(length)?;
    if !file.is_empty() {
        objects.push(named(BLOCK, &block_name(file), access));
    }
    Ok(())
}

/// A program invocation service: its sub-function, and the objects that it works on.
pub(super) fn service(parameters: &[u8], objects: &mut Objects) -> Result<u32, Short> {
    let mut cursor = Cursor::new(parameters);
    // Function, seven bytes that are not known.
    cursor.skip(8)?;
    let length = usize::from(cursor.u16_be()?);
    let argument = cursor.take(length)?;
    let length = usize::from(cursor.u8()?);
    let name = cursor.take(length)?;
    let subfunction = names::pi_service(name, argument);
    match name {
        b"_INSE" | b"_INS2" | b"_DELE" => {
            // A count of blocks, a byte that is not known, and their file names without the
            // underscore.
            let blocks = argument.get(2..).unwrap_or_default();
            for block in blocks.chunks_exact(FILE_NAME - 1) {
                let name = block_name(&[b"_", block].concat());
                objects.push(named(BLOCK, &name, Access::Control));
            }
        }
        _ if subfunction == NO_SUBFUNCTION => {
            objects.push(named(PI, &String::from_utf8_lossy(name), Access::Control));
        }
        _ => {}
    }
    Ok(subfunction)
}
