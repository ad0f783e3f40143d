//! Voice activity with the real model.

use std::time::Instant;

use auricle_backend_onnx::{
    OnnxError, OnnxLoader, SpeechOptions, VAD_FRAME_SAMPLES, VoiceActivity, VoiceStream,
    speech_spans,
};
use auricle_speech::{
    CancelFlag, Clip, GraphLoader, GraphResult, GraphSession, GraphWork, ModelFiles, Span,
    VOICE_FRAME_SAMPLES, clip_gain,
};

use crate::support::{decode, eval_data, installed, jfk, runtime, white_noise};

const EXPORTS: [&str; 3] = [
    "silero_vad_16k_products.onnx",
    "silero_vad_16k_sequence.onnx",
    "silero_vad_op18_ifless.onnx",
];

/// Every export that is installed.
fn models() -> Vec<(&'static str, VoiceActivity)> {
    let Some(runtime) = runtime() else {
        return Vec::new();
    };
    EXPORTS
        .into_iter()
        .filter_map(|name| {
            let file = installed("silero-vad", name)?;
            let model = VoiceActivity::load(&runtime, &file.path, &file.sha256).unwrap();
            Some((name, model))
        })
        .collect()
}

fn probabilities(model: &mut VoiceActivity, samples: &[f32]) -> Vec<f32> {
    model.probabilities(samples, &CancelFlag::new()).unwrap()
}

fn spans(model: &mut VoiceActivity, samples: &[f32]) -> Vec<Span> {
    let probabilities = probabilities(model, samples);
    let len = samples.len() as u64;
    speech_spans(&probabilities, len, &SpeechOptions::default())
}

/// Share of `samples` that is speech.
fn share(model: &mut VoiceActivity, samples: &[f32]) -> f64 {
    let found: u64 = spans(model, samples).iter().map(|s| s.len_samples()).sum();
    found as f64 / samples.len().max(1) as f64
}

#[test]
fn a_speech_is_found_with_its_pauses() {
    let Some(clip) = jfk() else { return };
    for (name, mut model) in models() {
        let spans = spans(&mut model, clip.samples());
        let found: Vec<_> = spans
            .iter()
            .map(|span| (span.start_secs(), span.end_secs()))
            .collect();
        println!("{name}: {found:.2?}");
        // The sentence begins after 0.3 s and has pauses after 2.2, 4.4, 5.4 and 7.7 s.
        assert!((3..=6).contains(&spans.len()), "{name}: {found:.2?}");
        assert!((0.2..0.5).contains(&found[0].0), "{name}: {found:.2?}");
        assert!(found.last().unwrap().1 > 10.0, "{name}: {found:.2?}");
        let speech: f64 = found.iter().map(|(start, end)| end - start).sum();
        assert!((6.0..10.0).contains(&speech), "{name}: {speech}");
    }
}

#[test]
fn soft_speech_is_found_like_loud_speech() {
    let Some(clip) = jfk() else { return };
    for (name, mut model) in models() {
        let loud = share(&mut model, clip.samples());
        for level in [0.01, 0.003] {
            // As 16 bits hold it.
            let soft = clip
                .samples()
                .iter()
                .map(|s| (s * level * 32_768.0).round() / 32_768.0);
            let soft: Vec<f32> = soft.collect();
            let found = share(&mut model, &soft);
            println!("{name}: {loud:.2} at {level}: {found:.2}");
            assert!(
                (found - loud).abs() < 0.1,
                "{name}: {loud} at {level}: {found}"
            );
        }
    }
}

#[test]
fn silence_and_noise_are_no_speech() {
    for (name, mut model) in models() {
        for (what, samples) in [
            ("nothing", Vec::new()),
            ("one sample", vec![0.5]),
            ("silence", vec![0.0; 160_000]),
            ("a constant", vec![0.5; 160_000]),
            ("loud noise", white_noise(320_000, 0.5)),
            ("faint noise", white_noise(320_000, 0.005)),
        ] {
            assert_eq!(spans(&mut model, &samples), [], "{name}: {what}");
        }
    }
}

#[test]
fn samples_that_are_not_finite_count_as_silence() {
    for (name, mut model) in models() {
        let mut samples = vec![0.0; 20_000];
        samples[3000] = f32::NAN;
        samples[9000] = f32::INFINITY;
        let with = probabilities(&mut model, &samples);
        let without = probabilities(&mut model, &vec![0.0; 20_000]);
        assert_eq!(with, without, "{name}");
    }
}

#[test]
fn a_stream_has_the_same_probabilities_however_it_is_cut() {
    let Some(clip) = jfk() else { return };
    for (name, mut model) in models() {
        let whole = probabilities(&mut model, clip.samples());
        assert_eq!(
            whole.len(),
            clip.samples().len().div_ceil(VAD_FRAME_SAMPLES)
        );
        for cut in [1, 100, 512, 777, 16_000, 100_000] {
            let samples = &clip.samples()[..clip.samples().len().min(cut * 200)];
            let (mut stream, mut found) = (VoiceStream::default(), Vec::new());
            for piece in samples.chunks(cut) {
                found.extend(model.push(&mut stream, piece).unwrap());
            }
            found.extend(model.finish(&mut stream).unwrap());
            assert_eq!(found.len(), samples.len().div_ceil(VAD_FRAME_SAMPLES));
            // The last frame of a shorter sound is filled up and differs.
            let same = samples.len() / VAD_FRAME_SAMPLES;
            for (at, (a, b)) in found.iter().zip(&whole).take(same).enumerate() {
                assert!(
                    (a - b).abs() < 1e-4,
                    "{name}, {cut}: frame {at}: {a} and {b}"
                );
            }
            assert_eq!(model.finish(&mut stream).unwrap(), None);
        }
    }
}

