//! Brings models in: fetches, converts once, checks against the manifest, installs.
//!
//! Everything is made under a temporary name and gets its own name when it is whole; the record
//! comes last. While a model is brought in its lock is held, so that two clones or a server and a
//! person do the work once. What was made here and does not have the manifest's digest is an error
//! and is not kept: either the source or the converter changed.

use std::path::{Path, PathBuf};

use crate::convert::{self, Converted, Quantization};
use crate::digest::{compare, is_hex_digest, sha256_of};
use crate::error::ModelsError;
use crate::fetch::{Expected, archive, create_dir, lock, scratch_dir};
use crate::manifest::{FileSet, Kind, Made, Maker, Member, Model, Source, check_name};
use crate::progress::{NoProgress, Progress};

use super::record::{Record, RecordedFile};
use super::reference::{Reference, Storage};
use super::{InstalledModel, SET_RECORD, Store, first_of, record_name, records_in, weights_name};

/// Room above a size that is only known roughly, before a download is refused as endless: a quarter.
const ABOUT_MARGIN: u64 = 4;

/// Largest download when nothing is known of its size: above the largest Whisper model (3.1 GB).
const MAX_MODEL_BYTES: u64 = 8_000_000_000;

/// Where a model is made, in its own directory so that the result can be renamed.
const SCRATCH: &str = ".making";

/// What a person adds to a pull.
#[derive(Clone, Copy, Debug, Default)]
pub struct PullOptions<'a> {
    /// The SHA-256 that the hub's file must have; needed where the manifest has no digest.
    pub sha256: Option<&'a str>,
}

impl Store {
    /// Fetches, verifies, converts and installs a model or set of files. Does nothing when it is
    /// installed already. Blocking, for minutes.
    ///
    /// # Errors
    /// [`ModelsError::Unknown`]; [`ModelsError::NoSource`] when nothing could be reached;
    /// [`ModelsError::WrongDigest`] when something is not what the manifest says, after which
    /// nothing of it is kept; what the converter or the disk say.
    pub fn pull(
        &self,
        reference: &str,
        progress: &dyn Progress,
    ) -> Result<InstalledModel, ModelsError> {
        self.pull_with(reference, PullOptions::default(), progress)
    }

    /// As [`Store::pull`], with options.
    ///
    /// # Errors
    /// As [`Store::pull`], and [`ModelsError::NoDigest`] when the options have one that is none.
    pub fn pull_with(
        &self,
        reference: &str,
        options: PullOptions<'_>,
        progress: &dyn Progress,
    ) -> Result<InstalledModel, ModelsError> {
        let asked = Reference::parse(reference)?;
        if options.sha256.is_some_and(|d| !is_hex_digest(d, 64)) {
            return Err(ModelsError::NoDigest { name: asked.name });
        }
        if let Some(set) = self.manifest.file_set(&asked.name) {
            return self.pull_set(set, progress);
        }
        let Some(model) = self.manifest.model(&asked.name) else {
            // An imported model is there or is not; it cannot be fetched.
            return self.resolve(reference);
        };
        let storage = asked
            .storage
            .or(Storage::parse(&model.default_quantization));
        let storage = storage.unwrap_or(Storage::F16);
        if let Ok(installed) = self.resolve(reference) {
            return Ok(installed);
        }
        let _lock = self.lock_name(&model.name, progress)?;
        if let Ok(installed) = self.resolve(reference) {
            return Ok(installed);
        }
        self.pull_model(model, storage, options, progress)?;
        self.resolve(reference)
    }

