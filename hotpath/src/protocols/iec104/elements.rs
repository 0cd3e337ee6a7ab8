//! Information elements: what stands behind each information object address, type by type.
//!
//! IEC 60870-5-101, clauses 7.2.6 and 7.3; IEC 60870-5-104, clause 8 (types 58 to 64 and 107).

use super::objects::{
    BITSTRING, BITSTRING_COMMAND, CLOCK, COUNTER, COUNTER_INTERROGATION, DELAY, DOUBLE_COMMAND,
    DOUBLE_POINT, FILE, INITIALIZATION, INTERROGATION, MEASURED_FLOAT, MEASURED_NORMALIZED,
    MEASURED_SCALED, PACKED_POINTS, PARAMETER_ACTIVATION, PARAMETER_FLOAT, PARAMETER_NORMALIZED,
    PARAMETER_SCALED, PROTECTION_EVENT, PROTECTION_OUTPUT, PROTECTION_START, READ_POINT, RESET,
    SET_POINT_FLOAT, SET_POINT_NORMALIZED, SET_POINT_SCALED, SINGLE_COMMAND, SINGLE_POINT,
    STEP_COMMAND, STEP_POSITION, TEST,
};
use super::time;
use crate::bytes::{Cursor, Short};
use crate::words::ValueKind;

/// What an information element is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    /// Nothing stands there.
    Nothing,
    /// One octet: this many low bits are the value, those of the mask the quality.
    Octet { value: u8, quality: u8 },
    /// VTI and QDS: a step position from -64 to 63, and whether it is in transition.
    Step,
    /// BSI: 32 bits.
    Bits,
    /// NVA: a fraction from -1 to 1, of 16 bits.
    Normalized,
    /// SVA: a whole number of 16 bits.
    Scaled,
    /// R32: an IEEE 754 number of 32 bits.
    Float,
    /// BCR: a counter of 32 bits, with its sequence number and quality.
    Counter,
    /// SCD: sixteen states, and sixteen bits that say which of them changed.
    States,
    /// Two octets without a sign.
    Word,
    /// A time, which is the whole of it.
    Clock,
    /// The name of a file, then as many octets of what is said of it.
    File(u8),
    /// The name of a file, a section, and a segment of it with its length.
    Segment,
}

/// What follows the value and belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// Nothing.
    None,
    /// QDS or QDP: an octet of quality.
    Quality,
    /// QOS or QPM: an octet that says how a value is to be taken.
    Qualifier,
    /// An elapsed time of two octets.
    Elapsed,
    /// An octet of quality, then an elapsed time.
    QualityElapsed,
}

/// By which time tag it is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    None,
    /// `CP24Time2a`: milliseconds and minutes.
    Short,
    /// `CP56Time2a`: down to the year.
    Long,
}

/// The information elements of one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    /// Type of the object; see [`super::objects::OBJECTS`].
    pub(super) kind: u16,
    pub(super) element: Element,
    pub(super) rest: Rest,
    pub(super) tag: Tag,
}

/// One element as it was read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Read {
    /// Kind and bits of its value, if it has one.
    pub(super) value: Option<(ValueKind, u64)>,
    pub(super) quality: u32,
    pub(super) source_time: i64,
    /// Name of the file that it is about, if any.
    pub(super) file: Option<u16>,
}

const SIQ: Element = Element::Octet { value: 0x01, quality: 0xF0 };
const DIQ: Element = Element::Octet { value: 0x03, quality: 0xF0 };
const SEP: Element = Element::Octet { value: 0x03, quality: 0xF8 };
const SPE: Element = Element::Octet { value: 0x3F, quality: 0 };
const OCI: Element = Element::Octet { value: 0x0F, quality: 0 };
const SCO: Element = Element::Octet { value: 0x01, quality: 0 };
const DCO: Element = Element::Octet { value: 0x03, quality: 0 };
const OCTET: Element = Element::Octet { value: 0xFF, quality: 0 };
/// Added to the quality of a step position in transition.
const TRANSIENT: u32 = 0x100;

