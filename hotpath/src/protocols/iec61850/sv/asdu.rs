//! One ASDU: its fields, and its samples.

use std::borrow::Cow;

use super::FIELD;
use super::names;
use crate::bytes::Cursor;
use crate::protocols::Value;
use crate::protocols::iec61850::ber::{self, Element};
use crate::protocols::iec61850::put;
use crate::words::ValueKind;

/// The 14 bits of a quality (IEC 61850-8-1, clause 8.2; 9-2LE adds "derived").
const QUALITY: u32 = 0x3FFF;
/// Streams of which it is known that their data are no pairs; beyond it, the oldest are forgotten.
const MOST_STREAMS: usize = 64;

/// The fields of an ASDU, as far as they are there.
#[derive(Debug, Default)]
pub(super) struct Asdu<'a> {
    pub(super) stream: Option<Cow<'a, str>>,
    pub(super) data_set: Option<Cow<'a, str>>,
    pub(super) count: Option<u64>,
    revision: Option<u64>,
    moment: Option<i64>,
    synchronisation: Option<u64>,
    rate: Option<u64>,
    pub(super) data: Option<&'a [u8]>,
    mode: Option<u64>,
    clock: Option<u64>,
}

impl<'a> Asdu<'a> {
    /// Reads all fields, and the first rule that they break.
    #[inline]
    pub(super) fn read(bytes: &'a [u8]) -> (Self, Option<&'static str>) {
        let (mut asdu, mut fault) = (Self::default(), None);
        let mut cursor = Cursor::new(bytes);
        while !cursor.is_empty() {
            let Some(element) = ber::element(&mut cursor) else { return (asdu, Some(FIELD)) };
            fault = fault.or(asdu.take(element));
        }
        (asdu, fault)
    }

    /// Takes a field in; unknown ones are passed over.
    fn take(&mut self, Element { tag, content }: Element<'a>) -> Option<&'static str> {
        match tag {
            0x80 => put(&mut self.stream, Some(ber::text(content))),
            0x81 => put(&mut self.data_set, Some(ber::text(content))),
            0x82 => put(&mut self.count, short(content)),
            0x83 => put(&mut self.revision, ber::unsigned(content)),
            0x84 => put(&mut self.moment, ber::utc_time(content).map(|(moment, _)| moment)),
            0x85 => put(&mut self.synchronisation, ber::unsigned(content)),
            0x86 => put(&mut self.rate, short(content)),
            0x87 => put(&mut self.data, Some(content)),
            0x88 => put(&mut self.mode, ber::unsigned(content)),
            0x89 => put(&mut self.clock, ber::unsigned(content)),
            _ => None,
        }
    }

    /// Whether a mandatory field is missing.
    pub(super) const fn is_short(&self) -> bool {
        let is_named = self.stream.is_some() && self.count.is_some() && self.revision.is_some();
        !(is_named && self.synchronisation.is_some() && self.data.is_some())
    }

    /// Its numbers, by object kind.
    pub(super) const fn numbers(&self) -> [(u16, Option<u64>); names::FIELDS - 2] {
        [
            (names::COUNT, self.count),
            (names::REVISION, self.revision),
            (names::SYNCHRONISATION, self.synchronisation),
            (names::RATE, self.rate),
            (names::MODE, self.mode),
            (names::CLOCK, self.clock),
        ]
    }
}

/// A number of 16 bits.
fn short(content: &[u8]) -> Option<u64> {
    ber::unsigned(content).filter(|number| u16::try_from(*number).is_ok())
}

/// Reads samples, and remembers which streams have no qualities beside them.
#[derive(Debug, Default)]
pub(super) struct Samples {
    plain: Vec<Box<str>>,
}

impl Samples {
    /// Puts the samples of `asdu` into `values`, of the first object; returns how many there are.
    #[inline]
    pub(super) fn read(
        &mut self,
        stream: Option<&str>,
        asdu: &Asdu<'_>,
        values: &mut Vec<Value<'static>>,
    ) -> u32 {
        values.clear();
        let data = asdu.data.unwrap_or_default();
        let source_time = asdu.moment.unwrap_or_default();
        let sample = |(place, (raw, quality)): (usize, (u64, u32))| Value {
            object: 0,
            offset: place as u32,
            kind: ValueKind::Signed,
            raw,
            text: None,
            quality,
            source_time,
        };
        if self.has_pairs(stream.unwrap_or_default(), data) {
            let pairs = data.chunks_exact(8).map(|pair| {
                let (number, quality) = pair.split_at_checked(4).unwrap_or_default();
                (extend(word(number)), word(quality))
            });
            values.extend(pairs.enumerate().map(sample));
        } else if data.len() % 4 == 0 {
            let words = data.chunks_exact(4).map(|bytes| (extend(word(bytes)), 0));
            values.extend(words.enumerate().map(sample));
        } else {
            let size = if data.len() % 2 == 0 { 2 } else { 1 };
            let words = data.chunks_exact(size).map(|bytes| (ber::signed(bytes).unwrap_or(0), 0));
            values.extend(words.enumerate().map(sample));
        }
        values.len() as u32
    }

    /// Whether all of a stream was pairs of a number and a quality so far.
    fn has_pairs(&mut self, stream: &str, data: &[u8]) -> bool {
        if self.plain.iter().any(|one| **one == *stream) {
            return false;
        }
        let is_quality = |pair: &[u8]| pair.get(4..).is_some_and(|half| word(half) <= QUALITY);
        if data.len() % 8 == 0 && data.chunks_exact(8).all(is_quality) {
            return true;
        }
        if self.plain.len() >= MOST_STREAMS {
            self.plain.remove(0);
        }
        self.plain.push(Box::from(stream));
        false
    }
}

/// The first four bytes as a number.
fn word(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |four| u32::from_be_bytes(*four))
}

/// A number in two's complement of 32 bits, in 64.
fn extend(word: u32) -> u64 {
    const SIGN: u32 = 1 << 31;
    u64::from(word ^ SIGN).wrapping_sub(u64::from(SIGN))
}
