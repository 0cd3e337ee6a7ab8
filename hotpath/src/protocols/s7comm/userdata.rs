//! Userdata: what programming devices, panels and controllers say beside reading and writing.

use super::items::{self, Objects, named, object};
use super::names::{BLOCK, R_ID, SZL};
use super::parts::block_type;
use crate::bytes::{Cursor, Short};
use crate::protocols::pairing::OwnedObject;
use crate::protocols::{NO_SUBFUNCTION, Value};
use crate::words::{Access, Activity};

pub(super) const PROGRAMMER: u8 = 1;
pub(super) const CYCLIC: u8 = 2;
pub(super) const BLOCKS: u8 = 3;
pub(super) const CPU: u8 = 4;
const SECURITY: u8 = 5;
pub(super) const PBC: u8 = 6;
const TIME: u8 = 7;

/// Sub-function of the group [`CYCLIC`]: a job is ended.
pub(super) const UNSUBSCRIBE: u8 = 4;
/// Sub-function of the group [`CPU`].
pub(super) const READ_SZL: u8 = 1;

/// What a userdata PDU is: the upper half of the byte whose lower half is the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Push,
    Request,
    Response,
}

/// The parameters of a userdata PDU.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parameters {
    pub(super) kind: Kind,
    pub(super) group: u8,
    pub(super) subfunction: u8,
    /// The number of a job, or of a sequence of fragments.
    pub(super) sequence: u8,
    /// Whether more fragments follow.
    pub(super) is_cut: bool,
    pub(super) error: u16,
}

/// Reads them: a head, the length, request or response, type and group, sub-function, sequence;
/// and, in longer ones, the number of the fragment, whether more follow, and an error.
///
/// # Errors
/// The bytes end inside them, or a type that is not known.
pub(super) fn parameters(bytes: &[u8]) -> Result<Parameters, Short> {
    let mut cursor = Cursor::new(bytes);
    cursor.skip(5)?;
    let [what, subfunction, sequence] = cursor.array()?;
    let kind = match what >> 4 {
        0..=2 => Kind::Push,
        4..=6 => Kind::Request,
        8..=10 => Kind::Response,
        _ => return Err(Short),
    };
    let (is_cut, error) = match *cursor.rest() {
        [_, last, high, low, ..] => (last != 0, u16::from_be_bytes([high, low])),
        _ => (false, 0),
    };
    Ok(Parameters { kind, group: what & 0xF, subfunction, sequence, is_cut, error })
}

/// The data of a userdata PDU behind its return code, transport size and length.
pub(super) fn body(data: &[u8]) -> &[u8] {
    let mut cursor = Cursor::new(data);
    items::data(&mut cursor).map_or(&[], |found| found.bytes)
}

/// The objects and values that a request names.
///
/// # Errors
/// The bytes end inside a field; what was told before stays in place.
pub(super) fn request(
    head: Parameters,
    body: &[u8],
    objects: &mut Objects,
    values: &mut Vec<Value<'static>>,
) -> Result<(), Short> {
    let mut cursor = Cursor::new(body);
    match (head.group, head.subfunction) {
        // A later fragment is asked for without data.
        _ if body.is_empty() => {}
        (PROGRAMMER, 2 | 8 | 9) => table(head.subfunction, cursor, objects, values)?,
        (CYCLIC, 1 | 5 | 7) => {
            let count = cursor.u16_be()?;
            cursor.skip(2)?;
            for _ in 0..count {
                items::specification(&mut cursor, Access::Report, objects)?;
            }
        }
        (BLOCKS, 2) => objects.push(named(BLOCK, block_type(cursor.take(2)?), Access::Read)),
        (BLOCKS, 3) => {
            let (kind, number) = (block_type(cursor.take(2)?), cursor.take(5)?);
            let number = String::from_utf8_lossy(number);
            let number = number.trim_start_matches('0');
            let number = if number.is_empty() { "0" } else { number };
            objects.push(named(BLOCK, &format!("{kind}{number}"), Access::Read));
        }
        (CPU, READ_SZL) => {
            let address = u64::from(cursor.u32_be()?);
            objects.push(object(SZL, address, 1, Access::Read));
        }
        (PBC, _) => {
            // A specification of a variable: 12 06 13 00, then the R_ID.
            cursor.skip(4)?;
            objects.push(object(R_ID, u64::from(cursor.u32_be()?), 1, Access::Write));
        }
        _ => {}
    }
    Ok(())
}