/// Reads a clip in pieces of a minute, each begun so many frames early.
fn in_pieces(session: &mut dyn GraphSession, clip: &Clip, warm_frames: u64) -> Vec<f32> {
    let step = 1800 * VOICE_FRAME_SAMPLES;
    let mut found = Vec::new();
    for number in 0..clip.len_samples().div_ceil(step) {
        let work = GraphWork::Voice {
            clip: clip.clone(),
            span: Span {
                start: number * step,
                end: clip.len_samples().min((number + 1) * step),
            },
            warm_samples: warm_frames * VOICE_FRAME_SAMPLES,
            gain: clip_gain(clip.samples()),
        };
        let GraphResult::Voice(piece) = session.run(&work, &CancelFlag::new()).unwrap() else {
            panic!("another result");
        };
        found.extend(piece);
    }
    found
}

#[test]
fn a_clip_read_in_warmed_pieces_has_the_probabilities_of_a_single_pass() {
    let (Some(root), Some(runtime)) = (eval_data(), runtime()) else {
        return;
    };
    for name in EXPORTS {
        let Some(file) = installed("silero-vad", name) else {
            continue;
        };
        let files = ModelFiles {
            name: name.to_owned(),
            path: file.path.clone(),
            sha256: file.sha256.clone(),
            word_timestamps: false,
        };
        let engine = OnnxLoader::new(runtime.clone()).load(&files).unwrap();
        let mut session = engine.open_session().unwrap();
        let mut model = VoiceActivity::load(&runtime, &file.path, &file.sha256).unwrap();
        for sound in ["long_shared.ogg", "conv4_shared.ogg", "ami_cat_shared.ogg"] {
            let clip = decode(&root.join("derived").join(sound));
            let single = probabilities(&mut model, clip.samples());
            let mut differences = Vec::new();
            for warm_frames in [0, 62, 156, 312, 468] {
                let pieces = in_pieces(session.as_mut(), &clip, warm_frames);
                assert_eq!(pieces.len(), single.len());
                let pairs = single.iter().zip(&pieces);
                let (mut furthest, mut far, mut sides) = (0.0_f32, 0, 0);
                for (a, b) in pairs {
                    furthest = furthest.max((a - b).abs());
                    far += usize::from((a - b).abs() > 0.05);
                    sides += usize::from((*a < 0.5) != (*b < 0.5));
                }
                differences.push((warm_frames, furthest, far, sides));
            }
            println!(
                "{name}: {sound}: of {} frames {differences:?}",
                single.len()
            );
            // Of the frames, those on the other side of the threshold.
            let (_, _, _, sides) = differences[3];
            assert!(
                sides * 200 <= single.len(),
                "{name}: {sound}: {differences:?}"
            );
        }
    }
}

#[test]
fn all_files_of_the_model_agree() {
    let mut clips: Vec<Clip> = jfk().into_iter().collect();
    clips.extend(eval_data().map(|root| decode(&root.join("derived").join("long_shared.ogg"))));
    for clip in clips {
        let found: Vec<_> = models()
            .into_iter()
            .map(|(name, mut model)| (name, probabilities(&mut model, clip.samples())))
            .collect();
        let Some(((first, one), others)) = found.split_first() else {
            return;
        };
        for (name, other) in others {
            assert_eq!(one.len(), other.len());
            let pairs = one.iter().zip(other);
            let furthest = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            println!("{first} and {name}: {furthest:e}");
            assert!(furthest < 1e-5, "{first} and {name}: {furthest}");
        }
    }
}

#[test]
fn a_cancelled_clip_stops() {
    for (_, mut model) in models() {
        let cancel = CancelFlag::new();
        cancel.cancel();
        let stopped = model.probabilities(&[0.0; 1000], &cancel);
        assert!(matches!(stopped, Err(OnnxError::Cancelled)));
    }
}

#[test]
fn another_graph_is_not_taken_for_the_model() {
    let Some(runtime) = runtime() else { return };
    let file = crate::tiny::File::new(&crate::tiny::product());
    let refused = VoiceActivity::load(&runtime, &file.path, &file.sha256);
    assert!(matches!(refused, Err(OnnxError::ModelRefused { .. })));
}

#[test]
fn sounds_without_a_voice_have_little_speech() {
    let Some(root) = eval_data() else { return };
    let mut files: Vec<_> = std::fs::read_dir(root.join("nonspeech"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext != "txt"))
        .collect();
    files.extend(["silence30.flac", "whitenoise20.flac"].map(|f| root.join("derived").join(f)));
    files.sort();
    for (name, mut model) in models() {
        for path in &files {
            let clip = decode(path);
            let share = share(&mut model, clip.samples());
            let file = path.file_name().unwrap().to_string_lossy();
            println!("{name}: {file}: {:.1} % speech", share * 100.0);
            assert!(share < 0.2, "{name}: {file}: {share}");
        }
    }
}

/// Prints how fast it is; the bound is far above every machine's time.
#[test]
fn a_minute_is_read_in_a_tenth_of_its_time() {
    let sound = white_noise(60 * 16_000, 0.1);
    for (name, mut model) in models() {
        let best = (0..3)
            .map(|_| {
                let start = Instant::now();
                probabilities(&mut model, &sound);
                start.elapsed()
            })
            .min()
            .unwrap();
        println!(
            "{name}: {:.2} ms for a second of audio",
            best.as_secs_f64() * 1000.0 / 60.0
        );
        assert!(best.as_secs_f64() < 6.0, "{name}: {best:?}");
    }
}