    /// Imports weights that an operator has: a ggml file, or a format that [`convert::detect`]
    /// knows. Replaces an earlier import of that name. Blocking.
    ///
    /// # Errors
    /// [`ModelsError::NameTaken`] for a name of the manifest; [`ModelsError::BadName`];
    /// [`ModelsError::Convert`] when the file is not usable.
    pub fn import(
        &self,
        path: &Path,
        name: &str,
        quantize: Option<Quantization>,
        vocabulary: Option<&Path>,
    ) -> Result<InstalledModel, ModelsError> {
        check_name(name)?;
        if self.manifest.model(name).is_some() || self.manifest.file_set(name).is_some() {
            return Err(ModelsError::NameTaken {
                name: name.to_owned(),
            });
        }
        let failed = |problem: convert::ConvertError| ModelsError::Convert {
            what: path.display().to_string(),
            problem: problem.to_string(),
        };
        let source = convert::detect(path, vocabulary).map_err(failed)?;
        let _lock = self.lock_name(name, &NoProgress)?;
        let dir = self.model_dir(name);
        create_dir(&dir)?;
        let scratch = scratch_dir(&dir, SCRATCH)?;
        let made = scratch.path().join("weights");
        let converted = convert::to_ggml(&source.as_source(), quantize, &made).map_err(failed)?;
        let storage = storage_of(&converted);
        let earlier = records_in(&dir);
        let origin = format!("imported from {}", path.display());
        let mut record = self.install(name, storage, &made, &converted)?;
        record.imported = true;
        record.source = origin;
        "unknown: imported".clone_into(&mut record.license);
        record.write(&dir.join(record_name(name, storage)))?;
        for (path, old) in earlier {
            if old.quantization != record.quantization {
                remove_record(&dir, &path, &old)?;
            }
        }
        self.resolve(name)
    }

    fn pull_set(
        &self,
        set: &FileSet,
        progress: &dyn Progress,
    ) -> Result<InstalledModel, ModelsError> {
        if let Ok(files) = self.file(&set.name) {
            return Ok(first_of(files, &self.manifest));
        }
        let dir = self.set_dir(set);
        let _lock = self.lock_name(&set.name, progress)?;
        if let Ok(files) = self.file(&set.name) {
            return Ok(first_of(files, &self.manifest));
        }
        create_dir(&dir)?;
        let members: Vec<&Member> = set.content.iter().collect();
        // An earlier version of the set may have left most of it: its archives are not needed for
        // what is there and right.
        let missing = members.iter().copied();
        let missing: Vec<_> = missing
            .filter(|m| !is_there(&dir.join(m.file_name()), &m.sha256))
            .collect();
        self.extract(&missing, &dir, progress)?;
        for made in &set.made {
            make(made, &set.name, &dir, progress)?;
        }
        let mut record = Record::new(&set.name, set.kind, set_files(set));
        record.license.clone_from(&set.license);
        record.source = self.origin(&members)?;
        record.write(&dir.join(SET_RECORD))?;
        Ok(first_of(self.file(&set.name)?, &self.manifest))
    }

    fn pull_model(
        &self,
        model: &Model,
        storage: Storage,
        options: PullOptions<'_>,
        progress: &dyn Progress,
    ) -> Result<(), ModelsError> {
        let dir = self.model_dir(&model.name);
        create_dir(&dir)?;
        let scratch = scratch_dir(&dir, SCRATCH)?;
        let mut reasons = Vec::new();
        for source in &model.sources {
            let f16 = match self.f16_from(source, model, options, scratch.path(), progress) {
                Ok(f16) => f16,
                Err(error) if error.is_unreachable() => {
                    progress.note(&format!("{}: {error}", model.name));
                    reasons.push(error.to_string());
                    continue;
                }
                Err(error) => return Err(error),
            };
            progress.note(&format!("{}: storing as {storage}", model.name));
            let made = scratch.path().join("weights");
            let source = convert::Source::Ggml(&f16.path);
            let converted = convert::to_ggml(&source, storage.quantization(), &made)
                .map_err(failed(&model.name))?;
            if let Some(pinned) = pinned_sha256(model, storage) {
                let file = weights_name(&model.name, storage);
                compare(&file, "sha256", pinned, &converted.sha256)?;
            }
            let mut record = self.install(&model.name, storage, &made, &converted)?;
            record.license.clone_from(&model.license);
            record.source = f16.origin;
            return record.write(&dir.join(record_name(&model.name, storage)));
        }
        Err(ModelsError::NoSource {
            name: model.name.clone(),
            reasons: reasons.join("; "),
        })
    }

