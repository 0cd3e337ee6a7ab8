//! See `hostile::targets::engine`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hostile::targets::engine(bytes));
