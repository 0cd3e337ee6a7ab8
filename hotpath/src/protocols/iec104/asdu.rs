//! The ASDU: data unit identifier and information objects.
//!
//! IEC 60870-5-101, clause 7.2, with the sizes that IEC 60870-5-104, clause 7 fixes: two octets of
//! cause and originator, two of common address, three of information object address.

use smallvec::SmallVec;

use super::elements::{self, Layout};
use super::names::{
    self, C_BO_NA, C_CI, C_RP, C_SE_NA, F_AF, F_FR, F_LS, F_SC, F_SG, F_SR, NEGATIVE, P_AC,
};
use super::objects::{FILE, READ_POINT};
use crate::bytes::{Cursor, Short};
use crate::protocols::{Object, Party, Value};
use crate::words::Access;

/// Octets of the data unit identifier.
pub(super) const IDENTIFIER: usize = 6;
/// Octets of an information object address.
const ADDRESS: usize = 3;

const TOO_SHORT: &str = "the ASDU is shorter than its type and number of objects demand";
const TOO_LONG: &str = "the ASDU is longer than its type and number of objects demand";

pub(super) type Objects = SmallVec<[Object<'static>; 2]>;

/// The data unit identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identifier {
    pub(super) type_id: u8,
    /// One address, then elements of neighbours (SQ = 1).
    is_sequence: bool,
    number: u8,
    /// Without test and negative bit.
    pub(super) cause: u8,
    pub(super) is_test: bool,
    pub(super) is_negative: bool,
    pub(super) originator: u8,
    pub(super) common_address: u16,
}

impl Identifier {
    /// Reads the head of an ASDU.
    ///
    /// # Errors
    /// [`Short`] if it is not whole.
    pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Self, Short> {
        let [type_id, qualifier, cause, originator] = cursor.array()?;
        Ok(Self {
            type_id,
            is_sequence: qualifier & 0x80 != 0,
            number: qualifier & 0x7F,
            cause: cause & 0x3F,
            is_test: cause & 0x80 != 0,
            is_negative: cause & 0x40 != 0,
            originator,
            common_address: cursor.u16_le()?,
        })
    }

    /// Octets of the objects, if the type says how many there must be.
    fn demands(self, layout: Layout) -> Option<usize> {
        let (number, element) = (usize::from(self.number), layout.length()?);
        Some(match (self.number, self.is_sequence) {
            (0, _) => 0,
            (_, true) => ADDRESS + number * element,
            (_, false) => number * (ADDRESS + element),
        })
    }
}

/// Whether an ASDU with this head, of `length` octets in all, is one that a station would send:
/// what is found amid garbage must be.
pub(super) fn is_plausible(head: &[u8], length: usize) -> bool {
    let Ok(id) = Identifier::read(&mut Cursor::new(head)) else { return false };
    let Some(layout) = elements::layout(id.type_id) else { return false };
    let fits = match id.demands(layout) {
        Some(demanded) => length == IDENTIFIER + demanded,
        None => length > IDENTIFIER + ADDRESS,
    };
    fits && id.number > 0 && names::is_cause(id.cause)
}

/// Who sends an ASDU, as far as type and cause show.
pub(super) fn speaker(head: &[u8]) -> Option<Party> {
    let id = Identifier::read(&mut Cursor::new(head)).ok()?;
    match (id.type_id, id.cause) {
        (type_id, 6 | 8) if names::is_commanded(type_id) => Some(Party::Client),
        (names::C_RD, 5) => Some(Party::Client),
        (type_id, 7 | 9 | 10 | 44..=47) if names::is_commanded(type_id) => Some(Party::Server),
        (type_id, _) if names::is_monitored(type_id) => Some(Party::Server),
        _ => None,
    }
}

/// What stands behind the data unit identifier.
#[derive(Debug, Default)]
pub(super) struct Body {
    pub(super) objects: Objects,
    /// The part of the first object's qualifier that tells one operation from another.
    pub(super) qualifier: u32,
    /// Not 0 where a file transfer is refused.
    pub(super) refusal: u16,
    /// The rule that it breaks.
    pub(super) fault: Option<&'static str>,
}