/// A programming device's table: its parameters, operands, and what they are set to.
fn table(
    subfunction: u8,
    mut cursor: Cursor<'_>,
    objects: &mut Objects,
    values: &mut Vec<Value<'static>>,
) -> Result<(), Short> {
    let access = if subfunction == 2 { Access::Read } else { Access::Control };
    let parameters = usize::from(cursor.u16_be()?);
    cursor.skip(2 + parameters)?;
    let count = cursor.u16_be()?;
    let mut places = Vec::new();
    for _ in 0..count {
        let operand = items::table_operand(cursor.array()?, access);
        places.push(operand.is_some());
        objects.extend(operand);
    }
    if access == Access::Control {
        let mut place = 0;
        for is_known in places {
            let data = items::data(&mut cursor)?;
            if let (true, Some(object)) = (is_known, objects.get(place)) {
                items::values(data.bytes, place, object, values);
                place += 1;
            }
        }
    }
    Ok(())
}

/// The values of a cyclic job: a count, and the data of as many items.
///
/// # Errors
/// The bytes end inside an item; what was told before stays in place.
pub(super) fn cyclic(
    body: &[u8],
    objects: &[OwnedObject],
    statuses: &mut Vec<u8>,
    values: &mut Vec<Value<'static>>,
) -> Result<(), Short> {
    let mut cursor = Cursor::new(body);
    let count = usize::from(cursor.u16_be()?);
    items::answers(&mut cursor, count, objects, statuses, values)
}

