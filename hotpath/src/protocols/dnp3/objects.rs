//! Object headers, and the objects behind them.
//!
//! IEEE 1815-2012, clause 4.2.2.7: group, variation, qualifier, range.

use super::content::{Content, Reading, read_moment, read_number};
use super::layouts::{Layout, layout};
use super::names::{self, OTHER};
use super::{attributes, files};
use crate::bytes::{Cursor, Short};
use crate::words::{Access, ValueKind};

/// The rule that is broken, in words.
pub(super) type Fault = &'static str;

const SHORT: Fault = "the objects end inside a field";
const RANGE: Fault = "a range that ends before it begins";
const QUALIFIER: Fault = "a qualifier that the specification does not define";
const UNKNOWN: Fault = "an object of unknown size: what follows it is not told";
const UNFIT: Fault = "a qualifier that does not fit its object";

/// What an object header names.
#[derive(Debug, Clone, Copy)]
enum Span {
    /// From an index on, as many.
    Range(u64, u64),
    /// All there are.
    All,
    /// As many objects; each behind a prefix.
    Count(u64),
}

/// What stands before each object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prefix {
    None,
    /// Its index, in as many bytes.
    Index(usize),
    /// Its size, in as many bytes.
    Size(usize),
}

#[derive(Debug, Clone, Copy)]
struct Header {
    group: u8,
    variation: u8,
    prefix: Prefix,
    span: Span,
    kind: u16,
    access: Access,
}

impl Header {
    /// Where the object of this index is: what is no point has the variation in its address.
    fn address(&self, index: u64) -> u64 {
        match self.kind {
            OTHER => (u64::from(self.group) << 8) | u64::from(self.variation),
            names::DEVICE_ATTRIBUTE => (index << 8) | u64::from(self.variation),
            names::CLASS => u64::from(self.variation.saturating_sub(1)),
            names::AUTHENTICATION => u64::from(self.variation),
            _ => index,
        }
    }

    /// Whether its objects are numbered, or there is just one.
    const fn is_numbered(&self) -> bool {
        !matches!(self.kind, OTHER | names::CLASS | names::AUTHENTICATION)
    }
}

/// Reads all objects of a fragment with this function.
///
/// # Errors
/// The rule that is broken; what was told before stays in place.
pub(super) fn read<'a>(
    function: u8,
    bytes: &'a [u8],
    content: &mut Content<'a>,
) -> Result<(), Fault> {
    let mut cursor = Cursor::new(bytes);
    while !cursor.is_empty() {
        let header = read_header(function, &mut cursor)?;
        if carries_data(function, &header) {
            read_objects(function, &header, &mut cursor, content)?;
        } else {
            read_names(&header, &mut cursor, content)?;
        }
    }
    Ok(())
}

fn read_header(function: u8, cursor: &mut Cursor<'_>) -> Result<Header, Fault> {
    let [group, variation, qualifier] = cursor.array().map_err(|Short| SHORT)?;
    let prefix = match qualifier >> 4 {
        0 => Prefix::None,
        1 => Prefix::Index(1),
        2 => Prefix::Index(2),
        3 => Prefix::Index(4),
        4 => Prefix::Size(1),
        5 => Prefix::Size(2),
        6 => Prefix::Size(4),
        _ => return Err(QUALIFIER),
    };
    let mut number = |bytes| read_little(cursor, bytes);
    let span = match qualifier & 0x0F {
        // Indexes, and virtual addresses.
        code @ 0..=5 => {
            let bytes = 1 << (code % 3);
            let (start, stop) = (number(bytes)?, number(bytes)?);
            Span::Range(start, (stop + 1).checked_sub(start).filter(|it| *it > 0).ok_or(RANGE)?)
        }
        6 => Span::All,
        code @ 7..=9 => Span::Count(number(1 << (code - 7))?),
        11 => Span::Count(number(1)?),
        _ => return Err(QUALIFIER),
    };
    match (span, prefix) {
        (Span::Range(..) | Span::All, Prefix::None) | (Span::Count(_), _) => {}
        _ => return Err(QUALIFIER),
    }
    let (kind, access) = (names::kind_of(group), names::access(function, group));
    Ok(Header { group, variation, prefix, span, kind, access })
}

