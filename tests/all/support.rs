//! What the tests share: a server to talk to, ways to talk to it, audio, and judges of text.
//!
//! Nothing here asserts what a product promises; it fails only when it cannot do its own work.

pub mod audio;
pub mod cgroup;
pub mod files;
pub mod frames;
pub mod muxers;
pub mod program;
pub mod raw;
pub mod server;
pub mod socket;
pub mod text;
pub mod upload;

pub use server::{Server, shared};
pub use upload::{Answer, Upload};

use std::time::Duration;

/// No step that is not recognition takes longer on a busy machine, or it has failed.
pub const SOON: Duration = Duration::from_secs(20);
