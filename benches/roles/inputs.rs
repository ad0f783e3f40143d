//! What the roles are given.

use auricle_speech::{Clip, SAMPLE_RATE, Segment, Turn, Word};

/// Words of one segment.
const WORDS: u32 = 12;

/// Seconds of one segment.
const SEGMENT_SECS: f64 = 5.0;

/// A clip of `secs` seconds that is loud for 3.6 s, then silent for 0.4 s, and so on.
pub(crate) fn clip(secs: u32) -> Clip {
    let samples = (0..secs * SAMPLE_RATE).map(|n| {
        let is_pause = n % (4 * SAMPLE_RATE) >= SAMPLE_RATE * 36 / 10;
        if is_pause {
            0.0
        } else {
            (n as f32 * 0.1).sin() * 0.3
        }
    });
    Clip::new(samples.collect())
}

/// Segments of 12 words with times each.
pub(crate) fn segments(count: u32) -> Vec<Segment> {
    (0..count)
        .map(|id| {
            let start = f64::from(id) * SEGMENT_SECS;
            let words: Vec<Word> = (0..WORDS).map(|n| word(start, n)).collect();
            Segment {
                id,
                start,
                end: start + SEGMENT_SECS,
                text: words
                    .iter()
                    .map(|word| word.word.as_str())
                    .collect::<Vec<_>>()
                    .join(" "),
                tokens: (0..WORDS).collect(),
                logprobs: Vec::new(),
                temperature: 0.0,
                avg_logprob: -0.3,
                compression_ratio: 1.5,
                no_speech_prob: 0.01,
                words,
                speaker: None,
                channel: None,
                language: None,
            }
        })
        .collect()
}

fn word(segment_start: f64, number: u32) -> Word {
    let secs = SEGMENT_SECS / f64::from(WORDS);
    let start = segment_start + f64::from(number) * secs;
    Word {
        word: format!("word{number}"),
        start,
        end: start + secs,
        probability: 0.9,
        speaker: None,
    }
}

/// Two speakers who take turns every 12 s over `segments` segments.
pub(crate) fn turns(segments: u32) -> Vec<Turn> {
    let secs = f64::from(segments) * SEGMENT_SECS;
    (0..(secs / 12.0).ceil() as u32)
        .map(|number| Turn {
            speaker: format!("SPEAKER_0{}", number % 2),
            start: f64::from(number) * 12.0,
            end: f64::from(number + 1) * 12.0,
        })
        .collect()
}

/// A request for a path that the handler does not know.
pub(crate) fn request() -> http::request::Builder {
    http::Request::get("http://localhost/no/such/path").header("host", "localhost")
}
