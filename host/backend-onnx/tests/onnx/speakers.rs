//! The speaker models, converted from the store's checkpoints.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Instant;

use auricle_backend_onnx::{
    EMBEDDING_LEN, Embedder, Embedding, Fbank, MIN_EMBED_SAMPLES, OnnxError, SEGMENT_FRAMES,
    SEGMENT_WINDOW_SAMPLES, Segmenter,
};
use auricle_models::convert::onnx;
use auricle_speech::CancelFlag;

use crate::support::{decode, eval_data, installed, jfk, runtime, tone, white_noise};
use crate::tiny;

/// A converted model; made once for all tests, gone with the process's temporary directory.
fn converted(
    cell: &'static OnceLock<Option<(tempfile::TempDir, PathBuf)>>,
    set: &str,
    checkpoint: &str,
    convert: fn(&Path, &Path),
) -> Option<PathBuf> {
    let made = cell.get_or_init(|| {
        let checkpoint = installed(set, checkpoint)?;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model.onnx");
        convert(&checkpoint.path, &path);
        Some((dir, path))
    });
    made.as_ref().map(|(_, path)| path.clone())
}

fn segmenter() -> Option<Segmenter> {
    static MADE: OnceLock<Option<(tempfile::TempDir, PathBuf)>> = OnceLock::new();
    let set = "pyannote-segmentation-3.0";
    let path = converted(&MADE, set, "pytorch_model.bin", |from, to| {
        onnx::segmentation(from, to).unwrap();
    })?;
    Some(Segmenter::load(&runtime()?, &path, onnx::SEGMENTATION_SHA256).unwrap())
}

fn embedder() -> Option<Embedder> {
    static MADE: OnceLock<Option<(tempfile::TempDir, PathBuf)>> = OnceLock::new();
    let path = converted(&MADE, "campplus", "campplus_cn_en_common.pt", |from, to| {
        onnx::campplus(from, to).unwrap();
    })?;
    Some(Embedder::load(&runtime()?, &path, onnx::CAMPPLUS_SHA256).unwrap())
}

fn segment(model: &mut Segmenter, windows: &[&[f32]]) -> Vec<Vec<usize>> {
    let windows = model.segment(windows, &CancelFlag::new()).unwrap();
    windows.iter().map(|w| w.classes().collect()).collect()
}

fn embed(model: &mut Embedder, sounds: &[&[f32]]) -> Vec<Embedding> {
    model.embed(sounds, &CancelFlag::new()).unwrap()
}

/// Classes and for how many frames, of the same network computed by its Python reference.
fn frames(runs: &[(usize, usize)]) -> Vec<usize> {
    let run = |&(class, count): &(usize, usize)| vec![class; count];
    runs.iter().flat_map(run).collect()
}

#[test]
fn a_conversation_has_the_reference_s_classes() {
    let Some(mut model) = segmenter() else { return };
    let Some(root) = eval_data() else { return };
    let clip = decode(&root.join("diarization/pyannote_sample.wav"));
    let windows: Vec<_> = clip.samples().chunks(SEGMENT_WINDOW_SAMPLES).collect();
    let found = segment(&mut model, &windows);
    let expected = [
        frames(&[(0, 394), (2, 195)]),
        frames(&[
            (2, 30),
            (6, 28),
            (3, 195),
            (6, 28),
            (2, 184),
            (0, 8),
            (3, 116),
        ]),
        frames(&[(3, 87), (0, 17), (2, 358), (6, 40), (3, 87)]),
    ];
    assert_eq!(found, expected);
}

#[test]
fn one_voice_is_one_speaker_with_pauses() {
    let Some(mut model) = segmenter() else { return };
    let Some(clip) = jfk() else { return };
    let window = &clip.samples()[..SEGMENT_WINDOW_SAMPLES];
    let expected = frames(&[
        (0, 17),
        (2, 113),
        (0, 62),
        (2, 66),
        (0, 59),
        (2, 129),
        (0, 35),
        (2, 108),
    ]);
    assert_eq!(segment(&mut model, &[window]), [expected]);
}

#[test]
fn a_window_does_not_depend_on_its_batch() {
    let Some(mut model) = segmenter() else { return };
    let (long, short) = (tone(SEGMENT_WINDOW_SAMPLES, 220.0), tone(50_000, 500.0));
    let mut filled = short.clone();
    filled.resize(SEGMENT_WINDOW_SAMPLES, 0.0);
    let windows: [&[f32]; 6] = [&long, &short, &[], &filled, &long, &short];
    let found = model.segment(&windows, &CancelFlag::new()).unwrap();
    let near = |a: usize, b: usize| {
        let pairs = found[a].log_probabilities().iter();
        pairs
            .zip(found[b].log_probabilities())
            .all(|(a, b)| (a - b).abs() < 1e-3)
    };
    assert!(near(0, 4) && near(1, 5) && near(1, 3));
    assert!(found[2].classes().all(|class| class == 0), "silence");
    assert_eq!(found[0].classes().count(), SEGMENT_FRAMES);
}

#[test]
fn silence_and_noise_have_no_speaker() {
    let Some(mut model) = segmenter() else { return };
    let noise = white_noise(SEGMENT_WINDOW_SAMPLES, 0.3);
    for found in segment(&mut model, &[&noise, &[0.0; 1000]]) {
        let spoken = found.iter().filter(|&&class| class != 0).count();
        assert!(spoken < SEGMENT_FRAMES / 50, "{spoken} frames");
    }
}

