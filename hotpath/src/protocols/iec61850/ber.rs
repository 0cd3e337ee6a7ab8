//! Just so much of BER (ITU-T X.690) as publishers use: one-byte tags, definite lengths.

use std::borrow::Cow;
use std::fmt::Write;

use crate::bytes::{Cursor, Short};

/// A tag, and what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
}

/// The next element; `None` where none that is whole begins (or one in a form that nobody uses
/// here: a tag of several bytes, an indefinite length).
#[inline]
pub(super) fn element<'a>(cursor: &mut Cursor<'a>) -> Option<Element<'a>> {
    const LONG_TAG: u8 = 0x1F;
    let mut read = || {
        let tag = cursor.u8()?;
        if tag & LONG_TAG == LONG_TAG {
            return Err(Short);
        }
        let length = match cursor.u8()? {
            short @ 0..=0x7F => usize::from(short),
            0x81 => usize::from(cursor.u8()?),
            0x82 => usize::from(cursor.u16_be()?),
            0x83 => {
                let [high, middle, low] = cursor.array()?;
                u32::from_be_bytes([0, high, middle, low]) as usize
            }
            0x84 => cursor.u32_be()? as usize,
            _ => return Err(Short),
        };
        Ok(Element { tag, content: cursor.take(length)? })
    };
    read().ok()
}

/// A number that cannot be negative; leading zeros are allowed, and so is a first bit that a sign
/// would take (some publishers leave the zero out).
#[inline]
pub(super) fn unsigned(content: &[u8]) -> Option<u64> {
    let start = content.iter().take_while(|byte| **byte == 0).count();
    let rest = content.get(start..)?;
    if content.is_empty() || rest.len() > 8 {
        return None;
    }
    Some(rest.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte)))
}

/// A number in two's complement, in 64 bits.
pub(super) fn signed(content: &[u8]) -> Option<u64> {
    let first = *content.first().filter(|_| content.len() <= 8)?;
    let sign = if first & 0x80 == 0 { 0 } else { u64::MAX };
    Some(content.iter().fold(sign, |number, byte| (number << 8) | u64::from(*byte)))
}

/// A truth value: anything but 0 is true.
pub(super) const fn boolean(content: &[u8]) -> Option<u64> {
    match content {
        [0] => Some(0),
        [_] => Some(1),
        _ => None,
    }
}

/// A text of visible characters; other bytes stand for themselves as in `\xff`.
pub(super) fn text(content: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(content) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(content.escape_ascii().to_string()),
    }
}

/// Bytes in hexadecimal digits.
pub(super) fn hex(content: &[u8]) -> String {
    content.iter().fold(String::new(), |mut digits, byte| {
        // A string takes whatever is written to it.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

/// Nanoseconds since the epoch of a `UtcTime` (IEC 61850-8-1, clause 8.1.3.6): seconds, a
/// fraction in 24 bits, a byte of quality.
pub(super) fn utc_time(content: &[u8]) -> Option<(i64, u8)> {
    let [s0, s1, s2, s3, f0, f1, f2, quality] = *content else { return None };
    let seconds = i64::from(u32::from_be_bytes([s0, s1, s2, s3]));
    let fraction = i64::from(u32::from_be_bytes([0, f0, f1, f2]));
    Some((seconds * 1_000_000_000 + ((fraction * 1_000_000_000) >> 24), quality))
}

/// Nanoseconds since the epoch of a `TimeOfDay` with its day (ISO 9506-2): milliseconds since
/// midnight, days since 1984. Without its day it is no moment.
pub(super) fn binary_time(content: &[u8]) -> Option<i64> {
    const DAYS_BEFORE_1984: i64 = 5_113;
    let [m0, m1, m2, m3, d0, d1] = *content else { return None };
    let milliseconds = i64::from(u32::from_be_bytes([m0, m1, m2, m3]));
    let days = i64::from(u16::from_be_bytes([d0, d1])) + DAYS_BEFORE_1984;
    Some((days * 86_400_000 + milliseconds) * 1_000_000)
}
