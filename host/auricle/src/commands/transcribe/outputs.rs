//! Names of the files that `--output-dir` gets, known before any work begins.
//!
//! Inputs from several directories, or of one name with several extensions, would overwrite each
//! other's transcript. That is refused, as is an output that would overwrite an input. Transcripts of
//! an earlier run are overwritten.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::commands::audio::{is_stdin, name};

/// The output of each input, in their order: `DIR/STEM.EXTENSION`, `DIR/stdin.EXTENSION` for standard
/// input.
///
/// # Errors
/// Names two inputs with the same output, on file systems that ignore case included, and an output that
/// is an input.
pub(super) fn plan(files: &[PathBuf], dir: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut outputs = Vec::with_capacity(files.len());
    let mut taken: HashMap<String, &Path> = HashMap::new();
    for file in files {
        let stem = match is_stdin(file) {
            true => OsStr::new("stdin"),
            false => file.file_stem().unwrap_or_default(),
        };
        if stem.is_empty() {
            bail!("{} is no file; name an audio file", name(file));
        }
        let mut output = dir.join(stem);
        output.add_extension(extension);
        let folded = output.to_string_lossy().to_lowercase();
        if let Some(other) = taken.insert(folded, file) {
            bail!(
                "{} and {} would both be written to {}; rename one of them, or transcribe them into \
                 different directories",
                name(other),
                name(file),
                output.display()
            );
        }
        outputs.push(output);
    }
    for output in &outputs {
        let same = |file: &&PathBuf| !is_stdin(file) && is_same(file, output);
        if let Some(input) = files.iter().find(same) {
            bail!(
                "the transcript would overwrite the input {}; choose another --output-dir",
                name(input)
            );
        }
    }
    Ok(outputs)
}

/// Whether both are one file that exists.
fn is_same(one: &Path, other: &Path) -> bool {
    let (one, other) = (one.canonicalize(), other.canonicalize());
    matches!((one, other), (Ok(one), Ok(other)) if one == other)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn planned(files: &[&str]) -> Result<Vec<PathBuf>> {
        let files: Vec<_> = files.iter().map(PathBuf::from).collect();
        plan(&files, Path::new("out"), "txt")
    }

    #[test]
    fn each_input_has_an_output_of_its_name() {
        let outputs = planned(&["a/memo.wav", "b/other.wav", "-", "call.2024.mp3"]).unwrap();
        let expected = [
            "out/memo.txt",
            "out/other.txt",
            "out/stdin.txt",
            "out/call.2024.txt",
        ];
        assert_eq!(outputs, expected.map(PathBuf::from));
    }

    #[test]
    fn inputs_with_the_same_output_are_refused_and_named() {
        for (one, other) in [
            ("a/memo.wav", "b/memo.wav"),
            ("memo.wav", "memo.mp3"),
            ("Memo.wav", "memo.wav"),
            ("a/MÄRZ.wav", "b/märz.ogg"),
            ("memo.wav", "memo.wav"),
            ("stdin.wav", "-"),
            ("-", "-"),
        ] {
            let error = planned(&["first.wav", one, "between.wav", other]).unwrap_err();
            let text = error.to_string();
            let named = |file: &str| text.contains(&name(Path::new(file)));
            assert!(named(one) && named(other), "{text}");
        }
    }

    #[test]
    fn an_output_that_is_an_input_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let input = dir.path().join("memo.txt");
        std::fs::write(&input, "audio").unwrap();
        let files = [dir.path().join("other.wav"), input];
        let error = plan(&files, dir.path(), "txt").unwrap_err();
        assert!(error.to_string().contains("memo.txt"), "{error}");
        plan(&files, dir.path(), "srt").unwrap();
    }

    #[test]
    fn a_path_without_a_name_is_refused() {
        assert!(planned(&["a/.."]).is_err());
    }
}
