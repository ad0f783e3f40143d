//! The models on this machine: what is installed, and where.
//!
//! A model lies in `{models}/{name}/` as `ggml-{name}-{quantization}.bin` with a record beside it;
//! other files lie in `{models}/{name}/` (audio for tests in `{cache}/audio/{name}/`). The
//! directories belong to one operator: whoever can write there can change what is served, so a
//! server should only read them. Refuses names that could leave them.
//!
//! Looking things up reads records and sizes, never weights: the engine checks a digest when it
//! loads a file, and doing it here too would cost every start of the server seconds.

mod list;
mod pull;
mod record;
mod reference;

use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

use crate::error::ModelsError;
use crate::fetch::{Fetcher, Retry};
use crate::manifest::{FileSet, Kind, Manifest, Model};
use record::Record;

pub use list::{ModelStatus, Variant};
pub use pull::PullOptions;
pub use reference::{Reference, Storage, UNQUANTIZED};

/// Name of the record of a set of files.
const SET_RECORD: &str = "files.json";

/// Where models and downloads lie.
#[derive(Clone, Debug)]
pub struct StoreDirs {
    /// Installed models.
    pub models: PathBuf,
    /// What can be fetched or made again.
    pub cache: PathBuf,
    /// A mirror of the model hub; none means the manifest's.
    pub hub_url: Option<String>,
}

impl StoreDirs {
    /// `AURICLE_MODELS_DIR`, `AURICLE_CACHE_DIR` and `AURICLE_HUB_URL`, else the user's data and
    /// cache directories (`XDG_DATA_HOME/auricle/models`, `XDG_CACHE_HOME/auricle`).
    ///
    /// # Errors
    /// [`ModelsError::NoHome`] when neither is known.
    pub fn from_env() -> Result<Self, ModelsError> {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let base = etcetera::choose_base_strategy();
        let dir = |name, default: &dyn Fn(&dyn BaseDirs) -> PathBuf| match (set(name), &base) {
            (Some(dir), _) => Ok(PathBuf::from(dir)),
            (None, Ok(base)) => Ok(default(base)),
            (None, Err(_)) => Err(ModelsError::NoHome),
        };
        Ok(Self {
            models: dir("AURICLE_MODELS_DIR", &|base| {
                base.data().join("auricle").join("models")
            })?,
            cache: dir("AURICLE_CACHE_DIR", &|base| base.cache().join("auricle"))?,
            hub_url: set("AURICLE_HUB_URL").map(|url| url.to_string_lossy().into_owned()),
        })
    }
}

/// The two directories that are asked of `etcetera`, whose own trait cannot be a `dyn`.
trait BaseDirs {
    fn data(&self) -> PathBuf;
    fn cache(&self) -> PathBuf;
}

impl<B: BaseStrategy> BaseDirs for B {
    fn data(&self) -> PathBuf {
        self.data_dir()
    }
    fn cache(&self) -> PathBuf {
        self.cache_dir()
    }
}

/// A model that can be loaded.
#[derive(Clone, Debug)]
pub struct InstalledModel {
    /// Its full reference, `base:q8_0`; the name alone for what is no Whisper model.
    pub reference: String,
    /// Its name.
    pub name: String,
    /// How its weights are stored; empty for what is no Whisper model.
    pub quantization: String,
    /// What it is for.
    pub kind: Kind,
    /// The weights; of a set, its first file.
    pub path: PathBuf,
    /// SHA-256 that `path` must have, in lower-case hexadecimal.
    pub sha256: String,
    /// Size of `path`.
    pub bytes: u64,
    /// Whether it knows languages other than English.
    pub multilingual: bool,
    /// Licence and who grants it.
    pub license: String,
    /// Where it came from.
    pub source: String,
}

/// An installed set of files.
#[derive(Clone, Debug)]
pub struct InstalledFiles {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub kind: Kind,
    /// The files, in the manifest's order.
    pub files: Vec<InstalledFile>,
}

/// A file of a set.
#[derive(Clone, Debug)]
pub struct InstalledFile {
    /// Its name within the set.
    pub name: String,
    /// Where it lies.
    pub path: PathBuf,
    /// SHA-256 that it must have, in lower-case hexadecimal.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
}

impl InstalledFiles {
    /// The file of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&InstalledFile> {
        self.files.iter().find(|file| file.name == name)
    }
}

/// The models on this machine.
#[derive(Debug)]
pub struct Store {
    dirs: StoreDirs,
    manifest: Manifest,
    fetcher: Fetcher,
}

