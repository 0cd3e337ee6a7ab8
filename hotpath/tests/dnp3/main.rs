//! The DNP3 decoder: frames, fragments, objects of every sort, who asks and who answers.
#![cfg(test)]

#[path = "../common/recorder.rs"]
mod common;

mod files;
mod framing;
mod functions;
mod links;
mod objects;
mod pairing;
mod probing;
mod properties;
mod recorder;
