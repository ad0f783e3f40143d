//! Files read at any offset, and part files read as the one file they were cut from.
//!
//! Nothing is mapped or held: a model is read piece by piece while it is written, so a conversion
//! needs a few megabytes whatever the model's size, and a file that shrinks meanwhile is an error
//! and not a fault of the process (which is what a memory map would make of it).

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::ConvertError;

/// One or more files, end to end.
#[derive(Debug)]
pub(super) struct Blob {
    parts: Vec<Part>,
    path: PathBuf,
    len_bytes: u64,
}

#[derive(Debug)]
struct Part {
    path: PathBuf,
    file: File,
    start: u64,
    len_bytes: u64,
}

impl Blob {
    /// Opens `paths`, which are joined in the order given. Each must be a regular file.
    pub(super) fn open<P: AsRef<Path>>(paths: &[P]) -> Result<Arc<Self>, ConvertError> {
        let mut parts = Vec::with_capacity(paths.len());
        let mut start = 0_u64;
        for path in paths.iter().map(AsRef::as_ref) {
            let meta = fs::metadata(path).map_err(ConvertError::io("open", path))?;
            if !meta.is_file() {
                return Err(ConvertError::unrecognised(path, "it is not a regular file"));
            }
            let file = File::open(path).map_err(ConvertError::io("open", path))?;
            parts.push(Part {
                path: path.to_path_buf(),
                file,
                start,
                len_bytes: meta.len(),
            });
            start = start.saturating_add(meta.len());
        }
        let path = parts.first().map(|part| part.path.clone());
        Ok(Arc::new(Self {
            parts,
            path: path.unwrap_or_default(),
            len_bytes: start,
        }))
    }

    /// The first file, which names the whole in messages.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of all files together.
    pub(super) fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    /// Whether `len_bytes` bytes lie at `offset`.
    pub(super) fn holds(&self, offset: u64, len_bytes: u64) -> bool {
        offset
            .checked_add(len_bytes)
            .is_some_and(|end| end <= self.len_bytes)
    }

    /// Fills `out` from `offset`.
    pub(super) fn read_exact_at(&self, offset: u64, out: &mut [u8]) -> Result<(), ConvertError> {
        let mut done = 0;
        while let Some(rest) = out.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let count = self
                .read_at(offset.saturating_add(done as u64), rest)
                .map_err(ConvertError::io("read", &self.path))?;
            if count == 0 {
                let end = io::Error::from(io::ErrorKind::UnexpectedEof);
                return Err(ConvertError::io("read", &self.path)(end));
            }
            done += count;
        }
        Ok(())
    }

    /// A cursor at the start.
    pub(super) fn reader(self: &Arc<Self>) -> BufReader<BlobReader> {
        BufReader::new(BlobReader {
            blob: Arc::clone(self),
            position: 0,
        })
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<usize> {
        let inside = |part: &&Part| offset < part.start.saturating_add(part.len_bytes);
        let Some(part) = self.parts.iter().find(inside) else {
            return Ok(0);
        };
        let at = offset.saturating_sub(part.start);
        let wanted = (part.len_bytes - at).min(out.len() as u64) as usize;
        match out.get_mut(..wanted) {
            Some(out) => part.file.read_at(out, at),
            None => Ok(0),
        }
    }
}

/// Reads a [`Blob`] from front to back.
#[derive(Debug)]
pub(super) struct BlobReader {
    blob: Arc<Blob>,
    position: u64,
}

impl Read for BlobReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.blob.read_at(self.position, out)?;
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for BlobReader {
    fn seek(&mut self, target: SeekFrom) -> io::Result<u64> {
        let position = match target {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(delta) => self.blob.len_bytes.checked_add_signed(delta),
            SeekFrom::Current(delta) => self.position.checked_add_signed(delta),
        };
        self.position = position
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "seek before the start"))?;
        Ok(self.position)
    }
}

/// Reads the little-endian fields of a binary header and says which one is cut off.
#[derive(Debug)]
pub(super) struct Fields {
    blob: Arc<Blob>,
    input: BufReader<BlobReader>,
    position: u64,
    format: &'static str,
}

impl Fields {
    pub(super) fn new(blob: &Arc<Blob>, format: &'static str) -> Self {
        Self {
            blob: Arc::clone(blob),
            input: blob.reader(),
            position: 0,
            format,
        }
    }

