//! What stands before a window's text: keywords, then the caller's prompt.
//!
//! Whisper takes both as text that was said before. Keywords come first, as a list, so that the
//! prompt still decides how the text goes on; they have a share of the window of their own, because a
//! long prompt would else push them out. Of four names in LibriSpeech that `tiny.en` misspells,
//! a list of five keywords has two spelled right; without the word before the list, one. `base` spelled
//! the one that was tried with it. No keyword that nobody says came into the text.
//!
//! Repetition is taken out: a decoder that has read a sentence ten times writes it ten times more. The
//! tokens are made once per request and kept, so that its windows share them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use auricle_speech::DecodeOptions;
use sha2::{Digest, Sha256};
use whisper_rs::WhisperContext;

/// Longest text looked at, in bytes; of a prompt the end counts. Whisper takes 223 tokens, seldom
/// more than 4 bytes each.
const MAX_BYTES: usize = 2048;

/// Bytes given to whisper.cpp's tokenizer at once. It looks every substring of a word up, so its time
/// grows with the cube of a word's length, and `std::regex` recurses per character.
const MAX_PART_BYTES: usize = 96;

/// Tokens used at most: half of the text window less the token that announces them.
const MAX_TOKENS: usize = 223;

/// Of these, those of keywords at most: some thirty names.
const MAX_KEYWORD_TOKENS: usize = 100;

/// Repeated phrases shorter than this, in tokens, may come twice in a row: "New York, New York",
/// "100000".
const SHORT_PHRASE: usize = 4;

/// What stands before a list of keywords.
const LIST: &str = "Glossary:";

/// Prompts that are kept: as many requests as work on a model at once on a large machine.
const MAX_KEPT: usize = 64;

/// SHA-256 of a prompt and its keywords.
type Key = [u8; 32];

/// The tokens of the prompts used last, the newest in front.
#[derive(Debug, Default)]
pub(crate) struct Prompts(Mutex<VecDeque<(Key, Arc<[i32]>)>>);

impl Prompts {
    /// The tokens before the text of a request's windows.
    pub(crate) fn tokens(&self, context: &WhisperContext, options: &DecodeOptions) -> Arc<[i32]> {
        if options.prompt.is_none() && options.keywords.is_empty() {
            return Arc::default();
        }
        self.kept_or(key(options), || {
            tokens(options, |text| tokenize(context, text))
        })
    }

    /// The value of `key`, made if it is not there. Made without the lock: two workers may make it.
    fn kept_or(&self, key: Key, make: impl FnOnce() -> Vec<i32>) -> Arc<[i32]> {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = lock().iter().find(|(own, _)| *own == key).cloned();
        if let Some((_, tokens)) = found {
            return tokens;
        }
        let tokens: Arc<[i32]> = make().into();
        let mut kept = lock();
        kept.truncate(MAX_KEPT - 1);
        kept.push_front((key, Arc::clone(&tokens)));
        tokens
    }
}

fn key(options: &DecodeOptions) -> Key {
    let mut hasher = Sha256::new();
    for text in options.keywords.iter().chain(&options.prompt) {
        hasher.update(text.len().to_le_bytes());
        hasher.update(text);
    }
    hasher.update([u8::from(options.prompt.is_some())]);
    hasher.finalize().into()
}

/// The text's tokens as after a space, which is how words begin in the vocabulary.
fn tokenize(context: &WhisperContext, text: &str) -> Vec<i32> {
    let text = spaced(text);
    let mut tokens = Vec::new();
    for part in parts(&text) {
        tokens.extend(context.tokenize(part, part.len() + 1).unwrap_or_default());
    }
    tokens.retain(|&token| token < context.token_eot());
    tokens
}

/// Each word with one space before it. A NUL would end the C string.
fn spaced(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c == '\0');
    let words = words.filter(|word| !word.is_empty());
    words.flat_map(|word| [" ", word]).collect()
}

/// A text in parts of at most [`MAX_PART_BYTES`], cut before spaces where there are any.
fn parts(mut text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    while text.len() > MAX_PART_BYTES {
        let most = text.floor_char_boundary(MAX_PART_BYTES);
        let head = text.get(..most).unwrap_or_default();
        let cut = head.rfind(' ').filter(|&at| at > 0).unwrap_or(most);
        let (part, rest) = text.split_at(cut);
        parts.push(part);
        text = rest;
    }
    parts.push(text);
    parts
}

