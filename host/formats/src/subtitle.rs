//! Subtitles: SubRip (`srt`) and WebVTT (`vtt`), one cue for each segment with text.
//!
//! Players stop at the first malformed cue, so nothing malformed is written: times never run
//! backwards or overlap, every cue lasts at least 1 ms (WebVTT wants the end after the start), and no
//! text holds a blank line or an arrow, which would end the cue.

use std::fmt::Write;

use auricle_speech::Transcript;

/// SubRip. A speaker stands before the text: `SPEAKER_00: Hello.`
#[must_use]
pub fn srt(transcript: &Transcript) -> String {
    let mut out = String::new();
    for (index, cue) in cues(transcript).enumerate() {
        let text = cue.text.replace("-->", "→");
        let speaker = cue.speaker.map(|s| format!("{s}: ")).unwrap_or_default();
        let (start, end) = (Time(cue.start_ms, ','), Time(cue.end_ms, ','));
        // Writing to a string does not fail.
        let _ = write!(out, "{}\n{start} --> {end}\n{speaker}{text}\n\n", index + 1);
    }
    out
}

/// WebVTT. A speaker is the cue's voice: `<v SPEAKER_00>Hello.`
#[must_use]
pub fn vtt(transcript: &Transcript) -> String {
    let mut out = "WEBVTT\n\n".to_owned();
    for cue in cues(transcript) {
        let speaker = cue
            .speaker
            .map(|s| format!("<v {}>", escaped(&s)))
            .unwrap_or_default();
        let (start, end) = (Time(cue.start_ms, '.'), Time(cue.end_ms, '.'));
        let text = escaped(&cue.text);
        let _ = write!(out, "{start} --> {end}\n{speaker}{text}\n\n");
    }
    out
}

struct Cue {
    start_ms: u64,
    end_ms: u64,
    speaker: Option<String>,
    text: String,
}

fn cues(transcript: &Transcript) -> impl Iterator<Item = Cue> {
    let mut last_end_ms = 0;
    transcript.segments.iter().filter_map(move |segment| {
        let text = without_blank_lines(&segment.text);
        if text.is_empty() {
            return None;
        }
        let start_ms = millis(segment.start).max(last_end_ms);
        let end_ms = millis(segment.end).max(start_ms + 1);
        last_end_ms = end_ms;
        Some(Cue {
            start_ms,
            end_ms,
            speaker: segment
                .speaker
                .as_deref()
                .map(on_one_line)
                .filter(|label| !label.is_empty()),
            text,
        })
    })
}

/// Whole milliseconds; 0 for what is negative or not a number, and at most a year.
fn millis(secs: f64) -> u64 {
    const YEAR_MS: u64 = 365 * 24 * 3_600_000;
    ((secs * 1000.0).round() as u64).min(YEAR_MS)
}

fn without_blank_lines(text: &str) -> String {
    let lines = text.split(|c: char| c.is_control() && c != '\t');
    let lines: Vec<&str> = lines.map(str::trim).filter(|l| !l.is_empty()).collect();
    lines.join("\n")
}

