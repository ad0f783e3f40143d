//! The gateway from outside: real sockets, a small app, clients good and bad.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod drain;
mod http_api;
mod limits;
mod log;
mod sockets;
mod support;
