//! What is heard, and how it is written.

use std::collections::HashMap;
use std::str::FromStr;

/// Words and what they become.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Glossary {
    /// By the word in lower case.
    written: HashMap<String, String>,
}

impl Glossary {
    /// The text with the glossary's words in it replaced.
    pub fn applied(&self, text: &str) -> String {
        let mut applied = String::with_capacity(text.len());
        for piece in text.split_inclusive(|c: char| !c.is_alphanumeric()) {
            let word = piece.trim_end_matches(|c: char| !c.is_alphanumeric());
            let rest = piece.strip_prefix(word).unwrap_or_default();
            let written = self.written.get(&word.to_lowercase());
            applied.push_str(written.map_or(word, String::as_str));
            applied.push_str(rest);
        }
        applied
    }
}

impl FromStr for Glossary {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut written = HashMap::new();
        for pair in text.split(';').map(str::trim).filter(|p| !p.is_empty()) {
            let (heard, becomes) = pair
                .split_once('=')
                .map(|(heard, becomes)| (heard.trim(), becomes.trim()))
                .filter(|(heard, _)| !heard.is_empty() && heard.chars().all(char::is_alphanumeric))
                .ok_or_else(|| format!("'{pair}' is not a word, '=' and what it becomes"))?;
            written.insert(heard.to_lowercase(), becomes.to_owned());
        }
        Ok(Self { written })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn whole_words_are_replaced_in_any_case_and_punctuation_stays() {
        let glossary: Glossary = "oracle = Auricle;acme=ACME Corp.;".parse().unwrap();
        assert_eq!(
            glossary.applied("(Oracle), oracles; ACME's oracle"),
            "(Auricle), oracles; ACME Corp.'s Auricle"
        );
        assert_eq!(Glossary::default().applied("as it is"), "as it is");
    }

    #[test]
    fn a_pair_that_is_none_is_named() {
        for (text, named) in [
            ("a=b; c", "'c'"),
            ("=b", "'=b'"),
            ("two words=b", "'two words=b'"),
        ] {
            let error = text.parse::<Glossary>().unwrap_err();
            assert!(error.starts_with(named), "{error}");
        }
    }
}
