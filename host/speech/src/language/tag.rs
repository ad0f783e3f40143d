//! Spellings of a language in requests: BCP 47 tags, ISO 639 codes and English names.
//!
//! Only the language and, of Chinese, the script count; regions and other subtags are read and
//! ignored. Refuses text that is no tag, and languages that Whisper does not have.

use std::str::FromStr;

use super::{Language, UnknownLanguage};

/// Longest subtag of a tag, in characters (BCP 47).
const MAX_SUBTAG_CHARS: usize = 8;

/// A language as a caller spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LanguageTag {
    /// The language.
    pub language: Language,
    /// The script in which Chinese is to be written; `None` where the tag does not say it.
    pub script: Option<ChineseScript>,
}

/// A script of Chinese text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChineseScript {
    /// Simplified characters, as written in mainland China and Singapore.
    Simplified,
    /// Traditional characters, as written in Taiwan, Hong Kong and Macau.
    Traditional,
}

/// Codes and names of languages that are not in Whisper's own table: ISO 639-3 and 639-2/B of every
/// language, deprecated and individual codes in common use, and the aliases that OpenAI's tokenizer
/// accepts (`TO_LANGUAGE_CODE`).
const ALIASES: &[(&str, &str)] = &[
    ("en", "eng"),
    ("zh", "zho chi cmn mandarin"),
    ("de", "deu ger"),
    ("es", "spa castilian"),
    ("ru", "rus"),
    ("ko", "kor"),
    ("fr", "fra fre"),
    ("ja", "jpn"),
    ("pt", "por"),
    ("tr", "tur"),
    ("pl", "pol"),
    ("ca", "cat valencian"),
    ("nl", "nld dut flemish"),
    ("ar", "ara arb"),
    ("sv", "swe"),
    ("it", "ita"),
    ("id", "ind in"),
    ("hi", "hin"),
    ("fi", "fin"),
    ("vi", "vie"),
    ("he", "heb iw"),
    ("uk", "ukr"),
    ("el", "ell gre"),
    ("ms", "msa may zsm"),
    ("cs", "ces cze"),
    ("ro", "ron rum mo moldavian moldovan"),
    ("da", "dan"),
    ("hu", "hun"),
    ("ta", "tam"),
    ("no", "nor nb nob bokmal"),
    ("th", "tha"),
    ("ur", "urd"),
    ("hr", "hrv"),
    ("bg", "bul"),
    ("lt", "lit"),
    ("la", "lat"),
    ("mi", "mri mao"),
    ("ml", "mal"),
    ("cy", "cym wel"),
    ("sk", "slk slo"),
    ("te", "tel"),
    ("fa", "fas per pes"),
    ("lv", "lav lvs"),
    ("bn", "ben"),
    ("sr", "srp"),
    ("az", "aze azj"),
    ("sl", "slv"),
    ("kn", "kan"),
    ("et", "est ekk"),
    ("mk", "mkd mac"),
    ("br", "bre"),
    ("eu", "eus baq"),
    ("is", "isl ice"),
    ("hy", "hye arm"),
    ("ne", "nep npi"),
    ("mn", "mon khk"),
    ("bs", "bos"),
    ("kk", "kaz"),
    ("sq", "sqi alb als"),
    ("sw", "swa swh"),
    ("gl", "glg"),
    ("mr", "mar"),
    ("pa", "pan panjabi"),
    ("si", "sin sinhalese"),
    ("km", "khm"),
    ("sn", "sna"),
    ("yo", "yor"),
    ("so", "som"),
    ("af", "afr"),
    ("oc", "oci"),
    ("ka", "kat geo"),
    ("be", "bel"),
    ("tg", "tgk"),
    ("sd", "snd"),
    ("gu", "guj"),
    ("am", "amh"),
    ("yi", "yid ji ydd"),
    ("lo", "lao"),
    ("uz", "uzb uzn"),
    ("fo", "fao"),
    ("ht", "hat haitian"),
    ("ps", "pus pbt pushto"),
    ("tk", "tuk"),
    ("nn", "nno"),
    ("mt", "mlt"),
    ("sa", "san"),
    ("lb", "ltz letzeburgesch"),
    ("my", "mya bur burmese"),
    ("bo", "bod tib"),
    ("tl", "tgl fil filipino"),
    ("mg", "mlg plt"),
    ("as", "asm"),
    ("tt", "tat"),
    ("ln", "lin"),
    ("ha", "hau"),
    ("ba", "bak"),
    ("jw", "jav jv"),
    ("su", "sun"),
];

impl FromStr for LanguageTag {
    type Err = UnknownLanguage;

