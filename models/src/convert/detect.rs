//! Which format a path given by a user holds. Names decide in a directory, the first bytes in a
//! file.

use std::fs;
use std::path::{Path, PathBuf};

use super::blob::Blob;
use super::{ConvertError, OwnedSource, ct2, ggml, huggingface};

/// Vocabulary files that may lie beside weights, the likeliest first.
const VOCABULARIES: [&str; 4] = [
    "vocabulary.json",
    "vocabulary.txt",
    "vocab.json",
    "tokenizer.json",
];

const MODEL: &str = "model.bin";

/// Finds out what the file or directory at `path` is.
///
/// A directory may hold a Hugging Face model (model.safetensors or its index) or a CTranslate2
/// model (model.bin, or model.bin.part1, model.bin.part2 and so on). A file may be a ggml model,
/// an OpenAI checkpoint, or one of the files of such a directory. Nothing is checked beyond that;
/// [`to_ggml`](super::to_ggml) does it. A named `vocabulary` wins over one that lies beside the
/// weights.
///
/// # Errors
/// [`ConvertError::Unrecognised`] says what was looked for, [`ConvertError::Vocabulary`] that a
/// CTranslate2 model has none beside it and none is named, and [`ConvertError::Io`] that the path cannot be read.
pub fn detect(path: &Path, vocabulary: Option<&Path>) -> Result<OwnedSource, ConvertError> {
    let meta = fs::metadata(path).map_err(ConvertError::io("open", path))?;
    if meta.is_dir() {
        return detect_dir(path, vocabulary);
    }
    let blob = Blob::open(&[path])?;
    let mut head = [0; 32];
    let len = blob.len_bytes().min(head.len() as u64) as usize;
    if let Some(head) = head.get_mut(..len) {
        blob.read_exact_at(0, head)?;
    }
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    if head.starts_with(&ggml::MAGIC.to_le_bytes()) {
        return Ok(OwnedSource::Ggml(path.to_path_buf()));
    }
    if head.starts_with(b"PK\x03\x04") {
        return Ok(OwnedSource::OpenAiPt {
            file: path.to_path_buf(),
            vocabulary: vocabulary_of(dir, vocabulary),
        });
    }
    // Version, length, name.
    if head
        .get(6..)
        .is_some_and(|rest| rest.starts_with(ct2::SPEC.as_bytes()))
    {
        return detect_ct2(dir, vec![path.to_path_buf()], vocabulary);
    }
    let extension = path.extension().unwrap_or_default();
    if extension == "safetensors" || extension == "json" {
        return detect_dir(dir, vocabulary);
    }
    let reason = if head.starts_with(b"GGUF") {
        "it is a GGUF file, which whisper.cpp does not load: use the ggml file of the model"
    } else if head.starts_with(&[0x80, 0x02]) {
        "it is a checkpoint of a torch older than 1.6: load it and save it again with a newer one"
    } else {
        "it is neither a ggml model nor an OpenAI .pt checkpoint nor a file of a CTranslate2 or Hugging Face model: give one of those, or the directory of one of the last two"
    };
    Err(ConvertError::unrecognised(path, reason))
}

fn detect_dir(dir: &Path, vocabulary: Option<&Path>) -> Result<OwnedSource, ConvertError> {
    let holds = |name: &str| dir.join(name).is_file();
    if holds(huggingface::SINGLE) || holds(huggingface::INDEX) {
        return Ok(OwnedSource::SafetensorsDir(dir.to_path_buf()));
    }
    if holds(MODEL) {
        return detect_ct2(dir, vec![dir.join(MODEL)], vocabulary);
    }
    let parts = parts(dir)?;
    if !parts.is_empty() {
        return detect_ct2(dir, parts, vocabulary);
    }
    let reason = "it is a directory without model.safetensors, model.safetensors.index.json, model.bin or model.bin.part1: give the directory with one of them, or a ggml or .pt file";
    Err(ConvertError::unrecognised(dir, reason))
}

fn detect_ct2(
    dir: &Path,
    model_parts: Vec<PathBuf>,
    vocabulary: Option<&Path>,
) -> Result<OwnedSource, ConvertError> {
    let Some(vocabulary) = vocabulary_of(dir, vocabulary) else {
        let reason = "its directory has no vocabulary.json, vocabulary.txt or tokenizer.json: put the one that came with the model there, or name it with --vocabulary";
        return Err(ConvertError::vocabulary(&dir.join(MODEL), reason));
    };
    Ok(OwnedSource::CTranslate2 {
        model_parts,
        vocabulary,
    })
}

/// The named vocabulary, or the first that lies in `dir`.
fn vocabulary_of(dir: &Path, named: Option<&Path>) -> Option<PathBuf> {
    if let Some(named) = named {
        return Some(named.to_path_buf());
    }
    let mut paths = VOCABULARIES.iter().map(|name| dir.join(name));
    paths.find(|path| path.is_file())
}

/// The files `model.bin.partN` in the order of N; a gap in the numbers is an error.
fn parts(dir: &Path) -> Result<Vec<PathBuf>, ConvertError> {
    let mut numbered: Vec<(u32, PathBuf)> = Vec::new();
    for entry in fs::read_dir(dir).map_err(ConvertError::io("list", dir))? {
        let path = entry.map_err(ConvertError::io("list", dir))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let digits = name.strip_prefix("model.bin.part");
        if let Some(number) = digits.and_then(|digits| digits.parse().ok()) {
            numbered.push((number, path));
        }
    }
    numbered.sort();
    let first = numbered.first().map_or(0, |(number, _)| *number);
    for (expected, (found, _)) in (first..).zip(&numbered) {
        if expected != *found {
            let reason = format!("part {expected} of {MODEL} is missing: fetch it too");
            return Err(ConvertError::unrecognised(dir, reason));
        }
    }
    Ok(numbered.into_iter().map(|(_, path)| path).collect())
}
