//! Numbers that Sampled Values give names to.

use crate::protocols::ObjectKind;

pub(super) const SAMPLE: u16 = 0;
pub(super) const COUNT: u16 = 1;
pub(super) const REVISION: u16 = 2;
pub(super) const SYNCHRONISATION: u16 = 3;
pub(super) const RATE: u16 = 4;
pub(super) const MODE: u16 = 5;
pub(super) const CLOCK: u16 = 6;
pub(super) const DATA_SET: u16 = 7;
/// How many objects a message has at most.
pub(super) const FIELDS: usize = 8;

/// In the order of the numbers above.
pub(super) static OBJECTS: &[ObjectKind] = &[
    ObjectKind { name: "sample", dense: true },
    ObjectKind { name: "sample-count", dense: false },
    ObjectKind { name: "configuration-revision", dense: false },
    ObjectKind { name: "synchronisation", dense: false },
    ObjectKind { name: "sample-rate", dense: false },
    ObjectKind { name: "sample-mode", dense: false },
    ObjectKind { name: "clock-identity", dense: false },
    ObjectKind { name: "data-set", dense: false },
];

/// Sub-function of messages of a test device.
pub(super) const SIMULATED: u32 = 1;

/// See [`crate::protocols::Protocol::function_name`].
pub(super) const fn function_name(function: u32, subfunction: u32) -> Option<&'static str> {
    match (function, subfunction) {
        (0, SIMULATED) => Some("Sampled Values (simulated)"),
        (0, _) => Some("Sampled Values"),
        _ => None,
    }
}
