//! The S7comm and S7comm-plus decoders: jobs, userdata, transport, probing.
#![cfg(test)]

mod framing;
mod jobs;
mod plus;
mod probing;
mod programs;
mod properties;
mod recorder;
mod userdata;
