//! A file of `torch.save`: a zip archive of a pickle and of the tensors' bytes.
//!
//! The pickle goes through our own machine, which runs nothing. The tensors are read where they
//! lie in the archive, which is possible because torch stores them uncompressed.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use zip::{CompressionMethod, ZipArchive};

use super::ConvertError;
use super::blob::{Blob, BlobReader};
use super::pickle::{Pickle, PickledTensor};
use super::weights::{Tensor, elements};

/// The pickle of the largest checkpoint has about 300 kB.
const MAX_PICKLE_BYTES: u64 = 16 << 20;

/// Entries of the largest checkpoint: about 1300.
const MAX_ENTRIES: usize = 100_000;

type Archive = ZipArchive<std::io::BufReader<BlobReader>>;

/// An opened file: its values, and where its tensors' bytes lie.
pub(super) struct TorchFile {
    pub(super) pickle: Pickle,
    blob: Arc<Blob>,
    storages: HashMap<String, Storage>,
}

impl TorchFile {
    /// Opens `file`; `format` names it in errors.
    pub(super) fn open(file: &Path, format: &'static str) -> Result<Self, ConvertError> {
        let malformed = |reason: String| ConvertError::malformed(file, format, reason);
        let blob = Blob::open(&[file])?;
        let mut archive = ZipArchive::new(blob.reader())
            .map_err(|error| malformed(format!("its zip directory cannot be read: {error}")))?;
        if archive.len() > MAX_ENTRIES {
            return Err(malformed(format!("it has {} entries", archive.len())));
        }
        let root = root(&archive).ok_or_else(|| malformed("it has no data.pkl".to_owned()))?;
        let order = read_entry(&mut archive, &format!("{root}/byteorder"), 16).unwrap_or_default();
        if order.starts_with(b"big") {
            return Err(malformed("it was saved on a big-endian machine".to_owned()));
        }
        let pickle = read_entry(&mut archive, &format!("{root}/data.pkl"), MAX_PICKLE_BYTES)
            .and_then(|bytes| Pickle::load(&bytes))
            .map_err(malformed)?;
        let storages = storages(&mut archive, &root).map_err(malformed)?;
        Ok(Self {
            pickle,
            blob,
            storages,
        })
    }

    /// A tensor of the pickle where it lies in the file. The error goes after "tensor NAME".
    pub(super) fn tensor(&self, pickled: &PickledTensor) -> Result<Tensor, String> {
        let key = self.pickle.text(pickled.key).unwrap_or_default();
        let storage = self.storages.get(key).ok_or("has no bytes in the file")?;
        place(pickled, &self.blob, *storage)
    }
}

/// The folder that torch puts everything in: usually `archive` or the file's name.
fn root(archive: &Archive) -> Option<String> {
    let mut names = archive.file_names().filter_map(Result::ok);
    names.find_map(|name| name.strip_suffix("/data.pkl").map(str::to_owned))
}

fn read_entry(archive: &mut Archive, name: &str, limit_bytes: u64) -> Result<Vec<u8>, String> {
    let entry = archive
        .by_name(name)
        .map_err(|error| format!("{name}: {error}"))?;
    let mut bytes = Vec::new();
    entry
        .take(limit_bytes + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("{name}: {error}"))?;
    if bytes.len() as u64 > limit_bytes {
        return Err(format!("{name} has more than {limit_bytes} bytes"));
    }
    Ok(bytes)
}

/// Where a storage's bytes lie in the file.
#[derive(Clone, Copy, Debug)]
struct Storage {
    start: u64,
    len_bytes: u64,
}

fn storages(archive: &mut Archive, root: &str) -> Result<HashMap<String, Storage>, String> {
    let prefix = format!("{root}/data/");
    let mut out = HashMap::new();
    for index in 0..archive.len() {
        let entry = archive
            .by_index_raw(index)
            .map_err(|error| format!("entry {index} cannot be read: {error}"))?;
        let name = entry
            .name()
            .map_err(|error| error.to_string())?
            .into_owned();
        let Some(key) = name.strip_prefix(&prefix) else {
            continue;
        };
        if entry.compression() != CompressionMethod::Stored {
            return Err(format!(
                "{name} is compressed; save the checkpoint again with torch.save"
            ));
        }
        let start = entry
            .data_start()
            .ok_or_else(|| format!("{name} has no data"))?;
        let len_bytes = entry.size();
        out.insert(key.to_owned(), Storage { start, len_bytes });
    }
    Ok(out)
}

fn place(pickled: &PickledTensor, blob: &Arc<Blob>, storage: Storage) -> Result<Tensor, String> {
    let dtype = pickled
        .dtype
        .ok_or("is not f32, f16 or bf16: save it as one of them")?;
    if !is_contiguous(&pickled.shape, &pickled.stride_elements) {
        return Err("is not contiguous: save it after .contiguous()".to_owned());
    }
    let end_bytes = elements(&pickled.shape)
        .and_then(|len| len.checked_add(pickled.offset_elements))
        .and_then(|end| end.checked_mul(dtype.bytes()))
        .filter(|&end| end <= storage.len_bytes);
    if end_bytes.is_none() {
        return Err("lies outside its storage".to_owned());
    }
    let offset = storage
        .start
        .saturating_add(pickled.offset_elements * dtype.bytes());
    Tensor::new(blob, offset, pickled.shape.clone(), dtype)
        .ok_or_else(|| "lies outside the file: it is truncated, fetch it again".to_owned())
}

/// Whether the elements lie one after the other, rows first. Strides of dimensions of one element
/// mean nothing.
fn is_contiguous(shape: &[u64], strides: &[u64]) -> bool {
    let mut expected = 1_u64;
    let pairs = shape.iter().zip(strides).rev();
    shape.len() == strides.len()
        && pairs.into_iter().all(|(&dim, &stride)| {
            let fits = dim == 1 || stride == expected;
            expected = expected.saturating_mul(dim);
            fits
        })
}

#[cfg(test)]
mod tests {
    use super::is_contiguous;

    #[test]
    fn a_transposed_tensor_is_not_contiguous() {
        assert!(is_contiguous(&[4, 3], &[3, 1]));
        assert!(is_contiguous(&[4, 1, 3], &[3, 99, 1]));
        assert!(!is_contiguous(&[4, 3], &[1, 4]));
        assert!(!is_contiguous(&[4, 3], &[3]));
    }
}