    /// Takes a BCP 47 tag or a locale (`en-US`, `pt_BR`, `zh-Hant-TW`), a code of ISO 639-1, 639-2 or
    /// 639-3, or an English name, in any case.
    fn from_str(text: &str) -> Result<Self, UnknownLanguage> {
        let unknown = || UnknownLanguage(text.to_owned());
        let lower = text.trim().to_ascii_lowercase();
        let mut subtags = lower.split(['-', '_']);
        let primary = subtags.next().unwrap_or_default();
        let rest: Vec<&str> = subtags.collect();
        if !rest.iter().all(|subtag| is_subtag(subtag)) {
            return Err(unknown());
        }
        let mut language = named(primary).ok_or_else(unknown)?;
        // `zh-yue` is the extended form of `yue`.
        if language.code() == "zh" && rest.first() == Some(&"yue") {
            language = named("yue").ok_or_else(unknown)?;
        }
        let script = match is_chinese(language) {
            true => script(&rest),
            false => None,
        };
        Ok(Self { language, script })
    }
}

/// Whether the language is written in Chinese characters, simplified or traditional.
#[must_use]
pub fn is_chinese(language: Language) -> bool {
    matches!(language.code(), "zh" | "yue")
}

fn is_subtag(subtag: &str) -> bool {
    (1..=MAX_SUBTAG_CHARS).contains(&subtag.len())
        && subtag.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// The language with this code or English name, in lower case.
fn named(text: &str) -> Option<Language> {
    let known = Language::all().find(|one| one.code() == text || one.name() == text);
    let alias = || {
        let row = |(_, names): &&(&str, &str)| names.split(' ').any(|name| name == text);
        let code = ALIASES.iter().find(row)?.0;
        Language::all().find(|one| one.code() == code)
    };
    known.or_else(alias)
}

/// The script that subtags name, or that their region writes.
fn script(subtags: &[&str]) -> Option<ChineseScript> {
    let explicit = |subtag: &&str| match *subtag {
        "hans" => Some(ChineseScript::Simplified),
        "hant" => Some(ChineseScript::Traditional),
        _ => None,
    };
    let regional = |subtag: &&str| match *subtag {
        "cn" | "sg" | "my" => Some(ChineseScript::Simplified),
        "tw" | "hk" | "mo" => Some(ChineseScript::Traditional),
        _ => None,
    };
    let named = subtags.iter().find_map(explicit);
    named.or_else(|| subtags.iter().find_map(regional))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn code(text: &str) -> Option<&'static str> {
        let tag: LanguageTag = text.parse().ok()?;
        Some(tag.language.code())
    }

    #[test]
    fn every_usual_spelling_of_a_language_is_read() {
        for (text, expected) in [
            ("en-US", "en"),
            ("EN", "en"),
            ("en_US", "en"),
            ("eng", "en"),
            ("English", "en"),
            ("pt-BR", "pt"),
            ("deu", "de"),
            ("ger", "de"),
            ("de-DE-1996", "de"),
            ("es-419", "es"),
            ("nb-NO", "no"),
            ("Haitian Creole", "ht"),
            ("flemish", "nl"),
            ("iw", "he"),
            ("jv", "jw"),
            ("fil-PH", "tl"),
            ("yue-HK", "yue"),
            ("zh-yue", "yue"),
            ("cmn-Hans-CN", "zh"),
            (" fr ", "fr"),
        ] {
            assert_eq!(code(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn text_that_names_no_language_of_whisper_is_refused() {
        for text in [
            "",
            "xx",
            "klingon",
            "en-",
            "-US",
            "en-averylongsubtag",
            "en US",
            "e\u{301}n",
        ] {
            assert_eq!(code(text), None, "{text}");
        }
    }

    #[test]
    fn every_language_has_an_iso_639_3_code() {
        for language in Language::all() {
            let own = language.code().len() == 3;
            let listed = ALIASES.iter().find(|(code, _)| *code == language.code());
            assert!(own || listed.is_some(), "{language}");
        }
        for (expected, names) in ALIASES {
            for name in names.split(' ') {
                assert_eq!(code(name), Some(*expected), "{name}");
            }
        }
    }

    #[test]
    fn the_tag_tells_the_script_of_chinese() {
        use ChineseScript::{Simplified, Traditional};
        let script = |text: &str| text.parse::<LanguageTag>().unwrap().script;
        for (text, expected) in [
            ("zh", None),
            ("zh-CN", Some(Simplified)),
            ("zh-Hans", Some(Simplified)),
            ("zh_SG", Some(Simplified)),
            ("zh-TW", Some(Traditional)),
            ("zh-HK", Some(Traditional)),
            ("zh-Hant", Some(Traditional)),
            ("zh-Hant-CN", Some(Traditional)),
            ("zh-Hans-HK", Some(Simplified)),
            ("ja-CN", None),
        ] {
            assert_eq!(script(text), expected, "{text}");
        }
    }
}
