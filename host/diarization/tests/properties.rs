//! What holds whatever the models say. The models here are made up: everybody has a voice of
//! their own direction, and each window names its strangers as it likes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

use auricle_diarization::{
    Diarization, DiarizationError, DiarizeOptions, Diarized, FRAME_STEP_SAMPLES, KnownSpeaker,
    Models, SEGMENT_CLASSES, WINDOW_FRAMES, diarize,
};
use auricle_speech::{CancelFlag, Clip};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

/// Who speaks (two at most) in each second.
type Script = Vec<Vec<usize>>;

const SAMPLES_PER_SEC: u64 = 16_000;

fn voice(speaker: usize, noise: usize) -> Vec<f32> {
    let mut voice = vec![0.0; 16];
    voice[speaker] = 1.0;
    // Voices of one speaker are alike, not equal.
    voice[8 + noise % 8] = 0.3;
    voice
}

/// The strangers of a window in an order that `turn` chooses.
fn strangers(script: &Script, first_frame: u64, turn: usize) -> Vec<usize> {
    let mut found: Vec<usize> = Vec::new();
    for frame in 0..WINDOW_FRAMES as u64 {
        for &speaker in at(script, first_frame + frame) {
            if !found.contains(&speaker) {
                found.push(speaker);
            }
        }
    }
    found.truncate(3);
    let by = turn % found.len().max(1);
    found.rotate_left(by);
    found
}

fn at(script: &Script, frame: u64) -> &[usize] {
    let second = (frame * FRAME_STEP_SAMPLES + 495) / SAMPLES_PER_SEC;
    script.get(second as usize).map_or(&[], Vec::as_slice)
}

fn log_probabilities(script: &Script, first_frame: u64, turn: usize) -> Vec<f32> {
    let strangers = strangers(script, first_frame, turn);
    let mut out = vec![-12.0; WINDOW_FRAMES * SEGMENT_CLASSES];
    for frame in 0..WINDOW_FRAMES {
        let speaking = at(script, first_frame + frame as u64);
        let mut bits: Vec<_> = (0..strangers.len())
            .filter(|&local| speaking.contains(&strangers[local]))
            .collect();
        bits.truncate(2);
        let class = match bits[..] {
            [] => 0,
            [one] => one + 1,
            [one, two, ..] => one + two + 3,
        };
        out[frame * SEGMENT_CLASSES + class] = -1e-4;
    }
    out
}

/// Answers all questions, windows in the order of `order`, and numbers strangers by `turns`.
fn run(
    script: &Script,
    turns: &[usize],
    reverse: bool,
    options: &DiarizeOptions,
) -> Result<Diarized, DiarizationError> {
    let mut diarization = Diarization::new(script.len() as u64 * SAMPLES_PER_SEC);
    let mut windows: Vec<_> = diarization.windows().into_iter().enumerate().collect();
    if reverse {
        windows.reverse();
    }
    for (window, span) in windows {
        let first = span.start / FRAME_STEP_SAMPLES;
        let turn = turns[window % turns.len()];
        let names = strangers(script, first, turn);
        diarization.segmented(window, &log_probabilities(script, first, turn))?;
        let mut jobs = diarization.voices(window);
        if reverse {
            jobs.reverse();
        }
        for job in jobs {
            diarization.embedded(&job, &voice(names[job.local], window))?;
        }
    }
    diarization.finish(options, &CancelFlag::new())
}

/// Turns of at least 2 s, each by one of `speakers`, with pauses of whole seconds.
fn scripts(speakers: usize) -> impl Strategy<Value = Script> {
    proptest::collection::vec((0..speakers, 2_usize..6, 0_usize..3), 1..20).prop_map(|turns| {
        let mut script = Vec::new();
        for (speaker, secs, pause) in turns {
            script.extend(std::iter::repeat_n(vec![speaker], secs));
            script.extend(std::iter::repeat_n(Vec::new(), pause));
        }
        script
    })
}

fn known(name: &str, speaker: usize) -> KnownSpeaker {
    KnownSpeaker {
        name: name.to_owned(),
        embedding: voice(speaker, 0),
    }
}

fn labels(found: &Diarized) -> Vec<&str> {
    found.speakers.iter().map(|s| s.label.as_str()).collect()
}

