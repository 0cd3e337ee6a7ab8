//! Attacks that aim at cost: what each frame may cost, counted in steps and not in seconds, and
//! what may be held for it.
//!
//! `cargo test --release -p otids-hostile --test attacks -- --nocapture --test-threads 1` prints
//! what was measured.
#![cfg(test)]

mod collisions;
mod fragments;
mod measure;
mod strangers;
mod streams;
