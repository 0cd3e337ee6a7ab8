//! The Modbus decoder: every function, framing and resynchronisation, pairing, probing.
#![cfg(test)]

mod framing;
mod functions;
mod pairing;
mod probing;
mod properties;
mod recorder;
