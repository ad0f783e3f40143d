//! Text of tokens.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;

/// Whether a text is nothing but a tag for something that is not speech: `[BLANK_AUDIO]`,
/// `(whistling)`, `*laughs*`, `♪ ♪`.
///
/// An empty text is not a tag; a tag beside words is not one either.
#[must_use]
pub fn is_non_speech_tag(text: &str) -> bool {
    let mut rest = text.trim();
    if rest.is_empty() {
        return false;
    }
    while !rest.is_empty() {
        let Some(first) = rest.chars().next() else {
            break;
        };
        let closing = match first {
            '[' => Some(']'),
            '(' => Some(')'),
            '（' => Some('）'),
            '【' => Some('】'),
            '*' => Some('*'),
            _ => None,
        };
        let after = &rest[first.len_utf8()..];
        rest = match closing {
            Some(closing) => match after.split_once(closing) {
                Some((_, after)) => after,
                None => return false,
            },
            None if is_filler(first) => after,
            None => return false,
        };
    }
    true
}

/// Characters that carry no words of their own between tags.
fn is_filler(c: char) -> bool {
    c.is_whitespace() || matches!(c, '♪' | '♩' | '♫' | '♬' | '♭' | '♮' | '♯' | '.' | '-')
}

/// Length of the UTF-8 text over the length of its zlib compression (level 6, as Python's
/// `zlib.compress` does for openai-whisper). 0.0 for an empty text.
pub(crate) fn compression_ratio(text: &str) -> f32 {
    if text.is_empty() {
        return 0.0;
    }
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(6));
    match encoder
        .write_all(text.as_bytes())
        .and_then(|()| encoder.finish())
    {
        Ok(compressed) if !compressed.is_empty() => text.len() as f32 / compressed.len() as f32,
        _ => 0.0,
    }
}

/// The text of `bytes` without what is not UTF-8: a token may hold half a character, and a
/// decoding may end there.
pub(crate) fn utf8_of(bytes: &[u8]) -> String {
    bytes.utf8_chunks().map(|chunk| chunk.valid()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_texts_in_brackets_are_tags() {
        for tag in [
            "[BLANK_AUDIO]",
            " (whistling) ",
            "[Music] [Applause]",
            "♪",
            "♪♪ ♪",
            "*laughs*",
            "（音楽）",
            "[ Silence ].",
        ] {
            assert!(is_non_speech_tag(tag), "{tag}");
        }
    }

    #[test]
    fn words_beside_a_tag_are_kept() {
        for text in [
            "",
            "   ",
            "[Music] Hello",
            "Hello (hi)",
            "♪ la la ♪",
            "(unclosed",
            "5 * 3 * 2",
        ] {
            assert!(!is_non_speech_tag(text), "{text}");
        }
    }

    #[test]
    fn repetition_raises_the_compression_ratio() {
        assert!(compression_ratio(&"thank you. ".repeat(30)) > 2.4);
        assert!(compression_ratio("Ask not what your country can do for you.") < 1.5);
        assert!((compression_ratio("")).abs() < f32::EPSILON);
    }

    #[test]
    fn half_a_character_is_left_out() {
        assert_eq!(utf8_of("né".as_bytes()), "né");
        assert_eq!(utf8_of(&[b'n', 0xc3]), "n");
        assert_eq!(utf8_of(&[0xa9, b'n']), "n");
    }
}
