//! What is known about an installed model: a small JSON file beside it.
//!
//! A record is written last, so that what has one is whole. It is trusted as far as the models
//! directory is; whether it agrees with the manifest is asked each time it is read.

use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::ModelsError;
use crate::manifest::Kind;

/// Version of the record's format.
const SCHEMA: u32 = 1;

/// Larger files are no records.
const MAX_RECORD_BYTES: u64 = 64 * 1024;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    schema: u32,
    pub name: String,
    pub kind: Kind,
    /// `f16`, `q8_0`…; empty for what is no Whisper model.
    pub quantization: String,
    pub files: Vec<RecordedFile>,
    pub license: String,
    /// Where it came from, for a person.
    pub source: String,
    /// Whether an operator brought it.
    pub imported: bool,
    pub multilingual: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordedFile {
    pub file: String,
    pub sha256: String,
    pub bytes: u64,
}

impl Record {
    pub fn new(name: &str, kind: Kind, files: Vec<RecordedFile>) -> Self {
        Self {
            schema: SCHEMA,
            name: name.to_owned(),
            kind,
            quantization: String::new(),
            files,
            license: String::new(),
            source: String::new(),
            imported: false,
            multilingual: true,
        }
    }

    /// Reads a record; none when there is none or it is not one of ours.
    pub fn read(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        if metadata.len() > MAX_RECORD_BYTES {
            return None;
        }
        let text = std::fs::read_to_string(path).ok()?;
        let record: Self = serde_json::from_str(&text).ok()?;
        let names = record.files.iter().map(|file| file.file.as_str());
        let safe = names
            .chain([record.name.as_str()])
            .all(|name| crate::manifest::check_name(name).is_ok());
        (record.schema == SCHEMA && !record.files.is_empty() && safe).then_some(record)
    }

    /// Writes the record in one step.
    pub fn write(&self, path: &Path) -> Result<(), ModelsError> {
        let dir = path.parent().unwrap_or(Path::new("."));
        let write = || -> std::io::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(dir)?;
            serde_json::to_writer_pretty(file.as_file_mut(), self)?;
            file.as_file_mut().write_all(b"\n")?;
            file.as_file().sync_all()?;
            file.persist(path).map_err(|error| error.error)?;
            Ok(())
        };
        write().map_err(ModelsError::io("write", path))?;
        super::make_readable(path)
    }

    /// Whether all files are there with the recorded sizes; otherwise what is wrong.
    pub fn check_files(&self, dir: &Path) -> Result<(), String> {
        for file in &self.files {
            match std::fs::metadata(dir.join(&file.file)) {
                Ok(metadata) if metadata.len() == file.bytes => {}
                Ok(metadata) => {
                    return Err(format!(
                        "{} has {} bytes instead of {}",
                        file.file,
                        metadata.len(),
                        file.bytes
                    ));
                }
                Err(error) => return Err(format!("{}: {error}", file.file)),
            }
        }
        Ok(())
    }

    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}
