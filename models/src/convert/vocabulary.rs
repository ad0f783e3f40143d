//! The text of the tokens, as bytes.
//!
//! A vocabulary file spells bytes with GPT-2's alphabet, in which each byte has a visible character.
//! Only the tokens below `<|endoftext|>` have text; whisper.cpp names the special ones by itself.

use std::collections::HashMap;
use std::path::Path;

use serde_json::Value;

use super::blob::{Blob, read_text};
use super::layout::HyperParameters;
use super::{ConvertError, ggml};

const END_OF_TEXT: &str = "<|endoftext|>";

/// The largest such file known, a tokenizer.json, has 4 MB.
const LIMIT_BYTES: u64 = 64 << 20;

/// Reads the vocabulary of a model with `hyper` from a vocabulary.txt, a vocabulary.json, a
/// vocab.json, a tokenizer.json or another ggml model.
pub(super) fn read(path: &Path, hyper: &HyperParameters) -> Result<Vec<Vec<u8>>, ConvertError> {
    let mut magic = [0; 4];
    let blob = Blob::open(&[path])?;
    if blob.len_bytes() >= 4 {
        blob.read_exact_at(0, &mut magic)?;
    }
    if magic == ggml::MAGIC.to_le_bytes() {
        let other = ggml::read(path)?;
        // The two multilingual sizes differ in special tokens only, which have no text.
        if other.hyper.end_of_text() != hyper.end_of_text() {
            return Err(wrong_size(path, other.hyper.n_vocab as usize, hyper));
        }
        return Ok(other.vocabulary);
    }
    let text = read_text(path, LIMIT_BYTES)?;
    let list = if path
        .extension()
        .is_some_and(|extension| extension == "json")
    {
        let mut tokens = Tokens::default();
        tokens.add_json(path, &text)?;
        tokens
    } else {
        // Not `lines`: token 50256 of the multilingual vocabulary is the empty text.
        let mut lines: Vec<&str> = text.split('\n').collect();
        if lines.last() == Some(&"") {
            lines.pop();
        }
        Tokens::from_list(lines.into_iter().map(str::to_owned))
    };
    list.finish(path, hyper)
}

/// Reads the vocabulary of a Hugging Face directory: vocab.json with added_tokens.json, or
/// tokenizer.json.
pub(super) fn read_hugging_face(
    dir: &Path,
    hyper: &HyperParameters,
) -> Result<Vec<Vec<u8>>, ConvertError> {
    let mut tokens = Tokens::default();
    let mut last = dir.join("vocab.json");
    for name in ["vocab.json", "added_tokens.json", "tokenizer.json"] {
        let path = dir.join(name);
        if !tokens.0.values().any(|token| token == END_OF_TEXT) && path.is_file() {
            tokens.add_json(&path, &read_text(&path, LIMIT_BYTES)?)?;
            last = path;
        }
    }
    if tokens.0.is_empty() {
        let reason = "the directory has neither vocab.json nor tokenizer.json: add the one that belongs to the model";
        return Err(ConvertError::vocabulary(dir, reason));
    }
    tokens.finish(&last, hyper)
}

/// Tokens by number.
#[derive(Debug, Default)]
struct Tokens(HashMap<u64, String>);

impl Tokens {
    fn from_list(list: impl IntoIterator<Item = String>) -> Self {
        Self((0..).zip(list).collect())
    }

    /// Takes a list of tokens in order, an object of numbers by token, or a tokenizer.json.
    fn add_json(&mut self, path: &Path, text: &str) -> Result<(), ConvertError> {
        let json: Value = serde_json::from_str(text)
            .map_err(|error| ConvertError::vocabulary(path, format!("it is not JSON: {error}")))?;
        match &json {
            Value::Array(list) => {
                let texts = (0..).zip(list.iter().map(Value::as_str));
                let named = texts.filter_map(|(number, text)| Some((number, text?.to_owned())));
                self.0.extend(named);
            }
            Value::Object(object) => match json.pointer("/model/vocab") {
                Some(Value::Object(vocabulary)) => {
                    self.add_map(vocabulary);
                    self.add_extra(json.get("added_tokens"));
                }
                _ => self.add_map(object),
            },
            _ => {
                let reason = "it is neither a list of tokens nor an object of numbers by token";
                return Err(ConvertError::vocabulary(path, reason));
            }
        }
        Ok(())
    }

