//! Where somebody speaks.

pub use crate::bindings::auricle::speech::voice_activity::{
    Detector, frame_samples, probabilities,
};

/// Samples of a frame of voice activity: what [`frame_samples`] answers.
pub const FRAME_SAMPLES: u64 = 512;