impl Body {
    /// Reads the objects and their values. An ASDU that is too short has none.
    pub(super) fn read(
        id: Identifier,
        from: Party,
        bytes: &[u8],
        now: i64,
        values: &mut Vec<Value<'static>>,
    ) -> Self {
        let mut body = Self::default();
        let Some(layout) = elements::layout(id.type_id) else {
            body.read_unknown(id, from, bytes);
            return body;
        };
        let mut cursor = Cursor::new(bytes);
        body.look_at_qualifier(id.type_id, bytes);
        if body.read_objects(id, from, layout, &mut cursor, now, values).is_err() {
            body.objects.clear();
            values.clear();
            body.fault = Some(TOO_SHORT);
        } else if !cursor.is_empty() {
            body.fault = Some(TOO_LONG);
        }
        body
    }

    /// Of a type without a layout, only the first address is sure.
    fn read_unknown(&mut self, id: Identifier, from: Party, bytes: &[u8]) {
        if id.number == 0 {
            return;
        }
        let mut cursor = Cursor::new(bytes);
        match read_address(&mut cursor) {
            Ok(address) => {
                let access = access(id.type_id, self.qualifier, from);
                self.objects.push(object(READ_POINT, u64::from(address), access));
            }
            Err(Short) => self.fault = Some(TOO_SHORT),
        }
    }

    /// See [`names`] for what of a qualifier is told.
    fn look_at_qualifier(&mut self, type_id: u8, bytes: &[u8]) {
        let octet = |at: usize| bytes.get(ADDRESS + at).copied().map_or(0, u32::from);
        self.qualifier = match type_id {
            45..=47 | 58..=60 => octet(0) >> 7,
            C_SE_NA | 49 | 61 | 62 => octet(2) >> 7,
            50 | 63 => octet(4) >> 7,
            C_CI => octet(0) >> 6,
            C_RP | P_AC => octet(0),
            F_SC => octet(3) & 0x0F,
            _ => 0,
        };
        let refused = match type_id {
            F_FR => octet(5) & 0x80 != 0,
            F_SR => octet(6) & 0x80 != 0,
            F_AF => matches!(octet(3) & 0x0F, 2 | 4),
            _ => false,
        };
        self.refusal = if refused { NEGATIVE } else { 0 };
    }

    fn read_objects(
        &mut self,
        id: Identifier,
        from: Party,
        layout: Layout,
        cursor: &mut Cursor<'_>,
        now: i64,
        values: &mut Vec<Value<'static>>,
    ) -> Result<(), Short> {
        let access = access(id.type_id, self.qualifier, from);
        let mut address = 0;
        for place in 0..u32::from(id.number) {
            if place == 0 || !id.is_sequence {
                address = read_address(cursor)?;
            } else {
                address = address.saturating_add(1);
            }
            let read = layout.read(cursor, now)?;
            let told = match read.file {
                Some(name) => (u64::from(address) << 16) | u64::from(name),
                None => u64::from(address),
            };
            let offset = self.touch(layout.kind, told, access);
            if let Some((kind, raw)) = read.value {
                values.push(Value {
                    object: self.objects.len().saturating_sub(1) as u16,
                    offset,
                    kind,
                    raw,
                    text: None,
                    quality: read.quality,
                    source_time: read.source_time,
                });
            }
        }
        Ok(())
    }

    /// Adds an object, to the last range where it is the next of it; returns its place there.
    fn touch(&mut self, kind: u16, address: u64, access: Access) -> u32 {
        match self.objects.last_mut() {
            Some(last) if kind != FILE && last.address + u64::from(last.count) == address => {
                last.count += 1;
                last.count - 1
            }
            _ => {
                self.objects.push(object(kind, address, access));
                0
            }
        }
    }
}

const fn object(kind: u16, address: u64, access: Access) -> Object<'static> {
    Object { kind, address, count: 1, access, status: 0, name: None }
}

fn read_address(cursor: &mut Cursor<'_>) -> Result<u32, Short> {
    let [low, middle, high] = cursor.array::<ADDRESS>()?;
    Ok(u32::from_le_bytes([low, middle, high, 0]))
}

/// How the objects of a type are touched. Whoever sends a file's content writes it to the other,
/// which is a read where the controlled station sends.
fn access(type_id: u8, qualifier: u32, from: Party) -> Access {
    const DELETE: u32 = 4;
    match type_id {
        45..=47 | 58..=60 | C_RP => Access::Control,
        C_CI if qualifier != 0 => Access::Control,
        C_SE_NA..=C_BO_NA | 61..=64 | 103 | 106 | 110..=P_AC => Access::Write,
        100..=102 | 104 | 107 => Access::Read,
        F_SC if qualifier == DELETE => Access::Write,
        F_FR | F_SR | F_LS | F_SG if from == Party::Client => Access::Write,
        F_FR..=127 => Access::Read,
        _ => Access::Report,
    }
}
