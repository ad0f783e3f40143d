//! See `auricle_fuzz::subtitles`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| auricle_fuzz::subtitles::check(data));
