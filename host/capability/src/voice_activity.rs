//! `auricle:speech/voice-activity`: where somebody speaks.
//!
//! Waiting for the device costs an instance nothing, so the audio that it may have computed is
//! counted instead: without that a component could keep the device busy for as long as its request
//! lives.

use auricle_audio::PcmRecorder;
use auricle_speech::audio::samples_to_bytes;
use auricle_speech::{Clip, MAX_GRAPH_JOB_SAMPLES, SAMPLE_RATE, VOICE_FRAME_SAMPLES, VoiceStream};
use auricle_tenancy::HeldKind;
use wasmtime::component::Resource;

use crate::bindings::imports::auricle::speech::types::SpeechError as WitSpeechError;
use crate::bindings::imports::auricle::speech::voice_activity::{Host, HostDetector};
use crate::convert::error_to_wit;
use crate::services::SpeechError;
use crate::state::GuestState;

/// What a handler may have computed: 24 h, the longest life of a live session.
pub(crate) const HANDLER_SAMPLES: u64 = 24 * 3600 * SAMPLE_RATE as u64;

/// What a chunker may have computed beyond [`CHUNKER_TIMES`] the clip: a minute.
const CHUNKER_SAMPLES: u64 = 60 * SAMPLE_RATE as u64;

/// How many times its clip a chunker may have computed: once whole, and parts of it again.
const CHUNKER_TIMES: u64 = 4;

/// When to come back after the audio is used up: never, in this request.
const USED_UP_SECS: u32 = 60;

/// What a chunker may have computed of a clip of this length.
pub(crate) fn chunker_samples(clip_samples: u64) -> u64 {
    clip_samples
        .saturating_mul(CHUNKER_TIMES)
        .saturating_add(CHUNKER_SAMPLES)
}

/// A live sound: what the model remembers of it, and what came since.
pub struct Detector {
    stream: VoiceStream,
    recorder: PcmRecorder,
}

impl GuestState {
    /// Takes audio out of what the instance may have computed.
    pub(crate) fn spend_voice(&mut self, samples: u64) -> Result<(), SpeechError> {
        // Even nothing costs a call to the device.
        let left = self
            .voice_left_samples
            .checked_sub(samples.max(VOICE_FRAME_SAMPLES));
        self.voice_left_samples = left.ok_or(SpeechError::OverLimit {
            retry_after_secs: USED_UP_SECS,
        })?;
        Ok(())
    }

    async fn probabilities_of(&mut self, clip: Clip) -> Result<Vec<f32>, SpeechError> {
        self.spend_voice(clip.len_samples())?;
        let voices = self.voices.clone().ok_or_else(unavailable)?;
        let probabilities = voices.probabilities(&self.scope, clip).await?;
        Ok(probabilities.to_vec())
    }

    async fn listen(
        &mut self,
        detector: &Resource<Detector>,
        ends: bool,
    ) -> wasmtime::Result<Result<Vec<f32>, SpeechError>> {
        let (scope, number) = (self.scope.clone(), detector.rep());
        let sound = self.table.get_mut(detector)?;
        let samples = sound.recorder.take_front(usize::MAX);
        let stream = std::mem::take(&mut sound.stream);
        let held = stream.waiting.len() + stream.state.len();
        self.held.hold_recorder(number, held)?;
        if let Err(error) = self.spend_voice(samples.len() as u64) {
            return Ok(Err(error));
        }
        let Some(voices) = self.voices.clone() else {
            return Ok(Err(unavailable()));
        };
        let listened = voices.listen(&scope, stream, samples, ends).await;
        Ok(match listened {
            Ok((stream, probabilities)) => {
                self.table.get_mut(detector)?.stream = stream;
                Ok(probabilities)
            }
            Err(error) => Err(error),
        })
    }
}

fn unavailable() -> SpeechError {
    SpeechError::Unavailable("there is no voice activity here".into())
}

impl Host for GuestState {
    fn frame_samples(&mut self) -> wasmtime::Result<u32> {
        Ok(VOICE_FRAME_SAMPLES as u32)
    }

    async fn probabilities(
        &mut self,
        clip: Resource<Clip>,
    ) -> wasmtime::Result<Result<Vec<f32>, WitSpeechError>> {
        let clip = self.table.get(&clip)?.clone();
        // What the device answers lies in the host until the component has it.
        let frames = clip.len_samples().div_ceil(VOICE_FRAME_SAMPLES);
        let bytes = samples_to_bytes(frames);
        let _held = self.held.reserve(HeldKind::Tensor, bytes)?;
        Ok(self.probabilities_of(clip).await.map_err(error_to_wit))
    }
}

impl HostDetector for GuestState {
    fn new(&mut self) -> wasmtime::Result<Resource<Detector>> {
        let limits = auricle_audio::DecodeLimits::default();
        let recorder = PcmRecorder::new(SAMPLE_RATE, &limits).map_err(wasmtime::Error::new)?;
        let handle = self.table.push(Detector {
            stream: VoiceStream::default(),
            recorder,
        })?;
        self.held.hold_recorder(handle.rep(), 0)?;
        Ok(handle)
    }

    async fn push(
        &mut self,
        detector: Resource<Detector>,
        pcm: Vec<u8>,
    ) -> wasmtime::Result<Result<Vec<f32>, WitSpeechError>> {
        let number = detector.rep();
        let sound = self.table.get_mut(&detector)?;
        if pcm.len() as u64 > 2 * MAX_GRAPH_JOB_SAMPLES {
            sound.stream = VoiceStream::default();
            let text = "more than 60 s of audio at once: push it in pieces".to_owned();
            return Ok(Err(WitSpeechError::InvalidOption(text)));
        }
        let coming = sound.recorder.samples().len() + pcm.len().div_ceil(2);
        self.held.hold_recorder(number, coming)?;
        if let Err(error) = sound.recorder.append(&pcm) {
            return Ok(Err(WitSpeechError::Other(Some(error.to_string()))));
        }
        let listened = self.listen(&detector, false).await?;
        Ok(listened.map_err(error_to_wit))
    }

    async fn finish(
        &mut self,
        detector: Resource<Detector>,
    ) -> wasmtime::Result<Result<Option<f32>, WitSpeechError>> {
        let listened = self.listen(&detector, true).await?;
        Ok(listened
            .map(|probabilities| probabilities.last().copied())
            .map_err(error_to_wit))
    }

    fn drop(&mut self, detector: Resource<Detector>) -> wasmtime::Result<()> {
        self.held.release(detector.rep());
        self.table.delete(detector)?;
        Ok(())
    }
}
