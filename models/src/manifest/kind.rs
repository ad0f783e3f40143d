//! What an entry of the manifest is for, and whom.

use serde::Deserialize;

/// What an entry is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A Whisper model in whisper.cpp's format.
    Whisper,
    /// A voice activity model (ONNX).
    Vad,
    /// A graph for ONNX Runtime, with the checkpoint that it is made from.
    Graph,
    /// A shared library.
    Library,
    /// Audio for tests.
    Audio,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Whisper => "whisper",
            Self::Vad => "vad",
            Self::Graph => "graph",
            Self::Library => "library",
            Self::Audio => "audio",
        })
    }
}

/// Languages that an entry understands or holds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(untagged)]
pub enum Languages {
    /// All that Whisper knows (`multilingual`), or any at all (`any`).
    Word(Broad),
    /// These, as ISO 639-1 codes.
    Only(Vec<String>),
}

/// Words for more languages than are worth listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Broad {
    /// Whisper's languages.
    Multilingual,
    /// Does not depend on the language.
    Any,
}

impl Languages {
    /// Whether more than one language is understood.
    #[must_use]
    pub fn is_multilingual(&self) -> bool {
        match self {
            Self::Word(_) => true,
            Self::Only(codes) => codes.len() > 1,
        }
    }
}

impl std::fmt::Display for Languages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Word(Broad::Multilingual) => f.write_str("multilingual"),
            Self::Word(Broad::Any) => f.write_str("any"),
            Self::Only(codes) => f.write_str(&codes.join(",")),
        }
    }
}
