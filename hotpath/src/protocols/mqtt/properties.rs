//! Properties of MQTT 5.0 packets (2.2.2): each has a number that gives its type.

use super::packet::Fault;
use crate::bytes::Cursor;

const UNKNOWN: &str = "a property that the standard does not have";
const OVERRUN: &str = "the properties end inside one of them";
const LONG_NUMBER: &str = "a variable byte integer of more than four bytes";
const ZERO_ALIAS: &str = "a topic alias of 0";
const TWICE: &str = "a property that may stand once stands twice";

/// What is told of a packet's properties.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Properties<'a> {
    /// Bytes that they take.
    pub(super) length: usize,
    /// The number that stands for a topic.
    pub(super) alias: Option<u16>,
    /// The name that the broker gave to a client without one.
    pub(super) client: Option<&'a [u8]>,
    /// How the client proves who it is, if not by a password.
    pub(super) method: Option<&'a [u8]>,
}

impl<'a> Properties<'a> {
    /// Reads the length of the properties, and all of them.
    ///
    /// # Errors
    /// [`Fault::Short`] if the packet ends before they do.
    pub(super) fn read(cursor: &mut Cursor<'a>) -> Result<Self, Fault> {
        let length = number(cursor)?;
        let mut rest = Cursor::new(cursor.take(length)?);
        let mut told = Self { length, ..Self::default() };
        let mut seen = 0_u64;
        while !rest.is_empty() {
            match told.read_one(&mut rest, &mut seen) {
                Err(Fault::Short) => return Err(Fault::Rule(OVERRUN)),
                other => other?,
            }
        }
        Ok(told)
    }

    fn read_one(&mut self, rest: &mut Cursor<'a>, seen: &mut u64) -> Result<(), Fault> {
        let id = number(rest)?;
        match id {
            0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28..=0x2A => rest.skip(1)?,
            0x13 | 0x21 | 0x22 => rest.skip(2)?,
            0x02 | 0x11 | 0x18 | 0x27 => rest.skip(4)?,
            0x0B => drop(number(rest)?),
            0x03 | 0x08 | 0x09 | 0x16 | 0x1A | 0x1C | 0x1F => drop(binary(rest)?),
            0x12 => self.client = Some(binary(rest)?),
            0x15 => self.method = Some(binary(rest)?),
            0x23 => match rest.u16_be()? {
                0 => return Err(Fault::Rule(ZERO_ALIAS)),
                alias => self.alias = Some(alias),
            },
            0x26 => {
                binary(rest)?;
                binary(rest)?;
            }
            _ => return Err(Fault::Rule(UNKNOWN)),
        }
        // User properties and subscription identifiers may stand several times.
        let bit = 1_u64 << id;
        if *seen & bit != 0 && !matches!(id, 0x0B | 0x26) {
            return Err(Fault::Rule(TWICE));
        }
        *seen |= bit;
        Ok(())
    }
}

/// Reads a variable byte integer (1.5.5).
fn number(cursor: &mut Cursor<'_>) -> Result<usize, Fault> {
    let mut value = 0;
    for place in 0..4 {
        let octet = cursor.u8()?;
        value |= usize::from(octet & 0x7F) << (7 * place);
        if octet & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Fault::Rule(LONG_NUMBER))
}

/// Reads a string or binary data: two bytes of length, and so many bytes (1.5.4, 1.5.6).
pub(super) fn binary<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], Fault> {
    let length = cursor.u16_be()?;
    Ok(cursor.take(usize::from(length))?)
}
