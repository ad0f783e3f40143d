//! Loading the library and graphs.

use std::path::Path;
use std::process::Command;

use auricle_backend_onnx::{MIN_RUNTIME_MINOR, OnnxError, OnnxRuntime, OnnxSession, RunLimits};

use crate::support::{runtime, store};
use crate::tiny::{self, File};

fn refusal(library: &Path) -> String {
    OnnxRuntime::load(library).unwrap_err().to_string()
}

#[test]
fn a_missing_library_says_what_to_do() {
    let message = refusal(Path::new("/nowhere/libonnxruntime.so"));
    assert!(
        message.starts_with("no usable ONNX Runtime: run `make setup`"),
        "{message}"
    );
    let version = format!("version 1.{MIN_RUNTIME_MINOR} or newer");
    assert!(message.contains(&version), "{message}");
}

/// A library of one function, made by the machine's C compiler. With a library loaded before, the
/// answer is that one is taken, so this is asked of a process of its own.
#[test]
fn a_library_that_is_foreign_or_too_old_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let text = dir.path().join("text.so");
    std::fs::write(&text, "not a library").unwrap();
    let compile = |name: &str, code: &str| {
        let (source, library) = (dir.path().join("lib.c"), dir.path().join(name));
        std::fs::write(&source, code).unwrap();
        let made = Command::new("cc")
            .args(["-shared", "-fPIC", "-o"])
            .args([&library, &source])
            .status();
        made.is_ok_and(|status| status.success()).then_some(library)
    };
    let foreign = compile("foreign.so", "int answer(void) { return 42; }");
    let old = compile(
        "old.so",
        r#"static const char *version(void) { return "1.15.1"; }
        static const struct { const void *(*api)(unsigned); const char *(*version)(void); }
            base = { 0, version };
        const void *OrtGetApiBase(void) { return &base; }"#,
    );
    let ask = |library: &Path| {
        let asked = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "runtime::prints_the_refusal", "--nocapture"])
            .env("ONNX_TEST_LIBRARY", library)
            .output()
            .unwrap();
        String::from_utf8(asked.stdout).unwrap()
    };
    let answer = ask(&text);
    assert!(answer.contains("not a usable ONNX Runtime"), "{answer}");
    let (Some(foreign), Some(old)) = (foreign, old) else {
        println!("skipped: no C compiler");
        return;
    };
    let answer = ask(&foreign);
    assert!(answer.contains("not a usable ONNX Runtime"), "{answer}");
    let answer = ask(&old);
    assert!(
        answer.contains("is ONNX Runtime 1.15.1, version 1."),
        "{answer}"
    );
    assert!(answer.contains("run `make setup`"), "{answer}");
}

/// Not a claim of its own: what the test above asks another process.
#[test]
fn prints_the_refusal() {
    if let Some(library) = std::env::var_os("ONNX_TEST_LIBRARY") {
        println!("{}", refusal(Path::new(&library)));
    }
}

#[test]
fn the_same_library_is_loaded_once_and_another_one_never() {
    let Some(first) = runtime() else { return };
    let second = OnnxRuntime::load(first.library()).unwrap();
    assert_eq!(first.library(), second.library());
    let dir = tempfile::tempdir().unwrap();
    let other = dir.path().join("libonnxruntime.so");
    std::fs::write(&other, "another").unwrap();
    let refused = OnnxRuntime::load(&other);
    assert!(matches!(refused, Err(OnnxError::LibraryTaken { .. })));
    let library = store().library("onnxruntime").unwrap();
    let link = dir.path().join("link.so");
    std::os::unix::fs::symlink(&library.path, &link).unwrap();
    assert!(
        OnnxRuntime::load(&link).is_ok(),
        "the same file by another name"
    );
}

#[test]
fn a_graph_of_another_digest_is_not_loaded() {
    let Some(runtime) = runtime() else { return };
    let mut file = File::new(&tiny::product());
    assert!(file.load(&runtime).is_ok());
    file.sha256 = file.sha256.to_uppercase();
    assert!(file.load(&runtime).is_ok(), "digits of either case");
    file.sha256 = tiny::sha256(b"another");
    let refused = file.load(&runtime).unwrap_err();
    assert!(
        matches!(refused, OnnxError::WrongDigest { .. }),
        "{refused}"
    );
    file.sha256 = "short".to_owned();
    assert!(file.load(&runtime).is_err());
    let limits = RunLimits::default();
    let nowhere = OnnxSession::load(&runtime, Path::new("/nowhere"), &file.sha256, limits);
    assert!(matches!(nowhere, Err(OnnxError::ModelUnreadable { .. })));
}

#[test]
fn bytes_that_are_no_graph_are_refused() {
    let Some(runtime) = runtime() else { return };
    let whole = tiny::product();
    let mut cases = vec![Vec::new(), b"not a graph".to_vec(), vec![0xff; 1000]];
    cases.extend((1..whole.len()).step_by(7).map(|cut| whole[..cut].to_vec()));
    for bytes in cases {
        let refused = File::new(&bytes).load(&runtime);
        assert!(
            matches!(refused, Err(OnnxError::ModelRefused { .. })),
            "{} bytes: {refused:?}",
            bytes.len()
        );
    }
}

#[test]
fn graphs_of_types_that_are_not_served_are_refused_when_they_are_loaded() {
    let Some(runtime) = runtime() else { return };
    for element in [tiny::BOOL, tiny::FLOAT16] {
        let refused = File::new(&tiny::identity(element)).load(&runtime);
        let message = refused.unwrap_err().to_string();
        assert!(
            message.contains("must be f32, f64, i32, i64 or u8"),
            "{message}"
        );
    }
}

#[test]
fn weights_beside_the_graph_are_refused() {
    let Some(runtime) = runtime() else { return };
    let dir = tempfile::tempdir().unwrap();
    let outside = dir.path().join("weights.bin");
    std::fs::write(&outside, [0; 8]).unwrap();
    for location in ["weights.bin", outside.to_str().unwrap(), "../weights.bin"] {
        let file = File::new(&tiny::external(location));
        std::fs::write(file.dir.path().join("weights.bin"), [0; 8]).unwrap();
        let refused = file.load(&runtime);
        assert!(
            matches!(refused, Err(OnnxError::ModelRefused { .. })),
            "{location}: {refused:?}"
        );
    }
}
