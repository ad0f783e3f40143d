//! The store's checkpoints and graph become the pinned graphs, and others are refused.
//!
//! What is not installed is left out with a line on standard output.

#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};

use auricle_models::convert::ConvertError;
use auricle_models::convert::onnx::{self, ConvertedGraph};
use auricle_models::{Store, StoreDirs};

type Convert = fn(&Path, &Path) -> Result<ConvertedGraph, ConvertError>;

fn installed(set: &str, name: &str) -> Option<PathBuf> {
    let store = Store::open(StoreDirs::from_env().unwrap()).unwrap();
    let file = store.file(set).ok()?.get(name).map(|f| f.path.clone());
    if file.is_none() {
        println!("skipped: {name} of {set} is not installed");
    }
    file
}

fn segmentation_checkpoint() -> Option<PathBuf> {
    installed("pyannote-segmentation-3.0", "pytorch_model.bin")
}

fn campplus_checkpoint() -> Option<PathBuf> {
    installed("campplus", "campplus_cn_en_common.pt")
}

fn silero_graph() -> Option<PathBuf> {
    installed("silero-vad", "silero_vad_16k_sequence.onnx")
}

#[test]
fn the_checkpoints_become_the_pinned_graphs() {
    let cases: [(_, Convert, _, _); 3] = [
        (
            segmentation_checkpoint(),
            onnx::segmentation,
            onnx::SEGMENTATION_SHA256,
            5_976_935,
        ),
        (
            campplus_checkpoint(),
            onnx::campplus,
            onnx::CAMPPLUS_SHA256,
            27_872_417,
        ),
        (silero_graph(), onnx::silero, onnx::SILERO_SHA256, 1_489_603),
    ];
    for (checkpoint, convert, sha256, bytes) in cases {
        let Some(checkpoint) = checkpoint else {
            continue;
        };
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("model.onnx");
        let made = convert(&checkpoint, &out).unwrap();
        assert_eq!(made.bytes, bytes);
        assert_eq!(fs::metadata(&out).unwrap().len(), bytes);
        assert_eq!(made.sha256, sha256);
        auricle_models::verify_sha256(&out, sha256).unwrap();
    }
}

/// Why a conversion was refused; nothing is left of it.
fn refusal(convert: Convert, checkpoint: &Path) -> String {
    let dir = tempfile::tempdir().unwrap();
    let refused = convert(checkpoint, &dir.path().join("model.onnx"));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    refused.unwrap_err().to_string()
}

#[test]
fn a_checkpoint_of_another_network_is_refused() {
    let (Some(segmentation), Some(campplus)) = (segmentation_checkpoint(), campplus_checkpoint())
    else {
        return;
    };
    let message = refusal(onnx::segmentation, &campplus);
    assert!(message.contains("no weights called sincnet."), "{message}");
    let message = refusal(onnx::campplus, &segmentation);
    assert!(message.contains("no weights called head."), "{message}");
}

#[test]
fn a_graph_that_is_cut_or_foreign_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("graph.onnx");
    fs::write(&path, "no graph at all").unwrap();
    let message = refusal(onnx::silero, &path);
    assert!(message.contains("is not a usable Silero VAD"), "{message}");
    if let Some(step) = installed("silero-vad", "silero_vad_op18_ifless.onnx") {
        let message = refusal(onnx::silero, &step);
        assert!(message.contains("no weights called stft."), "{message}");
    }
    let Some(graph) = silero_graph() else { return };
    let whole = fs::read(graph).unwrap();
    for eighth in 1..8 {
        fs::write(&path, whole.get(..whole.len() * eighth / 8).unwrap()).unwrap();
        let message = refusal(onnx::silero, &path);
        assert!(message.contains("is not a usable Silero VAD"), "{message}");
    }
}

#[test]
fn a_checkpoint_that_is_cut_or_foreign_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("checkpoint.bin");
    let message = refusal(onnx::segmentation, &path);
    assert!(message.contains("cannot open"), "{message}");
    fs::write(&path, "no zip at all").unwrap();
    let message = refusal(onnx::campplus, &path);
    assert!(message.contains("is not a usable 3D-Speaker"), "{message}");
    let Some(checkpoint) = segmentation_checkpoint() else {
        return;
    };
    let whole = fs::read(checkpoint).unwrap();
    for eighth in 1..8 {
        fs::write(&path, whole.get(..whole.len() * eighth / 8).unwrap()).unwrap();
        let message = refusal(onnx::segmentation, &path);
        assert!(message.contains("is not a usable pyannote"), "{message}");
    }
}
