//! The IEC 60870-5-104 decoder: every type, framing and resynchronisation, numbers, pairing, probing.
#![cfg(test)]

mod apdus;
#[path = "../common/recorder.rs"]
#[allow(dead_code, reason = "what other protocols' tests use")]
mod common;
mod framing;
mod pairing;
mod probing;
mod properties;
mod sequence;
mod types;
