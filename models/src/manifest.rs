//! The manifest: every model, library and audio file that can be fetched, with its digests.
//!
//! `models.toml` is compiled in, so that a binary and its digests cannot drift apart; it lives as
//! long as the process and is checked once when parsed. It refuses unknown keys, entries without
//! a licence, digests that are not digests, and names that could leave a directory. It names
//! packages of registries but no registry: their own clients know where they are.

mod kind;

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::digest::is_hex_digest;
use crate::error::ModelsError;

pub use kind::{Broad, Kind, Languages};

/// The manifest that this build was made with.
const BUILT_IN: &str = include_str!("../models.toml");

/// Version of the manifest's format that this code reads.
const SCHEMA: u32 = 1;

/// Longest name of a model or file, in bytes: it becomes a directory's name with room to spare.
pub const MAX_NAME_BYTES: usize = 64;

/// Everything that can be fetched.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    schema: u32,
    /// The model that a server loads when none is named.
    pub default_model: String,
    /// Where converted Whisper models are published.
    pub hub: Hub,
    /// Whisper models.
    #[serde(rename = "model")]
    pub models: Vec<Model>,
    /// Files that are used as they are.
    #[serde(rename = "file")]
    pub files: Vec<FileSet>,
    /// Files of package registries that the others are taken from.
    #[serde(rename = "archive")]
    pub archives: Vec<Archive>,
}

/// A model hub: `{url}/{repository}/resolve/{revision}/{file}`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hub {
    /// Scheme and host, and a path if any; no slash at the end.
    pub url: String,
    /// `owner/name`.
    pub repository: String,
    /// Branch or commit.
    pub revision: String,
}

/// A Whisper model.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// What it is called everywhere.
    pub name: String,
    /// One line for a person.
    pub description: String,
    /// Licence of the weights and who grants it.
    pub license: String,
    /// What it understands.
    pub languages: Languages,
    /// Memory that whisper.cpp needs for the f16 weights and its buffers, about.
    pub memory_bytes: u64,
    /// The quantization that a bare name means, as `f16` or `q8_0`.
    pub default_quantization: String,
    /// Whether the set-up of the project fetches it.
    #[serde(default)]
    pub setup: bool,
    /// The unquantized weights in whisper.cpp's format, which all others are made from.
    pub f16: Weights,
    /// Digests of the quantized files that this project's converter makes.
    #[serde(default)]
    pub quantized: Vec<Quantized>,
    /// Where the weights come from; the first that can be reached is used.
    #[serde(rename = "source")]
    pub sources: Vec<Source>,
}

/// What the unquantized weights must be.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weights {
    /// SHA-256, where known.
    pub sha256: Option<String>,
    /// SHA-1, where that is what the publisher's list has. Weaker than SHA-256 against a publisher
    /// who prepares two files, but not against anyone else.
    pub sha1: Option<String>,
    /// Exact size, where known.
    pub bytes: Option<u64>,
    /// Size, about, where only that is known.
    pub about_bytes: Option<u64>,
}

/// What a quantized file must be.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quantized {
    /// As in a model's reference: `q8_0`.
    pub quantization: String,
    /// SHA-256 of the file.
    pub sha256: String,
    /// Size of the file.
    pub bytes: u64,
}

/// Where a model's weights come from.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase", tag = "from")]
pub enum Source {
    /// A `CTranslate2` model in archives; converted here.
    CTranslate2 {
        /// The parts of `model.bin`, in order.
        weights: Vec<Member>,
        /// The vocabulary, as `.txt` or `.json`.
        vocabulary: Member,
    },
    /// A file on the hub, already in whisper.cpp's format.
    Hub {
        /// Its name there.
        file: String,
    },
}

/// A file inside an archive.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// What it is called when installed; the last part of `path` when left out.
    pub name: Option<String>,
    /// The archive's `id`.
    pub archive: String,
    /// Where in the archive.
    pub path: String,
    /// Size.
    pub bytes: u64,
    /// SHA-256.
    pub sha256: String,
}

impl Member {
    /// The file's name once installed.
    #[must_use]
    pub fn file_name(&self) -> &str {
        let last = self.path.rsplit('/').next().unwrap_or(&self.path);
        self.name.as_deref().unwrap_or(last)
    }
}

/// A file that is made here from another of its set.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Made {
    /// What it is called when installed.
    pub name: String,
    /// The installed name of the file that it is made from.
    pub from: String,
    /// What makes it.
    pub by: Maker,
    /// Size.
    pub bytes: u64,
    /// SHA-256.
    pub sha256: String,
}

