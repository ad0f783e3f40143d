//! Tokens grouped into words with times.
//!
//! Grouping follows openai-whisper's `split_to_word_tokens` and `merge_punctuations`. A token's
//! time is where dynamic time warping leaves it, that is its end; so a word lasts from the end of
//! the token before it to the end of its own last token.

use auricle_speech::{SAMPLE_RATE, Segment, Word};

/// Written without spaces between words: every character gets its own time
/// (`split_to_word_tokens`).
const WITHOUT_SPACES: [&str; 6] = ["zh", "ja", "th", "lo", "my", "yue"];

/// Marks that belong to the word after them.
const PREPENDED: &str = "\"'“¿([{-";

/// Marks that belong to the word before them.
const APPENDED: &str = "\"'.。,，!！?？:：”)]}、";

/// A word is at most twice as long as the median one, and the median counts as at most this
/// (`add_word_timestamps`): the first word after a pause would else begin with the pause.
const MAX_MEDIAN_SECS: f64 = 0.7;

/// Samples of the frames in which silence around a word is measured (10 ms).
const FRAME_SAMPLES: usize = SAMPLE_RATE as usize / 100;

/// Power of a frame, relative to the word's loudest one, below which it is silence (-25 dB).
const SILENCE_POWER: f32 = 0.003;

/// Shortest word that trimming leaves, in seconds.
const MIN_WORD_SECS: f64 = 0.04;

/// One text token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TextToken<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) probability: f32,
    /// End in seconds; `None` where warping gave none.
    pub(crate) end: Option<f64>,
}

/// Whether the text of a language (by code) has spaces between words.
pub(crate) fn has_spaces(code: &str) -> bool {
    !WITHOUT_SPACES.contains(&code)
}

