//! The server as a library: configuration, assembly and commands of the `auricle` program.
//!
//! The only place where the crates are wired together. Everything as typed is resolved before any
//! port opens.
//!
//! # Layout
//! - [`args`]: the command line as typed.
//! - [`config`]: the configuration file, and what it and the command line resolve to.
//! - [`assemble`]: the server put together.
//! - [`commands`]: what each verb does.

pub mod app;
pub mod args;
pub mod assemble;
pub mod commands;
pub mod config;
pub mod logging;
