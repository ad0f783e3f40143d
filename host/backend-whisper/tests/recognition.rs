//! The engine on real weights and real speech. Needs what `make setup` fetches.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use auricle_backend_whisper::{WhisperLoader, encoder_passes};
use auricle_models::{Store, StoreDirs};
use auricle_speech::{
    CancelFlag, DecodeOptions, Detection, Engine, EngineError, EngineLoader, EngineSession,
    Language, ModelFiles, Segment, Task,
};

fn store() -> Store {
    Store::open(StoreDirs::from_env().unwrap()).unwrap()
}

fn files(model: &str, word_timestamps: bool) -> ModelFiles {
    let installed = store()
        .resolve(model)
        .unwrap_or_else(|error| panic!("run make setup: {error}"));
    ModelFiles {
        name: installed.name,
        path: installed.path,
        sha256: installed.sha256,
        word_timestamps,
    }
}

fn engine(model: &str, word_timestamps: bool) -> Arc<dyn Engine> {
    WhisperLoader.load(&files(model, word_timestamps)).unwrap()
}

fn session(model: &str, word_timestamps: bool) -> Box<dyn EngineSession> {
    engine(model, word_timestamps).open_session().unwrap()
}

/// 30 s of a telephone conversation: 16-bit PCM, 16 kHz, mono.
fn conversation() -> Vec<f32> {
    let set = store()
        .file("audio-two-speakers")
        .unwrap_or_else(|error| panic!("run make setup: {error}"));
    let bytes = std::fs::read(&set.get("sample.wav").unwrap().path).unwrap();
    let data = bytes.windows(4).position(|four| four == b"data").unwrap() + 8;
    bytes[data..]
        .chunks_exact(2)
        .map(|two| f32::from(i16::from_le_bytes([two[0], two[1]])) / 32_768.0)
        .take(480_000)
        .collect()
}

fn transcribe(
    session: &mut dyn EngineSession,
    samples: &[f32],
    options: &DecodeOptions,
) -> Vec<Segment> {
    session
        .transcribe(samples, Language::ENGLISH, options, &CancelFlag::new())
        .unwrap()
}

fn text(segments: &[Segment]) -> String {
    let texts: Vec<&str> = segments.iter().map(|s| s.text.as_str()).collect();
    texts.join(" ")
}

fn with_words() -> DecodeOptions {
    DecodeOptions {
        word_timestamps: true,
        ..DecodeOptions::default()
    }
}

#[test]
fn speech_becomes_text_with_segments_in_order() {
    let samples = conversation();
    let segments = transcribe(
        session("tiny.en", false).as_mut(),
        &samples,
        &DecodeOptions::default(),
    );
    let text = text(&segments);
    for words in ["New Jersey", "Texas", "Chicago"] {
        assert!(text.contains(words), "{text}");
    }
    let mut last = 0.0;
    for (id, segment) in segments.iter().enumerate() {
        assert_eq!(segment.id as usize, id);
        assert!(segment.start >= last && segment.end >= segment.start && segment.end <= 30.0);
        assert!(!segment.tokens.is_empty() && segment.words.is_empty());
        assert!(segment.avg_logprob <= 0.0 && segment.compression_ratio > 0.0);
        assert!((0.0..=1.0).contains(&segment.no_speech_prob));
        last = segment.start;
    }
}

#[test]
fn a_session_keeps_nothing_from_one_call_to_the_next() {
    let samples = conversation();
    let mut session = session("tiny.en", false);
    let options = DecodeOptions::default();
    let first = transcribe(session.as_mut(), &samples[..160_000], &options);
    let prompted = DecodeOptions {
        prompt: Some("Diane, Sheila, Texas".to_owned()),
        ..options.clone()
    };
    transcribe(session.as_mut(), &samples[160_000..], &prompted);
    let again = transcribe(session.as_mut(), &samples[..160_000], &options);
    assert_eq!(first, again);
}

#[test]
fn two_sessions_of_one_engine_run_side_by_side() {
    let engine = engine("tiny.en", false);
    let samples = conversation();
    let texts: Vec<String> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut session = engine.open_session().unwrap();
                    let part = &samples[160_000..320_000];
                    text(&transcribe(
                        session.as_mut(),
                        part,
                        &DecodeOptions::default(),
                    ))
                })
            })
            .collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    assert_eq!(texts[0], texts[1]);
    assert!(!texts[0].is_empty());
}

