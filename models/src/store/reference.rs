//! What a person calls a model: `base`, or `base:q5_1` for one quantization of it.

use std::fmt;

use crate::convert::Quantization;
use crate::error::ModelsError;
use crate::manifest::check_name;

/// The word for weights that are not quantized.
pub const UNQUANTIZED: &str = "f16";

/// A model's name and how its weights are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The model.
    pub name: String,
    /// How its weights are stored; none when the reference does not say.
    pub storage: Option<Storage>,
}

/// How a model's weights are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// As they were published, in 16 bits.
    F16,
    /// In fewer bits.
    Quantized(Quantization),
}

impl Storage {
    /// Reads `f16`, `q8_0` and so on; none when it is neither.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == UNQUANTIZED {
            return Some(Self::F16);
        }
        let known = Quantization::ALL.into_iter();
        known
            .map(Self::Quantized)
            .find(|storage| storage.as_str() == text)
    }

    /// As a person writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::F16 => UNQUANTIZED,
            Self::Quantized(quantization) => quantization.as_str(),
        }
    }

    /// The quantization, if it is one.
    #[must_use]
    pub fn quantization(self) -> Option<Quantization> {
        match self {
            Self::F16 => None,
            Self::Quantized(quantization) => Some(quantization),
        }
    }

    /// All of them in one line.
    fn known() -> String {
        let quantized = Quantization::ALL.iter().rev().map(|q| q.as_str());
        let all: Vec<_> = [UNQUANTIZED].into_iter().chain(quantized).collect();
        all.join(", ")
    }
}

impl fmt::Display for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Reference {
    /// Reads `NAME` or `NAME:QUANTIZATION`.
    ///
    /// # Errors
    /// [`ModelsError::BadName`], [`ModelsError::UnknownQuantization`].
    pub fn parse(text: &str) -> Result<Self, ModelsError> {
        let (name, storage) = match text.split_once(':') {
            Some((name, storage)) => (name, Some(storage)),
            None => (text, None),
        };
        check_name(name)?;
        let storage = match storage {
            Some(word) => {
                Some(
                    Storage::parse(word).ok_or_else(|| ModelsError::UnknownQuantization {
                        reference: text.chars().take(80).collect(),
                        quantization: word.chars().take(80).collect(),
                        known: Storage::known(),
                    })?,
                )
            }
            None => None,
        };
        Ok(Self {
            name: name.to_owned(),
            storage,
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.storage {
            Some(storage) => write!(f, "{}:{storage}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

    use super::*;

    #[test]
    fn references_are_read_and_written_alike() {
        for text in [
            "base",
            "base:f16",
            "base:q5_1",
            "large-v3-turbo:q8_0",
            "tiny.en",
        ] {
            assert_eq!(Reference::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn an_unknown_quantization_is_answered_with_all_known_ones() {
        let error = Reference::parse("base:q9").unwrap_err().to_string();
        assert!(error.contains("q9 is no quantization"), "{error}");
        assert!(error.contains("f16, q8_0, q5_1"), "{error}");
    }

    #[test]
    fn names_that_leave_a_directory_are_refused() {
        for text in [
            "", "..", "../x", "a/b", "/etc", ".hidden", "a..b", "a\0b", "-rf", ":f16",
        ] {
            let error = Reference::parse(text).unwrap_err();
            assert!(
                matches!(error, ModelsError::BadName { .. }),
                "{text:?}: {error}"
            );
        }
        assert!(Reference::parse(&"a".repeat(65)).is_err());
    }
}
