//! Repeated speech, prompts that repeat themselves and what they cost, on real weights. Needs what
//! `make setup` fetches; without `audio-jfk` (npm) a telephone call takes its place.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::sync::Arc;
use std::time::Duration;

use auricle_backend_whisper::WhisperLoader;
use auricle_models::{Store, StoreDirs};
use auricle_speech::{
    CancelFlag, DecodeOptions, Engine, EngineLoader, EngineSession, Language, ModelFiles, Segment,
};

const RATE: usize = 16_000;

fn store() -> Store {
    Store::open(StoreDirs::from_env().unwrap()).unwrap()
}

fn engine(model: &str, word_timestamps: bool) -> Arc<dyn Engine> {
    let installed = store()
        .resolve(model)
        .unwrap_or_else(|error| panic!("run make setup: {error}"));
    let files = ModelFiles {
        name: installed.name,
        path: installed.path,
        sha256: installed.sha256,
        word_timestamps,
    };
    WhisperLoader.load(&files).unwrap()
}

fn session(model: &str, word_timestamps: bool) -> Box<dyn EngineSession> {
    engine(model, word_timestamps).open_session().unwrap()
}

/// 16-bit PCM, 16 kHz, mono.
fn samples(set: &str, file: &str) -> Option<Vec<f32>> {
    let path = store().file(set).ok()?.get(file)?.path.clone();
    let bytes = std::fs::read(path).unwrap();
    let data = bytes.windows(4).position(|four| four == b"data").unwrap() + 8;
    let pairs = bytes[data..].chunks_exact(2);
    Some(
        pairs
            .map(|two| f32::from(i16::from_le_bytes([two[0], two[1]])) / 32_768.0)
            .collect(),
    )
}

fn conversation() -> Vec<f32> {
    samples("audio-two-speakers", "sample.wav").expect("run make setup")
}

/// A sentence of about 2.5 s and a word that it has once.
fn sentence() -> (Vec<f32>, &'static str) {
    match samples("audio-jfk", "jfk.wav") {
        Some(jfk) => (jfk[RATE * 81 / 10..RATE * 106 / 10].to_vec(), "country"),
        None => (
            conversation()[18 * RATE..RATE * 205 / 10].to_vec(),
            "chicago",
        ),
    }
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

fn prompted(prompt: &str) -> DecodeOptions {
    DecodeOptions {
        prompt: Some(prompt.to_owned()),
        ..DecodeOptions::default()
    }
}

/// Processor time of this thread, on which the engine computes.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap())
}

#[test]
fn a_sentence_said_eight_times_is_written_eight_times_and_climbs_no_ladder() {
    let (one, word) = sentence();
    let mut said = Vec::new();
    for _ in 0..8 {
        said.extend_from_slice(&one);
        said.extend(vec![0.0; RATE * 4 / 10]);
    }
    let segments = transcribe(
        session("base", false).as_mut(),
        &said,
        &DecodeOptions::default(),
    );
    let text = text(&segments).to_lowercase();
    assert_eq!(text.matches(word).count(), 8, "{text}");
    assert!(
        segments.iter().all(|segment| segment.temperature == 0.0),
        "{segments:?}"
    );
}

#[test]
fn a_prompt_makes_a_short_clip_cost_at_most_eight_times_as_much() {
    let clip = &sentence().0[..2 * RATE];
    let mut session = session("base", false);
    let mut cost = |options: &DecodeOptions| {
        let before = cpu();
        let segments = transcribe(session.as_mut(), clip, options);
        ((cpu() - before).as_secs_f64(), text(&segments))
    };
    cost(&DecodeOptions::default());
    let runs = (0..3).map(|_| cost(&DecodeOptions::default()).0);
    let plain = runs.fold(f64::INFINITY, f64::min);
    let counted: String = (0..500)
        .map(|n| format!("Item {n} of the list. "))
        .collect();
    let shouted: String = (0..60)
        .map(|n| {
            if n % 2 == 0 {
                "Go on and on. "
            } else {
                "go on and on, "
            }
        })
        .collect();
    for prompt in [
        "The quick brown fox jumps over the lazy dog near the river bank. ".repeat(40),
        "x".repeat(2_048),
        "no ".repeat(700),
        "ツ".repeat(700),
        "Ask what you can do for your country. ".repeat(60),
        counted,
        shouted,
    ] {
        let (took, text) = cost(&prompted(&prompt));
        println!(
            "{:.2} times: {text:?} with {:?}",
            took / plain,
            &prompt[..15]
        );
        // What was said must come of it, too.
        assert!(
            took <= 8.0 * plain,
            "{took} s for {plain} s with {prompt:?}"
        );
    }
}

#[test]
fn a_text_is_the_same_with_and_without_word_times() {
    let mut plain = session("tiny.en", false);
    let mut timed = session("tiny.en", true);
    let words = DecodeOptions {
        word_timestamps: true,
        ..DecodeOptions::default()
    };
    let call = conversation();
    for from in [0, 3, 7, 12] {
        let chunk = &call[from * RATE..(from * RATE + 25 * RATE).min(call.len())];
        let without = transcribe(plain.as_mut(), chunk, &DecodeOptions::default());
        let with = transcribe(timed.as_mut(), chunk, &words);
        let cut = |segments: &[Segment]| -> Vec<(String, f64, f64)> {
            let each = segments.iter();
            each.map(|it| (it.text.clone(), it.start, it.end)).collect()
        };
        assert_eq!(cut(&without), cut(&with), "from {from} s");
        let mut last = 0.0;
        for word in with.iter().flat_map(|segment| &segment.words) {
            assert!(
                last <= word.start && word.start < word.end,
                "{word:?} after {last}"
            );
            last = word.end;
        }
    }
}

#[test]
fn a_text_drawn_at_random_does_not_depend_on_what_was_decoded_before() {
    let call = conversation();
    let mut session = session("tiny.en", false);
    let options = DecodeOptions {
        temperature: 0.8,
        ..DecodeOptions::default()
    };
    let first = transcribe(session.as_mut(), &call[..10 * RATE], &options);
    transcribe(session.as_mut(), &call[10 * RATE..20 * RATE], &options);
    let again = transcribe(session.as_mut(), &call[..10 * RATE], &options);
    assert_eq!(first, again);
}

#[test]
fn a_fifth_of_a_second_holds_no_words() {
    let (one, _) = sentence();
    let mut session = session("base", false);
    for from in (0..one.len() - 3_200).step_by(3_200) {
        for samples in [1_584, 1_600, 2_400, 3_200] {
            let clip = &one[from..from + samples];
            assert_eq!(
                transcribe(session.as_mut(), clip, &DecodeOptions::default()),
                []
            );
        }
    }
}