fn speakers_of(script: &Script) -> usize {
    let mut all: Vec<_> = script.iter().flatten().collect();
    all.sort_unstable();
    all.dedup();
    all.len()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn neither_the_numbers_of_strangers_nor_the_order_of_answers_matters(
        script in scripts(4), turns in proptest::collection::vec(0_usize..3, 1..9),
    ) {
        for known in [Vec::new(), vec![known("Ada", 1), known("Bob", 6)]] {
            let options = DiarizeOptions { known, ..DiarizeOptions::default() };
            let plain = run(&script, &[0], false, &options).unwrap();
            let shuffled = run(&script, &turns, true, &options).unwrap();
            prop_assert_eq!(&plain.turns, &shuffled.turns);
            let again = run(&script, &[0], false, &options).unwrap();
            prop_assert_eq!(plain, again);
        }
    }

    // Here and below of three: of four within ten seconds the segmentation sees three, and the
    // place of the windows decides whom.
    #[test]
    fn everybody_is_found_and_turns_are_as_spoken(script in scripts(3)) {
        let found = run(&script, &[0, 1, 2], false, &DiarizeOptions::default()).unwrap();
        prop_assert_eq!(found.speakers.len(), speakers_of(&script));
        let frame_secs = 270.0 / 16_000.0;
        for turn in &found.turns {
            prop_assert!(turn.start < turn.end && turn.end <= script.len() as f64);
            let second = (turn.start + 1.5 * frame_secs) as usize;
            prop_assert!(!script[second].is_empty(), "somebody speaks at {}", turn.start);
        }
        for speaker in &found.speakers {
            let own = found.turns.iter().filter(|turn| turn.speaker == speaker.label);
            let secs: f64 = own.map(|turn| turn.end - turn.start).sum();
            prop_assert!((secs - speaker.speech_secs).abs() < 1e-6);
        }
    }

    #[test]
    fn silence_before_the_clip_moves_all_turns(script in scripts(3), secs in 1_usize..30) {
        let mut later = vec![Vec::new(); secs];
        later.extend(script.clone());
        let options = DiarizeOptions::default();
        let one = run(&script, &[0], false, &options).unwrap();
        let two = run(&later, &[0], false, &options).unwrap();
        prop_assert_eq!(one.turns.len(), two.turns.len());
        for (a, b) in one.turns.iter().zip(&two.turns) {
            prop_assert_eq!(&a.speaker, &b.speaker);
            // A frame, since a second is no whole number of frames, and the 991 samples that a
            // frame sees, since turns at the clip's ends reach to them.
            for (a, b) in [(a.start, b.start), (a.end, b.end)] {
                let moved = (b - a - secs as f64).abs();
                prop_assert!(moved < (991.0 + 270.0) / 16_000.0, "{moved}");
            }
        }
    }

    #[test]
    fn a_number_of_speakers_is_kept_where_there_are_as_many_voices(
        script in scripts(3), number in 1_usize..4,
    ) {
        let options = DiarizeOptions { num_speakers: Some(number), ..DiarizeOptions::default() };
        let found = run(&script, &[0, 2], false, &options).unwrap();
        if number <= speakers_of(&script) {
            prop_assert_eq!(found.speakers.len(), number);
        } else {
            prop_assert!(found.speakers.len() <= number);
        }
        let options = DiarizeOptions { max_speakers: Some(number), ..DiarizeOptions::default() };
        let found = run(&script, &[0, 2], false, &options).unwrap();
        prop_assert!(found.speakers.len() <= number);
    }

    #[test]
    fn answers_of_no_sense_do_not_panic(
        logs in prop::num::f32::ANY, voice in prop::num::f32::ANY, samples in 1_u64..1_000_000,
    ) {
        let mut diarization = Diarization::new(samples);
        for window in 0..diarization.windows().len() {
            let logs = vec![logs; WINDOW_FRAMES * SEGMENT_CLASSES];
            diarization.segmented(window, &logs).map_err(fail)?;
            for job in diarization.voices(window) {
                diarization.embedded(&job, &[voice, 1.0, 0.0]).map_err(fail)?;
            }
        }
        diarization.finish(&DiarizeOptions::default(), &CancelFlag::new()).map_err(fail)?;
    }
}

fn fail(error: DiarizationError) -> TestCaseError {
    TestCaseError::fail(error.to_string())
}

fn say(speaker: usize, secs: usize) -> Script {
    vec![vec![speaker]; secs]
}

