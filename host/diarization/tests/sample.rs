//! A real conversation through the real models. What is not installed is left out with a line on
//! standard output; `make setup` installs it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::path::PathBuf;

use auricle_backend_onnx::{Embedder, OnnxError, OnnxRuntime, Segmenter};
use auricle_diarization::{DiarizationError, DiarizeOptions, KnownSpeaker, Models, diarize};
use auricle_models::convert::onnx;
use auricle_models::{Store, StoreDirs};
use auricle_speech::{CancelFlag, Clip, Turn};

/// Diarization error rate without collar, overlap counted, that pyannote's 30 s sample may have.
/// pyannote.metrics says 9.0 %, and 2 to 3 points more or less by where the windows fall.
const MAX_ERROR_RATE: f64 = 0.115;

struct Onnx(Segmenter, Embedder);

#[derive(Debug)]
struct Failed(#[allow(dead_code, reason = "shown")] String);

impl From<DiarizationError> for Failed {
    fn from(error: DiarizationError) -> Self {
        Self(error.to_string())
    }
}

impl From<OnnxError> for Failed {
    fn from(error: OnnxError) -> Self {
        Self(error.to_string())
    }
}

impl Models for Onnx {
    type Error = Failed;

    fn segment(
        &mut self,
        windows: &[&[f32]],
        cancel: &CancelFlag,
    ) -> Result<Vec<Vec<f32>>, Failed> {
        let windows = self.0.segment(windows, cancel)?;
        Ok(windows
            .iter()
            .map(|window| window.log_probabilities().to_vec())
            .collect())
    }

    fn embed(&mut self, sound: &[f32], cancel: &CancelFlag) -> Result<Vec<f32>, Failed> {
        let voices = self.1.embed(&[sound], cancel)?;
        Ok(voices[0].values().to_vec())
    }
}

fn installed() -> Option<Onnx> {
    let store = Store::open(StoreDirs::from_env().unwrap()).unwrap();
    let checkpoint = |set: &str, name: &str| {
        let found = store
            .file(set)
            .ok()
            .and_then(|files| files.get(name).cloned());
        if found.is_none() {
            println!("skipped: {name} of {set} is not installed");
        }
        found.map(|file| file.path)
    };
    let segmentation = checkpoint("pyannote-segmentation-3.0", "pytorch_model.bin")?;
    let campplus = checkpoint("campplus", "campplus_cn_en_common.pt")?;
    let Ok(library) = store.library("onnxruntime") else {
        println!("skipped: ONNX Runtime is not installed");
        return None;
    };
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (
        dir.path().join("segmentation.onnx"),
        dir.path().join("campplus.onnx"),
    );
    onnx::segmentation(&segmentation, &one).unwrap();
    onnx::campplus(&campplus, &two).unwrap();
    let runtime = OnnxRuntime::load(&library.path).unwrap();
    let segmenter = Segmenter::load(&runtime, &one, onnx::SEGMENTATION_SHA256).unwrap();
    let embedder = Embedder::load(&runtime, &two, onnx::CAMPPLUS_SHA256).unwrap();
    Some(Onnx(segmenter, embedder))
}

fn sample() -> Option<(Clip, Vec<Turn>)> {
    let root = std::env::var_os("AURICLE_EVAL_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    let path = root.join("diarization/pyannote_sample.wav");
    if !path.is_file() {
        println!("skipped: no evaluation data");
        return None;
    }
    let limits = auricle_audio::DecodeLimits::default();
    let clip = auricle_decoder::native::decode_path(&path, &limits).unwrap();
    let rttm = std::fs::read_to_string(path.with_extension("rttm")).unwrap();
    let turn = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let start: f64 = fields[3].parse().unwrap();
        let length: f64 = fields[4].parse().unwrap();
        Turn {
            speaker: fields[7].to_owned(),
            start,
            end: start + length,
        }
    };
    Some((clip, rttm.lines().map(turn).collect()))
}

fn speakers(turns: &[Turn]) -> Vec<&str> {
    let mut names: Vec<_> = turns.iter().map(|turn| turn.speaker.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Diarization error rate in steps of 1 ms for two speakers on each side; the better pairing
/// counts. Agrees with pyannote.metrics on this file to 0.02 points.
fn error_rate(reference: &[Turn], found: &[Turn], secs: f64) -> f64 {
    let (names, labels) = (speakers(reference), speakers(found));
    let speaks = |turns: &[Turn], name: &str, at: f64| {
        turns
            .iter()
            .any(|t| t.speaker == name && t.start <= at && at < t.end)
    };
    let (mut total, mut most, mut right) = (0, 0, [0, 0]);
    for step in 0..(secs * 1000.0) as usize {
        let at = (step as f64 + 0.5) / 1000.0;
        let truth: Vec<_> = names.iter().map(|n| speaks(reference, n, at)).collect();
        let guess: Vec<_> = labels.iter().map(|n| speaks(found, n, at)).collect();
        let count = |who: &[bool]| who.iter().filter(|speaks| **speaks).count();
        total += count(&truth);
        most += count(&truth).max(count(&guess));
        for (pairing, sum) in right.iter_mut().enumerate() {
            let hit = |k: usize| truth[k] && guess[(k + pairing) % 2];
            *sum += usize::from(hit(0)) + usize::from(hit(1));
        }
    }
    (most - right[0].max(right[1])) as f64 / total as f64
}

#[test]
fn two_on_the_telephone_are_told_apart() {
    let (Some(mut models), Some((clip, reference))) = (installed(), sample()) else {
        return;
    };
    let cancel = CancelFlag::new();
    let found = diarize(&clip, &mut models, &DiarizeOptions::default(), &cancel).unwrap();
    assert_eq!(found.speakers.len(), 2, "{found:?}");
    let rate = error_rate(&reference, &found.turns, clip.duration().as_secs_f64());
    println!("diarization error rate {:.2} %", 100.0 * rate);
    assert!(rate < MAX_ERROR_RATE, "{rate}");
    // A voice of one clip is a name in the next.
    let known = vec![KnownSpeaker {
        name: "Ada".to_owned(),
        embedding: found.speakers[1].embedding.clone(),
    }];
    let options = DiarizeOptions {
        known,
        num_speakers: Some(2),
        ..DiarizeOptions::default()
    };
    let named = diarize(&clip, &mut models, &options, &cancel).unwrap();
    let labels: Vec<_> = named.speakers.iter().map(|s| s.label.as_str()).collect();
    assert_eq!(labels, ["SPEAKER_00", "Ada"]);
    let one = DiarizeOptions {
        num_speakers: Some(1),
        ..DiarizeOptions::default()
    };
    let one = diarize(&clip, &mut models, &one, &cancel).unwrap();
    assert_eq!(one.speakers.len(), 1);
}
