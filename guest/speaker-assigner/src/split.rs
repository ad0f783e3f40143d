//! Splits a segment where its words change speaker.
//!
//! A word's times are good to some 0.2 s, so a change that falls one word beside the end of a
//! sentence is moved there. The text is cut, not put together from the words: languages without
//! spaces stay as they were written. What the model says of a segment as a whole (probabilities,
//! temperature) holds for each part. Which tokens belong to which part is known where they come with
//! their probabilities, and so with their bytes; else the parts have none.

mod tokens;

use auricle_guest::speaker_assigner::{Segment, Word};

/// A word that begins at most so long after the change may still belong to what was before it.
const MOVED_SECS: f64 = 0.6;

/// The segment itself when one speaker says all its words, else its parts in order of time.
pub fn at_changes(mut segment: Segment) -> Vec<Segment> {
    settle(&mut segment.words);
    let starts: Vec<usize> = (1..segment.words.len())
        .filter(|&n| speaker(&segment.words, n) != speaker(&segment.words, n - 1))
        .collect();
    let cuts = cuts(&segment, &starts);
    if starts.is_empty() || cuts.len() != starts.len() {
        return whole(segment);
    }
    parts(&segment, &starts, &cuts)
}

/// No split: the segment gets the speaker of its only words.
fn whole(mut segment: Segment) -> Vec<Segment> {
    let first = speaker(&segment.words, 0);
    let all_of_one = (0..segment.words.len()).all(|n| speaker(&segment.words, n) == first);
    if all_of_one && first.is_some() {
        segment.speaker = first.map(str::to_owned);
    }
    vec![segment]
}

fn speaker(words: &[Word], number: usize) -> Option<&str> {
    words.get(number)?.speaker.as_deref()
}

/// Moves changes of speaker to the end of a sentence one word before or after.
fn settle(words: &mut [Word]) {
    let mut number = 1;
    while number < words.len() {
        let (before, after) = words.split_at_mut(number);
        let beyond = after.get(1).map(|word| word.speaker.clone());
        if let (Some(last), Some(first)) = (before.last(), after.first_mut())
            && last.speaker != first.speaker
            && !ends_sentence(&last.word)
            && ends_sentence(&first.word)
            && first.end - last.end <= MOVED_SECS
            && beyond.as_ref().is_none_or(|next| *next == first.speaker)
            && (beyond.is_some() || before.len() > 1)
        {
            // "… how are | you? I am …": the sentence's last word.
            first.speaker.clone_from(&last.speaker);
        }
        number += 1;
    }
    for number in 2..words.len() {
        let (before, after) = words.split_at_mut(number);
        let (Some(first), Some((last, earlier))) = (after.first(), before.split_last_mut()) else {
            continue;
        };
        if last.speaker != first.speaker
            && !ends_sentence(&last.word)
            && first.start - last.start <= MOVED_SECS
            && earlier
                .last()
                .is_some_and(|word| ends_sentence(&word.word) && word.speaker == last.speaker)
        {
            // "… you? I | am …": the next sentence's first word.
            last.speaker.clone_from(&first.speaker);
        }
    }
}

fn ends_sentence(word: &str) -> bool {
    let bare = word.trim_end_matches(['"', '\'', ')', '”', '’', '»']);
    bare.ends_with(['.', '!', '?', '…', '。', '！', '？', '؟', '।'])
}

/// Where in the text the words numbered `starts` begin; fewer when a word is not to be found.
fn cuts(segment: &Segment, starts: &[usize]) -> Vec<usize> {
    let (mut cuts, mut at) = (Vec::new(), 0);
    for (number, word) in segment.words.iter().enumerate() {
        let rest = segment.text.get(at..).unwrap_or_default();
        let Some(found) = rest.find(word.word.as_str()) else {
            break;
        };
        if starts.contains(&number) {
            cuts.push(at + found);
        }
        at += found + word.word.len();
    }
    cuts
}

