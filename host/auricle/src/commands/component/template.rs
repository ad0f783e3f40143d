//! What a new project is made of.
//!
//! The files lie in `guest/templates`, where tests build them as they are; the program carries them, and
//! all contracts, so that a project needs nothing from this repository. In each of them
//! `my-component` stands for the project's name and `my-role` for the role's.

use anyhow::{Result, bail};

use crate::args::{LangArg, NewRoleArg};

/// A file of a project.
pub(super) struct File {
    /// Where it lies in the project.
    pub(super) path: String,
    /// What is in it.
    pub(super) text: String,
    /// Whether it is a program.
    pub(super) executable: bool,
}

macro_rules! template {
    ($file:literal) => {
        include_str!(concat!("../../../../../guest/templates/", $file))
    };
}

/// Contracts, as (path below `wit/deps` of a project, text).
macro_rules! contracts {
    ($($package:literal: $($file:literal)*;)*) => {
        &[$($((
            concat!($package, $file),
            include_str!(concat!("../../../../../wit/", $package, $file)),
        )),*),*]
    };
}

/// Our packages, each a directory.
const OURS: &[(&str, &str)] = contracts! {
    "auricle-audio/": "clips.wit" "decoding.wit" "media.wit" "recording.wit" "types.wit";
    "auricle-http/": "multipart.wit" "websocket.wit";
    "auricle-pipeline/": "decoder.wit" "roles.wit" "transcriber.wit" "world.wit";
    "auricle-runtime/": "runtime.wit";
    "auricle-speech/": "diarization.wit" "recognition.wit" "types.wit" "voice-activity.wit";
};

/// WASI's packages, each a file. They stand beside ours in a project.
const WASI: &[(&str, &str)] = contracts! {
    "deps/": "cli.wit" "clocks.wit" "filesystem.wit" "http.wit" "io.wit" "nn.wit" "random.wit" "sockets.wit";
};

/// Files of a language beside the component's source.
const RUST: &[(&str, &str)] = &[
    ("Cargo.toml", template!("rust/Cargo.toml")),
    ("Cargo.lock", template!("rust/Cargo.lock")),
    ("README.md", template!("rust/README.md")),
    ("build.sh", template!("rust/build.sh")),
    (".gitignore", template!("rust/gitignore")),
];
const JS: &[(&str, &str)] = &[
    ("package.json", template!("js/package.json")),
    ("package-lock.json", template!("js/package-lock.json")),
    ("build.mjs", template!("js/build.mjs")),
    ("README.md", template!("js/README.md")),
    ("build.sh", template!("js/build.sh")),
    (".gitignore", template!("js/gitignore")),
];
const PYTHON: &[(&str, &str)] = &[
    ("requirements.txt", template!("python/requirements.txt")),
    ("README.md", template!("python/README.md")),
    ("build.sh", template!("python/build.sh")),
    (".gitignore", template!("python/gitignore")),
];

/// The files of a project of this name.
///
/// # Errors
/// When there is no such role in this language.
pub(super) fn files(lang: LangArg, role: NewRoleArg, name: &str) -> Result<Vec<File>> {
    let (shared, source, text) = match (lang, role) {
        (LangArg::Rust, role) => (RUST, "src/lib.rs", rust(role)),
        (LangArg::Js, NewRoleArg::Handler) => (JS, "component.js", template!("js/handler.js")),
        (LangArg::Js, NewRoleArg::Chunker) => (JS, "component.js", template!("js/chunker.js")),
        (LangArg::Js, NewRoleArg::SpeakerAssigner) => {
            (JS, "component.js", template!("js/speaker-assigner.js"))
        }
        (LangArg::Python, NewRoleArg::Handler) => bail!(
            "there is no handler in Python: its interpreter asks for files and an environment, \
             which no component is given; use --lang rust or --lang js, or another --role"
        ),
        (LangArg::Python, NewRoleArg::Chunker) => {
            (PYTHON, "src/app.py", template!("python/chunker.py"))
        }
        (LangArg::Python, NewRoleArg::SpeakerAssigner) => (
            PYTHON,
            "src/app.py",
            template!("python/speaker_assigner.py"),
        ),
    };
    let file = |path: &str, text: &str| File {
        path: path.to_owned(),
        text: named(text, role, name),
        executable: path.ends_with(".sh"),
    };
    let mut files = vec![file(source, text), file("wit/world.wit", &world(role))];
    files.extend(shared.iter().map(|(path, text)| file(path, text)));
    let contracts = OURS.iter().chain(WASI);
    files.extend(contracts.map(|(path, text)| {
        let path = path.strip_prefix("deps/").unwrap_or(path);
        File {
            path: format!("wit/deps/{path}"),
            text: (*text).to_owned(),
            executable: false,
        }
    }));
    Ok(files)
}

