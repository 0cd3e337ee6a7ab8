//! See `hostile::targets::s7plus`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hostile::targets::s7plus(bytes));
