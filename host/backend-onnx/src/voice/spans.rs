//! Probabilities of speech to spans of speech: Silero's rule, without an engine.
//!
//! Two thresholds keep a voice that wavers in one piece: speech begins at the upper one and ends
//! when the probability stays under the lower one for a while. [`SpeechFinder`] reads one frame
//! after the other, for live streams; [`speech_spans`] reads a whole clip and adds padding, which
//! needs to know the neighbours.

use auricle_speech::{SAMPLE_RATE, Span};

use super::VAD_FRAME_SAMPLES;

const FRAME_SAMPLES: u64 = VAD_FRAME_SAMPLES as u64;

const SAMPLES_PER_MS: u64 = SAMPLE_RATE as u64 / 1000;

/// What counts as speech. The defaults are Silero VAD's own (`get_speech_timestamps`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpeechOptions {
    /// Speech begins with a frame of this probability; 0.0..=1.0. 0.5.
    pub threshold: f32,
    /// Speech may end with a frame below this; 0.0..=`threshold`. `threshold` less 0.15, and at
    /// least 0.01.
    pub negative_threshold: f32,
    /// Shorter speech is dropped: clicks and knocks. 250 ms.
    pub min_speech_ms: u32,
    /// Shorter silence does not end speech: pauses between words. 100 ms.
    pub min_silence_ms: u32,
    /// Kept before and after speech, in [`speech_spans`] only; where two spans are nearer than
    /// twice this, the silence between them is shared. 30 ms.
    pub pad_ms: u32,
}

impl SpeechOptions {
    /// The defaults with another threshold, and the lower threshold that goes with it.
    #[must_use]
    pub fn with_threshold(threshold: f32) -> Self {
        Self {
            threshold,
            negative_threshold: (threshold - 0.15).max(0.01).min(threshold),
            ..Self::default()
        }
    }
}

impl Default for SpeechOptions {
    fn default() -> Self {
        Self {
            threshold: 0.5,
            negative_threshold: 0.35,
            min_speech_ms: 250,
            min_silence_ms: 100,
            pad_ms: 30,
        }
    }
}

/// What a frame changed. Positions are samples from the start of the sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpeechEvent {
    /// Speech may have begun at this sample.
    Started(u64),
    /// Speech lasted for this span, which is at least the shortest speech long.
    Ended(Span),
    /// What had started was too short to be speech.
    Dropped,
}

/// Finds speech frame by frame.
#[derive(Clone, Debug)]
pub struct SpeechFinder {
    options: SpeechOptions,
    /// Start of the next frame.
    position: u64,
    /// Start of the speech that goes on.
    start: Option<u64>,
    /// Start of the silence within it.
    silence: Option<u64>,
}

impl SpeechFinder {
    /// Begins at sample 0, in silence.
    #[must_use]
    pub fn new(options: SpeechOptions) -> Self {
        Self {
            options,
            position: 0,
            start: None,
            silence: None,
        }
    }

    /// Reads the probability of the next frame of [`VAD_FRAME_SAMPLES`]. A probability that is no
    /// number changes nothing.
    pub fn push(&mut self, probability: f32) -> Option<SpeechEvent> {
        let at = self.position;
        self.position = at.saturating_add(FRAME_SAMPLES);
        if probability >= self.options.threshold {
            self.silence = None;
            if self.start.is_none() {
                self.start = Some(at);
                return Some(SpeechEvent::Started(at));
            }
        }
        let start = self.start?;
        if probability < self.options.negative_threshold {
            let silence = *self.silence.get_or_insert(at);
            if at - silence >= ms(self.options.min_silence_ms) {
                self.start = None;
                self.silence = None;
                return Some(self.end(start, silence));
            }
        }
        None
    }

    /// Ends the sound after `len_samples`, which is where speech that goes on is cut.
    pub fn finish(&mut self, len_samples: u64) -> Option<SpeechEvent> {
        self.silence = None;
        let start = self.start.take()?;
        Some(self.end(start, len_samples.min(self.position)))
    }

