//! What is fuzzed: each takes any bytes, and panics where something does not hold of them.

mod engine;
mod modbus;
mod net;
mod readers;

pub use engine::engine;
pub use modbus::modbus;
pub use net::net;
pub use readers::readers;

/// Takes any bytes.
pub type Target = fn(&[u8]);

/// Every target, by the name of its folder of inputs.
pub const ALL: [(&str, Target); 4] =
    [("readers", readers), ("net", net), ("modbus", modbus), ("engine", engine)];
