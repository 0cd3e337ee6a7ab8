//! The types of objects: one for each sort of information, with or without a time tag.

use crate::protocols::ObjectKind;

pub(super) const SINGLE_POINT: u16 = 0;
pub(super) const DOUBLE_POINT: u16 = 1;
pub(super) const STEP_POSITION: u16 = 2;
pub(super) const BITSTRING: u16 = 3;
pub(super) const MEASURED_NORMALIZED: u16 = 4;
pub(super) const MEASURED_SCALED: u16 = 5;
pub(super) const MEASURED_FLOAT: u16 = 6;
pub(super) const COUNTER: u16 = 7;
pub(super) const PROTECTION_EVENT: u16 = 8;
pub(super) const PROTECTION_START: u16 = 9;
pub(super) const PROTECTION_OUTPUT: u16 = 10;
pub(super) const PACKED_POINTS: u16 = 11;
pub(super) const SINGLE_COMMAND: u16 = 12;
pub(super) const DOUBLE_COMMAND: u16 = 13;
pub(super) const STEP_COMMAND: u16 = 14;
pub(super) const SET_POINT_NORMALIZED: u16 = 15;
pub(super) const SET_POINT_SCALED: u16 = 16;
pub(super) const SET_POINT_FLOAT: u16 = 17;
pub(super) const BITSTRING_COMMAND: u16 = 18;
pub(super) const PARAMETER_NORMALIZED: u16 = 19;
pub(super) const PARAMETER_SCALED: u16 = 20;
pub(super) const PARAMETER_FLOAT: u16 = 21;
pub(super) const PARAMETER_ACTIVATION: u16 = 22;
pub(super) const READ_POINT: u16 = 23;
pub(super) const INITIALIZATION: u16 = 24;
pub(super) const INTERROGATION: u16 = 25;
pub(super) const COUNTER_INTERROGATION: u16 = 26;
pub(super) const CLOCK: u16 = 27;
pub(super) const TEST: u16 = 28;
pub(super) const RESET: u16 = 29;
pub(super) const DELAY: u16 = 30;
pub(super) const FILE: u16 = 31;

/// The object types, by the numbers above. The address is the information object address; that of
/// a file is `address << 16 | name of file`.
pub(super) static OBJECTS: &[ObjectKind] = &[
    ObjectKind { name: "single-point", dense: true },
    ObjectKind { name: "double-point", dense: true },
    ObjectKind { name: "step-position", dense: true },
    ObjectKind { name: "bitstring", dense: true },
    ObjectKind { name: "normalized-value", dense: true },
    ObjectKind { name: "scaled-value", dense: true },
    ObjectKind { name: "float-value", dense: true },
    ObjectKind { name: "integrated-total", dense: true },
    ObjectKind { name: "protection-event", dense: true },
    ObjectKind { name: "protection-start", dense: true },
    ObjectKind { name: "protection-output", dense: true },
    ObjectKind { name: "packed-single-points", dense: true },
    ObjectKind { name: "single-command", dense: true },
    ObjectKind { name: "double-command", dense: true },
    ObjectKind { name: "step-command", dense: true },
    ObjectKind { name: "normalized-set-point", dense: true },
    ObjectKind { name: "scaled-set-point", dense: true },
    ObjectKind { name: "float-set-point", dense: true },
    ObjectKind { name: "bitstring-command", dense: true },
    ObjectKind { name: "normalized-parameter", dense: true },
    ObjectKind { name: "scaled-parameter", dense: true },
    ObjectKind { name: "float-parameter", dense: true },
    ObjectKind { name: "parameter-activation", dense: true },
    ObjectKind { name: "information-object", dense: true },
    ObjectKind { name: "initialization", dense: false },
    ObjectKind { name: "interrogation", dense: false },
    ObjectKind { name: "counter-interrogation", dense: false },
    ObjectKind { name: "clock", dense: false },
    ObjectKind { name: "test-pattern", dense: false },
    ObjectKind { name: "process-reset", dense: false },
    ObjectKind { name: "transmission-delay", dense: false },
    ObjectKind { name: "file", dense: false },
];
