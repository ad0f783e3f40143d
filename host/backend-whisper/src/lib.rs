//! whisper.cpp behind the engine traits.
//!
//! Owns the loaded weights ([`WhisperLoader`] makes them, the last `Arc` drops them) and, per
//! session, one whisper state: the working memory of one thread on those weights. Nothing here
//! starts a thread: whisper.cpp is told to compute on the caller's one, because its threads meet
//! at spinning barriers and independent single-thread sessions are faster on a shared machine.
//!
//! # Layout
//! - `loader`: digest, header, parameters of the context.
//! - `header`: the shape of a model, read before whisper.cpp sees the file.
//! - `session`: the passes over one chunk.
//! - `attempt`: one call of `whisper_full`.
//! - `prompt`: what stands before the text.
//! - `ladder`: which attempt to accept, Whisper's rules of temperature fallback.
//! - `rest`: whether a window holds more than its first pass found.
//! - `split`: the token stream cut into timed pieces.
//! - `window`: the length of a window, and of its part of the encoder.
//! - `words`: tokens grouped into words with times.
//! - `text`: UTF-8 across tokens, compression ratio, tags such as `[Music]`.
//! - `abort`: how a set cancel flag reaches a running graph.
//! - `encoder`: encoder passes counted, and left out where their result is known.
//! - `matmul`: matrix products faster than ggml's own. `device`: what all three replace in ggml.
//! - `log`: whisper.cpp's log lines.
//!
//! # Limits
//! - **ggml aborts the process** when it runs out of memory or an assertion of its own fails;
//!   no Rust code can catch that. Whoever needs to survive it puts the engine in a process of its
//!   own: everything that crosses the traits is plain data.
//! - whisper.cpp 1.8.3 trusts a model file's tensor ranks. Only files whose SHA-256 the operator
//!   pinned are given to it; the file must not change between that check and the load.
//! - Chunks are at most 30 s (Whisper's window); longer input is refused.

mod abort;
mod attempt;
mod device;
mod encoder;
mod header;
mod ladder;
mod loader;
mod log;
mod matmul;
mod prompt;
mod rest;
mod session;
mod split;
mod text;
mod window;
mod words;

pub use encoder::passes as encoder_passes;
pub use loader::{WhisperEngine, WhisperLoader};
pub use session::WhisperSession;
pub use text::is_non_speech_tag;
