//! Whisper's languages, and how callers spell them.

mod tag;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use tag::{ChineseScript, LanguageTag, is_chinese};

/// A language that Whisper knows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Language(u8);

/// Code and English name of every language, in the order of Whisper's language tokens
/// (`LANGUAGES` in openai-whisper's tokenizer).
const LANGUAGES: [(&str, &str); 100] = [
    ("en", "english"),
    ("zh", "chinese"),
    ("de", "german"),
    ("es", "spanish"),
    ("ru", "russian"),
    ("ko", "korean"),
    ("fr", "french"),
    ("ja", "japanese"),
    ("pt", "portuguese"),
    ("tr", "turkish"),
    ("pl", "polish"),
    ("ca", "catalan"),
    ("nl", "dutch"),
    ("ar", "arabic"),
    ("sv", "swedish"),
    ("it", "italian"),
    ("id", "indonesian"),
    ("hi", "hindi"),
    ("fi", "finnish"),
    ("vi", "vietnamese"),
    ("he", "hebrew"),
    ("uk", "ukrainian"),
    ("el", "greek"),
    ("ms", "malay"),
    ("cs", "czech"),
    ("ro", "romanian"),
    ("da", "danish"),
    ("hu", "hungarian"),
    ("ta", "tamil"),
    ("no", "norwegian"),
    ("th", "thai"),
    ("ur", "urdu"),
    ("hr", "croatian"),
    ("bg", "bulgarian"),
    ("lt", "lithuanian"),
    ("la", "latin"),
    ("mi", "maori"),
    ("ml", "malayalam"),
    ("cy", "welsh"),
    ("sk", "slovak"),
    ("te", "telugu"),
    ("fa", "persian"),
    ("lv", "latvian"),
    ("bn", "bengali"),
    ("sr", "serbian"),
    ("az", "azerbaijani"),
    ("sl", "slovenian"),
    ("kn", "kannada"),
    ("et", "estonian"),
    ("mk", "macedonian"),
    ("br", "breton"),
    ("eu", "basque"),
    ("is", "icelandic"),
    ("hy", "armenian"),
    ("ne", "nepali"),
    ("mn", "mongolian"),
    ("bs", "bosnian"),
    ("kk", "kazakh"),
    ("sq", "albanian"),
    ("sw", "swahili"),
    ("gl", "galician"),
    ("mr", "marathi"),
    ("pa", "punjabi"),
    ("si", "sinhala"),
    ("km", "khmer"),
    ("sn", "shona"),
    ("yo", "yoruba"),
    ("so", "somali"),
    ("af", "afrikaans"),
    ("oc", "occitan"),
    ("ka", "georgian"),
    ("be", "belarusian"),
    ("tg", "tajik"),
    ("sd", "sindhi"),
    ("gu", "gujarati"),
    ("am", "amharic"),
    ("yi", "yiddish"),
    ("lo", "lao"),
    ("uz", "uzbek"),
    ("fo", "faroese"),
    ("ht", "haitian creole"),
    ("ps", "pashto"),
    ("tk", "turkmen"),
    ("nn", "nynorsk"),
    ("mt", "maltese"),
    ("sa", "sanskrit"),
    ("lb", "luxembourgish"),
    ("my", "myanmar"),
    ("bo", "tibetan"),
    ("tl", "tagalog"),
    ("mg", "malagasy"),
    ("as", "assamese"),
    ("tt", "tatar"),
    ("haw", "hawaiian"),
    ("ln", "lingala"),
    ("ha", "hausa"),
    ("ba", "bashkir"),
    ("jw", "javanese"),
    ("su", "sundanese"),
    ("yue", "cantonese"),
];

impl Language {
    /// English.
    pub const ENGLISH: Self = Self(0);

    /// The language with this position among Whisper's language tokens.
    #[must_use]
    pub fn from_index(index: usize) -> Option<Self> {
        (index < LANGUAGES.len()).then_some(Self(index as u8))
    }

    /// Position among Whisper's language tokens, from 0.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The code: ISO 639-1 where there is one (`en`), else ISO 639-3 (`haw`).
    #[must_use]
    pub fn code(self) -> &'static str {
        self.row().0
    }

    /// The English name in lower case, as OpenAI's API writes it (`english`).
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// Every language.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..LANGUAGES.len() as u8).map(Self)
    }

    fn row(self) -> (&'static str, &'static str) {
        LANGUAGES
            .get(self.index())
            .copied()
            .unwrap_or(("en", "english"))
    }
}

impl From<Language> for String {
    fn from(language: Language) -> Self {
        language.code().to_owned()
    }
}

impl TryFrom<String> for Language {
    type Error = UnknownLanguage;

    fn try_from(text: String) -> Result<Self, UnknownLanguage> {
        text.parse()
    }
}

impl FromStr for Language {
    type Err = UnknownLanguage;

    /// Takes every spelling that a [`LanguageTag`] may have.
    fn from_str(text: &str) -> Result<Self, UnknownLanguage> {
        text.parse().map(|tag: LanguageTag| tag.language)
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// A language that Whisper does not have.
#[derive(Debug, thiserror::Error)]
#[error("unknown language '{0}': use a code such as 'en', 'pt-BR' or 'deu', or an English name")]
pub struct UnknownLanguage(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names_are_read_in_any_case() {
        assert_eq!("en".parse::<Language>().ok(), Some(Language::ENGLISH));
        assert_eq!("English".parse::<Language>().ok(), Some(Language::ENGLISH));
        assert!("klingon".parse::<Language>().is_err());
    }

    #[test]
    fn every_language_is_found_by_its_code() {
        for language in Language::all() {
            assert_eq!(language.code().parse::<Language>().ok(), Some(language));
        }
    }
}
