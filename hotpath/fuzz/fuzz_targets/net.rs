//! See `hostile::targets::net`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hostile::targets::net(bytes));
