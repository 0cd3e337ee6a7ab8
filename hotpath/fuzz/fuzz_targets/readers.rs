//! See `hostile::targets::readers`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hostile::targets::readers(bytes));
