//! The bytes of tenants' components, by their digest.
//!
//! A file is written under another name, synced and moved into place: it is there whole or not at
//! all. It is checked against its name whenever it is read.
//!
//! A file is removed when no tenant has the component. Several servers may use one directory, so adding a
//! component (its file and the row that names it) holds a lock of the file system that removing files
//! excludes: a row never names a file that was removed.

mod lock;
mod sweep;

use std::fs::{DirBuilder, File};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use auricle_tenancy::ComponentDigest;
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

/// Ending of a component's file.
const ENDING: &str = ".wasm";

/// Bytes that are read at once while a file is checked.
const BLOCK_BYTES: usize = 64 << 10;

/// A directory of components.
#[derive(Debug)]
pub struct Blobs {
    dir: PathBuf,
}

impl Blobs {
    /// Opens the directory, which only its owner may read, and makes it where it is missing.
    ///
    /// # Errors
    /// When the directory cannot be made or read.
    pub fn open(dir: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        Ok(Self {
            dir: dir.to_owned(),
        })
    }

    /// Keeps bytes, has `record` write down that they are there, and gives what that gives. When `record`
    /// fails the bytes stay, and are to be removed with [`Blobs::remove_unused`].
    ///
    /// # Errors
    /// When the disk does not take them; those of `record`.
    pub fn put<R, E: From<io::Error>>(
        &self,
        digest: &ComponentDigest,
        bytes: &[u8],
        record: impl FnOnce() -> Result<R, E>,
    ) -> Result<R, E> {
        let _adding = lock::shared(&self.dir)?;
        self.write(digest, bytes)?;
        record()
    }

    fn write(&self, digest: &ComponentDigest, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(digest);
        if path.exists() {
            return Ok(());
        }
        let mut file = NamedTempFile::new_in(&self.dir)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        File::open(&self.dir)?.sync_all()
    }

    /// Bytes that were kept; nothing when they are gone or damaged.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn get(&self, name: &ComponentDigest) -> io::Result<Option<Vec<u8>>> {
        let Some((mut file, len)) = self.file(name)? else {
            return Ok(None);
        };
        let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or_default());
        file.read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// The file of bytes that were kept, at its beginning, and its length; nothing when it is gone or
    /// damaged. It has been read once, in pieces. A damaged one is removed, so that it can be kept anew.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn file(&self, name: &ComponentDigest) -> io::Result<Option<(File, u64)>> {
        let path = self.path(name);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let (found, len) = digest_of(&mut file)?;
        if found == *name {
            file.rewind()?;
            return Ok(Some((file, len)));
        }
        tracing::error!(digest = %name, "a component on the disk is damaged");
        std::fs::remove_file(path)?;
        Ok(None)
    }

    fn path(&self, digest: &ComponentDigest) -> PathBuf {
        self.dir.join(format!("{digest}{ENDING}"))
    }
}

/// The name of these bytes.
#[must_use]
pub fn digest(bytes: &[u8]) -> ComponentDigest {
    ComponentDigest::of_sha256(Sha256::digest(bytes).into())
}

/// The name of what is in a file, and its length.
fn digest_of(file: &mut File) -> io::Result<(ComponentDigest, u64)> {
    let (mut hasher, mut len) = (Sha256::new(), 0);
    let mut block = vec![0; BLOCK_BYTES];
    loop {
        let read = match file.read(&mut block) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(block.get(..read).unwrap_or_default());
        len += read as u64;
    }
    Ok((ComponentDigest::of_sha256(hasher.finalize().into()), len))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn put(blobs: &Blobs, bytes: &[u8]) -> ComponentDigest {
        let name = digest(bytes);
        blobs.put(&name, bytes, || io::Result::Ok(())).unwrap();
        name
    }

    #[test]
    fn what_was_damaged_is_not_given_back_and_can_be_kept_anew() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(&dir.path().join("blobs")).unwrap();
        let name = put(&blobs, b"component");
        assert_eq!(blobs.get(&name).unwrap().unwrap(), b"component");
        std::fs::write(blobs.path(&name), b"cOmponent").unwrap();
        assert_eq!(blobs.get(&name).unwrap(), None);
        assert_eq!(put(&blobs, b"component"), name);
        assert_eq!(blobs.get(&name).unwrap().unwrap(), b"component");
        assert_eq!(blobs.file(&name).unwrap().unwrap().1, 9);
        std::fs::remove_file(blobs.path(&name)).unwrap();
        assert_eq!(blobs.get(&name).unwrap(), None);
    }
}
