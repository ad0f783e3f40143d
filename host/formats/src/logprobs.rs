//! Tokens with their probabilities, as `include[]=logprobs` has them in OpenAI's API.

use auricle_speech::{Segment, TokenLogprob};
use serde::Serialize;

use crate::openai::widened;

/// One token.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LogprobBody {
    /// Its text; what is no whole character in it is U+FFFD.
    token: String,
    bytes: Vec<u8>,
    logprob: f64,
}

/// The tokens of one segment.
///
/// All bytes together are the segment's text, with a space before it when it `follows` another: the
/// same as in the whole text. Tokens of nothing but the space around a segment are left out.
#[must_use]
pub fn logprobs(segment: &Segment, follows: bool) -> Vec<LogprobBody> {
    let mut tokens: Vec<TokenLogprob> = segment.logprobs.clone();
    let blank = |token: &TokenLogprob| token.token.iter().all(u8::is_ascii_whitespace);
    let first = tokens.iter().position(|token| !blank(token));
    tokens.drain(..first.unwrap_or(tokens.len()));
    let last = tokens.iter().rposition(|token| !blank(token));
    tokens.truncate(last.map_or(0, |last| last + 1));
    if let Some(token) = tokens.last_mut() {
        token.token.truncate(token.token.trim_ascii_end().len());
    }
    if let Some(token) = tokens.first_mut() {
        let bare = token.token.trim_ascii_start();
        token.token = match follows {
            true => [b" ", bare].concat(),
            false => bare.to_vec(),
        };
    }
    let body = |token: TokenLogprob| LogprobBody {
        token: String::from_utf8_lossy(&token.token).into_owned(),
        bytes: token.token,
        logprob: widened(token.logprob),
    };
    tokens.into_iter().map(body).collect()
}

/// The tokens of a whole text.
pub(crate) fn all_logprobs(segments: &[Segment]) -> Vec<LogprobBody> {
    let spoken = segments.iter().filter(|segment| !segment.text.is_empty());
    spoken
        .enumerate()
        .flat_map(|(number, segment)| logprobs(segment, number > 0))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(tokens: &[&[u8]]) -> Segment {
        let token = |bytes: &&[u8]| TokenLogprob {
            token: bytes.to_vec(),
            logprob: -0.25,
        };
        let bytes = tokens.concat();
        Segment {
            id: 0,
            start: 0.0,
            end: 1.0,
            text: String::from_utf8_lossy(&bytes).trim().to_owned(),
            tokens: Vec::new(),
            logprobs: tokens.iter().map(token).collect(),
            temperature: 0.0,
            avg_logprob: -0.25,
            compression_ratio: 1.0,
            no_speech_prob: 0.0,
            words: Vec::new(),
            speaker: None,
            channel: None,
            language: None,
        }
    }

    #[test]
    fn the_bytes_together_are_the_text() {
        let segments = [
            segment(&[b" Ask", b" not", b".", b" "]),
            segment(&[b" ", b" What", b" caf\xc3", b"\xa9 "]),
            segment(&[b" "]),
            segment(&[b"So"]),
        ];
        let all = all_logprobs(&segments);
        let bytes: Vec<u8> = all.iter().flat_map(|token| token.bytes.clone()).collect();
        assert_eq!(String::from_utf8_lossy(&bytes), "Ask not. What café So");
        assert_eq!(all.len(), 7);
        assert_eq!(
            all.get(4).map(|token| token.token.as_str()),
            Some(" caf\u{fffd}")
        );
        assert!(all.iter().all(|token| token.logprob <= 0.0));
    }

    #[test]
    fn a_segment_without_probabilities_has_none() {
        assert!(logprobs(&segment(&[]), true).is_empty());
    }
}