/// The layout of a type, if the standard gives it one.
pub(super) fn layout(type_id: u8) -> Option<Layout> {
    use Element::{
        Bits, Clock, Counter, File, Float, Normalized, Nothing, Scaled, Segment, States,
    };
    use Element::{Step, Word};
    use Rest::{Elapsed, None as Bare, Qualifier, Quality, QualityElapsed};
    use Tag::{Long, None as Untimed, Short as Brief};
    let (kind, element, rest, tag) = match type_id {
        1 => (SINGLE_POINT, SIQ, Bare, Untimed),
        2 => (SINGLE_POINT, SIQ, Bare, Brief),
        3 => (DOUBLE_POINT, DIQ, Bare, Untimed),
        4 => (DOUBLE_POINT, DIQ, Bare, Brief),
        5 => (STEP_POSITION, Step, Quality, Untimed),
        6 => (STEP_POSITION, Step, Quality, Brief),
        7 => (BITSTRING, Bits, Quality, Untimed),
        8 => (BITSTRING, Bits, Quality, Brief),
        9 => (MEASURED_NORMALIZED, Normalized, Quality, Untimed),
        10 => (MEASURED_NORMALIZED, Normalized, Quality, Brief),
        11 => (MEASURED_SCALED, Scaled, Quality, Untimed),
        12 => (MEASURED_SCALED, Scaled, Quality, Brief),
        13 => (MEASURED_FLOAT, Float, Quality, Untimed),
        14 => (MEASURED_FLOAT, Float, Quality, Brief),
        15 => (COUNTER, Counter, Bare, Untimed),
        16 => (COUNTER, Counter, Bare, Brief),
        17 => (PROTECTION_EVENT, SEP, Elapsed, Brief),
        18 => (PROTECTION_START, SPE, QualityElapsed, Brief),
        19 => (PROTECTION_OUTPUT, OCI, QualityElapsed, Brief),
        20 => (PACKED_POINTS, States, Quality, Untimed),
        21 => (MEASURED_NORMALIZED, Normalized, Bare, Untimed),
        30 => (SINGLE_POINT, SIQ, Bare, Long),
        31 => (DOUBLE_POINT, DIQ, Bare, Long),
        32 => (STEP_POSITION, Step, Quality, Long),
        33 => (BITSTRING, Bits, Quality, Long),
        34 => (MEASURED_NORMALIZED, Normalized, Quality, Long),
        35 => (MEASURED_SCALED, Scaled, Quality, Long),
        36 => (MEASURED_FLOAT, Float, Quality, Long),
        37 => (COUNTER, Counter, Bare, Long),
        38 => (PROTECTION_EVENT, SEP, Elapsed, Long),
        39 => (PROTECTION_START, SPE, QualityElapsed, Long),
        40 => (PROTECTION_OUTPUT, OCI, QualityElapsed, Long),
        45 => (SINGLE_COMMAND, SCO, Bare, Untimed),
        46 => (DOUBLE_COMMAND, DCO, Bare, Untimed),
        47 => (STEP_COMMAND, DCO, Bare, Untimed),
        48 => (SET_POINT_NORMALIZED, Normalized, Qualifier, Untimed),
        49 => (SET_POINT_SCALED, Scaled, Qualifier, Untimed),
        50 => (SET_POINT_FLOAT, Float, Qualifier, Untimed),
        51 => (BITSTRING_COMMAND, Bits, Bare, Untimed),
        58 => (SINGLE_COMMAND, SCO, Bare, Long),
        59 => (DOUBLE_COMMAND, DCO, Bare, Long),
        60 => (STEP_COMMAND, DCO, Bare, Long),
        61 => (SET_POINT_NORMALIZED, Normalized, Qualifier, Long),
        62 => (SET_POINT_SCALED, Scaled, Qualifier, Long),
        63 => (SET_POINT_FLOAT, Float, Qualifier, Long),
        64 => (BITSTRING_COMMAND, Bits, Bare, Long),
        70 => (INITIALIZATION, OCTET, Bare, Untimed),
        100 => (INTERROGATION, OCTET, Bare, Untimed),
        101 => (COUNTER_INTERROGATION, OCTET, Bare, Untimed),
        102 => (READ_POINT, Nothing, Bare, Untimed),
        103 => (CLOCK, Clock, Bare, Untimed),
        104 => (TEST, Word, Bare, Untimed),
        105 => (RESET, OCTET, Bare, Untimed),
        106 => (DELAY, Word, Bare, Untimed),
        107 => (TEST, Word, Bare, Long),
        110 => (PARAMETER_NORMALIZED, Normalized, Qualifier, Untimed),
        111 => (PARAMETER_SCALED, Scaled, Qualifier, Untimed),
        112 => (PARAMETER_FLOAT, Float, Qualifier, Untimed),
        113 => (PARAMETER_ACTIVATION, OCTET, Bare, Untimed),
        120 => (FILE, File(4), Bare, Untimed),
        121 => (FILE, File(5), Bare, Untimed),
        122 | 124 => (FILE, File(2), Bare, Untimed),
        123 => (FILE, File(3), Bare, Untimed),
        125 => (FILE, Segment, Bare, Untimed),
        126 => (FILE, File(4), Bare, Long),
        127 => (FILE, File(7), Bare, Long),
        _ => return None,
    };
    Some(Layout { kind, element, rest, tag })
}

