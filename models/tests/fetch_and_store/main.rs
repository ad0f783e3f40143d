//! Fetching and the store, against a server in this process and models made here.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod fetching;
mod files;
#[path = "../convert_formats/model.rs"]
#[allow(dead_code, reason = "shared with another test")]
mod model;
mod models;
mod server;

use std::path::Path;
use std::time::Duration;

use auricle_models::digest::sha256_of;
use auricle_models::fetch::Retry;

/// Three attempts without waits that a test would notice.
fn impatient() -> Retry {
    Retry {
        attempts: 3,
        first_wait: Duration::from_millis(1),
    }
}

/// Bytes without a pattern that a shifted continuation could hide in.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[1]
    };
    std::iter::repeat_with(next).take(len).collect()
}

fn sha256(bytes: &[u8]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bytes");
    std::fs::write(&path, bytes).unwrap();
    sha256_of(&path).unwrap().0
}

/// Names in a directory without locks, sorted.
fn names(dir: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.ends_with(".lock"))
        .collect();
    names.sort();
    names
}
