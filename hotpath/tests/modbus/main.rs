//! The Modbus decoder: every function, framing and resynchronisation, pairing, probing.
#![cfg(test)]

#[path = "../common/recorder.rs"]
mod common;
mod framing;
mod functions;
mod pairing;
mod probing;
mod properties;
mod recorder;
