//! The engine with a real ONNX Runtime: tiny graphs written here, and the models of the store.
//!
//! What is not installed is left out with a line on standard output; `make setup` installs it.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod runtime;
mod speakers;
mod support;
mod tensors;
mod tiny;
mod voice;
