//! Sets of files out of archives that are in the cache already.

use std::io::Write;
use std::path::{Path, PathBuf};

use auricle_models::manifest::Manifest;
use auricle_models::progress::NoProgress;
use auricle_models::{ModelsError, Store, StoreDirs};

use crate::{impatient, names, noise, sha256};

const IN_ZIP: &str = "pack/lib/libthing.so.1";
const IN_TAR: &str = "package/samples/a.wav";

struct Case {
    dir: tempfile::TempDir,
    library: Vec<u8>,
    audio: Vec<u8>,
}

impl Case {
    fn new() -> Self {
        let case = Self {
            dir: tempfile::tempdir().unwrap(),
            library: noise(5000),
            audio: noise(7000),
        };
        std::fs::create_dir_all(case.downloads()).unwrap();
        zip(
            &case.wheel(),
            &[("pack/other", b"other"), (IN_ZIP, &case.library)],
        );
        tgz(
            &case.tarball(),
            &[(IN_TAR, &case.audio), ("package/x", b"x")],
        );
        case
    }

    fn downloads(&self) -> PathBuf {
        self.dir.path().join("cache/downloads")
    }

    fn wheel(&self) -> PathBuf {
        self.downloads().join("thing-1-py3-none-any.whl")
    }

    fn tarball(&self) -> PathBuf {
        self.downloads().join("sounds-1.tgz")
    }

    /// A store that expects these bytes inside the archives, and the archives as they are now.
    fn store(&self, library: &[u8], audio: &[u8]) -> Store {
        let member = |name: &str, archive: &str, path: &str, bytes: &[u8]| {
            format!(
                "{{ name = \"{name}\", archive = \"{archive}\", path = \"{path}\", bytes = {}, \
                 sha256 = \"{}\" }}",
                bytes.len(),
                sha256(bytes)
            )
        };
        let archive = |id: &str, registry: &str, path: &Path| {
            let bytes = std::fs::read(path).unwrap();
            format!(
                "[[archive]]\nid = \"{id}\"\nregistry = \"{registry}\"\npackage = \"{id}\"\n\
                 version = \"1\"\nfile = \"{}\"\nbytes = {}\nsha256 = \"{}\"\n",
                path.file_name().unwrap().to_str().unwrap(),
                bytes.len(),
                sha256(&bytes)
            )
        };
        let set = |name: &str, kind: &str, content: &str| {
            format!(
                "[[file]]\nname = \"{name}\"\nkind = \"{kind}\"\ndescription = \"d\"\n\
                 license = \"l\"\nlanguages = \"any\"\ncontent = [{content}]\n"
            )
        };
        let builtin = include_str!("../../models.toml");
        let head = builtin.split("[[file]]").next().unwrap();
        let head = head.replace("from = \"ctranslate2\"", "from = \"hub\"\nfile = \"x\"");
        let head: Vec<_> = head.lines().collect();
        let text = [
            without_members(&head),
            set(
                "thing",
                "library",
                &member("libthing.so.1", "thing", IN_ZIP, library),
            ),
            set("sounds", "audio", &member("a.wav", "sounds", IN_TAR, audio)),
            archive("thing", "pypi", &self.wheel()),
            archive("sounds", "npm", &self.tarball()),
        ]
        .join("\n");
        let dirs = StoreDirs {
            models: self.dir.path().join("models"),
            cache: self.dir.path().join("cache"),
            hub_url: None,
        };
        Store::with_manifest(dirs, Manifest::parse(&text).unwrap(), impatient())
    }
}

/// The models of the built-in manifest without their archives, which are not at hand here.
fn without_members(lines: &[&str]) -> String {
    let mut inside = false;
    let mut kept = Vec::new();
    for line in lines {
        inside |= line.starts_with("weights = [");
        if !inside && !line.starts_with("vocabulary = ") {
            kept.push(*line);
        }
        inside &= *line != "]";
    }
    kept.join("\n")
}

fn zip(path: &Path, files: &[(&str, &[u8])]) {
    let mut zip = zip::ZipWriter::new(std::fs::File::create(path).unwrap());
    for (name, content) in files {
        zip.start_file(*name, zip::write::SimpleFileOptions::default())
            .unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap();
}

fn tgz(path: &Path, files: &[(&str, &[u8])]) {
    let file = std::fs::File::create(path).unwrap();
    let encoder = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    let mut tar = tar::Builder::new(encoder);
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, *content).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap();
}

#[test]
fn a_library_is_taken_out_of_a_wheel() {
    let case = Case::new();
    let store = case.store(&case.library, &case.audio);
    let error = store.library("thing").unwrap_err();
    assert!(matches!(error, ModelsError::NotInstalled { .. }), "{error}");
    store.pull("thing", &NoProgress).unwrap();
    let library = store.library("thing").unwrap();
    assert_eq!(std::fs::read(&library.path).unwrap(), case.library);
    assert_eq!(library.sha256, sha256(&case.library));
    let dir = case.dir.path().join("models/thing");
    assert_eq!(names(&dir), ["files.json", "libthing.so.1"]);
}

#[test]
fn audio_is_taken_out_of_an_npm_package_into_the_cache() {
    let case = Case::new();
    let store = case.store(&case.library, &case.audio);
    store.pull("sounds", &NoProgress).unwrap();
    let files = store.file("sounds").unwrap();
    let wav = files.get("a.wav").unwrap();
    assert_eq!(std::fs::read(&wav.path).unwrap(), case.audio);
    assert!(
        wav.path
            .starts_with(case.dir.path().join("cache/audio/sounds"))
    );
    assert!(store.library("sounds").is_err());
}

#[test]
fn an_installed_set_needs_its_archive_no_more() {
    let case = Case::new();
    let store = case.store(&case.library, &case.audio);
    store.pull("thing", &NoProgress).unwrap();
    std::fs::remove_file(case.wheel()).unwrap();
    store.pull("thing", &NoProgress).unwrap();
    store.remove("thing").unwrap();
    assert!(store.file("thing").is_err());
}

#[test]
fn a_member_with_another_digest_is_refused_by_both() {
    let case = Case::new();
    let mut other = case.library.clone();
    other[0] ^= 1;
    let store = case.store(&other, &case.audio);
    let text = store.pull("thing", &NoProgress).unwrap_err().to_string();
    assert!(text.contains(&sha256(&other)), "{text}");
    assert!(text.contains(&sha256(&case.library)), "{text}");
    assert!(text.contains(IN_ZIP), "{text}");
    assert!(names(&case.dir.path().join("models/thing")).is_empty());
}

#[test]
fn a_member_longer_than_listed_is_not_written_out() {
    let case = Case::new();
    let store = case.store(&case.library[..100], &case.audio[..100]);
    for name in ["thing", "sounds"] {
        let error = store.pull(name, &NoProgress).unwrap_err();
        assert!(matches!(error, ModelsError::WrongSize { .. }), "{error}");
    }
}

#[test]
fn an_archive_without_its_member_says_so() {
    let case = Case::new();
    zip(&case.wheel(), &[("pack/other", b"other")]);
    tgz(&case.tarball(), &[("package/x", b"x")]);
    let store = case.store(&case.library, &case.audio);
    for (name, member) in [("thing", IN_ZIP), ("sounds", IN_TAR)] {
        let text = store.pull(name, &NoProgress).unwrap_err().to_string();
        assert!(text.contains(member), "{text}");
    }
}