/// The tokens before a window's text.
fn tokens(options: &DecodeOptions, tokenize: impl Fn(&str) -> Vec<i32>) -> Vec<i32> {
    let mut tokens = keywords(&options.keywords, &tokenize);
    let prompt = end_of(options.prompt.as_deref().unwrap_or_default()).trim();
    if !prompt.is_empty() {
        let mut prompt = without_repetition(tokenize(prompt));
        let room = MAX_TOKENS - tokens.len();
        tokens.extend(prompt.split_off(prompt.len().saturating_sub(room)));
    }
    tokens
}

/// The tokens without the repetitions of phrases that follow each other.
fn without_repetition(tokens: Vec<i32>) -> Vec<i32> {
    let mut kept = Vec::with_capacity(tokens.len());
    for token in tokens {
        kept.push(token);
        let longest = (kept.len() / 2).min(MAX_TOKENS);
        let repeated = (1..=longest).find(|&period| ends_in_repetition(&kept, period));
        if let Some(period) = repeated {
            kept.truncate(kept.len() - period);
        }
    }
    kept
}

/// Whether the last `period` tokens are once too often what stands before them.
fn ends_in_repetition(tokens: &[i32], period: usize) -> bool {
    let times = if period < SHORT_PHRASE { 3 } else { 2 };
    let Some(from) = tokens.len().checked_sub(times * period) else {
        return false;
    };
    let tail = tokens.get(from..).unwrap_or_default();
    tail.iter()
        .zip(tail.iter().skip(period))
        .all(|(a, b)| a == b)
}

/// As many keywords as there is room for, as a list that ends like a sentence.
fn keywords(words: &[String], tokenize: &impl Fn(&str) -> Vec<i32>) -> Vec<i32> {
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
        let tokens = keywords(&words, &bytes);
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
    fn a_phrase_that_repeats_itself_is_read_once() {
        let read = |text: &str| {
            let tokens = without_repetition(bytes(text));
            let letters = tokens.iter().filter_map(|&token| u8::try_from(token).ok());
            letters.map(char::from).collect::<String>()
        };
        assert_eq!(read(&"The dog. ".repeat(200)), "The dog. ");
        assert_eq!(read(&"x".repeat(2_000)), "xx");
        assert_eq!(read("hahaha!"), "haha!", "a short one twice");
        let text = "New York and New York, 100 of them";
        assert_eq!(read(text), text);
        assert_eq!(read(""), "");
    }

    #[test]
    fn the_tokenizer_is_given_short_parts_that_are_the_text() {
        let words = "a few words\nwith\0odd  spaces ".repeat(40);
        for text in [words, "x".repeat(2_048), "ä".repeat(1_024), String::new()] {
            let text = spaced(&text);
            let parts = parts(&text);
            assert_eq!(parts.concat(), text);
            assert!(parts.iter().all(|part| part.len() <= MAX_PART_BYTES));
        }
        assert_eq!(spaced(" a \0 b\n"), " a b");
        let text = spaced(&"word ".repeat(100));
        let mut later = parts(&text).into_iter();
        assert!(later.all(|part| part.starts_with(' ')), "words stay whole");
    }

    #[test]
    fn tokens_are_made_once_for_all_windows_of_a_request() {
        let prompts = Prompts::default();
        let options = |prompt: &str| DecodeOptions {
            prompt: Some(prompt.to_owned()),
            ..DecodeOptions::default()
        };
        let first = prompts.kept_or(key(&options("a")), || vec![1]);
        assert_eq!(*first, [1]);
        for number in 0..MAX_KEPT as i32 - 1 {
            prompts.kept_or(key(&options(&number.to_string())), || vec![number]);
            let again = prompts.kept_or(key(&options("a")), || unreachable!("it is kept"));
            assert!(Arc::ptr_eq(&first, &again));
        }
        for number in 100..200 {
            prompts.kept_or(key(&options(&number.to_string())), Vec::new);
        }
        let again = prompts.kept_or(key(&options("a")), || vec![2]);
        assert_eq!(*again, [2], "as many are kept as are in use");
        let keyword = DecodeOptions {
            keywords: vec!["a".to_owned()],
            ..DecodeOptions::default()
        };
        assert_ne!(key(&keyword), key(&options("a")));
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
