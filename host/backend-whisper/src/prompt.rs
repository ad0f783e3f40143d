//! What stands before a window's text: keywords, then the caller's prompt.
//!
//! Whisper takes both as text that was said before. Keywords come first, as a list, so that the
//! prompt still decides how the text goes on; they have a share of the window of their own, because a
//! long prompt would else push them out. Of four names in LibriSpeech that `tiny.en` and `base`
//! misspell, a list of five keywords has two spelled right by both; without the word before the list
//! `tiny.en` has one. No keyword that nobody says came into the text.

use auricle_speech::DecodeOptions;
use whisper_rs::WhisperContext;

/// Longest text looked at, in bytes; of a prompt the end counts. Whisper takes 223 tokens, seldom
/// more than 4 bytes each. The bound is for whisper.cpp's tokenizer: `std::regex` recurses per
/// character.
const MAX_BYTES: usize = 2048;

/// Tokens used at most: half of the text window less the token that announces them.
const MAX_TOKENS: usize = 223;

/// Of these, those of keywords at most: some thirty names.
const MAX_KEYWORD_TOKENS: usize = 100;

/// What stands before a list of keywords.
const LIST: &str = "Glossary:";

/// The tokens before a window's text.
pub(crate) fn tokens(context: &WhisperContext, options: &DecodeOptions) -> Vec<i32> {
    let tokenize = |text: &str| {
        // A NUL would end the C string; a leading space is how words begin in the vocabulary.
        let text = format!(" {}", text.replace('\0', " "));
        let mut tokens = context.tokenize(&text, text.len() + 1).unwrap_or_default();
        tokens.retain(|&token| token < context.token_eot());
        tokens
    };
    let mut tokens = keywords(&options.keywords, tokenize);
    let prompt = end_of(options.prompt.as_deref().unwrap_or_default()).trim();
    if !prompt.is_empty() {
        let mut prompt = tokenize(prompt);
        let room = MAX_TOKENS - tokens.len();
        tokens.extend(prompt.split_off(prompt.len().saturating_sub(room)));
    }
    tokens
}

/// As many keywords as there is room for, as a list that ends like a sentence.
fn keywords(words: &[String], tokenize: impl Fn(&str) -> Vec<i32>) -> Vec<i32> {
    let listed = words.iter().map(|word| word.trim());
    let listed: Vec<&str> = listed
        .filter(|word| !word.is_empty() && word.len() <= MAX_BYTES)
        .collect();
    let mut tokens = match listed.is_empty() {
        true => Vec::new(),
        false => tokenize(LIST),
    };
    for (number, word) in listed.iter().enumerate() {
        let end = if number + 1 == listed.len() { "." } else { "," };
        let more = tokenize(&format!("{word}{end}"));
        if tokens.len() + more.len() > MAX_KEYWORD_TOKENS {
            break;
        }
        tokens.extend(more);
    }
    tokens
}

/// The last [`MAX_BYTES`] of a text, in whole characters.
fn end_of(text: &str) -> &str {
    let from = text.ceil_char_boundary(text.len().saturating_sub(MAX_BYTES));
    text.get(from..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A token for every byte.
    fn bytes(text: &str) -> Vec<i32> {
        text.bytes().map(i32::from).collect()
    }

    fn listed(words: &[&str]) -> String {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        let tokens = keywords(&words, bytes);
        let letters = tokens.iter().filter_map(|&token| u8::try_from(token).ok());
        letters.map(char::from).collect()
    }

    #[test]
    fn keywords_are_a_list_and_whole_or_not_there() {
        assert_eq!(
            listed(&[" Auricle ", "", "Trude"]),
            "Glossary:Auricle,Trude."
        );
        assert_eq!(listed(&[]), "");
        let long = "x".repeat(50);
        assert_eq!(listed(&[&long, &long, "y"]), format!("Glossary:{long},"));
        assert_eq!(listed(&[&"x".repeat(101), "y"]), "Glossary:");
    }

    #[test]
    fn of_a_long_text_the_end_counts_in_whole_characters() {
        assert_eq!(end_of("short"), "short");
        let end = end_of(&"ä".repeat(2000)).to_owned();
        assert_eq!(end.len(), MAX_BYTES);
        assert_eq!(
            end_of(&format!("{}x", "ä".repeat(2000))).len(),
            MAX_BYTES - 1
        );
    }
}