fn rust(role: NewRoleArg) -> &'static str {
    match role {
        NewRoleArg::Handler => template!("rust/handler.rs"),
        NewRoleArg::Chunker => template!("rust/chunker.rs"),
        NewRoleArg::SpeakerAssigner => template!("rust/speaker-assigner.rs"),
    }
}

/// The project's own world: the role's, to which imports may be added.
fn world(role: NewRoleArg) -> String {
    let included = match role {
        NewRoleArg::Handler => "handler",
        NewRoleArg::Chunker => "chunker-role",
        NewRoleArg::SpeakerAssigner => "speaker-assigner-role",
    };
    format!(
        "package local:component;\n\n/// What this component may use, and what it offers.\nworld component {{\n    \
         include auricle:pipeline/{included}@0.2.0;\n}}\n"
    )
}

fn named(text: &str, role: NewRoleArg, name: &str) -> String {
    let role = match role {
        NewRoleArg::Handler => "handler",
        NewRoleArg::Chunker => "chunker",
        NewRoleArg::SpeakerAssigner => "speaker-assigner",
    };
    text.replace("my-component", name)
        .replace("my_component", &name.replace('-', "_"))
        .replace("my-role", role)
        .replace("my_role", &role.replace('-', "_"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::path::{Path, PathBuf};

    fn below(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                below(&path, found);
            } else {
                found.push(path);
            }
        }
    }

    #[test]
    fn every_current_contract_is_in_a_project() {
        let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
        let mut there = Vec::new();
        below(&wit, &mut there);
        let mut there: Vec<String> = there
            .iter()
            .map(|path| path.strip_prefix(&wit).unwrap())
            // Older versions are for components that are there already.
            .filter(|path| !path.starts_with("v0.1.0"))
            .map(|path| path.display().to_string())
            .map(|path| format!("wit/deps/{}", path.trim_start_matches("deps/")))
            .collect();
        there.sort();
        let files = files(LangArg::Js, NewRoleArg::Chunker, "mine").unwrap();
        let mut carried: Vec<String> = files.into_iter().map(|file| file.path).collect();
        carried.retain(|path| path.starts_with("wit/deps/"));
        carried.sort();
        assert_eq!(carried, there);
    }

    #[test]
    fn a_project_bears_its_name_and_role_throughout() {
        for lang in [LangArg::Rust, LangArg::Js, LangArg::Python] {
            for role in [NewRoleArg::Chunker, NewRoleArg::SpeakerAssigner] {
                let files = files(lang, role, "our-own").unwrap();
                for file in &files {
                    for left in ["my-component", "my_component", "my-role", "my_role"] {
                        assert!(!file.text.contains(left), "{left} in {}", file.path);
                    }
                }
                let script = files.iter().find(|file| file.path == "build.sh").unwrap();
                assert!(script.executable && script.text.contains("our-own.wasm"));
            }
        }
    }

    #[test]
    fn a_handler_in_python_is_refused_with_what_to_do_instead() {
        let refused = files(LangArg::Python, NewRoleArg::Handler, "mine");
        let error = refused.err().unwrap().to_string();
        assert!(error.contains("--lang rust"), "{error}");
    }
}
