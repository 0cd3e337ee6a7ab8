//! The MQTT decoder: every packet type at each level, framing and resynchronisation, pairing,
//! topic aliases, probing.
#![cfg(test)]

mod aliases;
#[path = "../common/recorder.rs"]
#[allow(dead_code, reason = "what other protocols' tests use")]
mod common;
mod framing;
mod levels;
mod packets;
mod pairing;
mod probing;
mod properties;
mod types;