fn parts(segment: &Segment, starts: &[usize], cuts: &[usize]) -> Vec<Segment> {
    let last = starts.len();
    let mut tokens = tokens::split(segment, cuts).into_iter();
    let bounds = |list: &[usize], part: usize, end: usize| {
        let from = part.checked_sub(1).and_then(|p| list.get(p)).copied();
        (from.unwrap_or(0), list.get(part).copied().unwrap_or(end))
    };
    let part = |number: usize| {
        let (from, to) = bounds(starts, number, segment.words.len());
        let (text_from, text_to) = bounds(cuts, number, segment.text.len());
        let words = segment.words.get(from..to).unwrap_or_default().to_vec();
        let text = segment.text.get(text_from..text_to).unwrap_or_default();
        let (tokens, logprobs) = tokens.next().unwrap_or_default();
        let start = words.first().map_or(segment.start, |word| word.start);
        let end = words.last().map_or(segment.end, |word| word.end);
        Segment {
            start: if number == 0 { segment.start } else { start },
            end: if number == last {
                segment.end.max(start)
            } else {
                end
            },
            text: text.trim().to_owned(),
            tokens,
            logprobs,
            speaker: words.first().and_then(|word| word.speaker.clone()),
            words,
            ..segment.clone()
        }
    };
    (0..=last).map(part).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "tests")]
    use auricle_guest::speech::TokenLogprob;

    use super::*;

    /// A segment with a word every 0.3 s; a word's speaker stands before a colon.
    fn said(text: &str, glue: &str) -> Segment {
        let mut words = Vec::new();
        for (number, said) in text.split(' ').enumerate() {
            let (speaker, word) = said.split_once(':').unwrap_or_default();
            let start = 0.3 * number as f64;
            words.push(Word {
                word: word.to_owned(),
                start,
                end: start + 0.25,
                probability: 0.9,
                speaker: Some(speaker.to_owned()),
            });
        }
        let texts: Vec<&str> = words.iter().map(|w| w.word.as_str()).collect();
        Segment {
            id: 3,
            start: 0.0,
            end: 0.3 * words.len() as f64,
            text: texts.join(glue),
            tokens: vec![1, 2],
            logprobs: Vec::new(),
            temperature: 0.2,
            avg_logprob: -0.1,
            compression_ratio: 1.0,
            no_speech_prob: 0.0,
            words,
            speaker: Some("A".to_owned()),
            language: None,
        }
    }

    fn parts_of(text: &str, glue: &str) -> Vec<(String, String)> {
        let parts = at_changes(said(text, glue));
        parts
            .into_iter()
            .map(|part| (part.speaker.unwrap_or_default(), part.text))
            .collect()
    }

    fn expected(parts: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = parts
            .iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()));
        owned.collect()
    }

    #[test]
    fn a_segment_of_one_speaker_stays_as_it_is() {
        let segment = said("A:We A:are A:here.", " ");
        let parts = at_changes(segment.clone());
        assert_eq!(parts.len(), 1);
        assert_eq!(
            (&parts[0].text, &parts[0].tokens),
            (&segment.text, &segment.tokens)
        );
    }

    #[test]
    fn a_segment_is_split_where_the_speaker_changes() {
        let parts = at_changes(said("A:How A:are A:you? B:Fine, B:thanks. A:Good.", " "));
        let texts: Vec<_> = parts.iter().map(|p| p.text.as_str()).collect();
        assert_eq!(texts, ["How are you?", "Fine, thanks.", "Good."]);
        assert_eq!(
            (parts[0].start, parts[1].start),
            (0.0, parts[1].words[0].start)
        );
        assert!(parts.windows(2).all(|pair| pair[0].end <= pair[1].start));
    }

    #[test]
    fn a_change_one_word_beside_the_end_of_a_sentence_is_moved_there() {
        let right = expected(&[("A", "How are you?"), ("B", "I am fine.")]);
        assert_eq!(parts_of("A:How A:are B:you? B:I B:am B:fine.", " "), right);
        assert_eq!(parts_of("A:How A:are A:you? A:I B:am B:fine.", " "), right);
    }

    #[test]
    fn each_part_has_its_own_tokens_where_their_bytes_are_known() {
        let mut segment = said("A:How A:are A:you? B:Fine, B:thanks.", " ");
        let pieces = [
            " How", " are", " you", "?", " F", "ine", ",", " thanks", ".",
        ];
        segment.tokens = (1..).zip(&pieces).map(|(id, _)| id).collect();
        let token = |piece: &&str| TokenLogprob {
            token: piece.as_bytes().to_vec(),
            logprob: -0.5,
        };
        segment.logprobs = pieces.iter().map(token).collect();
        let parts = at_changes(segment);
        let ids: Vec<_> = parts.iter().map(|part| part.tokens.clone()).collect();
        assert_eq!(ids, [vec![1, 2, 3, 4], vec![5, 6, 7, 8, 9]]);
        let said = |part: &Segment| {
            part.logprobs
                .iter()
                .flat_map(|it| it.token.clone())
                .collect()
        };
        let bytes: Vec<Vec<u8>> = parts.iter().map(said).collect();
        assert_eq!(
            bytes,
            [b" How are you?".to_vec(), b" Fine, thanks.".to_vec()]
        );
    }

    #[test]
    fn text_without_spaces_is_cut_and_not_respaced() {
        let parts = parts_of("A:你 A:好。 B:谢 B:谢", "");
        assert_eq!(parts, expected(&[("A", "你好。"), ("B", "谢谢")]));
    }

    #[test]
    fn a_segment_whose_words_are_not_its_text_is_not_split() {
        let mut segment = said("A:one B:two", " ");
        segment.text = "something else".to_owned();
        assert_eq!(at_changes(segment).len(), 1);
    }
}
