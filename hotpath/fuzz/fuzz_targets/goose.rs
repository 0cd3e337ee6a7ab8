//! See `hostile::targets::goose`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hostile::targets::goose(bytes));