/// Two hyphens at a label's end would become an arrow with the `>` of WebVTT's voice tag.
fn on_one_line(label: &str) -> String {
    without_blank_lines(label)
        .replace('\n', " ")
        .replace("--", "—")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// Milliseconds as `HH:MM:SS`, the separator, and three digits. Hours have two digits or more.
struct Time(u64, char);

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(ms, separator) = *self;
        let (secs, ms) = (ms / 1000, ms % 1000);
        let (hours, minutes, secs) = (secs / 3600, secs / 60 % 60, secs % 60);
        write!(f, "{hours:02}:{minutes:02}:{secs:02}{separator}{ms:03}")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use auricle_speech::{Language, Segment};
    use proptest::prelude::*;

    use super::*;

    fn transcript(segments: &[(f64, f64, &str, Option<&str>)]) -> Transcript {
        let segment =
            |(id, &(start, end, text, speaker)): (usize, &(f64, f64, &str, Option<&str>))| {
                Segment {
                    id: id as u32,
                    start,
                    end,
                    text: text.to_owned(),
                    tokens: Vec::new(),
                    temperature: 0.0,
                    avg_logprob: 0.0,
                    compression_ratio: 1.0,
                    no_speech_prob: 0.0,
                    words: Vec::new(),
                    speaker: speaker.map(str::to_owned),
                }
            };
        Transcript {
            language: Language::ENGLISH,
            segments: segments.iter().enumerate().map(segment).collect(),
            dropped: Vec::new(),
            speakers: Vec::new(),
            duration_secs: 10.0,
        }
    }

    #[test]
    fn srt_counts_its_cues_and_names_speakers() {
        let transcript = transcript(&[
            (0.0, 1.5, "Hello.", Some("SPEAKER_00")),
            (1.5, 2.0, " ", None),
            (3661.0005, 3662.0, "A --> B & <i>", None),
        ]);
        assert_eq!(
            srt(&transcript),
            "1\n00:00:00,000 --> 00:00:01,500\nSPEAKER_00: Hello.\n\n\
             2\n01:01:01,001 --> 01:01:02,000\nA → B & <i>\n\n"
        );
    }

    #[test]
    fn vtt_escapes_and_names_voices() {
        let transcript = transcript(&[(0.0, 1.5, "a < b --> c & d", Some("Ann\n\nBo>"))]);
        assert_eq!(
            vtt(&transcript),
            "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\n\
             <v Ann Bo&gt;>a &lt; b --&gt; c &amp; d\n\n"
        );
    }

    #[test]
    fn a_transcript_without_text_has_no_cues() {
        assert_eq!(srt(&transcript(&[])), "");
        assert_eq!(vtt(&transcript(&[(0.0, 1.0, "", None)])), "WEBVTT\n\n");
    }

    #[test]
    fn overlapping_and_backward_times_are_put_in_order() {
        let transcript = transcript(&[
            (1.0, 3.0, "a", None),
            (2.0, 2.5, "b", None),
            (-4.0, f64::NAN, "c", None),
        ]);
        let times: Vec<_> = cues(&transcript).map(|c| (c.start_ms, c.end_ms)).collect();
        assert_eq!(times, [(1000, 3000), (3000, 3001), (3001, 3002)]);
    }

    fn any_segment() -> impl Strategy<Value = (f64, f64, String, Option<String>)> {
        let time = || prop_oneof![-10.0..1e6_f64, any::<f64>()];
        let text = || prop_oneof!["[a\n\r\t >&<-]{0,12}", any::<String>()];
        (time(), time(), text(), proptest::option::of(text()))
    }

    /// The cues of a file as a player reads it: blocks between blank lines, and in each the line with
    /// the arrow and the lines after it.
    fn read(file: &str) -> Vec<(String, String, Vec<String>)> {
        let blocks = file.split("\n\n").filter(|b| b.contains("-->"));
        blocks
            .map(|block| {
                let mut lines = block.lines().skip_while(|l| !l.contains("-->"));
                let (start, end) = lines.next().unwrap().split_once(" --> ").unwrap();
                let text = lines.map(str::to_owned).collect();
                (start.to_owned(), end.to_owned(), text)
            })
            .collect()
    }

    proptest! {
        #[test]
        fn what_is_written_can_be_read_back(segments in prop::collection::vec(any_segment(), 0..8)) {
            let borrowed: Vec<_> = segments
                .iter()
                .map(|(start, end, text, speaker)| (*start, *end, text.as_str(), speaker.as_deref()))
                .collect();
            let transcript = transcript(&borrowed);
            for file in [srt(&transcript), vtt(&transcript)] {
                let cues = read(&file);
                prop_assert_eq!(cues.len(), super::cues(&transcript).count());
                let mut last = String::new();
                for (start, end, text) in &cues {
                    // Longer numbers are later ones: hours may have more than two digits.
                    let key = |t: &String| (t.len(), t.clone());
                    prop_assert!(key(&last) <= key(start) && key(start) < key(end));
                    prop_assert!(!text.is_empty());
                    prop_assert!(text.iter().all(|l| !l.trim().is_empty() && !l.contains("-->")));
                    last.clone_from(end);
                }
                prop_assert_eq!(file.matches("-->").count(), cues.len());
            }
        }
    }
}
