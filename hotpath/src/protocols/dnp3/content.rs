//! What a fragment holds: the objects that it names, and the values that stand on them.

use std::borrow::Cow;

use super::layouts::{Flags, Form, Time};
use super::names::OBJECTS;
use crate::bytes::{Cursor, Short};
use crate::protocols::{Object, Value};
use crate::words::{Access, ValueKind};

/// Nanoseconds of a millisecond.
const MILLISECOND: i64 = 1_000_000;

/// What was read of a fragment. The vectors are lent by the decoder for their capacity.
pub(super) struct Content<'a> {
    pub(super) objects: &'a mut Vec<Object<'static>>,
    pub(super) values: &'a mut Vec<Value<'static>>,
    /// Names of objects by their place, in order.
    pub(super) names: Vec<(usize, Cow<'a, str>)>,
    /// Texts of values by their place, in order.
    pub(super) texts: Vec<(usize, Cow<'a, str>)>,
    /// What a device says of itself.
    pub(super) facts: Vec<(&'static str, Cow<'a, str>)>,
    /// Handle and status of a file, where a device gave one.
    pub(super) file: Option<(u32, u8)>,
    /// The code of an authentication error.
    pub(super) authentication_error: Option<u8>,
    /// The last common time of occurrence, in milliseconds since the epoch.
    pub(super) common_time: Option<u64>,
}

impl<'a> Content<'a> {
    pub(super) fn new(
        objects: &'a mut Vec<Object<'static>>,
        values: &'a mut Vec<Value<'static>>,
    ) -> Self {
        objects.clear();
        values.clear();
        Self {
            objects,
            values,
            names: Vec::new(),
            texts: Vec::new(),
            facts: Vec::new(),
            file: None,
            authentication_error: None,
            common_time: None,
        }
    }

    /// Names a range of objects; of points, neighbours of the last range become part of it.
    pub(super) fn touch(
        &mut self,
        kind: u16,
        address: u64,
        count: u32,
        access: Access,
        status: u16,
    ) -> (u16, u32) {
        let place = self.objects.len().saturating_sub(1);
        if let Some(last) = self.objects.last_mut() {
            let is_dense = OBJECTS.get(usize::from(kind)).is_some_and(|kind| kind.dense);
            let is_next = is_dense
                && last.address + u64::from(last.count) == address
                && (last.kind, last.access, last.status) == (kind, access, status)
                && last.name.is_none()
                && self.names.last().is_none_or(|(named, _)| *named != place);
            if let (true, Some(whole)) = (is_next, last.count.checked_add(count)) {
                let offset = std::mem::replace(&mut last.count, whole);
                return (place as u16, offset);
            }
        }
        self.objects.push(Object { kind, address, count, access, status, name: None });
        ((self.objects.len() - 1) as u16, 0)
    }

    /// Names an object by a word of ours.
    pub(super) fn touch_all(&mut self, kind: u16, access: Access, name: &'static str) {
        let name = Some(name);
        self.objects.push(Object { kind, address: 0, count: 1, access, status: 0, name });
    }

    /// Names an object by a name on the wire.
    pub(super) fn touch_named(&mut self, kind: u16, access: Access, name: Cow<'a, str>) {
        self.names.push((self.objects.len(), name));
        self.objects.push(Object { kind, address: 0, count: 1, access, status: 0, name: None });
    }

    /// One value of one object.
    pub(super) fn tell(
        &mut self,
        kind: u16,
        address: u64,
        access: Access,
        status: u16,
        reading: Reading,
    ) {
        let (object, offset) = self.touch(kind, address, 1, access, status);
        let Reading { kind, raw, quality, source_time } = reading;
        self.values.push(Value { object, offset, kind, raw, text: None, quality, source_time });
    }

    /// As many packed values of as many bits.
    pub(super) fn tell_packed(
        &mut self,
        kind: u16,
        address: u64,
        count: u32,
        access: Access,
        bytes: &[u8],
        width: u8,
    ) {
        if count == 0 {
            return;
        }
        let (object, first) = self.touch(kind, address, count, access, 0);
        let form = if width == 1 { ValueKind::Bit } else { ValueKind::Unsigned };
        let mask = (1_u8 << width) - 1;
        let parts = bytes.iter().flat_map(|byte| {
            (0..8).step_by(usize::from(width)).map(move |bit| (byte >> bit) & mask)
        });
        let numbered = (first..first.saturating_add(count)).zip(parts);
        self.values.extend(numbered.map(|(offset, part)| Value {
            object,
            offset,
            kind: form,
            raw: u64::from(part),
            text: None,
            quality: 0,
            source_time: 0,
        }));
    }

    /// One text of one object.
    pub(super) fn tell_text(&mut self, kind: u16, address: u64, access: Access, text: &'a [u8]) {
        self.texts.push((self.values.len(), String::from_utf8_lossy(text)));
        let reading = Reading { kind: ValueKind::Text, raw: 0, quality: 0, source_time: 0 };
        self.tell(kind, address, access, 0, reading);
    }

    /// Reads flags, a value and a time.
    pub(super) fn read_point(
        &self,
        cursor: &mut Cursor<'_>,
        flags: Flags,
        form: Form,
        time: Time,
    ) -> Result<Reading, Short> {
        let byte = if flags == Flags::None { 1 } else { cursor.u8()? };
        let (kind, raw) = match (form, flags) {
            (Form::InFlags, Flags::DoubleState) => (ValueKind::Unsigned, u64::from(byte >> 6)),
            (Form::InFlags, _) => (ValueKind::Bit, u64::from(byte >> 7)),
            _ => read_number(cursor, form)?,
        };
        // Bit 0 says that a point is on line, which is no flaw; the state is none either.
        let quality = match flags {
            Flags::State => (byte ^ 1) & 0x7F,
            Flags::DoubleState => (byte ^ 1) & 0x3F,
            Flags::None | Flags::Quality => byte ^ 1,
        };
        let source_time = self.read_time(cursor, time)?;
        Ok(Reading { kind, raw, quality: u32::from(quality), source_time })
    }

    /// Reads a time; without the common time before it a relative one is none.
    pub(super) fn read_time(&self, cursor: &mut Cursor<'_>, time: Time) -> Result<i64, Short> {
        Ok(match time {
            Time::None => 0,
            Time::Absolute => nanoseconds(read_moment(cursor)?),
            Time::Relative => {
                let after = u64::from(cursor.u16_le()?);
                self.common_time.map_or(0, |common| nanoseconds(common + after))
            }
        })
    }
}

/// A value without the object that it is of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    pub(super) kind: ValueKind,
    pub(super) raw: u64,
    pub(super) quality: u32,
    pub(super) source_time: i64,
}

