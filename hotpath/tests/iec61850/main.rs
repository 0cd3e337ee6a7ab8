//! The decoders of GOOSE and Sampled Values: fields, data, numbering, probing.
#![cfg(test)]

mod bytes;
mod goose;
mod numbering;
mod probing;
mod properties;
mod recorder;
mod sv;
