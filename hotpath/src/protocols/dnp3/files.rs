//! Files: objects of group 70, and the names behind open handles.
//!
//! IEEE 1815-2012, clauses 5.3 and A.21.

use std::borrow::Cow;
use std::collections::VecDeque;

use super::content::Content;
use super::names::{DELETE_FILE, FILE, FILE_STATUS, OPEN_FILE, WRITE};
use super::objects::Fault;
use crate::bytes::{Cursor, Short};
use crate::words::Access;

/// Most files of one flow whose names are kept.
const MAX_OPEN: usize = 8;
/// The operational mode of a file that is read.
const MODE_READ: u16 = 1;

const SHORT: Fault = "a file object ends inside a field";
const NAME: Fault = "a file name lies outside of its object";

/// Reads one object of group 70.
///
/// # Errors
/// The rule that is broken.
pub(super) fn read<'a>(
    function: u8,
    variation: u8,
    object: &'a [u8],
    content: &mut Content<'a>,
) -> Result<(), Fault> {
    let access = if matches!(function, WRITE | DELETE_FILE) { Access::Write } else { Access::Read };
    match variation {
        3 | 7 => {
            let (name, mode) = described(variation, object)?;
            let opens_to_write = function == OPEN_FILE && mode > MODE_READ;
            let access = if opens_to_write { Access::Write } else { access };
            match String::from_utf8_lossy(name) {
                name if name.is_empty() => content.touch_all(FILE, access, "without name"),
                name => content.touch_named(FILE, access, name),
            }
        }
        4..=6 => {
            let (handle, status) = handled(variation, object).map_err(|Short| SHORT)?;
            let code = if status == 0 { 0 } else { FILE_STATUS | u16::from(status) };
            content.touch(FILE, u64::from(handle), 1, access, code);
            if variation != 5 {
                content.file = Some((handle, status));
            }
        }
        8 if !object.is_empty() => {
            content.touch_named(FILE, access, String::from_utf8_lossy(object));
        }
        // User name, password and key: whose they are, not what they are.
        _ => content.touch_all(FILE, access, "authentication"),
    }
    Ok(())
}

/// Name and operational mode of a file command, or name of a file descriptor.
fn described(variation: u8, object: &[u8]) -> Result<(&[u8], u16), Fault> {
    let mut cursor = Cursor::new(object);
    let read = |cursor: &mut Cursor<'_>| -> Result<(u16, u16, u16), Short> {
        let (offset, length) = (cursor.u16_le()?, cursor.u16_le()?);
        if variation != 3 {
            return Ok((offset, length, 0));
        }
        // Creation time, permissions, authentication key, size.
        cursor.skip(6 + 2 + 4 + 4)?;
        Ok((offset, length, cursor.u16_le()?))
    };
    let (offset, length, mode) = read(&mut cursor).map_err(|Short| SHORT)?;
    let (start, length) = (usize::from(offset), usize::from(length));
    if length == 0 {
        return Ok((&[], mode));
    }
    Ok((object.get(start..start + length).ok_or(NAME)?, mode))
}

/// Handle and status (0 where it has none) of what goes on with an open file.
fn handled(variation: u8, object: &[u8]) -> Result<(u32, u8), Short> {
    let mut cursor = Cursor::new(object);
    let handle = cursor.u32_le()?;
    match variation {
        4 => cursor.skip(4 + 2 + 2)?, // size, block size, request
        5 => {
            cursor.skip(4)?; // block number
            return Ok((handle, 0));
        }
        _ => cursor.skip(4)?,
    }
    Ok((handle, cursor.u8()?))
}

/// The files that are open, oldest first.
#[derive(Debug, Default)]
pub(super) struct Files {
    open: VecDeque<(u32, u32, Box<str>)>,
}

impl Files {
    /// A file of an outstation was opened.
    pub(super) fn open(&mut self, unit: u32, handle: u32, name: &str) {
        self.close(unit, handle);
        if self.open.len() >= MAX_OPEN {
            self.open.pop_front();
        }
        self.open.push_back((unit, handle, Box::from(name)));
    }

    /// A file of an outstation was closed.
    pub(super) fn close(&mut self, unit: u32, handle: u32) {
        self.open.retain(|(of, known, _)| (*of, *known) != (unit, handle));
    }

    /// Names the files of which only handles are told.
    pub(super) fn name(&self, unit: u32, content: &mut Content<'_>) {
        if self.open.is_empty() {
            return;
        }
        for (place, object) in content.objects.iter_mut().enumerate() {
            let is_handle = object.kind == FILE
                && object.name.is_none()
                && content.names.iter().all(|(named, _)| *named != place);
            let known = self.open.iter().find(|(of, handle, _)| {
                is_handle && *of == unit && u64::from(*handle) == object.address
            });
            if let Some((_, _, name)) = known {
                object.address = 0;
                content.names.push((place, Cow::Owned(name.to_string())));
            }
        }
        content.names.sort_by_key(|(place, _)| *place);
    }
}
