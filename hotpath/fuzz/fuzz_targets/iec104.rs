//! See `hostile::targets::iec104`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hostile::targets::iec104(bytes));
