//! Where lines of Chinese, Japanese and Korean may break: between phrases, never within a word.
//!
//! Unicode's line breaking algorithm allows a break between any two of their characters. Phrases of
//! Japanese and Chinese are found by BudouX's models (Google, Apache-2.0); Korean has spaces.
//!
//! Refuses no text: where a model finds no place in [`MAX_PHRASE_CHARS`], every place is one.

use std::collections::BTreeSet;

use budoux::Model;

/// Longest phrase that stays in one piece: two thirds of a line's 21 wide characters.
const MAX_PHRASE_CHARS: usize = 14;

/// A kind of writing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Script {
    Han,
    Kana,
    Hangul,
    Other,
}

fn script(c: char) -> Script {
    match c {
        // Marks of repetition and length belong to what they follow.
        '\u{3005}'
        | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}' => Script::Han,
        '\u{3041}'..='\u{309f}'
        | '\u{30a1}'..='\u{30fa}'
        | '\u{30fc}'..='\u{30ff}'
        | '\u{31f0}'..='\u{31ff}'
        | '\u{ff66}'..='\u{ff9f}' => Script::Kana,
        '\u{1100}'..='\u{11ff}' | '\u{3130}'..='\u{318f}' | '\u{ac00}'..='\u{d7a3}' => {
            Script::Hangul
        }
        _ => Script::Other,
    }
}

/// The places of a text where a line must not break, though Unicode allows it.
pub(super) struct Phrases {
    /// Byte offsets between two characters of Chinese or Japanese where a phrase begins; `None` where
    /// the text has none of them.
    starts: Option<BTreeSet<usize>>,
}

impl Phrases {
    pub(super) fn of(text: &str) -> Self {
        let has = |wanted: Script| text.chars().any(|c| script(c) == wanted);
        let model: fn() -> &'static Model = match (has(Script::Kana), has(Script::Han)) {
            (true, _) => budoux::models::default_japanese_model,
            (false, true) => budoux::models::default_simplified_chinese_model,
            (false, false) => return Self { starts: None },
        };
        let mut starts = BTreeSet::new();
        let mut at = 0;
        for phrase in budoux::parse(model(), text) {
            starts.insert(at);
            // Longer ones are cut anywhere, as they would have been.
            if phrase.chars().count() > MAX_PHRASE_CHARS {
                starts.extend(phrase.char_indices().map(|(inside, _)| at + inside));
            }
            at += phrase.len();
        }
        Self {
            starts: Some(starts),
        }
    }

    /// Whether a break before the byte at `offset` of `text` is between two phrases.
    pub(super) fn may_break(&self, text: &str, offset: usize) -> bool {
        let before = text.get(..offset).and_then(|t| t.chars().next_back());
        let after = text.get(offset..).and_then(|t| t.chars().next());
        let (Some(before), Some(after)) = (before, after) else {
            return true;
        };
        match (script(before), script(after)) {
            (Script::Hangul, Script::Hangul) => false,
            (Script::Han | Script::Kana, Script::Han | Script::Kana) => {
                let starts = self.starts.as_ref();
                starts.is_none_or(|starts| starts.contains(&offset))
            }
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text with a bar wherever a line may break between two characters.
    fn broken(text: &str) -> String {
        let phrases = Phrases::of(text);
        let mut out = String::new();
        for (at, c) in text.char_indices() {
            if at > 0 && phrases.may_break(text, at) {
                out.push('|');
            }
            out.push(c);
        }
        out
    }

    #[test]
    fn a_word_is_never_cut() {
        for (text, words) in [
            (
                "音声認識モデルのベースラインの品質を検査します",
                ["ベースライン", "モデル", "品質"],
            ),
            (
                "您可以使用语音识别模型来检查识别质量",
                ["语音", "可以", "质量"],
            ),
            (
                "음성 인식 모델의 품질을 검사합니다",
                ["음성", "모델의", "검사합니다"],
            ),
        ] {
            let broken = broken(text);
            assert!(broken.contains('|'), "{broken}");
            for word in words {
                assert!(broken.contains(word), "{word}: {broken}");
            }
        }
    }

    #[test]
    fn text_without_phrases_is_cut_anywhere_after_a_while() {
        let text = "ア".repeat(40);
        assert!(broken(&text).matches('|').count() >= 2);
        assert_eq!(broken("ab"), "a|b", "Unicode's own rules hold for the rest");
    }
}