    /// Whether speech goes on, or may have begun.
    #[must_use]
    pub fn is_speaking(&self) -> bool {
        self.start.is_some()
    }

    fn end(&self, start: u64, end: u64) -> SpeechEvent {
        let span = Span { start, end };
        if span.is_empty() || span.len_samples() < ms(self.options.min_speech_ms) {
            return SpeechEvent::Dropped;
        }
        SpeechEvent::Ended(span)
    }
}

/// The speech of a clip of `len_samples`, from the probabilities of its frames: ascending,
/// disjoint, inside the clip, none empty.
#[must_use]
pub fn speech_spans(probabilities: &[f32], len_samples: u64, options: &SpeechOptions) -> Vec<Span> {
    let mut finder = SpeechFinder::new(*options);
    let mut spans = Vec::new();
    let mut keep = |event: Option<SpeechEvent>| {
        if let Some(SpeechEvent::Ended(span)) = event {
            spans.push(Span {
                start: span.start.min(len_samples),
                end: span.end.min(len_samples),
            });
        }
    };
    for &probability in probabilities {
        keep(finder.push(probability));
    }
    keep(finder.finish(len_samples));
    spans.retain(|span| !span.is_empty());
    pad(&mut spans, len_samples, ms(options.pad_ms));
    spans
}

/// Widens each span by `by` samples on both sides; neighbours share what is between them.
fn pad(spans: &mut [Span], len_samples: u64, by: u64) {
    let mut before = 0;
    let mut rest = spans;
    while let Some((span, after)) = rest.split_first_mut() {
        span.start -= by.min(span.start - before);
        let room = match after.first() {
            Some(next) => (next.start - span.end) / 2,
            None => len_samples - span.end,
        };
        // Of an odd silence the next span gets the larger half.
        before = span.end + room;
        span.end += by.min(room);
        rest = after;
    }
}

