//! Which tokens belong to which part of a segment.
//!
//! Tokens that come with their probabilities come with their bytes, which are the text with a space
//! before it; so a place in the text is a place among the tokens. A space belongs to the token behind
//! it. Of a token that two parts share, as in languages without spaces, each has its bytes with the
//! probability of the whole; its number goes with the first.

use std::ops::Range;

use auricle_guest::speaker_assigner::Segment;
use auricle_guest::speech::TokenLogprob;

/// The numbers and the bytes of one part's tokens.
type Part = (Vec<u32>, Vec<TokenLogprob>);

/// The tokens of the parts that `cuts`, bytes of the text in order, make of a segment; none where their
/// bytes are not the text's.
pub fn split(segment: &Segment, cuts: &[usize]) -> Vec<Part> {
    let pieces = segment.logprobs.iter().map(|it| it.token.as_slice());
    let bytes: Vec<u8> = pieces.collect::<Vec<_>>().concat();
    let text = segment.text.as_bytes();
    let found = bytes.windows(text.len().max(1)).position(|it| it == text);
    let (Some(lead), true) = (found, segment.tokens.len() == segment.logprobs.len()) else {
        return Vec::new();
    };
    let place = |cut: &usize| {
        let before = bytes.get(..lead + cut).unwrap_or(&bytes);
        before.trim_ascii_end().len()
    };
    let ends = cuts.iter().map(place).chain([bytes.len()]);
    let mut from = 0;
    let ranges = ends.map(|to| std::mem::replace(&mut from, to)..to);
    ranges.map(|range| part(segment, range)).collect()
}

/// The tokens in a range of all bytes.
fn part(segment: &Segment, range: Range<usize>) -> Part {
    let (mut ids, mut logprobs) = (Vec::new(), Vec::new());
    let mut begin = 0;
    for (id, token) in segment.tokens.iter().zip(&segment.logprobs) {
        let end = begin + token.token.len();
        if range.contains(&begin) {
            ids.push(*id);
        }
        let shared = range.start.max(begin)..range.end.min(end);
        let inside = shared.start.saturating_sub(begin)..shared.end.saturating_sub(begin);
        if let Some(bytes) = token.token.get(inside).filter(|bytes| !bytes.is_empty()) {
            logprobs.push(TokenLogprob {
                token: bytes.to_vec(),
                logprob: token.logprob,
            });
        }
        begin = end;
    }
    (ids, logprobs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_across_a_cut_is_shared() {
        let token = |text: &str| TokenLogprob {
            token: text.as_bytes().to_vec(),
            logprob: -1.0,
        };
        let segment = Segment {
            id: 0,
            start: 0.0,
            end: 1.0,
            text: "你好谢谢".to_owned(),
            tokens: vec![1, 2],
            logprobs: vec![token("你"), token("好谢谢")],
            temperature: 0.0,
            avg_logprob: 0.0,
            compression_ratio: 1.0,
            no_speech_prob: 0.0,
            words: Vec::new(),
            speaker: None,
            language: None,
        };
        let parts = split(&segment, &[6]);
        let said = |part: &Part| {
            part.1
                .iter()
                .flat_map(|it| it.token.clone())
                .collect::<Vec<_>>()
        };
        let texts: Vec<_> = parts.iter().map(said).collect();
        assert_eq!(texts, ["你好".as_bytes(), "谢谢".as_bytes()]);
        let ids: Vec<_> = parts.iter().map(|part| part.0.clone()).collect();
        assert_eq!(ids, [vec![1, 2], vec![]]);
        let unknown = Segment {
            text: "else".to_owned(),
            ..segment
        };
        assert!(split(&unknown, &[2]).is_empty());
    }
}
