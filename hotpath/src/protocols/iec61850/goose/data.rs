//! The data set: MMS data (ISO 9506-2, `Data`), flattened to places.

use crate::bytes::Cursor;
use crate::protocols::Value;
use crate::protocols::iec61850::FIELD;
use crate::protocols::iec61850::ber::{self, Element};
use crate::words::ValueKind;

use std::borrow::Cow;

/// Structures and arrays within each other; more are hostile.
const MAX_DEPTH: usize = 8;

const DEEP: &str = "the data are nested too deeply";
const UNKNOWN: &str = "the data are of an unknown type";

/// What stands at one place.
#[derive(Debug)]
struct Entry<'a> {
    place: u32,
    kind: ValueKind,
    raw: u64,
    text: Option<Cow<'a, str>>,
}

/// The values of a data set.
#[derive(Debug, Default)]
pub(super) struct Entries<'a> {
    found: Vec<Entry<'a>>,
    /// How many places there are, with those that have no value.
    pub(super) places: u32,
    /// How many entries the data set has, a structure counted as one.
    pub(super) top: u32,
    moment: i64,
}

impl<'a> Entries<'a> {
    /// Reads a data set whose event was at `moment`, and the first rule that it breaks.
    pub(super) fn read(data: &'a [u8], moment: i64) -> (Self, Option<&'static str>) {
        let mut entries = Self { moment, ..Self::default() };
        let fault = entries.take(data, 0).err();
        (entries, fault)
    }

    /// The values, each at its place; the data set is the first object.
    pub(super) fn values(&self) -> Vec<Value<'_>> {
        let source_time = self.moment;
        let told = self.found.iter().map(|entry| {
            let (offset, kind, raw) = (entry.place, entry.kind, entry.raw);
            let text = entry.text.as_deref();
            Value { object: 0, offset, kind, raw, text, quality: 0, source_time }
        });
        told.collect()
    }

    fn take(&mut self, data: &'a [u8], depth: usize) -> Result<(), &'static str> {
        const ARRAY: u8 = 0xA1;
        const STRUCTURE: u8 = 0xA2;
        let mut cursor = Cursor::new(data);
        let mut fault = Ok(());
        while !cursor.is_empty() {
            let element = ber::element(&mut cursor).ok_or(FIELD)?;
            self.top += u32::from(depth == 0);
            let taken = match element.tag {
                ARRAY | STRUCTURE if depth < MAX_DEPTH => self.take(element.content, depth + 1),
                ARRAY | STRUCTURE => Err(DEEP),
                _ => self.take_one(element),
            };
            fault = fault.and(taken);
        }
        fault
    }

    fn take_one(&mut self, element: Element<'a>) -> Result<(), &'static str> {
        let place = self.places;
        self.places += 1;
        let (kind, raw, text) = read(element)?;
        self.found.push(Entry { place, kind, raw, text });
        Ok(())
    }
}

/// One value. What is no number and no text is told in hexadecimal digits.
fn read(
    Element { tag, content }: Element<'_>,
) -> Result<(ValueKind, u64, Option<Cow<'_, str>>), &'static str> {
    let number = |kind, raw: Option<u64>| raw.map(|raw| (kind, raw, None)).ok_or(FIELD);
    let text = |text| Ok((ValueKind::Text, 0, Some(text)));
    let moment =
        |time: Option<i64>| number(ValueKind::Time, time.and_then(|time| u64::try_from(time).ok()));
    match tag {
        0x83 => number(ValueKind::Bit, ber::boolean(content)),
        0x84 | 0x8E => match split(content).ok_or(FIELD)? {
            (octets, unused) if octets.len() <= 8 => {
                let whole = octets.iter().fold(0_u64, |bits, one| (bits << 8) | u64::from(*one));
                Ok((ValueKind::Unsigned, whole >> unused, None))
            }
            (octets, _) => text(ber::hex(octets).into()),
        },
        0x85 | 0x8D => number(ValueKind::Signed, ber::signed(content)),
        0x86 => number(ValueKind::Unsigned, ber::unsigned(content)),
        0x87 => number(ValueKind::Float, float(content)),
        0x88 | 0x89 | 0x8F => text(ber::hex(content).into()),
        0x8A | 0x90 => text(ber::text(content)),
        0x8C if content.len() == 4 => number(ValueKind::Unsigned, ber::unsigned(content)),
        0x8C => moment(ber::binary_time(content)),
        0x91 => moment(ber::utc_time(content).map(|(moment, _)| moment)),
        _ => Err(UNKNOWN),
    }
}

/// The octets of a bit string (its first bit is the highest), and how many last bits are none.
fn split(content: &[u8]) -> Option<(&[u8], u8)> {
    let (&unused, octets) = content.split_first()?;
    let is_sound = unused == 0 || (unused <= 7 && !octets.is_empty());
    is_sound.then_some((octets, unused))
}

/// A number of IEEE 754 behind the width of its exponent, as the bits of a double.
fn float(content: &[u8]) -> Option<u64> {
    match *content {
        [8, a, b, c, d] => Some(f64::from(f32::from_be_bytes([a, b, c, d])).to_bits()),
        [11, ref double @ ..] => double.try_into().ok().map(u64::from_be_bytes),
        _ => None,
    }
}
