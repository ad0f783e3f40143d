//! See `auricle_fuzz::events`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| auricle_fuzz::events::check(data));
