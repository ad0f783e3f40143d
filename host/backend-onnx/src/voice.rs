//! Voice activity: how probable speech is in each 32 ms (Silero VAD 6.2).
//!
//! The model reads 512 samples at a time, each with the 64 samples before it, and carries a state
//! from one frame to the next. [`VoiceActivity`] is the loaded model and keeps nothing between
//! calls; a [`VoiceStream`] is one speaker's place in the sound, 1.3 kB of plain data. So one
//! session on one device thread serves any number of live streams.
//!
//! Two kinds of file with the same weights are understood and told apart by their inputs: one that
//! takes frame by frame, and one that takes any number of frames at once. Their probabilities differ by
//! less than 1e-5. The authors' files cost 3.5 and 1.8 ms for a second of audio; of the second kind is
//! also the one that `auricle-models` makes, whose convolutions are matrix products: 0.5 ms.

pub mod spans;

use std::path::Path;

use auricle_speech::{CancelFlag, VoiceGain, VoiceStream, amplified, clip_gain};

use crate::{NamedTensor, OnnxError, OnnxRuntime, OnnxSession, RunLimits, Tensor, TensorData};

/// Samples of a frame, at 16 kHz: 32 ms, fixed by the model.
pub const VAD_FRAME_SAMPLES: usize = 512;

/// Samples before a frame that the model reads with it. Without them clear speech stays below 0.5.
const CONTEXT_SAMPLES: usize = 64;

/// What the model reads for one frame.
const STEP_SAMPLES: usize = CONTEXT_SAMPLES + VAD_FRAME_SAMPLES;

/// Numbers of the LSTM's state: 128 of its output, then 128 of its cell.
const STATE_LEN: usize = 256;

/// Frames given to the model at once: 2 s, so that a cancelled clip stops within some 5 ms. More
/// at once is not faster: what lies between two layers then leaves the nearer caches.
const BATCH_FRAMES: usize = 64;

/// What the step-by-step export calls the sample rate.
const RATE_HZ: i64 = 16_000;

/// Which export of the model is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Export {
    /// `input` [1, 576], `state` [2, 1, 128], `sr`: one frame a run.
    Step,
    /// `input` [frames, 576], `h` and `c` [1, 1, 128]: many frames a run.
    Sequence,
}

/// The loaded model, for one thread at a time.
#[derive(Debug)]
pub struct VoiceActivity {
    session: OnnxSession,
    export: Export,
}

impl VoiceActivity {
    /// Loads `silero_vad_16k_products.onnx`, `silero_vad_16k_sequence.onnx` or
    /// `silero_vad_op18_ifless.onnx`, whose SHA-256 must be `sha256`.
    ///
    /// # Errors
    /// As [`OnnxSession::load`]; [`OnnxError::ModelRefused`] when it is none of them.
    pub fn load(runtime: &OnnxRuntime, path: &Path, sha256: &str) -> Result<Self, OnnxError> {
        let session = OnnxSession::load(runtime, path, sha256, RunLimits::default())?;
        let mut inputs: Vec<_> = session.inputs().iter().map(|p| p.name.as_str()).collect();
        inputs.sort_unstable();
        let export = match inputs.as_slice() {
            ["input", "sr", "state"] => Export::Step,
            ["c", "h", "input"] => Export::Sequence,
            other => {
                return Err(OnnxError::ModelRefused {
                    path: path.to_path_buf(),
                    reason: format!("its inputs are {other:?}, which are not Silero VAD's"),
                });
            }
        };
        Ok(Self { session, export })
    }

    /// The probability of speech in each frame of a whole sound (mono, 16 kHz), amplified where it is
    /// soft ([`clip_gain`]). The last frame is filled up with silence; a sound without samples has no
    /// frame.
    ///
    /// # Errors
    /// [`OnnxError::Cancelled`] within 2 s of audio (some 5 ms) after `cancel` is set;
    /// [`OnnxError::Failed`].
    pub fn probabilities(
        &mut self,
        samples: &[f32],
        cancel: &CancelFlag,
    ) -> Result<Vec<f32>, OnnxError> {
        self.read(samples, clip_gain(samples), cancel)
    }

    /// As [`VoiceActivity::probabilities`], of samples that are multiplied by `gain`: those of a part
    /// of a sound by the gain of the whole.
    ///
    /// # Errors
    /// As [`VoiceActivity::probabilities`].
    pub fn read(
        &mut self,
        samples: &[f32],
        gain: f32,
        cancel: &CancelFlag,
    ) -> Result<Vec<f32>, OnnxError> {
        let mut stream = VoiceStream {
            gain: VoiceGain::Fixed(gain),
            ..VoiceStream::default()
        };
        let mut out = Vec::with_capacity(samples.len() / VAD_FRAME_SAMPLES + 1);
        for piece in samples.chunks(BATCH_FRAMES * VAD_FRAME_SAMPLES) {
            if cancel.is_cancelled() {
                return Err(OnnxError::Cancelled);
            }
            out.extend(self.push(&mut stream, piece)?);
        }
        out.extend(self.finish(&mut stream)?);
        Ok(out)
    }

