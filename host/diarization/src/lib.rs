//! Who spoke when: the maths between two speaker models and a list of turns.
//!
//! A clip is looked at in windows of 10 s. One model says who of up to three strangers speaks in
//! each 17 ms of a window, two of them at a time; another turns what one stranger says alone into
//! a voice, a direction in some 192 dimensions. Voices that point the same way are one speaker.
//! This crate cuts the windows, chooses the sound to embed, clusters the voices and puts the
//! windows together again. It runs no model and starts no thread, so that a server can queue
//! every model call beside its other work: [`Diarization`] is plain data between those calls.
//!
//! ```text
//! Diarization::new → windows() → [segment] → segmented() → voices() and passages() → [embed]
//!     → embedded() → finish()
//! ```
//!
//! # Layout
//! - [`Diarization`] (`session`): the three phases. [`diarize`] (`driver`): a loop over them.
//! - `frames`: windows, frames, and what a window says.
//! - `cluster`: voices to groups. `count`: groups to speakers. `assign`: strangers of each window
//!   to speakers. `passages`: what a stranger says without a pause, and whose it is.
//! - `third`: a speaker whom only the segmentation tells apart from two. `reconstruct`: all of
//!   these in order. `naming`: known names and numbers. `turns`: speakers' frames to turns.
//!   `error`: [`DiarizationError`].
//!
//! # Limits
//! - Time and memory grow with the clip's length: a window keeps 1.8 kB, a voice or a passage
//!   0.8 kB; about 4.5 MB and 5 MB an hour. At most 512 groups of voices are compared with each other.
//! - Somebody who never speaks alone for a second is not a speaker of their own, but for a known
//!   voice, for a third beside two others, and where the caller wants more speakers.
//! - A known voice's short phrase is found where the segmentation tells it apart from its
//!   neighbours within ten seconds, not where it takes both for one stranger.
//! - Whoever sounds alike is taken for one: children of one family, one voice on two microphones
//!   the other way round.

mod assign;
mod cluster;
mod count;
mod driver;
mod error;
mod frames;
mod naming;
mod options;
mod passages;
mod reconstruct;
mod session;
mod third;
mod turns;

pub use driver::{Models, diarize};
pub use error::DiarizationError;
pub use frames::{
    FRAME_STEP_SAMPLES, LOCAL_SPEAKERS, SEGMENT_CLASSES, WINDOW_FRAMES, WINDOW_SAMPLES,
};
pub use options::{DiarizeOptions, KnownSpeaker, Tuning};
pub use session::{Diarization, Diarized, Speaker, VoiceJob, is_silent};