/// Kind and bits of a number with a sign.
const fn signed(number: i64) -> (ValueKind, u64) {
    (ValueKind::Signed, u64::from_ne_bytes(number.to_ne_bytes()))
}

impl Layout {
    /// Its length in octets without the address, if it does not depend on what stands there.
    pub(super) fn length(self) -> Option<usize> {
        let element = match self.element {
            Element::Nothing => 0,
            Element::Octet { .. } | Element::Step => 1,
            Element::Normalized | Element::Scaled | Element::Word => 2,
            Element::Bits | Element::Float | Element::States => 4,
            Element::Counter => 5,
            Element::Clock => time::LONG,
            Element::File(more) => 2 + usize::from(more),
            Element::Segment => return None,
        };
        let rest = match self.rest {
            Rest::None => 0,
            Rest::Quality | Rest::Qualifier => 1,
            Rest::Elapsed => 2,
            Rest::QualityElapsed => 3,
        };
        let tag = match self.tag {
            Tag::None => 0,
            Tag::Short => time::SHORT,
            Tag::Long => time::LONG,
        };
        Some(element + rest + tag)
    }

    /// Reads one element; `now` is the capture time in nanoseconds, which a short time tag needs.
    ///
    /// # Errors
    /// [`Short`] if octets are missing.
    pub(super) fn read(self, cursor: &mut Cursor<'_>, now: i64) -> Result<Read, Short> {
        let mut read = self.element.read(cursor)?;
        match self.rest {
            Rest::None => {}
            Rest::Quality => read.quality |= u32::from(cursor.u8()?),
            Rest::Qualifier => cursor.skip(1)?,
            Rest::Elapsed => cursor.skip(2)?,
            Rest::QualityElapsed => {
                read.quality |= u32::from(cursor.u8()?);
                cursor.skip(2)?;
            }
        }
        read.source_time = match self.tag {
            Tag::None => 0,
            Tag::Short => time::short(cursor.array()?, now),
            Tag::Long => time::long(cursor.array()?),
        };
        Ok(read)
    }
}

impl Element {
    /// Reads what stands before the rest and the tag.
    fn read(self, cursor: &mut Cursor<'_>) -> Result<Read, Short> {
        let mut read = Read { value: None, quality: 0, source_time: 0, file: None };
        read.value = match self {
            Self::Nothing => None,
            Self::Octet { value, quality } => {
                let octet = cursor.u8()?;
                read.quality = u32::from(octet & quality);
                let kind = if value == 1 { ValueKind::Bit } else { ValueKind::Unsigned };
                Some((kind, u64::from(octet & value)))
            }
            Self::Step => {
                let octet = cursor.u8()?;
                read.quality = if octet & 0x80 == 0 { 0 } else { TRANSIENT };
                Some(signed(i64::from(i8::from_le_bytes([octet << 1]) >> 1)))
            }
            Self::Bits | Self::States => Some((ValueKind::Unsigned, u64::from(cursor.u32_le()?))),
            Self::Normalized => {
                let fraction = f64::from(i16::from_le_bytes(cursor.array()?)) / 32_768.0;
                Some((ValueKind::Float, fraction.to_bits()))
            }
            Self::Scaled => Some(signed(i64::from(i16::from_le_bytes(cursor.array()?)))),
            Self::Float => {
                let number = f64::from(f32::from_bits(cursor.u32_le()?));
                Some((ValueKind::Float, number.to_bits()))
            }
            Self::Counter => {
                let count = i32::from_le_bytes(cursor.array()?);
                read.quality = u32::from(cursor.u8()? & 0xE0);
                Some(signed(i64::from(count)))
            }
            Self::Word => Some((ValueKind::Unsigned, u64::from(cursor.u16_le()?))),
            Self::Clock => {
                cursor.skip(time::LONG)?;
                None
            }
            Self::File(more) => {
                read.file = Some(cursor.u16_le()?);
                cursor.skip(usize::from(more))?;
                None
            }
            Self::Segment => {
                read.file = Some(cursor.u16_le()?);
                cursor.skip(1)?;
                let length = cursor.u8()?;
                cursor.skip(usize::from(length))?;
                None
            }
        };
        Ok(read)
    }
}