    /// Adds samples to a stream and gives the probabilities of the frames that became whole,
    /// possibly none. However the samples are cut, the probabilities are the same. Samples that
    /// are not finite count as silence.
    ///
    /// # Errors
    /// [`OnnxError::Failed`], after which the stream begins anew.
    pub fn push(
        &mut self,
        stream: &mut VoiceStream,
        samples: &[f32],
    ) -> Result<Vec<f32>, OnnxError> {
        let finite = |sample: &f32| if sample.is_finite() { *sample } else { 0.0 };
        begin(stream);
        stream.waiting.extend(samples.iter().map(finite));
        let at_once = match self.export {
            Export::Step => 1,
            Export::Sequence => BATCH_FRAMES,
        };
        let (mut out, mut done) = (Vec::new(), 0);
        loop {
            let rest = stream.waiting.get(done..).unwrap_or_default();
            let whole = rest.len().saturating_sub(CONTEXT_SAMPLES) / VAD_FRAME_SAMPLES;
            let frames = whole.min(at_once);
            if frames == 0 {
                stream.waiting.drain(..done);
                return Ok(out);
            }
            let mut input = Vec::with_capacity(frames * STEP_SAMPLES);
            let steps = rest.windows(STEP_SAMPLES).step_by(VAD_FRAME_SAMPLES);
            for step in steps.take(frames) {
                let frame = step.get(CONTEXT_SAMPLES..).unwrap_or_default();
                input.extend_from_slice(&amplified(step, stream.gain.next(frame)));
            }
            let (probabilities, state) = match self.step(input, frames, &stream.state) {
                Ok(step) => step,
                Err(error) => {
                    *stream = VoiceStream::default();
                    return Err(error);
                }
            };
            out.extend(probabilities);
            stream.state = state;
            done += frames * VAD_FRAME_SAMPLES;
        }
    }

    /// The probability of the stream's last frame, filled up with silence; `None` when no sample
    /// waits. The stream begins anew.
    ///
    /// # Errors
    /// As [`VoiceActivity::push`].
    pub fn finish(&mut self, stream: &mut VoiceStream) -> Result<Option<f32>, OnnxError> {
        begin(stream);
        let waiting = stream.waiting.len() - CONTEXT_SAMPLES;
        let mut last = Vec::new();
        if waiting > 0 {
            let silence = vec![0.0; VAD_FRAME_SAMPLES - waiting];
            last = self.push(stream, &silence)?;
        }
        *stream = VoiceStream::default();
        Ok(last.first().copied())
    }

    /// Runs the model on `frames` frames of [`STEP_SAMPLES`]; gives their probabilities and the
    /// state after them.
    fn step(
        &mut self,
        input: Vec<f32>,
        frames: usize,
        state: &[f32],
    ) -> Result<(Vec<f32>, Vec<f32>), OnnxError> {
        let input = Tensor::f32(vec![frames as u64, STEP_SAMPLES as u64], input)?;
        let mut inputs = vec![NamedTensor::new("input", input)];
        match self.export {
            Export::Step => {
                let rate = Tensor::new(Vec::new(), TensorData::I64(vec![RATE_HZ]))?;
                let state = Tensor::f32(vec![2, 1, 128], state.to_vec())?;
                inputs.push(NamedTensor::new("state", state));
                inputs.push(NamedTensor::new("sr", rate));
            }
            Export::Sequence => {
                let (h, c) = state.split_at(STATE_LEN / 2);
                for (name, half) in [("h", h), ("c", c)] {
                    let half = Tensor::f32(vec![1, 1, 128], half.to_vec())?;
                    inputs.push(NamedTensor::new(name, half));
                }
            }
        }
        let outputs = self.session.run(&inputs)?;
        let mut numbers = outputs
            .into_iter()
            .map(|output| output.tensor.into_f32().unwrap_or_default());
        let probabilities = numbers.next().unwrap_or_default();
        let state: Vec<f32> = numbers.flatten().collect();
        let sound = probabilities.iter().chain(&state).all(|n| n.is_finite());
        if probabilities.len() != frames || state.len() != STATE_LEN || !sound {
            return Err(OnnxError::failed(
                "the voice activity model gave numbers of another shape or kind than Silero VAD's",
            ));
        }
        Ok((probabilities, state))
    }
}

/// Silence before the start of a sound.
fn begin(stream: &mut VoiceStream) {
    if stream.state.len() != STATE_LEN || stream.waiting.len() < CONTEXT_SAMPLES {
        stream.state = vec![0.0; STATE_LEN];
        stream.waiting = vec![0.0; CONTEXT_SAMPLES];
    }
}
