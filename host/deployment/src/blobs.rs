//! The bytes of tenants' components, by their digest.
//!
//! A file is written under another name, synced and moved into place: it is there whole or not at
//! all. It is checked against its name whenever it is read.

use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use auricle_tenancy::ComponentDigest;
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

/// A directory of components.
#[derive(Debug)]
pub struct Blobs {
    dir: PathBuf,
}

impl Blobs {
    /// Opens the directory, which only its owner may read, and makes it where it is missing. What a
    /// process left half-written is removed.
    ///
    /// # Errors
    /// When the directory cannot be made or read.
    pub fn open(dir: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        for entry in dir.read_dir()? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "wasm") {
                std::fs::remove_file(path)?;
            }
        }
        Ok(Self {
            dir: dir.to_owned(),
        })
    }

    /// Keeps bytes and says what they are called.
    ///
    /// # Errors
    /// When the disk does not take them.
    pub fn put(&self, bytes: &[u8]) -> io::Result<ComponentDigest> {
        let digest = digest(bytes);
        let path = self.path(&digest);
        if !path.exists() {
            let mut file = NamedTempFile::new_in(&self.dir)?;
            file.write_all(bytes)?;
            file.as_file().sync_all()?;
            file.persist(path)?;
            File::open(&self.dir)?.sync_all()?;
        }
        Ok(digest)
    }

    /// Bytes that were kept; nothing when they are gone or damaged. Damaged ones are removed, so
    /// that they can be kept anew.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn get(&self, name: &ComponentDigest) -> io::Result<Option<Vec<u8>>> {
        let path = self.path(name);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if digest(&bytes) == *name {
            return Ok(Some(bytes));
        }
        tracing::error!(digest = %name, "a component on the disk is damaged");
        std::fs::remove_file(path)?;
        Ok(None)
    }

    /// Forgets bytes.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn remove(&self, name: &ComponentDigest) -> io::Result<()> {
        match std::fs::remove_file(self.path(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn path(&self, digest: &ComponentDigest) -> PathBuf {
        self.dir.join(format!("{digest}.wasm"))
    }
}

/// The name of these bytes.
#[must_use]
pub fn digest(bytes: &[u8]) -> ComponentDigest {
    ComponentDigest::of_sha256(Sha256::digest(bytes).into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn what_was_damaged_is_not_given_back_and_can_be_kept_anew() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(&dir.path().join("blobs")).unwrap();
        let name = blobs.put(b"component").unwrap();
        assert_eq!(blobs.get(&name).unwrap().unwrap(), b"component");
        std::fs::write(blobs.path(&name), b"cOmponent").unwrap();
        assert_eq!(blobs.get(&name).unwrap(), None);
        assert_eq!(blobs.put(b"component").unwrap(), name);
        assert_eq!(blobs.get(&name).unwrap().unwrap(), b"component");
        blobs.remove(&name).unwrap();
        blobs.remove(&name).unwrap();
        assert_eq!(blobs.get(&name).unwrap(), None);
    }

    #[test]
    fn what_a_killed_process_left_is_swept_away() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(".tmpAbc"), b"half").unwrap();
        let blobs = Blobs::open(dir.path()).unwrap();
        let name = blobs.put(b"whole").unwrap();
        drop(Blobs::open(dir.path()).unwrap());
        assert_eq!(dir.path().read_dir().unwrap().count(), 1);
        assert!(blobs.get(&name).unwrap().is_some());
    }
}