/// What makes one file of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Maker {
    /// [`crate::convert::onnx::segmentation`].
    Segmentation,
    /// [`crate::convert::onnx::campplus`].
    Campplus,
    /// [`crate::convert::onnx::silero`].
    Silero,
}

/// Files that are used as they are, and what is made from them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSet {
    /// What it is called.
    pub name: String,
    /// What it is for.
    pub kind: Kind,
    /// One line for a person.
    pub description: String,
    /// Licence and who grants it.
    pub license: String,
    /// What it understands or holds.
    pub languages: Languages,
    /// The only processor that it is for, as Rust names it (`x86_64`); none means all.
    pub arch: Option<String>,
    /// Whether the set-up of the project fetches it.
    #[serde(default)]
    pub setup: bool,
    /// Whether the set-up goes on without it when its registry's client is not installed.
    #[serde(default)]
    pub optional: bool,
    /// The files.
    pub content: Vec<Member>,
    /// Files that are made from them.
    #[serde(default)]
    pub made: Vec<Made>,
}

/// A file of a package registry.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    /// What members call it.
    pub id: String,
    /// Which registry.
    pub registry: Registry,
    /// The package's name there.
    pub package: String,
    /// Its exact version.
    pub version: String,
    /// The file's name.
    pub file: String,
    /// The platform tag of a wheel for one platform; none for a pure one.
    pub platform: Option<String>,
    /// Size.
    pub bytes: u64,
    /// SHA-256.
    pub sha256: String,
}

/// A package registry, reached by its own client only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Registry {
    /// Python packages, by pip.
    Pypi,
    /// JavaScript packages, by npm.
    Npm,
}

impl Manifest {
    /// The manifest that this build was made with.
    ///
    /// # Errors
    /// [`ModelsError::Manifest`] when the file in the source tree is wrong, which the tests see.
    pub fn built_in() -> Result<Self, ModelsError> {
        Self::parse(BUILT_IN)
    }

    /// Reads and checks a manifest.
    ///
    /// # Errors
    /// [`ModelsError::Manifest`] says what is wrong.
    pub fn parse(text: &str) -> Result<Self, ModelsError> {
        let manifest: Self = toml::from_str(text).map_err(|error| ModelsError::Manifest {
            problem: error.to_string(),
        })?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The model called `name`.
    #[must_use]
    pub fn model(&self, name: &str) -> Option<&Model> {
        self.models.iter().find(|model| model.name == name)
    }

    /// The files called `name` for this machine's processor.
    #[must_use]
    pub fn file_set(&self, name: &str) -> Option<&FileSet> {
        self.file_sets().find(|set| set.name == name)
    }

    /// All sets of files for this machine's processor.
    pub fn file_sets(&self) -> impl Iterator<Item = &FileSet> {
        let fits = |set: &&FileSet| set.fits(std::env::consts::ARCH);
        self.files.iter().filter(fits)
    }

    /// The archive with this id.
    ///
    /// # Errors
    /// [`ModelsError::Manifest`] when there is none, which [`Manifest::parse`] has ruled out.
    pub fn archive(&self, id: &str) -> Result<&Archive, ModelsError> {
        self.archives
            .iter()
            .find(|archive| archive.id == id)
            .ok_or_else(|| ModelsError::Manifest {
                problem: format!("no archive is called {id}"),
            })
    }

    /// Names of all that the set-up fetches on this machine, and whether it may be missing.
    #[must_use]
    pub fn for_setup(&self) -> Vec<(&str, bool)> {
        let models = self.models.iter().filter(|model| model.setup);
        let files = self.file_sets().filter(|set| set.setup);
        models
            .map(|model| (model.name.as_str(), false))
            .chain(files.map(|set| (set.name.as_str(), set.optional)))
            .collect()
    }

    fn check(&self) -> Result<(), ModelsError> {
        let wrong = |problem: String| Err(ModelsError::Manifest { problem });
        if self.schema != SCHEMA {
            return wrong(format!("schema is {}, wanted {SCHEMA}", self.schema));
        }
        if self.model(&self.default_model).is_none() {
            return wrong(format!(
                "the default model {} is not listed",
                self.default_model
            ));
        }
        let mut names = BTreeSet::new();
        for model in &self.models {
            model.check(self)?;
            if !names.insert((model.name.as_str(), None)) {
                return wrong(format!("{} is listed twice", model.name));
            }
        }
        for set in &self.files {
            set.check(self)?;
            let clash = names.contains(&(set.name.as_str(), None));
            if clash || !names.insert((set.name.as_str(), set.arch.as_deref())) {
                return wrong(format!("{} is listed twice", set.name));
            }
        }
        let mut ids = BTreeSet::new();
        for archive in &self.archives {
            archive.check()?;
            if !ids.insert(archive.id.as_str()) {
                return wrong(format!("the archive {} is listed twice", archive.id));
            }
        }
        Ok(())
    }
}

impl FileSet {
    fn fits(&self, arch: &str) -> bool {
        self.arch.as_deref().is_none_or(|only| only == arch)
    }

