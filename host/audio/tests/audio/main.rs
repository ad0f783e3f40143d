//! Decoding from the outside: generated audio, lying headers, damage, and real files.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod codecs;
mod hostile;
mod recorder;
mod support;
mod transcoded;
mod wav_kinds;