    /// Offset of the next byte.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    pub(super) fn malformed(&self, reason: impl Into<String>) -> ConvertError {
        ConvertError::malformed(self.blob.path(), self.format, reason)
    }

    /// Refuses a length that the file cannot hold, before anything is allocated for it.
    pub(super) fn demand(&self, len_bytes: u64, what: &str) -> Result<(), ConvertError> {
        let left = self.blob.len_bytes().saturating_sub(self.position);
        if len_bytes <= left {
            return Ok(());
        }
        Err(self.malformed(format!(
            "it ends {} bytes short, inside {what}; it is truncated: fetch it again, with all its parts in order",
            len_bytes - left
        )))
    }

    pub(super) fn bytes(&mut self, len_bytes: u64, what: &str) -> Result<Vec<u8>, ConvertError> {
        self.demand(len_bytes, what)?;
        let mut out = vec![0; len_bytes as usize];
        self.fill(&mut out)?;
        Ok(out)
    }

    pub(super) fn skip(&mut self, len_bytes: u64, what: &str) -> Result<(), ConvertError> {
        self.demand(len_bytes, what)?;
        self.position += len_bytes;
        self.input
            .seek_relative(i64::try_from(len_bytes).unwrap_or(i64::MAX))
            .map_err(ConvertError::io("read", self.blob.path()))
    }

    pub(super) fn u8(&mut self, what: &str) -> Result<u8, ConvertError> {
        self.array::<1>(what).map(u8::from_le_bytes)
    }

    pub(super) fn u16(&mut self, what: &str) -> Result<u16, ConvertError> {
        self.array::<2>(what).map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self, what: &str) -> Result<u32, ConvertError> {
        self.array::<4>(what).map(u32::from_le_bytes)
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], ConvertError> {
        self.demand(N as u64, what)?;
        let mut out = [0; N];
        self.fill(&mut out)?;
        Ok(out)
    }

    fn fill(&mut self, out: &mut [u8]) -> Result<(), ConvertError> {
        self.position += out.len() as u64;
        self.input
            .read_exact(out)
            .map_err(ConvertError::io("read", self.blob.path()))
    }
}

/// Reads a whole text file of at most `limit_bytes`.
pub(super) fn read_text(path: &Path, limit_bytes: u64) -> Result<String, ConvertError> {
    let blob = Blob::open(&[path])?;
    if blob.len_bytes() > limit_bytes {
        let reason =
            format!("it is larger than {limit_bytes} bytes, the most that such a file has");
        return Err(ConvertError::unrecognised(path, reason));
    }
    let mut bytes = vec![0; blob.len_bytes() as usize];
    blob.read_exact_at(0, &mut bytes)?;
    String::from_utf8(bytes)
        .map_err(|error| ConvertError::unrecognised(path, format!("it is not UTF-8 text: {error}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use super::*;

    #[test]
    fn a_read_across_parts_is_the_same_as_a_read_of_the_whole() {
        let dir = tempfile::tempdir().unwrap();
        let whole: Vec<u8> = (0..=255).collect();
        let paths = [0..100, 100..101, 101..101, 101..256].map(|range| {
            let path = dir
                .path()
                .join(format!("part{}-{}", range.start, range.end));
            fs::write(&path, &whole[range]).unwrap();
            path
        });
        let blob = Blob::open(&paths).unwrap();
        let mut out = [0; 60];
        blob.read_exact_at(70, &mut out).unwrap();
        assert_eq!(out, whole[70..130]);
        let mut all = Vec::new();
        blob.reader().read_to_end(&mut all).unwrap();
        assert_eq!(all, whole);
        assert!(blob.read_exact_at(200, &mut out).is_err());
    }

    #[test]
    fn a_field_past_the_end_names_the_missing_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("short");
        fs::write(&path, [1, 0, 0, 0, 9]).unwrap();
        let mut fields = Fields::new(&Blob::open(&[&path]).unwrap(), "test file");
        assert_eq!(fields.u32("the count").unwrap(), 1);
        let message = fields.u32("the size").unwrap_err().to_string();
        assert!(
            message.contains("3 bytes short, inside the size"),
            "{message}"
        );
    }
}