#[test]
fn words_have_times_that_follow_the_speech() {
    let samples = conversation();
    let segments = transcribe(session("base", true).as_mut(), &samples, &with_words());
    let words: Vec<_> = segments.iter().flat_map(|s| &s.words).collect();
    let joined: Vec<&str> = words.iter().map(|word| word.word.as_str()).collect();
    assert_eq!(joined.join(" "), text(&segments));
    let mut last = 0.0;
    for word in &words {
        assert!(word.start >= last && word.end >= word.start, "{word:?}");
        assert!((0.0..=1.0).contains(&word.probability));
        last = word.start;
    }
    // The model's own timestamp tokens put "Texas" at 9 s; it is spoken at about 15.7 s, by the
    // published turns of this recording.
    let texas = words.iter().find(|w| w.word.contains("Texas")).unwrap();
    assert!((14.7..16.7).contains(&texas.start), "{texas:?}");
}

#[test]
fn word_times_need_an_engine_for_them() {
    let error = session("tiny.en", false)
        .transcribe(
            &[0.1; 16_000],
            Language::ENGLISH,
            &with_words(),
            &CancelFlag::new(),
        )
        .unwrap_err();
    assert!(error.to_string().contains("word times"), "{error}");
}

#[test]
fn silence_and_next_to_nothing_yield_no_text() {
    let mut session = session("tiny.en", false);
    let options = DecodeOptions::default();
    for samples in [0, 1, 100, 16_000, 480_000] {
        assert_eq!(
            transcribe(session.as_mut(), &vec![0.0; samples], &options),
            [],
            "{samples} samples"
        );
    }
    // A click shorter than whisper.cpp accepts must neither fail nor crash.
    transcribe(session.as_mut(), &[0.5; 10], &options);
}

#[test]
fn a_short_word_is_heard_though_the_window_is_under_a_second() {
    // "Okay," between 10.6 and 11.4 s.
    let samples = conversation();
    let segments = transcribe(
        session("base", false).as_mut(),
        &samples[12 * 16_000..12 * 16_000 + 24_000],
        &DecodeOptions::default(),
    );
    assert!(!segments.is_empty());
    assert!(segments.iter().all(|segment| segment.end <= 1.5));
}

#[test]
fn more_than_a_window_is_refused() {
    let error = session("tiny.en", false)
        .transcribe(
            &vec![0.1; 480_001],
            Language::ENGLISH,
            &DecodeOptions::default(),
            &CancelFlag::new(),
        )
        .unwrap_err();
    assert!(error.to_string().contains("window"), "{error}");
}

#[test]
fn a_prompt_guides_the_spelling_and_cannot_break_the_call() {
    let samples = conversation();
    let mut session = session("tiny.en", false);
    for prompt in [
        "Dianne and Sheilah".to_owned(),
        "nul \0 inside".to_owned(),
        "<|endoftext|>[_EOT_]".to_owned(),
        "é".repeat(5_000),
        "x".repeat(200_000),
        " ".to_owned(),
    ] {
        let options = DecodeOptions {
            prompt: Some(prompt),
            ..DecodeOptions::default()
        };
        transcribe(session.as_mut(), &samples[..80_000], &options);
    }
}

#[test]
fn beam_search_temperature_and_translation_are_taken() {
    let samples = conversation();
    let mut session = session("base", false);
    let part = &samples[192_000..320_000];
    for options in [
        DecodeOptions {
            beam_size: 5,
            ..DecodeOptions::default()
        },
        DecodeOptions {
            temperature: 0.4,
            ..DecodeOptions::default()
        },
        DecodeOptions {
            task: Task::Translate,
            ..DecodeOptions::default()
        },
    ] {
        let segments = transcribe(session.as_mut(), part, &options);
        assert!(text(&segments).contains("Chicago"), "{options:?}");
        for segment in segments {
            assert!(segment.temperature >= options.temperature - f32::EPSILON);
        }
    }
}

#[test]
fn the_language_is_detected_on_short_and_long_audio() {
    let samples = conversation();
    let mut session = session("base", false);
    // A transcription before must not shorten what detection hears.
    transcribe(
        session.as_mut(),
        &samples[..32_000],
        &DecodeOptions::default(),
    );
    for part in [&samples[..], &samples[192_000..240_000]] {
        let scores = session.detect_language(part, &CancelFlag::new()).unwrap();
        assert_eq!(scores.len(), 99);
        assert_eq!(scores[0].language, Language::ENGLISH);
        assert!(scores[0].probability > 0.5, "{:?}", scores[0]);
        assert!(scores.is_sorted_by(|a, b| a.probability >= b.probability));
        let sum: f32 = scores.iter().map(|score| score.probability).sum();
        assert!((sum - 1.0).abs() < 1e-3, "{sum}");
    }
    let cantonese = session.transcribe(
        &samples[..32_000],
        Language::from_index(99).unwrap(),
        &DecodeOptions::default(),
        &CancelFlag::new(),
    );
    assert!(cantonese.is_err(), "base does not know Cantonese");
}