    fn add_map(&mut self, map: &serde_json::Map<String, Value>) {
        let pairs = map.iter();
        let numbered = pairs.filter_map(|(token, number)| Some((number.as_u64()?, token.clone())));
        self.0.extend(numbered);
    }

    fn add_extra(&mut self, added: Option<&Value>) {
        for token in added.and_then(Value::as_array).into_iter().flatten() {
            let number = token.get("id").and_then(Value::as_u64);
            let content = token.get("content").and_then(Value::as_str);
            if let (Some(number), Some(content)) = (number, content) {
                self.0.insert(number, content.to_owned());
            }
        }
    }

    fn finish(self, path: &Path, hyper: &HyperParameters) -> Result<Vec<Vec<u8>>, ConvertError> {
        let end = hyper.end_of_text();
        if self.0.get(&u64::from(end)).map(String::as_str) != Some(END_OF_TEXT) {
            return Err(wrong_size(path, self.0.len(), hyper));
        }
        let mut out = Vec::with_capacity(end as usize + 1);
        for number in 0..end {
            let token = self.0.get(&u64::from(number)).ok_or_else(|| {
                ConvertError::vocabulary(path, format!("token {number} has no text"))
            })?;
            let bytes: Option<Vec<u8>> = token.chars().map(byte_of).collect();
            out.push(bytes.ok_or_else(|| {
                let reason = format!(
                    "token {number} ({token:?}) is not spelt with GPT-2's byte alphabet, as Whisper's tokens are"
                );
                ConvertError::vocabulary(path, reason)
            })?);
        }
        // whisper.cpp's own files list it for the English-only models, and for no others.
        if !hyper.is_multilingual() {
            out.push(END_OF_TEXT.as_bytes().to_vec());
        }
        Ok(out)
    }
}

fn wrong_size(path: &Path, found: usize, hyper: &HyperParameters) -> ConvertError {
    let kind = if hyper.is_multilingual() {
        "multilingual"
    } else {
        "English-only"
    };
    let reason = format!(
        "it lists {found} tokens and {END_OF_TEXT} is not number {} of them, as in {kind} models with {} tokens: pass the vocabulary.txt, vocabulary.json, vocab.json, tokenizer.json or ggml file of a model of that kind",
        hyper.end_of_text(),
        hyper.n_vocab
    );
    ConvertError::vocabulary(path, reason)
}

/// The byte that a character of GPT-2's alphabet stands for: itself if it is visible, else the
/// characters from U+0100 in the order of the bytes that are not.
fn byte_of(character: char) -> Option<u8> {
    let visible = |byte: &u8| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    let code = u32::from(character);
    if let Ok(byte) = u8::try_from(code) {
        return Some(byte).filter(visible);
    }
    let rank = code.checked_sub(0x100)? as usize;
    (0..=u8::MAX).filter(|byte| !visible(byte)).nth(rank)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::super::layout::tests::BASE;
    use super::*;

    #[test]
    fn every_byte_has_one_character() {
        let mut bytes: Vec<u8> = (0..0x200)
            .filter_map(char::from_u32)
            .filter_map(byte_of)
            .collect();
        bytes.sort_unstable();
        assert_eq!(bytes, (0..=255).collect::<Vec<u8>>());
        assert_eq!(byte_of('Ġ'), Some(b' '));
        assert_eq!(byte_of('Ċ'), Some(b'\n'));
        assert_eq!(byte_of(' '), None);
        assert_eq!(byte_of('語'), None);
    }

    #[test]
    fn a_vocabulary_of_another_kind_of_model_says_what_to_pass() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vocabulary.txt");
        std::fs::write(&path, "a\nb\n<|endoftext|>\n").unwrap();
        let message = read(&path, &BASE).unwrap_err().to_string();
        assert!(message.contains("is not number 50257"), "{message}");
        assert!(message.contains("pass the vocabulary.txt"), "{message}");
    }
}
