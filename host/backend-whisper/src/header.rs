//! The header of a ggml model file: enough to tell a model from a foreign file and to know its
//! shape before whisper.cpp opens it.

use whisper_rs::{DtwMode, DtwModelPreset};

/// Bytes of the header: the magic and eleven little-endian `i32`.
pub(crate) const HEADER_BYTES: usize = 48;

/// `GGML_FILE_MAGIC`, "ggml" read as a little-endian number.
const MAGIC: u32 = 0x6767_6d6c;

/// Vocabulary of the first multilingual models; English-only ones have one token less.
const MULTILINGUAL_VOCAB: i32 = 51_865;

/// Vocabulary since large-v3, which added Cantonese.
const LARGE_V3_VOCAB: i32 = 51_866;

/// Shape of a model, as the file's header states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) vocab: i32,
    pub(crate) audio_layers: i32,
    pub(crate) text_layers: i32,
}

impl Header {
    /// Reads the header, or says what the file is instead.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let word = |index: usize| -> Option<[u8; 4]> {
            bytes.get(index * 4..index * 4 + 4)?.try_into().ok()
        };
        let Some(magic) = word(0).map(u32::from_le_bytes) else {
            return Err(format!(
                "it is empty or cut off after {} bytes",
                bytes.len()
            ));
        };
        if magic != MAGIC {
            return Err(format!("it is {}, not a whisper.cpp model", foreign(bytes)));
        }
        let field = |index: usize| word(index).map(i32::from_le_bytes);
        match (field(1), field(5), field(9), bytes.get(..HEADER_BYTES)) {
            (Some(vocab), Some(audio_layers), Some(text_layers), Some(_)) => Ok(Self {
                vocab,
                audio_layers,
                text_layers,
            }),
            _ => Err(format!("it is cut off after {} bytes", bytes.len())),
        }
    }

    /// Whether the model knows languages other than English (`whisper_vocab::is_multilingual`).
    pub(crate) fn is_multilingual(self) -> bool {
        self.vocab >= MULTILINGUAL_VOCAB
    }

    /// How many of Whisper's languages the model has a token for.
    pub(crate) fn languages(self) -> usize {
        match self.vocab {
            vocab if vocab < MULTILINGUAL_VOCAB => 1,
            vocab if vocab < LARGE_V3_VOCAB => 99,
            _ => 100,
        }
    }

    /// The attention heads that follow the audio, for word times.
    ///
    /// The heads were published with the checkpoints (`_ALIGNMENT_HEADS` in openai-whisper) and
    /// cannot be read from the weights, so a model is recognised by its shape; large-v1 and v2
    /// have one shape and are told apart by `name`. Unknown shapes (distilled ones) use all heads
    /// of the upper half of the decoder, as openai-whisper does.
    pub(crate) fn alignment_heads(self, name: &str) -> DtwMode<'static> {
        use DtwModelPreset as P;
        let multilingual = self.is_multilingual();
        let model_preset = match (self.audio_layers, self.text_layers, multilingual) {
            (4, 4, false) => P::TinyEn,
            (4, 4, true) => P::Tiny,
            (6, 6, false) => P::BaseEn,
            (6, 6, true) => P::Base,
            (12, 12, false) => P::SmallEn,
            (12, 12, true) => P::Small,
            (24, 24, false) => P::MediumEn,
            (24, 24, true) => P::Medium,
            (32, 32, true) if self.vocab >= LARGE_V3_VOCAB => P::LargeV3,
            (32, 32, true) if name.contains("v1") => P::LargeV1,
            (32, 32, true) => P::LargeV2,
            (32, 4, true) if self.vocab >= LARGE_V3_VOCAB => P::LargeV3Turbo,
            _ => {
                return DtwMode::TopMost {
                    n_top: (self.text_layers / 2).max(1),
                };
            }
        };
        DtwMode::ModelPreset { model_preset }
    }
}

/// What a file with another magic probably is.
fn foreign(bytes: &[u8]) -> &'static str {
    match bytes {
        [b'G', b'G', b'U', b'F', ..] => "a GGUF file",
        [b'P', b'K', ..] => "a zip archive (a PyTorch checkpoint?)",
        [b'<', ..] => "an HTML or XML page",
        [6, 0, 0, 0, ..] => "a CTranslate2 model",
        [_, _, _, _, 0, 0, 0, 0, b'{', ..] => "a safetensors file",
        _ => "a file of an unknown kind",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use super::*;

    fn header(vocab: i32, layers: i32) -> Vec<u8> {
        let mut bytes = MAGIC.to_le_bytes().to_vec();
        for value in [vocab, 1500, 512, 8, layers, 448, 512, 8, layers, 80, 1] {
            bytes.extend(i32::to_le_bytes(value));
        }
        bytes
    }

    #[test]
    fn a_models_shape_says_its_languages_and_heads() {
        let base = Header::parse(&header(51_865, 6)).unwrap();
        assert_eq!((base.is_multilingual(), base.languages()), (true, 99));
        assert!(matches!(
            base.alignment_heads("base"),
            DtwMode::ModelPreset {
                model_preset: DtwModelPreset::Base
            }
        ));
        let tiny_en = Header::parse(&header(51_864, 4)).unwrap();
        assert_eq!((tiny_en.is_multilingual(), tiny_en.languages()), (false, 1));
        let odd = Header::parse(&header(51_865, 5)).unwrap();
        assert!(matches!(
            odd.alignment_heads("odd"),
            DtwMode::TopMost { n_top: 2 }
        ));
    }

    #[test]
    fn foreign_and_truncated_files_are_named() {
        let cut = Header::parse(&header(51_865, 6)[..20]).unwrap_err();
        assert!(cut.contains("cut off after 20 bytes"), "{cut}");
        assert!(
            Header::parse(b"GGUF\x03\0\0\0")
                .unwrap_err()
                .contains("GGUF")
        );
        assert!(Header::parse(b"<html>..").unwrap_err().contains("HTML"));
        assert!(Header::parse(b"").unwrap_err().contains("0 bytes"));
    }
}
