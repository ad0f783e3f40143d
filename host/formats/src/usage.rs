//! What a transcription cost, as OpenAI's API tells it.
//!
//! OpenAI bills Whisper by the second and its other models by the token. Here nobody is billed: clients
//! get the shape that they expect of the model that they named.

use auricle_speech::Transcript;
use serde::Serialize;

/// Audio tokens in a second, as OpenAI counts them for its own models.
const TOKENS_PER_SEC: f64 = 10.0;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Billing {
    /// Seconds of audio, as of `whisper-1`.
    Duration,
    /// Tokens of audio and of text.
    Tokens,
}

/// The field `usage`.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Usage {
    /// Whole seconds of audio.
    Duration {
        /// Rounded up.
        seconds: u64,
    },
    /// Tokens.
    Tokens {
        /// Those of the audio.
        input_tokens: u64,
        /// The same by kind.
        input_token_details: InputTokens,
        /// Those of the text.
        output_tokens: u64,
        /// All.
        total_tokens: u64,
    },
}

/// What the input tokens are of.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct InputTokens {
    text_tokens: u64,
    audio_tokens: u64,
}

impl Usage {
    pub(crate) fn of(transcript: &Transcript, billing: Billing) -> Self {
        // Channels that are transcribed apart are audio each.
        let secs = transcript.duration_secs * transcript.channels.len().max(1) as f64;
        match billing {
            Billing::Duration => Self::Duration {
                seconds: secs.ceil() as u64,
            },
            Billing::Tokens => {
                let tokens = transcript.segments.iter().map(|s| s.tokens.len());
                Self::tokens(secs, tokens.sum())
            }
        }
    }

    /// Tokens of so many seconds of audio and so many tokens of text.
    #[must_use]
    pub fn tokens(secs: f64, text_tokens: usize) -> Self {
        // Not a number and negative lengths become 0.
        let audio_tokens = (secs * TOKENS_PER_SEC).ceil() as u64;
        let output_tokens = text_tokens as u64;
        Self::Tokens {
            input_tokens: audio_tokens,
            input_token_details: InputTokens {
                text_tokens: 0,
                audio_tokens,
            },
            output_tokens,
            total_tokens: audio_tokens.saturating_add(output_tokens),
        }
    }
}