#[test]
fn features_are_those_of_the_reference() {
    let features = Fbank::new().compute(&tone(16_000, 220.0)).unwrap();
    assert_eq!(features.frames(), 98);
    for (frame, bin, expected) in [
        (0, 0, -0.22400),
        (0, 10, -1.33492),
        (13, 3, -0.44996),
        (50, 40, -0.17459),
        (50, 79, 0.03618),
        (97, 0, -0.68102),
        (97, 79, -0.03011),
    ] {
        let found = features.data()[frame * 80 + bin];
        let near = (found - expected).abs() < 1e-3;
        assert!(near, "frame {frame}, bin {bin}: {found} and not {expected}");
    }
}

#[test]
fn embeddings_are_those_of_the_reference() {
    let Some(mut model) = embedder() else { return };
    let (low, high) = (tone(16_000, 220.0), tone(16_000, 1500.0));
    let found = embed(&mut model, &[&low, &high]);
    let expected = [
        -0.09601, -0.02923, 0.04222, -0.10844, -0.04053, 0.07904, -0.03124, -0.02908,
    ];
    for (found, expected) in found[0].values().iter().zip(expected) {
        assert!(
            (found - expected).abs() < 1e-3,
            "{found} and not {expected}"
        );
    }
    let cosine = found[0].cosine(&found[1]);
    assert!((cosine - 0.930_60).abs() < 1e-3, "{cosine}");
    let length: f32 = found[1].values().iter().map(|v| v * v).sum();
    assert!((length - 1.0).abs() < 1e-5, "{length}");
    assert_eq!(found[0].values().len(), EMBEDDING_LEN);
}

#[test]
fn one_voice_is_nearer_to_itself_than_to_another() {
    let (Some(mut model), Some(clip)) = (embedder(), jfk()) else {
        return;
    };
    let Some(root) = eval_data() else { return };
    let other = decode(&root.join("diarization/pyannote_sample.wav"));
    let sounds = [
        &clip.samples()[8000..80_000],
        &clip.samples()[80_000..152_000],
        &other.samples()[160_000..232_000],
    ];
    let found = embed(&mut model, &sounds);
    let (same, different) = (found[0].cosine(&found[1]), found[0].cosine(&found[2]));
    println!("same voice {same:.4}, other voice {different:.4}");
    assert!((same - 0.748_38).abs() < 2e-3, "{same}");
    assert!((different - 0.155_73).abs() < 2e-3, "{different}");
}

/// Lengths at which an older runtime computed the last segment of 100 frames wrongly; a batch and
/// a single run go through different kernels.
#[test]
fn an_embedding_does_not_depend_on_its_batch_at_any_length() {
    let Some(mut model) = embedder() else { return };
    for frames in [20, 21, 199, 200, 201, 202, 399, 400, 401, 1098] {
        let samples = 400 + (frames - 1) * 160;
        let (a, b) = (tone(samples, 220.0), tone(samples, 700.0));
        let together = embed(&mut model, &[&a, &b, &a]);
        let alone = embed(&mut model, &[&b]);
        let near = |x: &Embedding, y: &Embedding| x.cosine(y) > 0.9999;
        assert!(near(&together[0], &together[2]), "{frames}");
        assert!(near(&together[1], &alone[0]), "{frames}");
    }
}

#[test]
fn sounds_that_cannot_be_embedded_or_segmented_are_refused() {
    let cancel = CancelFlag::new();
    if let Some(mut model) = embedder() {
        let fits = vec![0.1; MIN_EMBED_SAMPLES];
        assert!(model.embed(&[], &cancel).unwrap().is_empty());
        assert!(model.embed(&[&fits], &cancel).is_ok());
        let longer = vec![0.1; MIN_EMBED_SAMPLES + 1];
        for sounds in [[&fits[1..], &fits[1..]], [&fits, &longer[..]], [&[], &[]]] {
            let refused = model.embed(&sounds, &cancel);
            assert!(matches!(refused, Err(OnnxError::InvalidArgument { .. })));
        }
    }
    if let Some(mut model) = segmenter() {
        let long = vec![0.1; SEGMENT_WINDOW_SAMPLES + 1];
        let refused = model.segment(&[&long], &cancel);
        assert!(matches!(refused, Err(OnnxError::InvalidArgument { .. })));
        cancel.cancel();
        let stopped = model.segment(&[&long], &cancel);
        assert!(matches!(stopped, Err(OnnxError::Cancelled)));
    }
}

#[test]
fn another_graph_is_not_taken_for_a_speaker_model() {
    let Some(runtime) = runtime() else { return };
    let file = tiny::File::new(&tiny::product());
    let refused = Segmenter::load(&runtime, &file.path, &file.sha256);
    assert!(matches!(refused, Err(OnnxError::ModelRefused { .. })));
    let refused = Embedder::load(&runtime, &file.path, &file.sha256);
    assert!(matches!(refused, Err(OnnxError::ModelRefused { .. })));
}

/// Prints how fast they are; the bounds are far above every machine's time.
#[test]
fn ten_seconds_are_read_in_less_than_their_time() {
    let cancel = CancelFlag::new();
    let sound = tone(4 * SEGMENT_WINDOW_SAMPLES, 220.0);
    let windows: Vec<_> = sound.chunks(SEGMENT_WINDOW_SAMPLES).collect();
    if let Some(mut model) = segmenter() {
        let start = Instant::now();
        model.segment(&windows, &cancel).unwrap();
        let ms = start.elapsed().as_secs_f64() * 1000.0 / 4.0;
        println!("segmentation: {ms:.1} ms for a window of 10 s");
        assert!(ms < 10_000.0);
    }
    if let Some(mut model) = embedder() {
        let sounds: Vec<_> = sound.chunks(32_000).take(10).collect();
        let start = Instant::now();
        model.embed(&sounds, &cancel).unwrap();
        let ms = start.elapsed().as_secs_f64() * 1000.0 / 10.0;
        println!("embedding: {ms:.1} ms for 2 s");
        assert!(ms < 10_000.0);
    }
}
