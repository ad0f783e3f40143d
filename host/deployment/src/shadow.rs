//! What a shadow has answered, beside what was answered.
//!
//! Of a transcript the words, times and speakers are compared; of a decoder's clips the length, and how loud
//! each tenth of a second is, which does not depend on how one resamples. Kept are counts and the ids of the
//! requests that differed, no word of what was said.

use std::collections::VecDeque;

use auricle_speech::audio::SAMPLE_RATE;
use auricle_speech::{Clip, Segment};
use serde::Serialize;
use serde_json::Value;

/// Requests that are remembered by id.
const REMEMBERED: usize = 20;

/// Times that differ by less than this are the same: half of a frame of whisper's times.
const SAME_TIME_SECS: f64 = 0.01;

/// Samples whose loudness is compared together.
const FRAME_SAMPLES: usize = SAMPLE_RATE as usize / 10;

/// What is quieter is silence, in decibels of full scale: below the noise of most rooms.
const SILENCE_DB: f32 = -60.0;

/// A difference in loudness that is heard as none.
const SAME_LEVEL_DB: f32 = 1.0;

/// Pairs of words that are looked at for one distance: some 0.1 s.
const MAX_CELLS: usize = 25_000_000;

/// The parts of an answer that are compared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// Of a handler's answer, or a decoder's.
    status: Option<u16>,
    words: Vec<String>,
    times: Vec<(f64, f64)>,
    speakers: Vec<Option<String>>,
    /// Of a decoder's clips: decibels of each frame.
    levels: Vec<Vec<f32>>,
}

impl Answer {
    /// Of a transcript.
    #[must_use]
    pub fn of_segments(segments: &[Segment]) -> Self {
        let text = segments
            .iter()
            .flat_map(|segment| segment.text.split_whitespace());
        Self {
            words: text.map(str::to_owned).collect(),
            times: segments.iter().map(|s| (s.start, s.end)).collect(),
            speakers: segments.iter().map(|s| s.speaker.clone()).collect(),
            ..Self::default()
        }
    }

    /// Of what a decoder has made of a file.
    #[must_use]
    pub fn of_clips(clips: &[Clip]) -> Self {
        let length = |clip: &Clip| (0.0, clip.duration().as_secs_f64());
        Self {
            status: Some(200),
            times: clips.iter().map(length).collect(),
            levels: clips.iter().map(levels).collect(),
            ..Self::default()
        }
    }

    /// Of a handler's answer: of JSON with a `text` that and the times and speakers of its `segments`,
    /// because what else is in it may be of the moment; of others all words.
    #[must_use]
    pub fn of_http(status: u16, body: &[u8]) -> Self {
        let body = String::from_utf8_lossy(body);
        let json = serde_json::from_str::<Value>(&body).unwrap_or_default();
        let text = json.get("text").and_then(Value::as_str).unwrap_or(&body);
        let segments = json.get("segments").and_then(Value::as_array);
        let segments = segments.map(Vec::as_slice).unwrap_or_default();
        let time = |of: &Value, name| of.get(name).and_then(Value::as_f64).unwrap_or_default();
        let speaker = |of: &Value| Some(of.get("speaker")?.as_str()?.to_owned());
        Self {
            status: Some(status),
            words: text.split_whitespace().map(str::to_owned).collect(),
            times: segments
                .iter()
                .map(|s| (time(s, "start"), time(s, "end")))
                .collect(),
            speakers: segments.iter().map(speaker).collect(),
            ..Self::default()
        }
    }
}

/// What is known of a shadow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ShadowReport {
    /// Requests whose answers were compared.
    pub compared: u64,
    /// Of them, those that did not differ.
    pub same: u64,
    /// Those whose statuses differ, of a handler's or decoder's.
    pub status_differs: u64,
    /// Those whose words differ.
    pub text_differs: u64,
    /// Those whose segments begin or end elsewhere.
    pub times_differ: u64,
    /// Those whose segments have other speakers.
    pub speakers_differ: u64,
    /// Those whose sound differs, of a decoder's.
    pub audio_differs: u64,
    /// Requests on which the candidate failed.
    pub failed: u64,
    /// Words of the answers that were given.
    pub words: u64,
    /// Words that would have to be put in, left out or exchanged to make one of the other.
    pub word_edits: u64,
    /// The last requests that differed or failed.
    pub requests: VecDeque<Difference>,
}

