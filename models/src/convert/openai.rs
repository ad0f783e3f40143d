//! Reads OpenAI's .pt checkpoints: a zip archive of a pickle and of the tensors' bytes.
//!
//! The checkpoint is `{"dims": {...}, "model_state_dict": {...}}`. The pickle goes through our own
//! machine, which runs nothing. The tensors are read where they lie in the archive, which is
//! possible because torch stores them uncompressed.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use zip::{CompressionMethod, ZipArchive};

use super::blob::{Blob, BlobReader};
use super::layout::HyperParameters;
use super::pickle::{Pickle, PickledTensor, Value};
use super::weights::{Tensor, WhisperWeights, elements};
use super::{ConvertError, vocabulary};

const FORMAT: &str = "OpenAI checkpoint";

/// The pickle of the largest checkpoint has about 300 kB.
const MAX_PICKLE_BYTES: u64 = 16 << 20;

/// Entries of the largest checkpoint: about 1300.
const MAX_ENTRIES: usize = 100_000;

type Archive = ZipArchive<std::io::BufReader<BlobReader>>;

pub(super) fn read(file: &Path, vocabulary: Option<&Path>) -> Result<WhisperWeights, ConvertError> {
    let malformed = |reason: String| ConvertError::malformed(file, FORMAT, reason);
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
    let hyper = dims(&pickle).map_err(malformed)?;
    hyper.check().map_err(malformed)?;
    let storages = storages(&mut archive, &root).map_err(malformed)?;
    let tensors = tensors(&pickle, &blob, &storages).map_err(malformed)?;
    let Some(vocabulary) = vocabulary else {
        let reason = "an OpenAI checkpoint holds none: pass the vocabulary.txt, vocabulary.json, vocab.json, tokenizer.json or ggml file of any Whisper model of the same kind (English-only or multilingual)";
        return Err(ConvertError::vocabulary(file, reason));
    };
    let vocabulary = vocabulary::read(vocabulary, &hyper)?;
    WhisperWeights::new(file, FORMAT, hyper, vocabulary, tensors)
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

fn dims(pickle: &Pickle) -> Result<HyperParameters, String> {
    let dims = pickle.entry(pickle.root(), "dims").ok_or(
        "it has no dims, so it is not a checkpoint of OpenAI's: a Hugging Face pytorch_model.bin must be saved as safetensors first",
    )?;
    let get = |name: &str| match pickle.entry(dims, name) {
        Some(Value::Int(value)) => u32::try_from(*value).map_err(|_| format!("{name} is {value}")),
        _ => Err(format!("its dims have no {name}")),
    };
    Ok(HyperParameters {
        n_vocab: get("n_vocab")?,
        n_audio_ctx: get("n_audio_ctx")?,
        n_audio_state: get("n_audio_state")?,
        n_audio_head: get("n_audio_head")?,
        n_audio_layer: get("n_audio_layer")?,
        n_text_ctx: get("n_text_ctx")?,
        n_text_state: get("n_text_state")?,
        n_text_head: get("n_text_head")?,
        n_text_layer: get("n_text_layer")?,
        n_mels: get("n_mels")?,
    })
}

fn tensors(
    pickle: &Pickle,
    blob: &Arc<Blob>,
    storages: &HashMap<String, Storage>,
) -> Result<HashMap<String, Tensor>, String> {
    let state = pickle.entry(pickle.root(), "model_state_dict");
    let Some(Value::Dict(pairs)) = state else {
        return Err("it has no model_state_dict".to_owned());
    };
    let mut out = HashMap::new();
    for (name, value) in pairs {
        let name = pickle.text(*name).ok_or("a tensor has no name")?;
        // The causal mask and the alignment heads, which some versions saved, have no place in
        // ggml: both are computed.
        if matches!(name, "decoder.mask" | "alignment_heads") {
            continue;
        }
        let Value::Tensor(pickled) = pickle.get(*value) else {
            return Err(format!("{name} is not a tensor"));
        };
        let key = pickle.text(pickled.key).unwrap_or_default();
        let storage = storages
            .get(key)
            .ok_or_else(|| format!("the bytes of tensor {name} are missing"))?;
        let tensor =
            place(pickled, blob, *storage).map_err(|reason| format!("tensor {name} {reason}"))?;
        out.insert(name.to_owned(), tensor);
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