/// What `work` returns, and the encoder passes that it took.
fn passes<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let before = encoder_passes();
    let done = work();
    (done, encoder_passes() - before)
}

#[test]
fn a_chunk_in_an_unknown_language_takes_one_encoder_pass() {
    let samples = conversation();
    let (cancel, options) = (CancelFlag::new(), DecodeOptions::default());
    for (word_timestamps, secs) in [(false, 12), (true, 12), (false, 30)] {
        let options = DecodeOptions {
            word_timestamps,
            ..options.clone()
        };
        let part = &samples[..secs * 16_000];
        let mut session = session("base", word_timestamps);
        let (known, given) = passes(|| transcribe(session.as_mut(), part, &options));
        let (found, detected) = passes(|| {
            let detection = Detection::default();
            session.transcribe_detected(part, &detection, &options, &cancel)
        });
        let found = found.unwrap();
        assert_eq!(found.detected.language, Language::ENGLISH);
        assert!(found.detected.is_certain);
        assert_eq!(found.segments, known, "{secs} s");
        assert!(given >= 1);
        assert_eq!(detected, given, "{secs} s");
        let (_, alone) = passes(|| session.detect_language(part, &cancel).unwrap());
        assert_eq!(alone, 1);
        // Nothing of the detection is taken for another window.
        assert_eq!(transcribe(session.as_mut(), part, &options), known);
        let other = transcribe(session.as_mut(), &part[..80_000], &options);
        assert!(text(&other).len() < text(&known).len());
    }
}

#[test]
fn an_english_only_model_detects_english() {
    let scores = session("tiny.en", false)
        .detect_language(&[0.1; 16_000], &CancelFlag::new())
        .unwrap();
    assert_eq!(scores.len(), 1);
    assert_eq!(scores[0].language, Language::ENGLISH);
}

#[test]
fn a_cancelled_call_returns_in_the_middle_of_the_encoder() {
    let samples = conversation();
    let mut session = session("base", true);
    // 1.7 s of encoder on an idle core of 2024, more on a busy one.
    for after_ms in [0, 300, 600] {
        let cancel = CancelFlag::new();
        let canceller = {
            let cancel = cancel.clone();
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(after_ms));
                cancel.cancel();
                Instant::now()
            })
        };
        let result = session.transcribe(&samples, Language::ENGLISH, &with_words(), &cancel);
        let returned = Instant::now();
        assert!(matches!(result, Err(EngineError::Cancelled)));
        let latency = returned.saturating_duration_since(canceller.join().unwrap());
        assert!(latency < Duration::from_millis(900), "{latency:?}");
    }
    let segments = transcribe(session.as_mut(), &samples[192_000..320_000], &with_words());
    assert!(text(&segments).contains("Chicago"), "the session goes on");
    let set = CancelFlag::new();
    set.cancel();
    assert!(matches!(
        session.detect_language(&samples, &set),
        Err(EngineError::Cancelled)
    ));
}

#[test]
fn weights_that_are_not_what_they_should_be_are_refused() {
    let good = files("tiny.en", false);
    let refusal = |path: PathBuf, sha256: &str| {
        let files = ModelFiles {
            path,
            sha256: sha256.to_owned(),
            ..good.clone()
        };
        match WhisperLoader.load(&files) {
            Err(EngineError::Model(what)) => what,
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("loaded"),
        }
    };
    let dir = std::env::temp_dir().join(format!("auricle-weights-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = dir.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let whole = std::fs::read(&good.path).unwrap();
    let cut = refusal(write("cut.bin", &whole[..1_000_000]), &good.sha256);
    assert!(
        cut.contains("1000000 bytes") && cut.contains("models pull tiny.en"),
        "{cut}"
    );
    let stub = refusal(write("stub.bin", &whole[..20]), &good.sha256);
    assert!(stub.contains("cut off after 20 bytes"), "{stub}");
    let page = refusal(write("page.bin", b"<!doctype html>"), &good.sha256);
    assert!(page.contains("HTML"), "{page}");
    let missing = refusal(dir.join("missing.bin"), &good.sha256);
    assert!(missing.contains("no such file"), "{missing}");
    let other = refusal(good.path.clone(), &"0".repeat(64));
    assert!(other.contains(&good.sha256), "{other}");
    std::fs::remove_dir_all(&dir).unwrap();
}