impl Store {
    /// Opens the store of these directories with the built-in manifest. Creates nothing yet.
    ///
    /// # Errors
    /// [`ModelsError::Manifest`].
    pub fn open(dirs: StoreDirs) -> Result<Self, ModelsError> {
        Ok(Self::with_manifest(
            dirs,
            Manifest::built_in()?,
            Retry::default(),
        ))
    }

    /// As [`Store::open`], with another manifest.
    #[must_use]
    pub fn with_manifest(mut dirs: StoreDirs, manifest: Manifest, retry: Retry) -> Self {
        // Registries' clients run in a directory of their own. The only failure is an empty path.
        for dir in [&mut dirs.models, &mut dirs.cache] {
            *dir = std::path::absolute(&*dir).unwrap_or_default();
        }
        Self {
            fetcher: Fetcher::new(dirs.cache.join("downloads"), retry),
            dirs,
            manifest,
        }
    }

    /// What can be pulled, and its defaults.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Where everything lies.
    #[must_use]
    pub fn dirs(&self) -> &StoreDirs {
        &self.dirs
    }

    /// The model to load for a reference.
    ///
    /// # Errors
    /// [`ModelsError::NotInstalled`] or [`ModelsError::Damaged`], which say what to do;
    /// [`ModelsError::Unknown`]; a wrong reference's own errors.
    pub fn resolve(&self, reference: &str) -> Result<InstalledModel, ModelsError> {
        let asked = Reference::parse(reference)?;
        let Some(model) = self.manifest.model(&asked.name) else {
            if self.manifest.file_set(&asked.name).is_some() {
                return Ok(first_of(self.file(&asked.name)?, &self.manifest));
            }
            return self.resolve_import(&asked);
        };
        let storage = asked
            .storage
            .or(Storage::parse(&model.default_quantization));
        let storage = storage.unwrap_or(Storage::F16);
        let not_installed = || ModelsError::NotInstalled {
            reference: asked.to_string(),
        };
        let record = self
            .record(&model.name, storage)
            .filter(|record| agrees(record, model, storage))
            .ok_or_else(not_installed)?;
        self.installed(record)
    }

    /// An installed set of files: a library, a voice activity model, audio.
    ///
    /// # Errors
    /// [`ModelsError::NotInstalled`], [`ModelsError::Damaged`], [`ModelsError::Unknown`].
    pub fn file(&self, name: &str) -> Result<InstalledFiles, ModelsError> {
        let set = self.manifest.file_set(name);
        let set = set.ok_or_else(|| ModelsError::Unknown {
            name: name.chars().take(80).collect(),
        })?;
        let dir = self.set_dir(set);
        let record = Record::read(&dir.join(SET_RECORD))
            .filter(|record| record.files == pull::set_files(set))
            .ok_or_else(|| ModelsError::NotInstalled {
                reference: name.to_owned(),
            })?;
        let damaged = |problem| ModelsError::Damaged {
            reference: name.to_owned(),
            problem,
        };
        record.check_files(&dir).map_err(damaged)?;
        let files = record.files.into_iter().map(|file| InstalledFile {
            path: dir.join(&file.file),
            name: file.file,
            sha256: file.sha256,
            bytes: file.bytes,
        });
        Ok(InstalledFiles {
            name: name.to_owned(),
            kind: set.kind,
            files: files.collect(),
        })
    }

    /// The shared library of a set of kind [`Kind::Library`], such as `onnxruntime`.
    ///
    /// # Errors
    /// As [`Store::file`].
    pub fn library(&self, name: &str) -> Result<InstalledFile, ModelsError> {
        let set = self.file(name)?;
        let mut files = set.files.into_iter();
        files
            .find(|file| set.kind == Kind::Library && file.name.contains(".so"))
            .ok_or_else(|| ModelsError::Unknown {
                name: name.to_owned(),
            })
    }

