//! Samples from the outside: clips that grow and clips that are built.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod building;
mod channels;
mod mixing;
mod recorder;
mod tones;
