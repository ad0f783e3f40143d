//! What there is to pull and what is installed, for `models list`.

use crate::manifest::{Broad, FileSet, Kind, Languages, Model};

use super::record::Record;
use super::{SET_RECORD, Storage, Store, agrees, pull, records_in};

/// A model or set of files, installed or not.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ModelStatus {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub kind: Kind,
    /// One line for a person.
    pub description: String,
    /// Licence and who grants it.
    pub license: String,
    /// What it understands.
    pub languages: Languages,
    /// What a bare name means; empty for what is no Whisper model.
    pub default_quantization: String,
    /// Memory needed when loaded unquantized, about; 0 where unknown.
    pub memory_bytes: u64,
    /// Whether an operator brought it.
    pub imported: bool,
    /// What of it is on this machine; empty when it is not installed.
    pub installed: Vec<Variant>,
}

/// An installed variant of a model.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Variant {
    /// How its weights are stored; empty for what is no Whisper model.
    pub quantization: String,
    /// Size on the disk.
    pub bytes: u64,
}

impl Store {
    /// All of the manifest, then what was imported; with what is installed of each.
    #[must_use]
    pub fn list(&self) -> Vec<ModelStatus> {
        let models = self.manifest.models.iter();
        let sets = self.manifest.file_sets();
        let imports = self.imported_names();
        models
            .map(|model| self.model_status(model))
            .chain(sets.map(|set| self.set_status(set)))
            .chain(imports.iter().filter_map(|name| self.import_status(name)))
            .collect()
    }

    fn model_status(&self, model: &Model) -> ModelStatus {
        let dir = self.model_dir(&model.name);
        let ours = |record: &Record| {
            let storage = Storage::parse(&record.quantization);
            record.name == model.name
                && storage.is_some_and(|storage| agrees(record, model, storage))
                && record.check_files(&dir).is_ok()
        };
        let records = records_in(&dir).into_iter().map(|(_, record)| record);
        ModelStatus {
            name: model.name.clone(),
            kind: Kind::Whisper,
            description: model.description.clone(),
            license: model.license.clone(),
            languages: model.languages.clone(),
            default_quantization: model.default_quantization.clone(),
            memory_bytes: model.memory_bytes,
            imported: false,
            installed: records.filter(ours).map(variant).collect(),
        }
    }

    fn set_status(&self, set: &FileSet) -> ModelStatus {
        let dir = self.set_dir(set);
        let record = Record::read(&dir.join(SET_RECORD)).filter(|record| {
            record.files == pull::set_files(set) && record.check_files(&dir).is_ok()
        });
        ModelStatus {
            name: set.name.clone(),
            kind: set.kind,
            description: set.description.clone(),
            license: set.license.clone(),
            languages: set.languages.clone(),
            default_quantization: String::new(),
            memory_bytes: 0,
            imported: false,
            installed: record.map(variant).into_iter().collect(),
        }
    }

    /// Names of directories that the manifest does not explain, sorted.
    fn imported_names(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(&self.dirs.models) else {
            return Vec::new();
        };
        let unlisted = |name: &String| {
            self.manifest.model(name).is_none() && self.manifest.file_set(name).is_none()
        };
        let mut names: Vec<_> = entries
            .filter_map(Result::ok)
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(unlisted)
            .collect();
        names.sort();
        names
    }

    fn import_status(&self, name: &str) -> Option<ModelStatus> {
        let dir = self.model_dir(name);
        let whole = |record: &Record| {
            record.imported && record.name == name && record.check_files(&dir).is_ok()
        };
        let records: Vec<_> = records_in(&dir)
            .into_iter()
            .map(|(_, record)| record)
            .filter(whole)
            .collect();
        let first = records.first()?;
        let languages = if first.multilingual {
            Languages::Word(Broad::Multilingual)
        } else {
            Languages::Only(vec!["en".to_owned()])
        };
        Some(ModelStatus {
            name: name.to_owned(),
            kind: first.kind,
            description: first.source.clone(),
            license: first.license.clone(),
            languages,
            default_quantization: first.quantization.clone(),
            memory_bytes: 0,
            imported: true,
            installed: records.into_iter().map(variant).collect(),
        })
    }
}

fn variant(record: Record) -> Variant {
    Variant {
        bytes: record.bytes(),
        quantization: record.quantization,
    }
}
