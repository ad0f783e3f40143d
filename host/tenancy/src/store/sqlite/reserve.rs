//! Room on the disk that is kept for acts which must work when it is full: revoking a key, removing a
//! tenant or a component.
//!
//! A file in the data directory that is removed when such an act finds no room, and made again once there
//! is room for it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Name of the file in the data directory.
const FILE: &str = "auricle.reserve";

/// Its size: hundreds of acts, each of which writes some pages of 4 KiB.
const BYTES: usize = 1 << 20;

/// The reserve of a data directory.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
}

impl Reserve {
    /// The reserve of `data_dir`; [`Reserve::restore`] makes it.
    pub(super) fn new(data_dir: &Path) -> Self {
        Self {
            path: data_dir.join(FILE),
        }
    }

    /// Gives the room back to the disk; whether there was any.
    pub(super) fn release(&self) -> bool {
        let released = fs::remove_file(&self.path).is_ok();
        if released {
            tracing::warn!("the disk is full: the room that is kept for revocations is used");
        }
        released
    }

    /// Takes the room unless it is taken. On a disk without room for it nothing is written.
    pub(super) fn restore(&self) {
        let is_there = |metadata: fs::Metadata| metadata.len() == BYTES as u64;
        if self.path.metadata().is_ok_and(is_there) {
            return;
        }
        if let Err(error) = self.write() {
            let _ = fs::remove_file(&self.path);
            tracing::warn!(%error, "there is no room on the disk to keep for revocations: make room");
        }
    }

    fn write(&self) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&self.path)?;
        // Numbers, of which a file system that compresses makes less than nothing of zeros.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut bytes = Vec::with_capacity(BYTES);
        while bytes.len() < BYTES {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.extend(state.to_le_bytes());
        }
        file.write_all(&bytes)?;
        file.sync_all()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn the_reserve_is_taken_once_released_once_and_taken_again() {
        let dir = tempfile::tempdir().unwrap();
        let reserve = Reserve::new(dir.path());
        assert!(!reserve.release());
        reserve.restore();
        let file = dir.path().join(FILE);
        assert_eq!(file.metadata().unwrap().len(), BYTES as u64);
        assert!(reserve.release() && !reserve.release());
        assert!(!file.exists());
        // Half of one is none.
        fs::write(&file, b"half").unwrap();
        reserve.restore();
        assert_eq!(file.metadata().unwrap().len(), BYTES as u64);
    }
}
