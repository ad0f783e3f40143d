//! Files that `auricle transcribe` writes, and the language that it is told.

use std::path::Path;
use std::process::Output;

use crate::support::audio::speech;
use crate::support::program::{command, scratch};

fn transcribe(dir: &Path, args: &[&str]) -> Output {
    let mut command = command();
    command
        .args(["transcribe", "--model", "tiny.en", "--data-dir"])
        .arg(scratch().join("data"))
        .args(args)
        .current_dir(dir);
    command.output().unwrap()
}

#[test]
fn inputs_of_one_name_are_refused_before_any_is_transcribed() {
    let dir = tempfile::tempdir().unwrap();
    for (folder, file) in [("a", "memo.wav"), ("b", "memo.wav"), ("b", "Memo.mp3")] {
        std::fs::create_dir_all(dir.path().join(folder)).unwrap();
        std::fs::write(dir.path().join(folder).join(file), speech().wav()).unwrap();
    }
    for (one, other) in [("a/memo.wav", "b/memo.wav"), ("b/memo.wav", "b/Memo.mp3")] {
        let output = transcribe(dir.path(), &["--output-dir", "out", one, other]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(one) && said.contains(other), "{said}");
        assert!(!dir.path().join("out").exists(), "something was written");
    }
}

#[test]
fn a_second_run_overwrites_its_own_transcript_and_auto_detects_the_language() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("memo.wav"), speech().wav()).unwrap();
    for language in ["auto", "AUTO"] {
        let args = ["--output-dir", "out", "--language", language, "memo.wav"];
        let output = transcribe(dir.path(), &args);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{said}");
        let text = std::fs::read_to_string(dir.path().join("out/memo.txt")).unwrap();
        speech().must_be(&text);
    }
}
