//! See `auricle_fuzz::parameters`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| auricle_fuzz::parameters::check(data));