/// Name and activity of a function.
fn named_function(group: u32, subfunction: u32) -> Option<(&'static str, Activity)> {
    use Activity::{
        Browse, Configure, Control, Diagnose, Program, Read, Report, Session, Time, Write,
    };
    Some(match (u8::try_from(group).ok()?, subfunction) {
        (0, 0) => ("Mode Transition: STOP", Report),
        (0, 1) => ("Mode Transition: Warm Restart", Report),
        (0, 2) => ("Mode Transition: RUN", Report),
        (0, 3) => ("Mode Transition: Hot Restart", Report),
        (0, 4) => ("Mode Transition: HOLD", Report),
        (0, 6) => ("Mode Transition: Cold Restart", Report),
        (0, 9) => ("Mode Transition: RUN Redundant", Report),
        (0, 11) => ("Mode Transition: LINK-UP", Report),
        (0, 12) => ("Mode Transition: UPDATE", Report),
        (PROGRAMMER, 1) => ("Block Status", Diagnose),
        (PROGRAMMER, 2) => ("Variable Status", Read),
        (PROGRAMMER, 3) => ("Output ISTACK", Diagnose),
        (PROGRAMMER, 4) => ("Output BSTACK", Diagnose),
        (PROGRAMMER, 5) => ("Output LSTACK", Diagnose),
        (PROGRAMMER, 6) => ("Time Measurement", Diagnose),
        (PROGRAMMER, 7) => ("Force Selection", Diagnose),
        (PROGRAMMER, 8) => ("Modify Variable", Control),
        (PROGRAMMER, 9) => ("Force", Control),
        (PROGRAMMER, 10) => ("Breakpoint", Control),
        (PROGRAMMER, 11) => ("Exit HOLD", Control),
        (PROGRAMMER, 12) => ("Memory Reset", Control),
        (PROGRAMMER, 13) => ("Disable Job", Diagnose),
        (PROGRAMMER, 14) => ("Enable Job", Diagnose),
        (PROGRAMMER, 15) => ("Delete Job", Diagnose),
        (PROGRAMMER, 16) => ("Read Job List", Diagnose),
        (PROGRAMMER, 17) => ("Read Job", Diagnose),
        (PROGRAMMER, 18) => ("Replace Job", Diagnose),
        (PROGRAMMER, 19) => ("Block Status 2", Diagnose),
        (PROGRAMMER, 22) => ("Flash LED", Diagnose),
        (CYCLIC, 1) => ("Cyclic Transfer", Read),
        (CYCLIC, 4) => ("Cyclic Transfer: Unsubscribe", Read),
        (CYCLIC, 5) => ("Change-driven Transfer", Read),
        (CYCLIC, 7) => ("Change-driven Transfer: Modify", Read),
        (CYCLIC, 8) => ("Read Data Record", Read),
        (BLOCKS, 1) => ("List Blocks", Browse),
        (BLOCKS, 2) => ("List Blocks of Type", Browse),
        (BLOCKS, 3) => ("Get Block Info", Browse),
        (CPU, 1) => ("Read SZL", Browse),
        (CPU, 2) => ("Message Service", Configure),
        (CPU, 3) => ("Diagnostic Message", Report),
        (CPU, 5) => ("ALARM_8 Indication", Report),
        (CPU, 6) => ("NOTIFY Indication", Report),
        (CPU, 7) => ("ALARM_8 Lock", Configure),
        (CPU, 8) => ("ALARM_8 Unlock", Configure),
        (CPU, 9) => ("SCAN Indication", Report),
        (CPU, 11) => ("ALARM Acknowledgement", Control),
        (CPU, 12) => ("ALARM Acknowledgement Indication", Report),
        (CPU, 13) => ("ALARM Lock Indication", Report),
        (CPU, 14) => ("ALARM Unlock Indication", Report),
        (CPU, 17) => ("ALARM_SQ Indication", Report),
        (CPU, 18) => ("ALARM_S Indication", Report),
        (CPU, 19) => ("ALARM Query", Read),
        (CPU, 22) => ("NOTIFY_8 Indication", Report),
        (SECURITY, 1) => ("PLC Password", Session),
        (PBC, NO_SUBFUNCTION) => return None,
        (PBC, _) => ("Block Send (BSEND)", Write),
        (TIME, 1) => ("Read Clock", Time),
        (TIME, 2) => ("Set Clock", Time),
        (TIME, 3) => ("Read Clock (Following)", Time),
        (TIME, 4) => ("Set Clock (Following)", Time),
        (15, 1) => ("NC: Request Download", Program),
        (15, 2) => ("NC: Download Block", Program),
        (15, 3) => ("NC: Continue Download", Program),
        (15, 4) => ("NC: Download Ended", Program),
        (15, 6) => ("NC: Start Upload", Program),
        (15, 7) => ("NC: Upload", Program),
        (15, 8) => ("NC: Continue Upload", Program),
        _ => return None,
    })
}

/// The name of a function of a group, or of the group where only that is known.
pub(super) fn function_name(group: u32, subfunction: u32) -> Option<&'static str> {
    if let Some((name, _)) = named_function(group, subfunction) {
        return Some(name);
    }
    Some(match (u8::try_from(group).ok()?, subfunction) {
        (0, NO_SUBFUNCTION) => "Mode Transition",
        (PROGRAMMER, NO_SUBFUNCTION) => "Programmer Command",
        (CYCLIC, NO_SUBFUNCTION) => "Cyclic Service",
        (BLOCKS, NO_SUBFUNCTION) => "Block Function",
        (CPU, NO_SUBFUNCTION) => "CPU Function",
        (SECURITY, NO_SUBFUNCTION) => "Security Function",
        (PBC, NO_SUBFUNCTION) => "Block Send or Receive",
        (TIME, NO_SUBFUNCTION) => "Time Function",
        (15, NO_SUBFUNCTION) => "NC Programming",
        _ => return None,
    })
}

/// What a function of a group does.
pub(super) fn activity(group: u32, subfunction: u32) -> Activity {
    named_function(group, subfunction).map_or(Activity::Other, |(_, activity)| activity)
}
