//! `[memory]` of the configuration: what the host may hold for tenants, and where uploads are spooled.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use auricle_tenancy::{NodeLimits, NodeMemory, machine};
use serde::Deserialize;

/// Least `max_held_bytes`: below it no request of a few minutes fits.
const MIN_HELD_BYTES: u64 = 64 << 20;

/// What the host may hold where the system does not say how much memory there is.
const FALLBACK_HELD_BYTES: u64 = 1 << 30;

/// What the host may hold for all tenants together.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MemoryConfig {
    /// Bytes of memory: clips, tensors, spooled uploads, components' memory, buffers. At least
    /// 67,108,864. Default: half of the machine's memory, or of the control group's limit where that is
    /// less; the rest is for models and their working memory.
    pub max_held_bytes: Option<u64>,
    /// Bytes of uploads spooled to disk. Default: half of what is free where they are spooled when the
    /// server starts.
    pub max_spool_bytes: Option<u64>,
    /// Directory of spooled uploads. Default: `spool` in the data directory.
    pub spool_dir: Option<PathBuf>,
}

/// The node's ledger, and where uploads are spooled.
#[derive(Clone, Debug)]
pub struct NodeStorage {
    /// What is held, and the limits.
    pub memory: Arc<NodeMemory>,
    /// Where uploads are spooled.
    pub spool_dir: PathBuf,
}

impl NodeStorage {
    /// No limits, and uploads spooled where temporary files are: for one user's own files.
    #[must_use]
    pub fn unlimited() -> Self {
        Self {
            memory: NodeMemory::new(NodeLimits::UNLIMITED),
            spool_dir: std::env::temp_dir(),
        }
    }
}

impl MemoryConfig {
    /// Makes the spool directory and the ledger, with limits from the machine where none are set.
    ///
    /// # Errors
    /// When a number is out of range or the directory cannot be made.
    pub fn open(&self, data_dir: &Path) -> Result<NodeStorage> {
        let memory_bytes = self.memory_bytes()?;
        let spool_dir = self.spool_dir.clone();
        let spool_dir = spool_dir.unwrap_or_else(|| data_dir.join("spool"));
        let unusable = || {
            let dir = spool_dir.display();
            format!("uploads cannot be spooled to {dir}: set spool_dir of [memory]")
        };
        make_private(&spool_dir).with_context(unusable)?;
        let disk = machine::disk(&spool_dir).with_context(unusable)?;
        let limits = NodeLimits {
            memory_bytes,
            spool_bytes: self.max_spool_bytes.unwrap_or(disk.free_bytes / 2),
            is_spool_in_memory: disk.is_memory,
        };
        Ok(NodeStorage {
            memory: NodeMemory::new(limits),
            spool_dir,
        })
    }

    fn memory_bytes(&self) -> Result<u64> {
        match self.max_held_bytes {
            Some(bytes) if bytes < MIN_HELD_BYTES => {
                bail!("max_held_bytes of [memory] must be at least {MIN_HELD_BYTES}")
            }
            Some(bytes) => Ok(bytes),
            None => {
                let half = machine::memory_bytes().map_or(FALLBACK_HELD_BYTES, |all| all / 2);
                Ok(half.max(MIN_HELD_BYTES))
            }
        }
    }
}

/// Makes a directory that only this user can read.
fn make_private(dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(dir)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn limits_come_from_the_machine_unless_they_are_set() {
        let dir = tempfile::tempdir().unwrap();
        let storage = MemoryConfig::default().open(dir.path()).unwrap();
        let limits = storage.memory.limits();
        let machine = machine::memory_bytes().unwrap();
        assert_eq!(limits.memory_bytes, (machine / 2).max(MIN_HELD_BYTES));
        assert!(limits.spool_bytes > 0);
        assert_eq!(storage.spool_dir, dir.path().join("spool"));
        let config = MemoryConfig {
            max_held_bytes: Some(100 << 20),
            max_spool_bytes: Some(7),
            spool_dir: Some(dir.path().join("a/b")),
        };
        let storage = config.open(dir.path()).unwrap();
        assert_eq!(storage.memory.limits().memory_bytes, 100 << 20);
        assert_eq!(storage.memory.limits().spool_bytes, 7);
        assert!(dir.path().join("a/b").is_dir());
    }

    #[test]
    fn a_limit_too_small_to_serve_and_a_directory_that_cannot_be_made_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let small = MemoryConfig {
            max_held_bytes: Some(1 << 20),
            ..MemoryConfig::default()
        };
        let said = small.open(dir.path()).unwrap_err().to_string();
        assert!(said.contains("max_held_bytes"), "{said}");
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let nowhere = MemoryConfig {
            spool_dir: Some(file.join("below")),
            ..MemoryConfig::default()
        };
        let said = nowhere.open(dir.path()).unwrap_err().to_string();
        assert!(said.contains("spool_dir"), "{said}");
    }
}