/// A request that differed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Its id, as in the log.
    pub request_id: String,
    /// In what: `status`, `text`, `times`, `speakers`, `audio`; `failed` where there is no other answer.
    pub differs: Vec<&'static str>,
    /// Words that differ.
    pub word_edits: u64,
}

impl ShadowReport {
    /// Compares what was answered with what the candidate would have.
    pub fn compare(&mut self, request_id: &str, given: &Answer, other: &Answer) {
        self.compared += 1;
        self.words += given.words.len() as u64;
        let edits = edits(&given.words, &other.words);
        self.word_edits += edits;
        let mut differs = Vec::new();
        if given.status != other.status {
            self.status_differs += 1;
            differs.push("status");
        }
        if edits > 0 {
            self.text_differs += 1;
            differs.push("text");
        }
        if !same_times(&given.times, &other.times) {
            self.times_differ += 1;
            differs.push("times");
        }
        if given.speakers != other.speakers {
            self.speakers_differ += 1;
            differs.push("speakers");
        }
        if !same_levels(&given.levels, &other.levels) {
            self.audio_differs += 1;
            differs.push("audio");
        }
        if differs.is_empty() {
            self.same += 1;
        } else {
            self.remember(request_id, differs, edits);
        }
    }

    /// The candidate failed on a request.
    pub fn fail(&mut self, request_id: &str) {
        self.failed += 1;
        self.remember(request_id, vec!["failed"], 0);
    }

    fn remember(&mut self, request_id: &str, differs: Vec<&'static str>, word_edits: u64) {
        if self.requests.len() == REMEMBERED {
            self.requests.pop_front();
        }
        self.requests.push_back(Difference {
            request_id: request_id.to_owned(),
            differs,
            word_edits,
        });
    }
}

fn same_times(given: &[(f64, f64)], other: &[(f64, f64)]) -> bool {
    let same = |a: f64, b: f64| (a - b).abs() < SAME_TIME_SECS;
    given.len() == other.len()
        && given
            .iter()
            .zip(other)
            .all(|(a, b)| same(a.0, b.0) && same(a.1, b.1))
}

/// Decibels of full scale of each frame.
fn levels(clip: &Clip) -> Vec<f32> {
    let level = |frame: &[f32]| {
        let power = frame.iter().map(|sample| sample * sample).sum::<f32>() / frame.len() as f32;
        (10.0 * power.log10()).max(SILENCE_DB)
    };
    clip.samples().chunks(FRAME_SAMPLES).map(level).collect()
}

/// Whether the frames that both have are as loud; lengths are compared as times.
fn same_levels(given: &[Vec<f32>], other: &[Vec<f32>]) -> bool {
    let mut both = given.iter().zip(other).flat_map(|(a, b)| a.iter().zip(b));
    given.len() == other.len() && both.all(|(a, b)| (a - b).abs() <= SAME_LEVEL_DB)
}