impl Reading {
    /// A number without quality and time.
    pub(super) const fn plain(raw: u64) -> Self {
        Self { kind: ValueKind::Unsigned, raw, quality: 0, source_time: 0 }
    }
}

/// The bits of a signed value: its two's complement.
pub(super) fn signed(number: impl Into<i64>) -> u64 {
    u64::from_ne_bytes(number.into().to_ne_bytes())
}

/// Reads a number of a form that holds one.
pub(super) fn read_number(cursor: &mut Cursor<'_>, form: Form) -> Result<(ValueKind, u64), Short> {
    Ok(match form {
        Form::InFlags => (ValueKind::Unsigned, 0),
        Form::U8 => (ValueKind::Unsigned, u64::from(cursor.u8()?)),
        Form::U16 => (ValueKind::Unsigned, u64::from(cursor.u16_le()?)),
        Form::U32 => (ValueKind::Unsigned, u64::from(cursor.u32_le()?)),
        Form::U64 => (ValueKind::Unsigned, cursor.array().map(u64::from_le_bytes)?),
        Form::I16 => {
            let number = cursor.array().map(i16::from_le_bytes)?;
            (ValueKind::Signed, signed(number))
        }
        Form::I32 => {
            let number = cursor.array().map(i32::from_le_bytes)?;
            (ValueKind::Signed, signed(number))
        }
        Form::F32 => {
            let number = cursor.array().map(f32::from_le_bytes)?;
            (ValueKind::Float, f64::from(number).to_bits())
        }
        Form::F64 => (ValueKind::Float, cursor.array().map(u64::from_le_bytes)?),
    })
}

/// Reads six bytes: milliseconds since the epoch.
pub(super) fn read_moment(cursor: &mut Cursor<'_>) -> Result<u64, Short> {
    let [b0, b1, b2, b3, b4, b5] = cursor.array()?;
    Ok(u64::from_le_bytes([b0, b1, b2, b3, b4, b5, 0, 0]))
}

/// Nanoseconds since the epoch; a time beyond the year 2262 stands as its end.
fn nanoseconds(milliseconds: u64) -> i64 {
    i64::try_from(milliseconds).map_or(i64::MAX, |it| it.saturating_mul(MILLISECOND))
}
