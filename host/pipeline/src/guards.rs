//! Hallucinations: loops, text where there is silence or no voice, and more text than time allows.
//!
//! Pure: looks at one segment, at the sound and at the voice activity around it, and never at other
//! segments. A phrase that was repeated is told from a loop by its rhythm ([`rhythm`]). What is
//! dropped is recorded with its reason and the number that decided.

use auricle_speech::{
    Clip, DropReason, DroppedSegment, SAMPLE_RATE, Segment, Span, VOICE_FRAME_SAMPLES, rhythm,
};

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

/// Longest span whose text is checked against the time that speaking it takes; of longer ones the
/// model's times are not exact enough.
const SHORT_SPAN_SAMPLES: u64 = SAMPLE_RATE as u64;

/// What the guards know of the sound.
#[derive(Clone, Copy)]
pub(crate) struct Heard<'a> {
    pub(crate) clip: &'a Clip,
    /// The part of the clip in which the segments were recognised.
    pub(crate) span: Span,
    /// Probability of speech in every frame of the clip, when known.
    pub(crate) voice: Option<&'a [f32]>,
}

/// Sorts segments into those that are kept and those that are not. Kept ones begin and end with their
/// words, where they have some: those times are finer.
pub(crate) fn sort(
    segments: Vec<Segment>,
    heard: Heard<'_>,
) -> (Vec<Segment>, Vec<DroppedSegment>) {
    let (mut kept, mut dropped) = (Vec::new(), Vec::new());
    let texts: Vec<&str> = segments.iter().map(|it| it.text.as_str()).collect();
    let all = texts.join(" ");
    for mut segment in segments {
        match verdict(&segment, &all, heard) {
            None => {
                if let (Some(first), Some(last)) = (segment.words.first(), segment.words.last()) {
                    (segment.start, segment.end) = (first.start, last.end);
                }
                kept.push(segment);
            }
            Some((reason, score)) => dropped.push(DroppedSegment {
                segment,
                reason,
                score,
            }),
        }
    }
    (kept, dropped)
}

/// Why a segment is dropped, and the number that decided. `all` is the text of the whole span.
fn verdict(segment: &Segment, all: &str, heard: Heard<'_>) -> Option<(DropReason, f32)> {
    // The model's times of one segment may be wrong, so the span as a whole counts too.
    let is_spoken = || {
        rhythm::fits(&segment.text, sound_of(segment, heard.clip))
            || rhythm::fits(all, heard.clip.slice(heard.span))
    };
    if segment.compression_ratio > MAX_COMPRESSION_RATIO && is_loop(&segment.text) && !is_spoken() {
        return Some((DropReason::Repetition, segment.compression_ratio));
    }
    if segment.avg_logprob < MIN_LOGPROB && segment.no_speech_prob > MAX_NO_SPEECH {
        return Some((DropReason::NoSpeech, segment.no_speech_prob));
    }
    let loudest = heard.voice.and_then(|voice| loudest_voice(segment, voice));
    let samples = heard.span.len_samples();
    let is_too_fast =
        samples < SHORT_SPAN_SAMPLES && rhythm::is_too_fast(&segment.text, samples as usize);
    if is_too_fast {
        return Some((DropReason::NoVoice, loudest.unwrap_or_default()));
    }
    let loudest = loudest?;
    (loudest < MIN_VOICE).then_some((DropReason::NoVoice, loudest))
}

/// The sound of a segment, with a margin.
fn sound_of<'a>(segment: &Segment, clip: &'a Clip) -> &'a [f32] {
    let at = |secs: f64| (secs.max(0.0) * f64::from(SAMPLE_RATE)) as u64;
    let end = at(segment.end + VOICE_MARGIN_SECS).min(clip.len_samples());
    let start = at(segment.start - VOICE_MARGIN_SECS).min(end);
    clip.slice(Span { start, end })
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

    /// A clip of ten seconds.
    fn heard<'a>(clip: &'a Clip, voice: Option<&'a [f32]>) -> Heard<'a> {
        let span = clip.span();
        Heard { clip, span, voice }
    }

    fn silence() -> Clip {
        Clip::new(vec![0.0; 160_000])
    }

    fn reason(segment: Segment, voice: Option<&[f32]>) -> Option<DropReason> {
        let clip = silence();
        let (kept, dropped) = sort(vec![segment], heard(&clip, voice));
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
            let clip = silence();
            let (_, dropped) = sort(vec![looped], heard(&clip, None));
            let dropped = dropped.first().unwrap();
            assert_eq!(
                (dropped.reason, dropped.score),
                (DropReason::Repetition, 6.5)
            );
        }
    }

    /// Tones of a fifth of a second with pauses as long.
    fn beeps(count: usize) -> Clip {
        let beep = |n: usize| {
            if (n / 3_200).is_multiple_of(2) {
                0.0
            } else {
                0.5
            }
        };
        let samples = (0..count * 6_400).map(|n| beep(n) * (n as f32 * 0.3).sin());
        Clip::new(samples.collect())
    }

    #[test]
    fn a_word_said_ten_times_is_kept_and_the_same_written_a_hundred_times_is_a_loop() {
        let clip = beeps(10);
        let said = |times: usize| Segment {
            start: 0.0,
            end: clip.span().end_secs(),
            compression_ratio: 6.5,
            ..segment(&"No, ".repeat(times))
        };
        let reason = |segment| {
            let (_, dropped) = sort(vec![segment], heard(&clip, None));
            dropped.first().map(|dropped| dropped.reason)
        };
        assert_eq!(reason(said(10)), None);
        assert_eq!(reason(said(100)), Some(DropReason::Repetition));
        let misplaced = Segment {
            start: 1.0,
            end: 1.2,
            ..said(10)
        };
        assert_eq!(reason(misplaced), None);
    }

    #[test]
    fn more_text_than_a_short_span_has_time_for_is_dropped() {
        let clip = Clip::new(vec![0.1; 160_000]);
        let dropped = |text: &str, samples: u64| {
            let span = Span {
                start: 16_000,
                end: 16_000 + samples,
            };
            let heard = Heard {
                span,
                ..heard(&clip, None)
            };
            let (_, dropped) = sort(vec![segment(text)], heard);
            dropped.first().map(|dropped| dropped.reason)
        };
        assert_eq!(dropped("Thank you.", 4_000), Some(DropReason::NoVoice));
        assert_eq!(dropped("No.", 4_000), None);
        assert_eq!(dropped("Thank you.", 16_000), None);
    }

    #[test]
    fn a_kept_segment_begins_and_ends_with_its_words() {
        let word = |start, end| auricle_speech::Word {
            word: "hm".to_owned(),
            start,
            end,
            probability: 1.0,
            speaker: None,
        };
        let worded = Segment {
            words: vec![word(1.2, 1.4), word(1.5, 1.7)],
            ..segment("hm hm")
        };
        let clip = silence();
        let (kept, _) = sort(vec![worded], heard(&clip, None));
        let times: Vec<_> = kept.iter().map(|it| (it.start, it.end)).collect();
        assert_eq!(times, [(1.2, 1.7)]);
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
            let clip = silence();
            let _ = sort(vec![odd], heard(&clip, Some(&voice)));
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
