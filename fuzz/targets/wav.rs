//! See `auricle_fuzz::wav`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| auricle_fuzz::wav::check(data));
