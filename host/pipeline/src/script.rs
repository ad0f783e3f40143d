//! One script in a Chinese transcript.
//!
//! Whisper writes Chinese in simplified or traditional characters as each chunk comes. A transcript is
//! in the script that its request names (`zh-TW`, `zh-CN`), else in that of its first segment that tells:
//! segments in the other script are converted with OpenCC's dictionaries, to the characters of Taiwan or
//! of mainland China. Only characters change, not the choice of words. Token ids stay the model's.

use auricle_speech::{ChineseScript, Segment, is_chinese};
use hanconv::{s2tw, tw2s};

/// The script of one transcript.
#[derive(Debug)]
pub(crate) struct Script(Option<ChineseScript>);

impl Script {
    /// The script that was requested; `None` leaves it to the first segment that tells.
    pub(crate) fn new(requested: Option<ChineseScript>) -> Self {
        Self(requested)
    }

    /// Converts the segments that are in the other script.
    pub(crate) fn apply(&mut self, segments: &mut [Segment]) {
        for segment in segments {
            if segment.language.is_some_and(is_chinese) {
                self.convert(segment);
            }
        }
    }

    fn convert(&mut self, segment: &mut Segment) {
        let simplified = tw2s(&segment.text);
        let traditional = s2tw(&segment.text);
        // Characters that the script does not have.
        let not_simplified = differences(&segment.text, &simplified);
        let not_traditional = differences(&segment.text, &traditional);
        if self.0.is_none() && not_simplified != not_traditional {
            self.0 = Some(match not_simplified > not_traditional {
                true => ChineseScript::Traditional,
                false => ChineseScript::Simplified,
            });
        }
        match self.0 {
            Some(ChineseScript::Simplified) if not_simplified > 0 => rewrite(segment, simplified),
            // Some simplified characters are traditional ones too.
            Some(ChineseScript::Traditional) if not_traditional > not_simplified => {
                rewrite(segment, traditional);
            }
            _ => {}
        }
    }
}

/// At how many places two texts of the same length differ.
fn differences(one: &str, other: &str) -> usize {
    let pairs = one.chars().zip(other.chars());
    pairs.filter(|(a, b)| a != b).count()
}

/// Gives a segment a text that has a character for each of its own.
fn rewrite(segment: &mut Segment, text: String) {
    let mut at = 0;
    for word in &mut segment.words {
        let rest = segment.text.get(at..).unwrap_or_default();
        let found = rest.find(&word.word).map(|from| at + from);
        let end = found.map(|from| from + word.word.len());
        let converted = found.zip(end).and_then(|(from, end)| {
            let skipped = segment.text.get(..from)?.chars().count();
            let length = segment.text.get(from..end)?.chars().count();
            Some(text.chars().skip(skipped).take(length).collect())
        });
        if let Some(converted) = converted {
            word.word = converted;
            at = end.unwrap_or(at);
        }
    }
    let bytes: usize = segment.logprobs.iter().map(|token| token.token.len()).sum();
    // The tokens' bytes are the text, with a space before it or without.
    let space = bytes.saturating_sub(segment.text.len());
    if text.len() == segment.text.len() && space <= 1 {
        let mut rest = " ".repeat(space).into_bytes();
        rest.extend_from_slice(text.as_bytes());
        for token in &mut segment.logprobs {
            let length = token.token.len().min(rest.len());
            token.token = rest.drain(..length).collect();
        }
    }
    segment.text = text;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use auricle_speech::{TokenLogprob, Word};

    use super::*;

    const SIMPLIFIED: &str = "语音识别模型的质量";
    const TRADITIONAL: &str = "語音識別模型的質量";

    fn segment(text: &str) -> Segment {
        let word = |word: &str| Word {
            word: word.to_owned(),
            start: 0.0,
            end: 1.0,
            probability: 0.9,
            speaker: None,
        };
        let tokens = text.as_bytes().chunks(2).map(|bytes| TokenLogprob {
            token: bytes.to_vec(),
            logprob: -0.1,
        });
        Segment {
            id: 0,
            start: 0.0,
            end: 1.0,
            text: text.to_owned(),
            tokens: Vec::new(),
            logprobs: tokens.collect(),
            temperature: 0.0,
            avg_logprob: -0.2,
            compression_ratio: 1.0,
            no_speech_prob: 0.0,
            words: text.chars().map(|c| word(&c.to_string())).collect(),
            speaker: None,
            channel: None,
            language: "zh".parse().ok(),
        }
    }

    fn applied(script: &mut Script, text: &str) -> Segment {
        let mut segments = [segment(text)];
        script.apply(&mut segments);
        let [segment] = segments;
        segment
    }

    #[test]
    fn later_segments_are_in_the_script_of_the_first() {
        for (first, second) in [(SIMPLIFIED, TRADITIONAL), (TRADITIONAL, SIMPLIFIED)] {
            let mut script = Script::new(None);
            // Tells nothing: the same in both.
            assert_eq!(applied(&mut script, "你好").text, "你好");
            assert_eq!(applied(&mut script, first).text, first);
            let converted = applied(&mut script, second);
            assert_eq!(converted.text, first);
            let words: String = converted.words.iter().map(|w| w.word.as_str()).collect();
            assert_eq!(words, first);
            let bytes: Vec<u8> = converted
                .logprobs
                .into_iter()
                .flat_map(|t| t.token)
                .collect();
            assert_eq!(String::from_utf8(bytes).unwrap(), first);
        }
    }

    #[test]
    fn a_requested_script_wins() {
        let mut script = Script::new(Some(ChineseScript::Traditional));
        assert_eq!(applied(&mut script, "头发后来变了").text, "頭髮後來變了");
        let mut script = Script::new(Some(ChineseScript::Simplified));
        assert_eq!(applied(&mut script, TRADITIONAL).text, SIMPLIFIED);
    }

    #[test]
    fn other_languages_keep_their_characters() {
        let mut script = Script::new(Some(ChineseScript::Simplified));
        let mut japanese = [Segment {
            language: "ja".parse().ok(),
            ..segment("語音認識の質")
        }];
        script.apply(&mut japanese);
        assert_eq!(japanese[0].text, "語音認識の質");
    }
}