    /// The unquantized weights in whisper.cpp's format, verified.
    fn f16_from(
        &self,
        source: &Source,
        model: &Model,
        options: PullOptions<'_>,
        scratch: &Path,
        progress: &dyn Progress,
    ) -> Result<Weights, ModelsError> {
        let (weights, vocabulary) = match source {
            Source::Hub { file } => return self.f16_from_hub(file, model, options, progress),
            Source::CTranslate2 {
                weights,
                vocabulary,
            } => (weights, vocabulary),
        };
        let members: Vec<&Member> = weights.iter().chain([vocabulary]).collect();
        let mut model_parts = self.extract(&members, scratch, progress)?;
        let vocabulary = model_parts.pop().unwrap_or_default();
        progress.note(&format!("{}: converting", model.name));
        let path = scratch.join("f16");
        let source = convert::Source::CTranslate2 {
            model_parts: &model_parts,
            vocabulary: &vocabulary,
        };
        let converted = convert::to_ggml(&source, None, &path).map_err(failed(&model.name))?;
        if let Some(pinned) = &model.f16.sha256 {
            let file = weights_name(&model.name, Storage::F16);
            compare(&file, "sha256", pinned, &converted.sha256)?;
        }
        Ok(Weights {
            path,
            origin: self.origin(&members)?,
        })
    }

    fn f16_from_hub(
        &self,
        file: &str,
        model: &Model,
        options: PullOptions<'_>,
        progress: &dyn Progress,
    ) -> Result<Weights, ModelsError> {
        let known = &model.f16;
        let about = known
            .about_bytes
            .map(|bytes| bytes.saturating_add(bytes / ABOUT_MARGIN));
        let expected = Expected {
            sha256: options.sha256.or(known.sha256.as_deref()),
            sha1: known.sha1.as_deref(),
            limit_bytes: known.bytes.or(about).unwrap_or(MAX_MODEL_BYTES),
        };
        if expected.sha256.or(expected.sha1).is_none() {
            return Err(ModelsError::NoDigest {
                name: model.name.clone(),
            });
        }
        let hub = &self.manifest.hub;
        let base = self.dirs.hub_url.as_deref().unwrap_or(&hub.url);
        let url = format!(
            "{}/{}/resolve/{}/{file}",
            base.trim_end_matches('/'),
            hub.repository,
            hub.revision
        );
        let fetched = self.fetcher.url(&url, file, &expected, progress)?;
        Ok(Weights {
            path: fetched.path,
            origin: format!("{url} (sha256 {})", fetched.sha256),
        })
    }

    /// Gives finished weights their name; the record is the caller's to complete and write.
    fn install(
        &self,
        name: &str,
        storage: Storage,
        made: &Path,
        converted: &Converted,
    ) -> Result<Record, ModelsError> {
        let file = weights_name(name, storage);
        let path = self.model_dir(name).join(&file);
        std::fs::rename(made, &path).map_err(ModelsError::io("write", &path))?;
        let recorded = RecordedFile {
            file,
            sha256: converted.sha256.clone(),
            bytes: converted.bytes,
        };
        let mut record = Record::new(name, Kind::Whisper, vec![recorded]);
        storage.as_str().clone_into(&mut record.quantization);
        record.multilingual = converted.multilingual;
        Ok(record)
    }

    /// Extracts members of one or more archives, each archive fetched once, in the members' order.
    fn extract(
        &self,
        members: &[&Member],
        dir: &Path,
        progress: &dyn Progress,
    ) -> Result<Vec<PathBuf>, ModelsError> {
        for (at, first) in members.iter().enumerate() {
            let same = |member: &&&Member| member.archive == first.archive;
            if members.iter().take(at).any(|member| same(&member)) {
                continue;
            }
            let of_this: Vec<&Member> = members.iter().filter(same).copied().collect();
            let archive = self.manifest.archive(&first.archive)?;
            let path = self.fetcher.archive(archive, &self.manifest, progress)?;
            archive::extract(&path, &of_this, dir)?;
        }
        Ok(members.iter().map(|m| dir.join(m.file_name())).collect())
    }