#[test]
fn speech_of_two_at_once_is_two_turns() {
    let script: Script = [say(0, 6), vec![vec![0, 1]; 2], say(1, 6)].concat();
    let found = run(&script, &[0, 1], false, &DiarizeOptions::default()).unwrap();
    let labels: Vec<_> = found
        .turns
        .iter()
        .map(|turn| turn.speaker.as_str())
        .collect();
    assert_eq!(labels, ["SPEAKER_00", "SPEAKER_01"]);
    assert!(
        found.turns[0].end > 7.9 && found.turns[1].start < 6.1,
        "{found:?}"
    );
}

#[test]
fn known_voices_keep_their_names_and_others_are_counted() {
    let script: Script = [say(2, 6), say(0, 6), say(1, 6)].concat();
    let known = vec![known("Ada", 0), known("SPEAKER_00", 5)];
    let options = DiarizeOptions {
        known,
        ..DiarizeOptions::default()
    };
    let found = run(&script, &[0], false, &options).unwrap();
    assert_eq!(labels(&found), ["SPEAKER_00", "Ada", "SPEAKER_01"]);
}

#[test]
fn a_known_voice_that_says_too_little_for_a_cluster_keeps_its_phrase() {
    let script: Script = [say(0, 12), say(2, 1), say(1, 12)].concat();
    let run = |known| {
        let mut options = DiarizeOptions {
            known,
            ..DiarizeOptions::default()
        };
        options.tuning.min_voice_secs = 2.0;
        options.tuning.third_speaker_share = 2.0;
        run(&script, &[0, 1], false, &options).unwrap()
    };
    assert_eq!(run(Vec::new()).speakers.len(), 2);
    // Bob is silent, and nobody else speaks for him.
    let found = run(vec![known("Ada", 2), known("Bob", 5)]);
    assert_eq!(labels(&found), ["SPEAKER_00", "Ada", "SPEAKER_01"]);
    let ada = found
        .turns
        .iter()
        .find(|turn| turn.speaker == "Ada")
        .unwrap();
    assert!(
        (ada.start - 12.0).abs() < 0.1 && (ada.end - 13.0).abs() < 0.1,
        "{ada:?}"
    );
}

#[test]
fn two_known_voices_that_are_alike_are_two() {
    // Cosine 0.55: without names, one speaker.
    let near = |one: f32, two: f32| [one, two, 0.0, 0.0].to_vec();
    let voices = [near(1.0, 0.3), near(0.3, 1.0)];
    let script: Script = [say(0, 6), say(1, 6)].concat();
    let run = |known| {
        let mut diarization = Diarization::new(script.len() as u64 * SAMPLES_PER_SEC);
        for (window, span) in diarization.windows().into_iter().enumerate() {
            let first = span.start / FRAME_STEP_SAMPLES;
            let names = strangers(&script, first, 0);
            let logs = log_probabilities(&script, first, 0);
            diarization.segmented(window, &logs).unwrap();
            for job in diarization.voices(window) {
                let voice = &voices[names[job.local]];
                diarization.embedded(&job, voice).unwrap();
            }
        }
        let mut options = DiarizeOptions {
            known,
            ..DiarizeOptions::default()
        };
        options.tuning.same_window_penalty = 0.0;
        diarization.finish(&options, &CancelFlag::new()).unwrap()
    };
    assert_eq!(run(Vec::new()).speakers.len(), 1);
    let named = |name: &str, voice: &[f32]| KnownSpeaker {
        name: name.to_owned(),
        embedding: voice.to_vec(),
    };
    let found = run(vec![named("Ada", &voices[0]), named("Bob", &voices[1])]);
    assert_eq!(labels(&found), ["Ada", "Bob"]);
}

/// Two who speak, and in seconds 6 to 10, while both do, a third of that probability.
fn murmur(probability: f32, options: &DiarizeOptions) -> Diarized {
    let script: Script = [say(0, 6), vec![vec![0, 1]; 4], say(1, 6)].concat();
    let mut diarization = Diarization::new(script.len() as u64 * SAMPLES_PER_SEC);
    for (window, span) in diarization.windows().into_iter().enumerate() {
        let first = span.start / FRAME_STEP_SAMPLES;
        let mut logs = log_probabilities(&script, first, 0);
        for (frame, classes) in logs.chunks_exact_mut(SEGMENT_CLASSES).enumerate() {
            if at(&script, first + frame as u64).len() == 2 {
                classes[4] = (1.0 - probability).ln();
                classes[5] = (probability / 2.0).ln();
                classes[6] = (probability / 2.0).ln();
            }
        }
        diarization.segmented(window, &logs).unwrap();
        let names = strangers(&script, first, 0);
        for job in diarization.voices(window) {
            diarization
                .embedded(&job, &voice(names[job.local], window))
                .unwrap();
        }
    }
    diarization.finish(options, &CancelFlag::new()).unwrap()
}