    fn check(&self, manifest: &Manifest) -> Result<(), ModelsError> {
        check_name(&self.name)?;
        require(!self.license.is_empty(), &self.name, "has no licence")?;
        require(!self.content.is_empty(), &self.name, "has no files")?;
        for made in &self.made {
            check_name(&made.name)?;
            let fine = is_hex_digest(&made.sha256, 64);
            require(fine, &self.name, "makes a file whose sha256 is none")?;
            let known = self.content.iter().any(|m| m.file_name() == made.from);
            require(known, &self.name, "makes a file of one that it lacks")?;
        }
        self.content
            .iter()
            .try_for_each(|member| member.check(&self.name, manifest))
    }
}

impl Model {
    fn check(&self, manifest: &Manifest) -> Result<(), ModelsError> {
        let name = &self.name;
        check_name(name)?;
        require(!self.license.is_empty(), name, "has no licence")?;
        require(!self.sources.is_empty(), name, "has no source")?;
        for (digest, digits) in [(&self.f16.sha256, 64), (&self.f16.sha1, 40)] {
            let fine = digest.as_deref().is_none_or(|d| is_hex_digest(d, digits));
            require(fine, name, "has an f16 digest that is none")?;
        }
        for quantized in &self.quantized {
            let fine = is_hex_digest(&quantized.sha256, 64);
            require(fine, name, "has a quantized digest that is none")?;
        }
        for source in &self.sources {
            match source {
                Source::CTranslate2 {
                    weights,
                    vocabulary,
                } => {
                    require(!weights.is_empty(), name, "has a source without weights")?;
                    // What is made here is known to the byte, or the converter cannot be checked.
                    require(self.f16.sha256.is_some(), name, "lacks its f16 sha256")?;
                    for member in weights.iter().chain([vocabulary]) {
                        member.check(name, manifest)?;
                    }
                }
                Source::Hub { file } => check_name(file)?,
            }
        }
        Ok(())
    }
}

impl Member {
    fn check(&self, owner: &str, manifest: &Manifest) -> Result<(), ModelsError> {
        manifest.archive(&self.archive)?;
        check_name(self.file_name())?;
        require(
            is_hex_digest(&self.sha256, 64),
            owner,
            "has a member whose sha256 is none",
        )
    }
}

impl Archive {
    fn check(&self) -> Result<(), ModelsError> {
        let plain = |text: &str| {
            let fits = |c: char| c.is_ascii_alphanumeric() || "._-+".contains(c);
            text.chars().all(fits) && !text.starts_with(['.', '-']) && !text.is_empty()
        };
        for text in [&self.id, &self.package, &self.version, &self.file] {
            require(plain(text), &self.id, "has a name that is no plain name")?;
        }
        let fine = is_hex_digest(&self.sha256, 64);
        require(fine, &self.id, "has a sha256 that is none")
    }
}

fn require(holds: bool, owner: &str, problem: &str) -> Result<(), ModelsError> {
    if holds {
        return Ok(());
    }
    Err(ModelsError::Manifest {
        problem: format!("{owner} {problem}"),
    })
}

/// Checks that a name can be a directory's or file's: 1 to [`MAX_NAME_BYTES`] ASCII letters,
/// digits, `.`, `_` and `-`, beginning with a letter or digit, without `..`.
///
/// # Errors
/// [`ModelsError::BadName`] otherwise.
pub fn check_name(name: &str) -> Result<(), ModelsError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let good = name.len() <= MAX_NAME_BYTES
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(fits)
        && !name.contains("..");
    if good {
        return Ok(());
    }
    Err(ModelsError::BadName {
        name: name.chars().take(80).collect(),
    })
}

#[cfg(test)]
mod tests;
