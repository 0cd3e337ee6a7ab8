//! Numbers that GOOSE gives names to, and names that GOOSE gives numbers to.

use crate::protocols::{NO_SUBFUNCTION, ObjectKind};

pub(super) const ENTRY: u16 = 0;
pub(super) const STATE: u16 = 1;
pub(super) const SEQUENCE: u16 = 2;
pub(super) const LIVE: u16 = 3;
pub(super) const REVISION: u16 = 4;
pub(super) const ENTRIES: u16 = 5;
pub(super) const CLOCK: u16 = 6;
pub(super) const DATA_SET: u16 = 7;
pub(super) const ID: u16 = 8;

/// In the order of the numbers above.
pub(super) static OBJECTS: &[ObjectKind] = &[
    ObjectKind { name: "data-set-entry", dense: true },
    ObjectKind { name: "state-number", dense: false },
    ObjectKind { name: "sequence-number", dense: false },
    ObjectKind { name: "time-allowed-to-live", dense: false },
    ObjectKind { name: "configuration-revision", dense: false },
    ObjectKind { name: "number-of-entries", dense: false },
    ObjectKind { name: "time-quality", dense: false },
    ObjectKind { name: "data-set", dense: false },
    ObjectKind { name: "goose-id", dense: false },
];

const SIMULATED: u32 = 1;
const COMMISSIONING: u32 = 2;
const BOTH: u32 = SIMULATED | COMMISSIONING;

/// The sub-function of a GOOSE message.
pub(super) const fn state(is_simulated: bool, needs_commissioning: bool) -> u32 {
    match (is_simulated, needs_commissioning) {
        (false, false) => NO_SUBFUNCTION,
        (true, false) => SIMULATED,
        (false, true) => COMMISSIONING,
        (true, true) => BOTH,
    }
}

/// See [`crate::protocols::Protocol::function_name`].
pub(super) const fn function_name(function: u32, subfunction: u32) -> Option<&'static str> {
    match (function, subfunction) {
        (1, SIMULATED) => Some("GOOSE (simulated)"),
        (1, COMMISSIONING) => Some("GOOSE (needs commissioning)"),
        (1, BOTH) => Some("GOOSE (simulated, needs commissioning)"),
        (1, _) => Some("GOOSE"),
        (0, 1) => Some("GetGoReference"),
        (0, 2) => Some("GetGOOSEElementNumber"),
        (0, 3) => Some("GetGsReference"),
        (0, 4) => Some("GetGSSEDataOffset"),
        (0, _) => Some("GSE management"),
        _ => None,
    }
}
