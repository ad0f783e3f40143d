//! See `auricle_fuzz::multipart`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| auricle_fuzz::multipart::check(data));