/// Reads an unsigned number of up to four bytes.
fn read_little(cursor: &mut Cursor<'_>, bytes: usize) -> Result<u64, Fault> {
    let bytes = cursor.take(bytes).map_err(|Short| SHORT)?;
    Ok(bytes.iter().rev().fold(0, |number, byte| (number << 8) | u64::from(*byte)))
}

/// Whether objects follow the header, or it only names them.
fn carries_data(function: u8, header: &Header) -> bool {
    match function {
        2..=6 | 32 | 33 | 129.. => true,
        // The time and interval of a freeze.
        11 | 12 => header.group == 50,
        _ => matches!(header.prefix, Prefix::Size(_)),
    }
}

/// The objects that a header names, without their data.
fn read_names(
    header: &Header,
    cursor: &mut Cursor<'_>,
    content: &mut Content<'_>,
) -> Result<(), Fault> {
    let Header { kind, access, .. } = *header;
    match (header.span, header.prefix) {
        (Span::Range(start, count), _) if header.is_numbered() => {
            let count = if kind == names::DEVICE_ATTRIBUTE { 1 } else { count };
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            content.touch(kind, header.address(start), count, access, 0);
        }
        (Span::Count(count), Prefix::Index(bytes)) => {
            for _ in 0..count {
                let index = read_little(cursor, bytes)?;
                content.touch(kind, header.address(index), 1, access, 0);
            }
        }
        (Span::Count(_), Prefix::Size(_)) => return Err(UNFIT),
        (Span::Count(0), Prefix::None) => {}
        _ if kind == names::DEVICE_ATTRIBUTE || !header.is_numbered() => {
            content.touch(kind, header.address(0), 1, access, 0);
        }
        _ if names::is_event(header.group) => content.touch_all(kind, access, "events"),
        _ => content.touch_all(kind, access, "all"),
    }
    Ok(())
}

fn read_objects<'a>(
    function: u8,
    header: &Header,
    cursor: &mut Cursor<'a>,
    content: &mut Content<'a>,
) -> Result<(), Fault> {
    if let Prefix::Size(bytes) = header.prefix {
        return read_sized(function, header, bytes, cursor, content);
    }
    let layout = layout(header.group, header.variation).ok_or(UNKNOWN)?;
    match (layout, header.span, header.prefix) {
        (Layout::Sized, ..) => Err(UNFIT),
        (Layout::Empty, ..) | (_, Span::All, _) => read_names(header, cursor, content),
        // Text of no length takes no bytes: there may be any number of it.
        (Layout::Text, _, Prefix::None) if header.variation == 0 => {
            read_names(header, cursor, content)
        }
        (Layout::Packed(width), Span::Range(start, count), _) => {
            let bits = count.saturating_mul(u64::from(width));
            let size = usize::try_from(bits.div_ceil(8)).map_err(|_| SHORT)?;
            let bytes = cursor.take(size).map_err(|Short| SHORT)?;
            let count = u32::try_from(count).map_err(|_| SHORT)?;
            content.tell_packed(header.kind, start, count, header.access, bytes, width);
            Ok(())
        }
        // A bit mask of the points that a pattern control names has no index of its own.
        (Layout::Packed(1), Span::Count(count), Prefix::None) => {
            let size = usize::try_from(count.div_ceil(8)).map_err(|_| SHORT)?;
            cursor.skip(size).map_err(|Short| SHORT)
        }
        (Layout::Packed(_), ..) => Err(UNFIT),
        (_, Span::Range(start, count), _) => (start..start.saturating_add(count))
            .try_for_each(|index| read_object(header, layout, index, cursor, content))
            .map_err(|Short| SHORT),
        (_, Span::Count(count), Prefix::Index(bytes)) => (0..count).try_for_each(|_| {
            let index = read_little(cursor, bytes)?;
            read_object(header, layout, index, cursor, content).map_err(|Short| SHORT)
        }),
        (_, Span::Count(count), _) => (0..count)
            .try_for_each(|index| read_object(header, layout, index, cursor, content))
            .map_err(|Short| SHORT),
    }
}