/// Words of one segment, somewhere between `start` and `end`; all times in seconds.
pub(crate) fn words(tokens: &[TextToken<'_>], start: f64, end: f64, spaces: bool) -> Vec<Word> {
    let ends = token_ends(tokens, start, end.max(start));
    let groups = merge_punctuation(group(tokens, spaces));
    groups
        .into_iter()
        .filter_map(|group| {
            let before = group.first.checked_sub(1);
            let word_start = before.and_then(|n| ends.get(n)).copied().unwrap_or(start);
            let word_end = ends.get(group.last).copied().unwrap_or(end);
            let own = tokens.get(group.first..=group.last).unwrap_or_default();
            let sum: f32 = own.iter().map(|token| token.probability).sum();
            let text = group.text.trim();
            (!text.is_empty()).then(|| Word {
                word: text.to_owned(),
                start: word_start,
                end: word_end.max(word_start),
                probability: (sum / own.len().max(1) as f32).clamp(0.0, 1.0),
                speaker: None,
            })
        })
        .collect()
}

/// Takes pauses out of the word times of a window's segments. `samples` is the chunk.
pub(crate) fn finish(segments: &mut [Segment], samples: &[f32]) {
    shorten_long_words(segments);
    for segment in segments {
        trim_silence(&mut segment.words, samples);
    }
}

/// Makes the words of a chunk that lasts `limit` seconds follow each other: each one lasts a while and
/// ends before the next begins. Warping gives neighbours the same time now and then, and passes over
/// a chunk may overlap. What is right already stays.
pub(crate) fn separate(segments: &mut [Segment], limit: f64) {
    let words = segments.iter_mut().flat_map(|segment| &mut segment.words);
    let mut words: Vec<&mut Word> = words.collect();
    // Where there are more words than fit, each has its share.
    let shortest = MIN_WORD_SECS.min(limit / words.len().max(1) as f64);
    let mut earliest = 0.0_f64;
    for word in &mut words {
        word.start = word.start.max(earliest);
        earliest = word.start + shortest;
    }
    let mut latest = limit.max(0.0);
    for word in words.iter_mut().rev() {
        word.start = word.start.min(latest - shortest).max(0.0);
        word.end = word.end.max(word.start + shortest).min(latest);
        latest = word.start;
    }
}

/// Ends of all tokens: between `start` and `end`, never going back, gaps filled evenly.
fn token_ends(tokens: &[TextToken<'_>], start: f64, end: f64) -> Vec<f64> {
    let mut ends = Vec::with_capacity(tokens.len());
    let mut floor = start;
    while let Some(rest) = tokens.get(ends.len()..).filter(|rest| !rest.is_empty()) {
        let unknown = rest.iter().take_while(|token| token.end.is_none()).count();
        let next = rest.get(unknown).and_then(|token| token.end);
        let ceiling = next.unwrap_or(end).clamp(floor, end.max(floor));
        // `unknown` tokens share the way to the next known end, which takes its own part.
        let parts = (unknown + usize::from(next.is_some())).max(1);
        for part in 1..=parts {
            ends.push(floor + (ceiling - floor) * part as f64 / parts as f64);
        }
        floor = ceiling;
    }
    ends
}

/// Consecutive tokens that make one word.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    text: String,
    first: usize,
    last: usize,
}

/// Whole characters first, then words.
fn group(tokens: &[TextToken<'_>], spaces: bool) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let (mut bytes, mut first) = (Vec::new(), 0);
    for (position, token) in tokens.iter().enumerate() {
        if bytes.is_empty() {
            first = position;
        }
        bytes.extend_from_slice(token.bytes);
        let unfinished =
            std::str::from_utf8(&bytes).is_err_and(|error| error.error_len().is_none());
        if unfinished && position + 1 < tokens.len() {
            continue;
        }
        let text = crate::text::utf8_of(&std::mem::take(&mut bytes));
        let starts_word = !spaces
            || text.starts_with(' ')
            || (!text.is_empty() && text.trim().chars().all(|c| c.is_ascii_punctuation()));
        match groups.last_mut() {
            Some(word) if !starts_word => {
                word.text.push_str(&text);
                word.last = position;
            }
            _ => groups.push(Group {
                text,
                first,
                last: position,
            }),
        }
    }
    groups
}

/// Gives opening marks to the word after them and closing marks to the word before.
fn merge_punctuation(groups: Vec<Group>) -> Vec<Group> {
    let mut closed: Vec<Group> = Vec::with_capacity(groups.len());
    for group in groups {
        match closed.last_mut() {
            Some(word) if !word.text.ends_with(' ') && is_one_of(&group.text, APPENDED) => {
                word.text.push_str(&group.text);
                word.last = group.last;
            }
            _ => closed.push(group),
        }
    }
    let mut merged: Vec<Group> = Vec::with_capacity(closed.len());
    for group in closed.into_iter().rev() {
        match merged.last_mut() {
            Some(word)
                if group.text.starts_with(' ') && is_one_of(group.text.trim(), PREPENDED) =>
            {
                word.text.insert_str(0, &group.text);
                word.first = group.first;
            }
            _ => merged.push(group),
        }
    }
    merged.reverse();
    merged
}

/// Whether `text` is not empty and made of `marks`: a token may hold two, as `?"`.
fn is_one_of(text: &str, marks: &str) -> bool {
    !text.is_empty() && text.chars().all(|mark| marks.contains(mark))
}

/// Cuts words that swallowed a pause: from the right when the word ends a sentence, else from the
/// left.
fn shorten_long_words(segments: &mut [Segment]) {
    let mut lengths: Vec<f64> = segments
        .iter()
        .flat_map(|segment| &segment.words)
        .map(|word| word.end - word.start)
        .filter(|&length| length > 0.0)
        .collect();
    lengths.sort_by(f64::total_cmp);
    let Some(&median) = lengths.get(lengths.len() / 2) else {
        return;
    };
    let longest = 2.0 * median.min(MAX_MEDIAN_SECS);
    for word in segments.iter_mut().flat_map(|segment| &mut segment.words) {
        if word.end - word.start <= longest {
            continue;
        }
        if word.word.ends_with(['.', '。', '!', '！', '?', '？']) {
            word.end = word.start + longest;
        } else {
            word.start = word.end - longest;
        }
    }
}

/// Moves the ends of words inward over silence. `samples` is the chunk from which times count.
///
/// Warping knows when a token ends but not when it begins, so a word after a pause begins with a
/// part of the pause. In noise no frame counts as silence and nothing changes.
fn trim_silence(words: &mut [Word], samples: &[f32]) {
    for word in words {
        let first = (word.start * f64::from(SAMPLE_RATE)) as usize;
        let last = (word.end * f64::from(SAMPLE_RATE)) as usize;
        let own = samples
            .get(first.min(samples.len())..last.min(samples.len()))
            .unwrap_or_default();
        let powers: Vec<f32> = own
            .chunks(FRAME_SAMPLES)
            .map(|frame| frame.iter().map(|s| s * s).sum::<f32>() / frame.len() as f32)
            .collect();
        let floor = powers.iter().copied().fold(0.0, f32::max) * SILENCE_POWER;
        let Some(head) = powers.iter().position(|&power| power > floor) else {
            continue;
        };
        let tail = powers
            .iter()
            .rev()
            .take_while(|&&power| power <= floor)
            .count();
        let frame_secs = FRAME_SAMPLES as f64 / f64::from(SAMPLE_RATE);
        let start = word.start + head as f64 * frame_secs;
        let end = word.end - tail as f64 * frame_secs;
        if end - start >= MIN_WORD_SECS {
            (word.start, word.end) = (start, end);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "tests")]
    use super::*;

    fn token(bytes: &[u8], end: Option<f64>) -> TextToken<'_> {
        TextToken {
            bytes,
            probability: 0.5,
            end,
        }
    }

    fn texts(words: &[Word]) -> Vec<&str> {
        words.iter().map(|word| word.word.as_str()).collect()
    }

    #[test]
    fn words_begin_at_spaces_and_keep_their_punctuation() {
        let tokens = [
            token(b" And", Some(0.4)),
            token(b" so", Some(0.6)),
            token(b",", Some(0.7)),
            token(b" (", Some(0.8)),
            token(b"Amer", Some(1.0)),
            token(b"icans", Some(1.4)),
            token(b")", Some(1.5)),
            token(b"!\"", Some(1.5)),
        ];
        let words = words(&tokens, 0.0, 2.0, true);
        assert_eq!(texts(&words), ["And", "so,", "(Americans)!\""]);
        assert_eq!((words[1].start, words[1].end), (0.4, 0.7));
        assert_eq!((words[2].start, words[2].end), (0.7, 1.5));
    }

    #[test]
    fn a_character_split_over_tokens_stays_whole() {
        let ni = "你".as_bytes();
        let hao = "好".as_bytes();
        let tokens = [
            token(&ni[..2], Some(0.2)),
            token(&ni[2..], Some(0.4)),
            token(hao, Some(0.8)),
            token("。".as_bytes(), Some(0.9)),
        ];
        let chinese = words(&tokens, 0.0, 1.0, false);
        assert_eq!(texts(&chinese), ["你", "好。"]);
        assert_eq!((chinese[0].start, chinese[0].end), (0.0, 0.4));
        let broken = words(&[token(&ni[..2], None), token(b" a", None)], 0.0, 1.0, true);
        assert_eq!(texts(&broken), ["a"]);
        let cut = words(&[token(b" a", None), token(&ni[..2], None)], 0.0, 1.0, true);
        assert_eq!(texts(&cut), ["a"]);
    }

    #[test]
    fn missing_times_are_shared_out_evenly() {
        let tokens = [
            token(b" a", None),
            token(b" b", Some(1.0)),
            token(b" c", None),
            token(b" d", None),
        ];
        let words = words(&tokens, 0.0, 2.0, true);
        let ends: Vec<f64> = words.iter().map(|word| word.end).collect();
        assert_eq!(ends, [0.5, 1.0, 1.5, 2.0]);
    }

    #[test]
    fn times_stay_inside_their_bounds_and_never_go_back() {
        let tokens = [
            token(b" a", Some(5.0)),
            token(b" b", Some(0.1)),
            token(b" c", Some(9.0)),
        ];
        let words = words(&tokens, 1.0, 2.0, true);
        let mut last = 1.0;
        for word in &words {
            assert!(word.start >= last && word.end >= word.start && word.end <= 2.0);
            last = word.start;
        }
    }

    #[test]
    fn silence_around_a_word_is_not_part_of_it() {
        let mut samples = vec![0.001_f32; 16_000];
        samples[4_800..8_000].fill(0.5);
        let mut spoken = words(&[token(b" hey", Some(1.0))], 0.0, 1.0, true);
        trim_silence(&mut spoken, &samples);
        assert!((spoken[0].start - 0.3).abs() < 0.02, "{:?}", spoken[0]);
        assert!((spoken[0].end - 0.5).abs() < 0.02, "{:?}", spoken[0]);
        let mut past_the_end = words(&[token(b" hey", Some(9.0))], 8.0, 9.0, true);
        trim_silence(&mut past_the_end, &samples);
        assert_eq!((past_the_end[0].start, past_the_end[0].end), (8.0, 9.0));
    }

    #[test]
    fn a_word_does_not_swallow_the_pause_before_it() {
        let tokens = [
            token(b" And", Some(8.0)),
            token(b" so", Some(8.2)),
            token(b" my", Some(8.4)),
            token(b" fellow", Some(8.7)),
        ];
        let mut segments = [Segment {
            id: 0,
            start: 0.0,
            end: 9.0,
            text: "And so my fellow".to_owned(),
            tokens: Vec::new(),
            logprobs: Vec::new(),
            temperature: 0.0,
            avg_logprob: 0.0,
            compression_ratio: 1.0,
            no_speech_prob: 0.0,
            words: words(&tokens, 0.0, 9.0, true),
            speaker: None,
            channel: None,
            language: None,
        }];
        finish(&mut segments, &[]);
        assert!(segments[0].words[0].start > 7.0, "{:?}", segments[0]);
    }

    /// Segments whose words have these times.
    fn timed(times: &[&[(f64, f64)]]) -> Vec<Segment> {
        let word = |&(start, end): &(f64, f64)| Word {
            word: "a".to_owned(),
            start,
            end,
            probability: 1.0,
            speaker: None,
        };
        let segment = |times: &&[(f64, f64)]| Segment {
            id: 0,
            start: 0.0,
            end: 9.0,
            text: "a".to_owned(),
            tokens: Vec::new(),
            logprobs: Vec::new(),
            temperature: 0.0,
            avg_logprob: 0.0,
            compression_ratio: 1.0,
            no_speech_prob: 0.0,
            words: times.iter().map(word).collect(),
            speaker: None,
            channel: None,
            language: None,
        };
        times.iter().map(segment).collect()
    }

    fn separated(times: &[&[(f64, f64)]], limit: f64) -> Vec<(f64, f64)> {
        let mut segments = timed(times);
        separate(&mut segments, limit);
        let words = segments.iter().flat_map(|segment| &segment.words);
        words.map(|word| (word.start, word.end)).collect()
    }

    #[test]
    fn words_that_follow_each_other_keep_their_times() {
        let times: [&[(f64, f64)]; 2] = [&[(0.1, 0.5), (0.5, 0.9)], &[(2.0, 2.04), (2.5, 3.0)]];
        assert_eq!(separated(&times, 3.0), times.concat());
    }

    #[test]
    fn no_word_is_empty_none_overlaps_and_none_leaves_the_chunk() {
        let empty: &[(f64, f64)] = &[(1.0, 1.0); 8];
        let late: &[(f64, f64)] = &[(4.9, 5.0), (5.0, 5.0), (5.0, 5.0), (5.2, 5.4)];
        let passes: [&[(f64, f64)]; 2] = [&[(1.0, 2.0), (2.0, 3.02)], &[(3.0, 3.5), (3.4, 3.6)]];
        let crowd = vec![(0.5, 0.5); 500];
        for times in [&[empty][..], &[late], &passes, &[&crowd], &[&[]]] {
            let got = separated(times, 5.0);
            let mut last = 0.0;
            for (start, end) in got {
                assert!(last <= start && start < end && end <= 5.0, "{start} {end}");
                last = end;
            }
        }
        let got = separated(&passes, 5.0);
        assert_eq!(
            got[1],
            (2.0, 3.0),
            "an overlap ends where the next word begins"
        );
    }
}
