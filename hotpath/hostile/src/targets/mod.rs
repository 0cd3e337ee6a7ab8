//! What is fuzzed: each takes any bytes, and panics where something does not hold of them.

mod decoders;
mod engine;
mod net;
mod readers;

pub use decoders::{dnp3, goose, iec104, modbus, s7comm, s7plus, sv};
pub use engine::engine;
pub use net::net;
pub use readers::readers;

/// Takes any bytes.
pub type Target = fn(&[u8]);

/// Every target, by the name of its folder of inputs.
pub const ALL: [(&str, Target); 10] = [
    ("readers", readers),
    ("net", net),
    ("modbus", modbus),
    ("dnp3", dnp3),
    ("iec104", iec104),
    ("goose", goose),
    ("sv", sv),
    ("s7comm", s7comm),
    ("s7plus", s7plus),
    ("engine", engine),
];
