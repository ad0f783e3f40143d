//! Decoding from the outside: generated audio, lying headers, damage, and real files.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod codecs;
#[path = "../../../../tests/all/support/files.rs"]
mod files;
mod hostile;
#[path = "../../../../tests/all/support/muxers.rs"]
mod muxers;
mod opus;
mod support;
mod timing;
#[path = "../../../../host/audio/tests/audio/tones.rs"]
mod tones;
mod transcoded;
mod wav_kinds;
