//! See `hostile::targets::modbus`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hostile::targets::modbus(bytes));
