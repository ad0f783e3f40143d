//! The gateway from outside: real sockets, a small app, clients good and bad.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod admin;
mod drain;
mod frames;
mod http_api;
mod keyless;
mod limits;
mod log;
mod sockets;
mod support;
mod unread;
