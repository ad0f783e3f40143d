//! Projects as `auricle component new` writes them, built by the script that comes with them.
//!
//! They lie outside of the repository, as a user's do. What their scripts would fetch is taken from
//! the cache that `scripts/packages.sh` fills.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::clients::packages;
use crate::support::program::{auricle, command, repository, scratch};

/// Whether projects in this language can be built here; says so where not.
pub fn can_build(lang: &str) -> bool {
    let missing = match lang {
        "js" if !packages().contains_key("AURICLE_GUEST_NODE_TOOLS") => "node with npm",
        "rust" if !has_rust_target() => "wasm32-unknown-unknown from rustup",
        _ => return true,
    };
    eprintln!("skipped: {lang} takes {missing}");
    false
}

/// The other way to the target (scripts/setup.sh) is for this repository's own builds.
fn has_rust_target() -> bool {
    let libraries = Command::new("rustc")
        .args([
            "--print",
            "target-libdir",
            "--target",
            "wasm32-unknown-unknown",
        ])
        .output()
        .unwrap();
    Path::new(String::from_utf8_lossy(&libraries.stdout).trim()).is_dir()
}

/// `auricle component new` in a directory.
pub fn component_new(dir: &Path, args: &[&str]) -> Output {
    let mut program = command();
    program.current_dir(dir).args(["component", "new"]);
    program.args(args).output().unwrap()
}

/// A project, removed when this is dropped.
pub struct Project {
    _parent: TempDir,
    pub dir: PathBuf,
}

impl Project {
    /// What the verb writes.
    pub fn new(lang: &str, role: &str) -> Self {
        let parent = tempfile::tempdir().unwrap();
        let output = component_new(parent.path(), &["--lang", lang, "--role", role, "mine"]);
        assert!(output.status.success(), "{output:?}");
        let dir = parent.path().join("mine");
        put_tools(&dir);
        Self {
            _parent: parent,
            dir,
        }
    }

    /// Runs `build.sh`, unless a project with the same files has been built before.
    pub fn build(&self) -> Vec<u8> {
        let kept = scratch().join(format!("components/{}.wasm", self.digest()));
        if let Ok(component) = fs::read(&kept) {
            return component;
        }
        let output = Command::new("./build.sh")
            .current_dir(&self.dir)
            .env("PATH", search_path())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}\n{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        let component = fs::read(self.dir.join("mine.wasm")).unwrap();
        fs::create_dir_all(kept.parent().unwrap()).unwrap();
        let part = tempfile::NamedTempFile::new_in(kept.parent().unwrap()).unwrap();
        fs::write(part.path(), &component).unwrap();
        part.persist(&kept).unwrap();
        component
    }

    /// Of all its files.
    fn digest(&self) -> String {
        let mut files = Vec::new();
        below(&self.dir, &mut files);
        files.sort();
        let mut digest = Sha256::new();
        for file in files {
            digest.update(
                file.strip_prefix(&self.dir)
                    .unwrap()
                    .as_os_str()
                    .as_encoded_bytes(),
            );
            digest.update(fs::read(&file).unwrap());
        }
        hex::encode(digest.finalize())
    }
}

/// An example in another language: its source in the project that it says it belongs to.
pub fn example(lang: &str, role: &str, source: &str) -> Vec<u8> {
    let project = Project::new(lang, role);
    let own = match lang {
        "js" => "component.js",
        _ => "src/app.py",
    };
    let source = repository().join("guest/examples").join(lang).join(source);
    fs::copy(&source, project.dir.join(own)).unwrap();
    project.build()
}

/// Spares a project the fetching of tools, and Rust the compiling of the same dependencies each time.
pub fn put_tools(project: &Path) {
    let put = |what: &Path, name: &str| symlink(what, project.join(name)).unwrap();
    if project.join("package.json").exists() {
        put(
            &packages()["AURICLE_GUEST_NODE_TOOLS"].join("node_modules"),
            "node_modules",
        );
    } else if project.join("requirements.txt").exists() {
        put(&packages()["AURICLE_GUEST_PYTHON_TOOLS"], ".tools");
    } else {
        static TARGET: OnceLock<PathBuf> = OnceLock::new();
        let target = TARGET.get_or_init(|| {
            let target = scratch().join("component-target");
            fs::create_dir_all(&target).unwrap();
            target
        });
        put(target, "target");
    }
}

/// Where programs are looked for: the one under test before all others.
pub fn search_path() -> String {
    let own = auricle().parent().unwrap().display();
    format!("{own}:{}", std::env::var("PATH").unwrap())
}

/// The files below `dir`; what is linked into it is not followed.
fn below(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            below(&entry.path(), found);
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
}
