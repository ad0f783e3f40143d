//! The file being written: hashed while it is written, and only given its name when it is whole.

use std::fs::{File, Permissions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::ConvertError;

/// A temporary file beside its destination. Dropped without [`Output::finish`], it is removed.
pub(super) struct Output {
    file: BufWriter<NamedTempFile>,
    hasher: Sha256,
    bytes: u64,
    path: PathBuf,
}

impl Output {
    pub(super) fn create(path: &Path) -> Result<Self, ConvertError> {
        let file = tempfile::Builder::new()
            .prefix(".converting-")
            .permissions(Permissions::from_mode(0o644))
            .tempfile_in(parent(path))
            .map_err(ConvertError::io("create a file beside", path))?;
        Ok(Self {
            file: BufWriter::with_capacity(1 << 20, file),
            hasher: Sha256::new(),
            bytes: 0,
            path: path.to_path_buf(),
        })
    }

    pub(super) fn put(&mut self, bytes: &[u8]) -> Result<(), ConvertError> {
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        self.file
            .write_all(bytes)
            .map_err(ConvertError::io("write", &self.path))
    }

    /// Flushes to the disk, renames, and returns the digest in lower-case hexadecimal and the
    /// size in bytes.
    pub(super) fn finish(self) -> Result<(String, u64), ConvertError> {
        let path = self.path;
        let file = self
            .file
            .into_inner()
            .map_err(|error| ConvertError::io("write", &path)(error.into_error()))?;
        file.as_file()
            .sync_all()
            .map_err(ConvertError::io("flush", &path))?;
        file.persist(&path)
            .map_err(|error| ConvertError::io("rename a finished file to", &path)(error.error))?;
        let dir = parent(&path);
        File::open(dir)
            .and_then(|dir| dir.sync_all())
            .map_err(ConvertError::io("flush", dir))?;
        Ok((hex::encode(self.hasher.finalize()), self.bytes))
    }
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

#[cfg(test)]
pub(super) fn hex_sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn an_unfinished_file_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.bin");
        let mut output = Output::create(&path).unwrap();
        output.put(b"half").unwrap();
        drop(output);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_finished_file_has_the_digest_that_was_returned() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.bin");
        let mut output = Output::create(&path).unwrap();
        output.put(b"ab").unwrap();
        output.put(b"c").unwrap();
        let (digest, bytes) = output.finish().unwrap();
        assert_eq!(bytes, 3);
        assert_eq!(digest, hex_sha256(&std::fs::read(&path).unwrap()));
    }
}