    /// Which packages members come from, for a record.
    fn origin(&self, members: &[&Member]) -> Result<String, ModelsError> {
        let mut origins = Vec::new();
        for member in members {
            let archive = self.manifest.archive(&member.archive)?;
            let origin = format!("{} {}", archive.package, archive.version);
            if !origins.contains(&origin) {
                origins.push(origin);
            }
        }
        Ok(origins.join(", "))
    }

    fn lock_name(&self, name: &str, progress: &dyn Progress) -> Result<std::fs::File, ModelsError> {
        create_dir(&self.dirs.models)?;
        // No name begins with a dot, so no model can be called this.
        let path = self.dirs.models.join(format!(".{name}.lock"));
        lock(&path, name, progress)
    }

    pub(super) fn forget_hub_files(&self, name: &str) {
        let sources = self.manifest.model(name).map(|model| &model.sources);
        for source in sources.into_iter().flatten() {
            if let Source::Hub { file } = source {
                self.fetcher.forget(file);
            }
        }
    }
}

/// Unquantized weights on their way.
struct Weights {
    path: PathBuf,
    origin: String,
}

fn failed(name: &str) -> impl Fn(convert::ConvertError) -> ModelsError {
    let what = name.to_owned();
    move |problem| ModelsError::Convert {
        what: what.clone(),
        problem: problem.to_string(),
    }
}

fn storage_of(converted: &Converted) -> Storage {
    converted
        .quantization
        .map_or(Storage::F16, Storage::Quantized)
}

fn remove_record(dir: &Path, path: &Path, record: &Record) -> Result<(), ModelsError> {
    std::fs::remove_file(path).map_err(ModelsError::io("remove", path))?;
    for file in &record.files {
        // Without its record the file is not installed; what is left only takes room.
        let _ = std::fs::remove_file(dir.join(&file.file));
    }
    Ok(())
}

/// The digest that the manifest has for a model's file of weights.
pub(super) fn pinned_sha256(model: &Model, storage: Storage) -> Option<&str> {
    match storage {
        Storage::F16 => model.f16.sha256.as_deref(),
        Storage::Quantized(quantization) => model
            .quantized
            .iter()
            .find(|pinned| pinned.quantization == quantization.as_str())
            .map(|pinned| pinned.sha256.as_str()),
    }
}

/// Whether a file has this digest.
fn is_there(path: &Path, sha256: &str) -> bool {
    path.is_file() && sha256_of(path).is_ok_and(|(found, _)| found.eq_ignore_ascii_case(sha256))
}

/// Makes a file of another of its set, unless it is there; one that is not the pinned file is not
/// kept.
fn make(made: &Made, set: &str, dir: &Path, progress: &dyn Progress) -> Result<(), ModelsError> {
    let path = dir.join(&made.name);
    if is_there(&path, &made.sha256) {
        return Ok(());
    }
    progress.note(&format!("{set}: making {}", made.name));
    let convert = match made.by {
        Maker::Segmentation => convert::onnx::segmentation,
        Maker::Campplus => convert::onnx::campplus,
        Maker::Silero => convert::onnx::silero,
    };
    let scratch = scratch_dir(dir, SCRATCH)?;
    let new = scratch.path().join("graph");
    let graph = convert(&dir.join(&made.from), &new).map_err(failed(set))?;
    compare(&made.name, "sha256", &made.sha256, &graph.sha256)?;
    super::make_readable(&new)?;
    std::fs::rename(&new, &path).map_err(ModelsError::io("write", &path))
}

/// What the record of a set of files must say.
pub(super) fn set_files(set: &FileSet) -> Vec<RecordedFile> {
    let files = set.content.iter().map(|member| RecordedFile {
        file: member.file_name().to_owned(),
        sha256: member.sha256.clone(),
        bytes: member.bytes,
    });
    let made = set.made.iter().map(|made| RecordedFile {
        file: made.name.clone(),
        sha256: made.sha256.clone(),
        bytes: made.bytes,
    });
    files.chain(made).collect()
}
