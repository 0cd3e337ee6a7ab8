//! See `hostile::targets::dnp3`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hostile::targets::dnp3(bytes));
