//! What the model wrote and nobody said: loops, and text where there is silence or no voice.
//!
//! Pure: looks at one segment and at the voice activity around it, and never at other segments, so
//! that somebody who says a thing eight times is believed. What it drops is recorded with its reason
//! and the number that decided.

use auricle_speech::{DropReason, DroppedSegment, SAMPLE_RATE, Segment, VOICE_FRAME_SAMPLES};

/// Text of a higher ratio has run into a repetition (Whisper's `compression_ratio_threshold`).
const MAX_COMPRESSION_RATIO: f32 = 2.4;

/// Longest phrase that counts as a loop, in characters: about 12 words.
const MAX_PERIOD_CHARS: usize = 72;

/// A phrase must come this often in a row: people say a word four times, rarely five.
const MIN_TIMES: usize = 5;

/// Of the segment's characters this share must belong to the loop, in hundredths: what was said
/// before the loop began is kept with it otherwise.
const MIN_LOOP_PERCENT: usize = 60;

/// Below this the model was unsure of its words (Whisper's `logprob_threshold`).
const MIN_LOGPROB: f32 = -1.0;

/// Above this it was sure of the silence (Whisper's `no_speech_threshold`).
const MAX_NO_SPEECH: f32 = 0.6;

/// No frame of the segment is above this: nobody speaks. Whispering and shouting come to 0.3 in
/// some frame at least; noise and music stay below 0.1 for long stretches.
const MIN_VOICE: f32 = 0.1;

/// How far beyond the segment's times a voice counts as within: the model's times are that wrong.
const VOICE_MARGIN_SECS: f64 = 0.5;

/// Sorts segments into those that are kept and those that are not. `voice` has the probability of
/// speech of every frame of the clip, when known.
pub(crate) fn sort(
    segments: Vec<Segment>,
    voice: Option<&[f32]>,
) -> (Vec<Segment>, Vec<DroppedSegment>) {
    let (mut kept, mut dropped) = (Vec::new(), Vec::new());
    for segment in segments {
        match verdict(&segment, voice) {
            None => kept.push(segment),
            Some((reason, score)) => dropped.push(DroppedSegment {
                segment,
                reason,
                score,
            }),
        }
    }
    (kept, dropped)
}

fn verdict(segment: &Segment, voice: Option<&[f32]>) -> Option<(DropReason, f32)> {
    if segment.compression_ratio > MAX_COMPRESSION_RATIO && is_loop(&segment.text) {
        return Some((DropReason::Repetition, segment.compression_ratio));
    }
    if segment.avg_logprob < MIN_LOGPROB && segment.no_speech_prob > MAX_NO_SPEECH {
        return Some((DropReason::NoSpeech, segment.no_speech_prob));
    }
    let heard = loudest_voice(segment, voice?)?;
    (heard < MIN_VOICE).then_some((DropReason::NoVoice, heard))
}

/// The highest probability of speech around a segment; nothing for one beyond the clip.
fn loudest_voice(segment: &Segment, voice: &[f32]) -> Option<f32> {
    let frames_per_sec = f64::from(SAMPLE_RATE) / VOICE_FRAME_SAMPLES as f64;
    let frame = |secs: f64| (secs.max(0.0) * frames_per_sec) as usize;
    let from = frame(segment.start - VOICE_MARGIN_SECS).min(voice.len());
    let to = frame(segment.end + VOICE_MARGIN_SECS).saturating_add(1);
    let around = voice.get(from..to.clamp(from, voice.len()))?;
    around.iter().copied().reduce(f32::max)
}

/// Whether most of a text is one phrase over and over.
fn is_loop(text: &str) -> bool {
    let chars: Vec<char> = text
        .chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect();
    (1..=MAX_PERIOD_CHARS.min(chars.len() / MIN_TIMES)).any(|period| {
        let (mut run, mut longest) = (0, 0);
        for (one, other) in chars.iter().zip(chars.iter().skip(period)) {
            run = if one == other { run + 1 } else { 0 };
            longest = longest.max(run);
        }
        let length = longest + period;
        length >= MIN_TIMES * period && length * 100 >= MIN_LOOP_PERCENT * chars.len()
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn segment(text: &str) -> Segment {
        Segment {
            id: 0,
            start: 1.0,
            end: 2.0,
            text: text.to_owned(),
            tokens: Vec::new(),
            logprobs: Vec::new(),
            temperature: 0.0,
            avg_logprob: -0.3,
            compression_ratio: 1.2,
            no_speech_prob: 0.1,
            words: Vec::new(),
            speaker: None,
            channel: None,
            language: None,
        }
    }

    fn reason(segment: Segment, voice: Option<&[f32]>) -> Option<DropReason> {
        let (kept, dropped) = sort(vec![segment], voice);
        assert_eq!(kept.len() + dropped.len(), 1);
        dropped.first().map(|dropped| dropped.reason)
    }

    #[test]
    fn a_loop_is_dropped_with_its_ratio() {
        for text in [
            "Thank you. ".repeat(12),
            "ご視聴ありがとうございました".repeat(6),
            format!("So it began. {}", "and then, ".repeat(20)),
        ] {
            let looped = Segment {
                compression_ratio: 6.5,
                ..segment(&text)
            };
            let (_, dropped) = sort(vec![looped], None);
            let dropped = dropped.first().unwrap();
            assert_eq!(
                (dropped.reason, dropped.score),
                (DropReason::Repetition, 6.5)
            );
        }
    }

    #[test]
    fn what_is_said_a_few_times_or_compresses_well_is_kept() {
        for text in [
            "No, no, no, no!".to_owned(),
            "Ask not what your country can do for you. ".repeat(3),
            "One two three four five six seven eight nine ten eleven twelve.".to_owned(),
            format!(
                "{} da da da da da",
                "Quite a lot of other words came before it ".repeat(2)
            ),
        ] {
            let dense = Segment {
                compression_ratio: 2.6,
                ..segment(&text)
            };
            assert_eq!(reason(dense, None), None, "{text}");
        }
        assert_eq!(reason(segment(&"la ".repeat(30)), None), None);
    }

    #[test]
    fn unsure_words_in_sure_silence_are_dropped_and_either_alone_is_kept() {
        let with = |avg_logprob, no_speech_prob| Segment {
            avg_logprob,
            no_speech_prob,
            ..segment("Okay.")
        };
        assert_eq!(reason(with(-1.2, 0.9), None), Some(DropReason::NoSpeech));
        assert_eq!(reason(with(-1.2, 0.5), None), None);
        assert_eq!(reason(with(-0.4, 0.9), None), None);
    }

    #[test]
    fn text_where_nobody_speaks_is_dropped() {
        let mut voice = vec![0.02; 200];
        assert_eq!(
            reason(segment("Thank you."), Some(&voice)),
            Some(DropReason::NoVoice)
        );
        // One frame within half a second of it.
        *voice.get_mut(75).unwrap() = 0.3;
        assert_eq!(reason(segment("Thank you."), Some(&voice)), None);
    }

    #[test]
    fn a_segment_beyond_the_clip_or_with_odd_times_is_kept() {
        let voice = [0.0; 10];
        for (start, end) in [(100.0, 101.0), (f64::NAN, f64::NAN), (5.0, 1.0)] {
            let odd = Segment {
                start,
                end,
                ..segment("Hm.")
            };
            let _ = sort(vec![odd], Some(&voice));
        }
        let beyond = Segment {
            start: 100.0,
            end: 101.0,
            ..segment("Hm.")
        };
        assert_eq!(reason(beyond, Some(&voice)), None);
        assert_eq!(reason(segment("Hm."), Some(&[])), None);
    }
}
