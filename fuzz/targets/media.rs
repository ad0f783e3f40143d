//! See `auricle_fuzz::media`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| auricle_fuzz::media::check(data));