fn ms(ms: u32) -> u64 {
    u64::from(ms) * SAMPLES_PER_MS
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use proptest::prelude::*;

    use super::*;

    fn frames(runs: &[(f32, usize)]) -> Vec<f32> {
        let run = |&(probability, count): &(f32, usize)| vec![probability; count];
        runs.iter().flat_map(run).collect()
    }

    fn find(runs: &[(f32, usize)], options: SpeechOptions) -> Vec<(u64, u64)> {
        let probabilities = frames(runs);
        let len = probabilities.len() as u64 * FRAME_SAMPLES;
        speech_spans(&probabilities, len, &options)
            .iter()
            .map(|span| (span.start, span.end))
            .collect()
    }

    const UNPADDED: SpeechOptions = SpeechOptions {
        threshold: 0.5,
        negative_threshold: 0.35,
        min_speech_ms: 250,
        min_silence_ms: 100,
        pad_ms: 0,
    };

    #[test]
    fn speech_begins_at_the_upper_threshold_and_ends_under_the_lower() {
        let runs = [(0.1, 10), (0.49, 2), (0.5, 10), (0.36, 10), (0.34, 10)];
        assert_eq!(find(&runs, UNPADDED), [(12 * 512, 32 * 512)]);
    }

    #[test]
    fn a_pause_of_less_than_the_shortest_silence_does_not_end_speech() {
        // 100 ms are 1600 samples: the fourth quiet frame begins 1536 after the first, the fifth
        // 2048.
        let short = [(0.9, 10), (0.1, 4), (0.9, 10), (0.1, 5)];
        assert_eq!(find(&short, UNPADDED), [(0, 24 * 512)]);
        let long = [(0.9, 10), (0.1, 5), (0.9, 10), (0.1, 5)];
        assert_eq!(find(&long, UNPADDED), [(0, 5120), (15 * 512, 25 * 512)]);
    }

    #[test]
    fn a_click_is_no_speech() {
        // 250 ms are 4000 samples: seven frames are too few.
        assert_eq!(find(&[(0.1, 5), (0.9, 7), (0.1, 9)], UNPADDED), []);
        assert_eq!(find(&[(0.9, 8), (0.1, 9)], UNPADDED), [(0, 4096)]);
    }

    #[test]
    fn speech_that_goes_on_ends_with_the_clip() {
        let spans = speech_spans(&[0.9; 10], 5000, &UNPADDED);
        assert_eq!(
            spans,
            [Span {
                start: 0,
                end: 5000
            }]
        );
    }

    #[test]
    fn padding_is_shared_where_two_spans_are_near() {
        let options = SpeechOptions {
            pad_ms: 100,
            ..UNPADDED
        };
        let runs = [(0.1, 2), (0.9, 10), (0.1, 5), (0.9, 10), (0.1, 20)];
        let (first, second) = (2 * 512, 17 * 512);
        assert_eq!(
            find(&runs, options),
            [
                (0, first + 5120 + 1280),
                (second - 1280, second + 5120 + 1600)
            ]
        );
        assert_eq!(first, 1024, "less than the padding of 1600 samples");
    }

    #[test]
    fn events_tell_of_the_start_before_the_end_is_known() {
        let mut finder = SpeechFinder::new(UNPADDED);
        let events: Vec<_> = frames(&[(0.1, 2), (0.9, 8), (0.1, 8), (0.9, 1), (0.1, 8)])
            .into_iter()
            .filter_map(|probability| finder.push(probability))
            .collect();
        assert_eq!(
            events,
            [
                SpeechEvent::Started(1024),
                SpeechEvent::Ended(Span {
                    start: 1024,
                    end: 1024 + 4096
                }),
                SpeechEvent::Started(18 * 512),
                SpeechEvent::Dropped,
            ]
        );
        assert!(!finder.is_speaking());
    }

    fn any_options() -> impl Strategy<Value = SpeechOptions> {
        let ms = 0..3000_u32;
        (0.0..1.0_f32, 0.0..1.0_f32, ms.clone(), ms.clone(), ms).prop_map(
            |(threshold, share, min_speech_ms, min_silence_ms, pad_ms)| SpeechOptions {
                threshold,
                negative_threshold: threshold * share,
                min_speech_ms,
                min_silence_ms,
                pad_ms,
            },
        )
    }

    fn any_probability() -> impl Strategy<Value = f32> {
        prop_oneof![8 => 0.0..1.0_f32, 1 => Just(f32::NAN), 1 => any::<f32>()]
    }

    proptest! {
        #[test]
        fn spans_ascend_are_disjoint_and_lie_inside_the_clip(
            probabilities in proptest::collection::vec(any_probability(), 0..400),
            len_samples in 0..300_000_u64,
            options in any_options(),
        ) {
            let spans = speech_spans(&probabilities, len_samples, &options);
            for span in &spans {
                prop_assert!(span.start < span.end && span.end <= len_samples);
            }
            for pair in spans.windows(2) {
                prop_assert!(pair[0].end <= pair[1].start);
            }
        }

        #[test]
        fn padding_moves_no_span_past_its_neighbours(
            probabilities in proptest::collection::vec(0.0..1.0_f32, 0..400),
            options in any_options(),
        ) {
            let len = probabilities.len() as u64 * FRAME_SAMPLES;
            let bare = speech_spans(&probabilities, len, &SpeechOptions { pad_ms: 0, ..options });
            let padded = speech_spans(&probabilities, len, &options);
            prop_assert_eq!(bare.len(), padded.len());
            for (bare, padded) in bare.iter().zip(&padded) {
                prop_assert!(padded.start <= bare.start && bare.end <= padded.end);
                prop_assert!(padded.start + ms(options.pad_ms) >= bare.start);
                prop_assert!(bare.end + ms(options.pad_ms) >= padded.end);
            }
        }
    }
}
