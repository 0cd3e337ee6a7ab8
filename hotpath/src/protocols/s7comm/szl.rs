//! System status lists: what a controller says of itself.
//!
//! "System Software for S7-300/400, System and Standard Functions", reference manual, chapter 34.

use crate::bytes::{Cursor, Short};

/// Bytes of one list that are kept to join its fragments: the longest one that tells facts has 10
/// records of 34.
const MAX_LIST: usize = 1_024;

/// Order numbers and versions of modules.
const MODULES: u16 = 0x11;
/// Names and serial numbers.
const COMPONENTS: u16 = 0x1C;

/// The fragments of the list that is being read.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    bytes: Vec<u8>,
    /// The number of its sequence.
    sequence: u8,
}

impl Fragments {
    /// Takes the next fragment, and tells the facts of the list if it is the last one.
    pub(super) fn take(
        &mut self,
        sequence: u8,
        is_cut: bool,
        body: &[u8],
        tell: impl FnMut(&'static str, &str),
    ) {
        if self.sequence != sequence {
            self.bytes.clear();
        }
        self.sequence = sequence;
        if self.bytes.len() + body.len() <= MAX_LIST {
            self.bytes.extend_from_slice(body);
        }
        if !is_cut {
            // What is cut short has told its whole records.
            let _ = facts(&self.bytes, tell);
            self.bytes.clear();
        }
    }

    /// Bytes are missing: what was begun is not ended.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }
}

/// Id, index, length of a record, how many, and the records.
fn facts(list: &[u8], mut tell: impl FnMut(&'static str, &str)) -> Result<(), Short> {
    let mut cursor = Cursor::new(list);
    let (id, _) = (cursor.u16_be()?, cursor.u16_be()?);
    let (length, count) = (usize::from(cursor.u16_be()?), cursor.u16_be()?);
    // The upper half of an id says which extract of the list it is.
    for _ in 0..count {
        let mut record = Cursor::new(cursor.take(length)?);
        let index = record.u16_be()?;
        match id & 0xFF {
            MODULES => module(index, record, &mut tell)?,
            COMPONENTS => component(index, record.rest(), &mut tell),
            _ => return Ok(()),
        }
    }
    Ok(())
}

/// An order number of 20 characters, a type, and two words of version.
fn module(
    index: u16,
    mut record: Cursor<'_>,
    tell: &mut impl FnMut(&'static str, &str),
) -> Result<(), Short> {
    const MODULE: u16 = 1;
    const FIRMWARE: u16 = 7;
    let order = text(record.take(20)?);
    record.skip(2)?;
    let version: [u8; 4] = record.array()?;
    match (index, version) {
        (MODULE, _) if !order.is_empty() => {
            tell("vendor", "Siemens");
            tell("product-code", &order);
        }
        (FIRMWARE, [b'V', major, minor, patch]) => {
            tell("revision", &format!("V{major}.{minor}.{patch}"));
        }
        _ => {}
    }
    Ok(())
}

fn component(index: u16, record: &[u8], tell: &mut impl FnMut(&'static str, &str)) {
    let (key, length) = match index {
        1 => ("name", 24),
        3 => ("plant", 32),
        5 => ("serial", 24),
        7 => ("product", 32),
        _ => return,
    };
    let text = text(record.get(..length).unwrap_or(record));
    if !text.is_empty() {
        tell(key, &text);
    }
}

/// What stands before the first zero, without the spaces around it.
fn text(bytes: &[u8]) -> String {
    let head = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(head).trim().to_owned()
}