#[test]
fn a_third_who_is_heard_only_beside_two_is_a_speaker() {
    let options = DiarizeOptions::default();
    let found = murmur(0.4, &options);
    assert_eq!(labels(&found), ["SPEAKER_00", "SPEAKER_01", "SPEAKER_02"]);
    let third = found.turns.iter().find(|t| t.speaker == "SPEAKER_02");
    let third = third.unwrap();
    assert!(
        (third.start - 6.0).abs() < 0.1 && (third.end - 10.0).abs() < 0.1,
        "{third:?}"
    );
    assert_eq!(murmur(0.05, &options).speakers.len(), 2);
    let two = DiarizeOptions {
        max_speakers: Some(2),
        ..DiarizeOptions::default()
    };
    assert_eq!(murmur(0.4, &two).speakers.len(), 2);
}

#[test]
fn four_hours_are_clustered_in_seconds_and_the_rare_speaker_is_found() {
    let mut script = Script::new();
    for turn in 0..1200 {
        script.extend(say(turn % 3, 12));
    }
    script.extend(say(3, 12));
    let began = std::time::Instant::now();
    let found = run(&script, &[0, 1, 2], false, &DiarizeOptions::default()).unwrap();
    assert_eq!(found.speakers.len(), 4);
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
}

#[test]
fn an_empty_clip_and_a_silent_one_have_no_turns() {
    struct NoModels;
    impl Models for NoModels {
        type Error = DiarizationError;
        fn segment(
            &mut self,
            windows: &[&[f32]],
            _: &CancelFlag,
        ) -> Result<Vec<Vec<f32>>, DiarizationError> {
            assert!(windows.is_empty());
            Ok(Vec::new())
        }
        fn embed(&mut self, _: &[f32], _: &CancelFlag) -> Result<Vec<f32>, DiarizationError> {
            Err(DiarizationError::Cancelled)
        }
    }
    let (options, cancel) = (DiarizeOptions::default(), CancelFlag::new());
    for samples in [0, 1, 16_000, 500_000] {
        let clip = Clip::new(vec![0.0; samples]);
        let found = diarize(&clip, &mut NoModels, &options, &cancel).unwrap();
        assert_eq!(found, Diarized::default());
    }
    cancel.cancel();
    let clip = Clip::new(vec![0.0; 16_000]);
    let refused = diarize(&clip, &mut NoModels, &options, &cancel);
    assert_eq!(refused, Err(DiarizationError::Cancelled));
}

#[test]
fn answers_to_questions_that_are_not_open_are_refused() {
    let mut diarization = Diarization::new(160_000);
    let script = say(0, 10);
    let logs = log_probabilities(&script, 0, 0);
    assert!(diarization.segmented(1, &logs).is_err());
    assert!(diarization.segmented(0, &logs[1..]).is_err());
    assert!(diarization.voices(0).is_empty());
    diarization.segmented(0, &logs).unwrap();
    assert!(diarization.segmented(0, &logs).is_err());
    let job = &diarization.voices(0)[0];
    assert!(diarization.embedded(job, &[]).is_err());
    diarization.embedded(job, &[1.0, 0.0]).unwrap();
    assert!(diarization.embedded(job, &[1.0, 0.0]).is_err());
    let open = Diarization::new(160_000);
    let refused = open.finish(&DiarizeOptions::default(), &CancelFlag::new());
    assert_eq!(refused, Err(DiarizationError::Unfinished { window: 0 }));
}

#[test]
fn numbers_of_speakers_against_each_other_are_refused() {
    let options = |num_speakers, min_speakers, max_speakers| DiarizeOptions {
        num_speakers,
        min_speakers,
        max_speakers,
        ..DiarizeOptions::default()
    };
    for wrong in [
        options(Some(0), None, None),
        options(None, Some(3), Some(2)),
        options(Some(4), None, Some(3)),
    ] {
        assert!(wrong.speakers().is_err(), "{wrong:?}");
    }
    assert_eq!(options(None, Some(2), Some(2)).speakers(), Ok((2, 2)));
}
