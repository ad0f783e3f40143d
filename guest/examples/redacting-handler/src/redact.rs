//! What is blotted out of a text.

use std::collections::HashSet;

/// Stands for every character that is blotted out.
const BLOT: &str = "#";

/// Digits as a recogniser may write them.
const SPELLED: [&str; 10] = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
];

/// Blots out digits and words.
pub struct Redactor {
    words: HashSet<String>,
}

impl Redactor {
    /// Digits, and the words in `further`, between commas, in any case.
    pub fn new(further: &str) -> Self {
        let further = further.split(',').map(|word| word.trim().to_lowercase());
        let spelled = SPELLED.iter().map(|&word| word.to_owned());
        Self {
            words: further.filter(|w| !w.is_empty()).chain(spelled).collect(),
        }
    }

    /// The text without them, of the same length in characters, and how many there were.
    pub fn redact(&self, text: &str) -> (String, usize) {
        let mut shown = String::with_capacity(text.len());
        let mut redacted = 0;
        for piece in text.split_inclusive(|c: char| !c.is_alphanumeric()) {
            let word = piece.trim_end_matches(|c: char| !c.is_alphanumeric());
            let rest = piece.strip_prefix(word).unwrap_or_default();
            let blotted = self.blot(word);
            redacted += usize::from(blotted != word);
            shown.push_str(&blotted);
            shown.push_str(rest);
        }
        (shown, redacted)
    }

    fn blot(&self, word: &str) -> String {
        if self.words.contains(&word.to_lowercase()) {
            return BLOT.repeat(word.chars().count());
        }
        word.replace(char::is_numeric, BLOT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_go_however_they_are_written_and_the_rest_stays() {
        let cases = [
            ("Call 555-0199, please.", "Call ###-####, please.", 2),
            ("one Two threefold", "### ### threefold", 2),
            ("room 12b: ٣ or Ⅳ", "room ##b: # or #", 3),
            ("someone phoned", "someone phoned", 0),
            ("", "", 0),
        ];
        for (text, shown, count) in cases {
            assert_eq!(Redactor::new("").redact(text), (shown.to_owned(), count));
        }
    }

    #[test]
    fn further_words_go_in_any_case_and_only_whole() {
        let redactor = Redactor::new(" Country, ,zürich");
        assert_eq!(
            redactor.redact("Country, countryside; ZÜRICH's"),
            ("#######, countryside; ######'s".to_owned(), 2)
        );
    }
}