/// Objects whose size stands before each.
fn read_sized<'a>(
    function: u8,
    header: &Header,
    bytes: usize,
    cursor: &mut Cursor<'a>,
    content: &mut Content<'a>,
) -> Result<(), Fault> {
    let Span::Count(count) = header.span else { return Err(UNFIT) };
    if layout(header.group, header.variation).is_some_and(|layout| layout != Layout::Sized) {
        return Err(UNFIT);
    }
    for _ in 0..count {
        let size = usize::try_from(read_little(cursor, bytes)?).map_err(|_| SHORT)?;
        let object = cursor.take(size).map_err(|Short| SHORT)?;
        match header.group {
            70 => files::read(function, header.variation, object, content)?,
            120 => {
                content.touch(header.kind, header.address(0), 1, header.access, 0);
                // Sequence, user, association, error code (clause A.45.7).
                if let (7, [_, _, _, _, _, _, _, _, code, ..]) = (header.variation, object) {
                    content.authentication_error = Some(*code);
                }
            }
            _ => {
                content.touch(OTHER, other(header), 1, header.access, 0);
            }
        }
    }
    Ok(())
}

fn other(header: &Header) -> u64 {
    (u64::from(header.group) << 8) | u64::from(header.variation)
}

/// One object of a known layout.
fn read_object<'a>(
    header: &Header,
    layout: Layout,
    index: u64,
    cursor: &mut Cursor<'a>,
    content: &mut Content<'a>,
) -> Result<(), Short> {
    let Header { kind, access, .. } = *header;
    match layout {
        Layout::Point(flags, form, time) => {
            let reading = content.read_point(cursor, flags, form, time)?;
            content.tell(kind, index, access, 0, reading);
        }
        Layout::Block => read_block(header, index, cursor, content)?,
        Layout::Command(form) => {
            let (form, raw) = read_number(cursor, form)?;
            let status = u16::from(cursor.u8()? & 0x7F);
            content.tell(
                kind,
                index,
                access,
                status,
                Reading { kind: form, ..Reading::plain(raw) },
            );
        }
        Layout::CommandEvent(form, time) => {
            let status = u16::from(cursor.u8()? & 0x7F);
            let (form, raw) = read_number(cursor, form)?;
            let source_time = content.read_time(cursor, time)?;
            let reading = Reading { kind: form, source_time, ..Reading::plain(raw) };
            content.tell(kind, index, access, status, reading);
        }
        Layout::BinaryCommandEvent(time) => {
            let byte = cursor.u8()?;
            let source_time = content.read_time(cursor, time)?;
            let raw = u64::from(byte >> 7);
            let reading = Reading { kind: ValueKind::Bit, source_time, ..Reading::plain(raw) };
            content.tell(kind, index, access, u16::from(byte & 0x7F), reading);
        }
        Layout::Moment(behind) => {
            let moment = read_moment(cursor)?;
            cursor.skip(behind)?;
            if header.group == 51 {
                content.common_time = Some(moment);
            }
            content.tell(kind, index, access, 0, Reading::plain(moment));
        }
        Layout::Delay(unit) => {
            let delay = u64::from(cursor.u16_le()?);
            content.tell(unit, index, access, 0, Reading::plain(delay));
        }
        Layout::Text => {
            let text = cursor.take(usize::from(header.variation))?;
            content.tell_text(kind, index, access, text);
        }
        Layout::Attribute => attributes::read(header.address(index), access, cursor, content)?,
        Layout::Opaque(size) => {
            cursor.skip(size)?;
            content.touch(kind, header.address(index), 1, access, 0);
        }
        Layout::Empty | Layout::Packed(_) | Layout::Sized => {}
    }
    Ok(())
}

/// A control relay output block (clause A.8.1). How often and how long counts for pulses only.
fn read_block<'a>(
    header: &Header,
    index: u64,
    cursor: &mut Cursor<'a>,
    content: &mut Content<'a>,
) -> Result<(), Short> {
    let (control, count) = (cursor.u8()?, cursor.u8()?);
    let (on, off) = (cursor.u32_le()?, cursor.u32_le()?);
    let status = u16::from(cursor.u8()? & 0x7F);
    let parts = [
        (header.kind, u64::from(control)),
        (names::PULSE_COUNT, u64::from(count)),
        (names::PULSE_ON_TIME, u64::from(on)),
        (names::PULSE_OFF_TIME, u64::from(off)),
    ];
    let is_pulse = matches!(control & 0x0F, 1 | 2);
    for (kind, raw) in parts.into_iter().take(if is_pulse { 4 } else { 1 }) {
        content.tell(kind, index, header.access, status, Reading::plain(raw));
    }
    Ok(())
}
