//! What holds of any bytes: no panic, progress, bounded tables, rows that point into dictionaries.
//!
//! [`targets`] says so of each part of the hot path, given any bytes. `cargo fuzz` looks for bytes
//! of which it is not true (`../fuzz`), and the tests here try [`seeds`], their [`mutation`]s and
//! every input that was ever found.

pub mod frames;
pub mod mutation;
pub mod reader;
pub mod seeds;
pub mod targets;
pub mod wire;