    /// Removes an installed model: one quantization of it, or all when the reference names none.
    /// A model of the manifest can be pulled again.
    ///
    /// # Errors
    /// [`ModelsError::NotInstalled`] when nothing was there; [`ModelsError::Io`].
    pub fn remove(&self, reference: &str) -> Result<(), ModelsError> {
        let asked = Reference::parse(reference)?;
        let set = self.manifest.file_set(&asked.name);
        let dir = set.map_or_else(|| self.model_dir(&asked.name), |set| self.set_dir(set));
        let wanted = |record: &Record| {
            let storage = asked.storage;
            record.name == asked.name && storage.is_none_or(|s| s.as_str() == record.quantization)
        };
        let mut removed = false;
        for (path, record) in records_in(&dir).into_iter().filter(|(_, r)| wanted(r)) {
            // The record first: what has none is not installed.
            std::fs::remove_file(&path).map_err(ModelsError::io("remove", &path))?;
            for file in &record.files {
                let path = dir.join(&file.file);
                match std::fs::remove_file(&path) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(ModelsError::io("remove", &path)(error));
                    }
                    _ => removed = true,
                }
            }
        }
        if !removed {
            return Err(ModelsError::NotInstalled {
                reference: asked.to_string(),
            });
        }
        // Fails when other quantizations are left, which is right.
        if std::fs::remove_dir(&dir).is_ok() {
            self.forget_hub_files(&asked.name);
        }
        Ok(())
    }

    fn model_dir(&self, name: &str) -> PathBuf {
        self.dirs.models.join(name)
    }

    fn set_dir(&self, set: &FileSet) -> PathBuf {
        match set.kind {
            Kind::Audio => self.dirs.cache.join("audio").join(&set.name),
            _ => self.model_dir(&set.name),
        }
    }

    fn record(&self, name: &str, storage: Storage) -> Option<Record> {
        let path = self.model_dir(name).join(record_name(name, storage));
        Record::read(&path).filter(|record| record.name == name)
    }

    fn resolve_import(&self, asked: &Reference) -> Result<InstalledModel, ModelsError> {
        let fits = |record: &Record| {
            let storage = asked.storage;
            record.imported && storage.is_none_or(|s| s.as_str() == record.quantization)
        };
        let mut records = records_in(&self.model_dir(&asked.name)).into_iter();
        let found = records.find(|(_, record)| fits(record));
        let (_, record) = found.ok_or_else(|| ModelsError::Unknown {
            name: asked.to_string(),
        })?;
        self.installed(record)
    }

    fn installed(&self, record: Record) -> Result<InstalledModel, ModelsError> {
        let reference = format!("{}:{}", record.name, record.quantization);
        let dir = self.model_dir(&record.name);
        record
            .check_files(&dir)
            .map_err(|problem| ModelsError::Damaged {
                reference: reference.clone(),
                problem,
            })?;
        let file = record.files.into_iter().next();
        let file = file.ok_or_else(|| ModelsError::NotInstalled {
            reference: reference.clone(),
        })?;
        Ok(InstalledModel {
            path: dir.join(&file.file),
            sha256: file.sha256,
            bytes: file.bytes,
            reference,
            name: record.name,
            quantization: record.quantization,
            kind: record.kind,
            multilingual: record.multilingual,
            license: record.license,
            source: record.source,
        })
    }
}

/// Whether a record is of the file that the manifest asks for, as far as it says.
fn agrees(record: &Record, model: &Model, storage: Storage) -> bool {
    let Some(file) = record.files.first() else {
        return false;
    };
    let pinned = pull::pinned_sha256(model, storage);
    !record.imported && pinned.is_none_or(|sha256| sha256.eq_ignore_ascii_case(&file.sha256))
}

/// The name of a model's file of weights.
fn weights_name(name: &str, storage: Storage) -> String {
    format!("ggml-{name}-{storage}.bin")
}

fn record_name(name: &str, storage: Storage) -> String {
    format!("ggml-{name}-{storage}.json")
}

/// All records in a directory, by file name.
fn records_in(dir: &Path) -> Vec<(PathBuf, Record)> {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .collect();
    paths.sort();
    let read = |path: PathBuf| Record::read(&path).map(|record| (path, record));
    paths.into_iter().filter_map(read).collect()
}

/// Gives a file made by `tempfile`, which only its owner can read, the usual permissions: a server
/// often runs as another user than the one who pulls its models.
pub(crate) fn make_readable(path: &Path) -> Result<(), ModelsError> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644))
        .map_err(ModelsError::io("set the permissions of", path))
}

/// A set of files as a model: its first file.
fn first_of(files: InstalledFiles, manifest: &Manifest) -> InstalledModel {
    let license = manifest
        .file_set(&files.name)
        .map(|set| set.license.clone());
    let first = files.files.into_iter().next();
    let (path, sha256, bytes) = first.map_or_else(Default::default, |file| {
        (file.path, file.sha256, file.bytes)
    });
    InstalledModel {
        reference: files.name.clone(),
        name: files.name,
        quantization: String::new(),
        kind: files.kind,
        path,
        sha256,
        bytes,
        multilingual: true,
        license: license.unwrap_or_default(),
        source: String::new(),
    }
}