/// Levenshtein's distance in words; of answers that have little in common and thousands of words, the
/// most that it can be. What both begin and end with is left out first, so that a
/// transcript of hours that differs in one place costs nothing.
fn edits(given: &[String], other: &[String]) -> u64 {
    let common = given.iter().zip(other).take_while(|(a, b)| a == b).count();
    let (given, other) = (
        given.get(common..).unwrap_or_default(),
        other.get(common..).unwrap_or_default(),
    );
    let common = given
        .iter()
        .rev()
        .zip(other.iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    let given = given.get(..given.len() - common).unwrap_or_default();
    let other = other.get(..other.len() - common).unwrap_or_default();
    match given.len().saturating_mul(other.len()) {
        0..=MAX_CELLS => {
            let (given, other): (Vec<_>, Vec<_>) = (given.iter().collect(), other.iter().collect());
            strsim::generic_levenshtein::<Vec<&String>, Vec<&String>, _, _>(&given, &other) as u64
        }
        _ => given.len().max(other.len()) as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str, start: f64, speaker: Option<&str>) -> Answer {
        Answer {
            words: text.split(' ').map(str::to_owned).collect(),
            times: vec![(start, 2.0)],
            speakers: vec![speaker.map(str::to_owned)],
            ..Answer::default()
        }
    }

    #[test]
    fn words_times_and_speakers_are_compared_apart() {
        let given = answer("one two three", 0.0, Some("A"));
        let mut report = ShadowReport::default();
        report.compare("req_1", &given, &given);
        report.compare("req_2", &given, &answer("one three four", 0.005, Some("A")));
        report.compare("req_3", &given, &answer("one two three", 0.5, Some("B")));
        report.fail("req_4");
        assert_eq!((report.compared, report.same, report.failed), (3, 1, 1));
        assert_eq!((report.text_differs, report.word_edits), (1, 2));
        assert_eq!((report.times_differ, report.speakers_differ), (1, 1));
        let last = report.requests.iter().map(|r| r.differs.clone());
        let last: Vec<_> = last.collect();
        assert_eq!(
            last,
            [vec!["text"], vec!["times", "speakers"], vec!["failed"]]
        );
    }

    #[test]
    fn of_a_handlers_answer_counts_what_was_said_and_not_the_moment() {
        let given = |text: &str, took: f64| {
            let body = serde_json::json!({
                "text": text,
                "duration": took,
                "segments": [{ "start": 0.0, "end": 1.0, "speaker": "A", "text": text }],
            });
            Answer::of_http(200, body.to_string().as_bytes())
        };
        let mut report = ShadowReport::default();
        report.compare("req_1", &given("one two", 0.1), &given("one two", 0.2));
        assert_eq!(report.same, 1);
        report.compare("req_2", &given("one two", 0.1), &given("one", 0.1));
        assert_eq!((report.text_differs, report.times_differ), (1, 0));
        let refused = Answer::of_http(400, b"{\"detail\": \"no file\"}");
        report.compare("req_3", &given("one two", 0.1), &refused);
        let last = report.requests.back().map(|last| last.differs.clone());
        assert_eq!(last, Some(vec!["status", "text", "times", "speakers"]));
        let plain = |text: &str| Answer::of_http(200, text.as_bytes());
        assert_eq!(plain("one\ntwo"), plain("one two"));
        assert_ne!(plain("one"), plain("two"));
    }

    #[test]
    fn of_a_decoders_clips_counts_how_long_and_how_loud_they_are() {
        let tone = |secs: usize, gain: f32| {
            let sample = |i: usize| gain * (i as f32 * 0.3).sin();
            Answer::of_clips(&[Clip::new((0..secs * 16_000).map(sample).collect())])
        };
        let mut report = ShadowReport::default();
        report.compare("req_1", &tone(1, 0.5), &tone(1, 0.52));
        assert_eq!(report.same, 1);
        report.compare("req_2", &tone(1, 0.5), &tone(1, 0.25));
        report.compare("req_3", &tone(2, 0.5), &tone(1, 0.5));
        report.compare("req_4", &tone(1, 0.0), &tone(1, 0.000_5));
        assert_eq!((report.audio_differs, report.times_differ), (1, 1));
        assert_eq!(report.same, 2, "silence is silence");
        report.compare("req_5", &tone(1, 0.5), &Answer::of_http(422, b""));
        let last = report.requests.back().map(|last| last.differs.clone());
        assert_eq!(last, Some(vec!["status", "times", "audio"]));
    }

    #[test]
    fn edits_are_levenshteins() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        for (given, other, expected) in [
            ("a b c", "a b c", 0),
            ("a b c", "a c", 1),
            ("a c", "a b c", 1),
            ("a b c d", "a x y d", 2),
            ("k i t t e n", "s i t t i n g", 3),
        ] {
            assert_eq!(edits(&words(given), &words(other)), expected, "{given}");
        }
        assert_eq!(edits(&[], &words("a b")), 2);
        assert_eq!(edits(&words("a b"), &[]), 2);
    }

    #[test]
    fn only_the_last_requests_are_remembered() {
        let mut report = ShadowReport::default();
        for number in 0..100 {
            report.fail(&number.to_string());
        }
        assert_eq!((report.failed, report.requests.len()), (100, REMEMBERED));
        let last = report.requests.back();
        assert!(last.is_some_and(|last| last.request_id == "99"));
    }
}
