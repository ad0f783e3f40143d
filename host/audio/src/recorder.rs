//! A clip that grows while somebody speaks: headerless PCM in, samples out.
//!
//! Lives as long as a live session. Bounded by its own duration limit: a session that goes on
//! takes what it has recorded and starts the next clip.

use auricle_speech::{Clip, SAMPLE_RATE};

use crate::DecodeLimits;
use crate::error::AudioError;
use crate::resample::Resampler;

/// Part of a second in one chunk of the resampler: 40 ms keeps a live transcript prompt.
const CHUNKS_PER_SEC: u32 = 25;

/// Room that a recorder keeps for what comes next: 4 s.
const KEPT_SAMPLES: usize = 64 << 10;

/// Records signed 16-bit little-endian mono PCM of one rate.
pub struct PcmRecorder {
    resampler: Option<Resampler>,
    /// The first byte of a sample whose second has not come.
    odd: Option<u8>,
    incoming: Vec<f32>,
    samples: Vec<f32>,
    max_samples: usize,
    max_secs: u64,
}

impl PcmRecorder {
    /// A recorder for audio of `rate_hz`.
    ///
    /// # Errors
    /// [`AudioError::BadRate`] for a rate outside of `limits`.
    pub fn new(rate_hz: u32, limits: &DecodeLimits) -> Result<Self, AudioError> {
        limits.check_layout(1, rate_hz)?;
        let resampler = if rate_hz == SAMPLE_RATE {
            None
        } else {
            let chunk_samples = (rate_hz / CHUNKS_PER_SEC) as usize;
            Some(Resampler::new(rate_hz, chunk_samples)?)
        };
        let max_samples = limits.max_duration.as_nanos() * u128::from(SAMPLE_RATE) / 1_000_000_000;
        Ok(Self {
            resampler,
            odd: None,
            incoming: Vec::new(),
            samples: Vec::new(),
            max_samples: usize::try_from(max_samples).unwrap_or(usize::MAX),
            max_secs: limits.max_duration.as_secs(),
        })
    }

    /// Adds bytes; a sample may be cut between two calls.
    ///
    /// # Errors
    /// [`AudioError::TooLong`] when the clip would grow over the limit; nothing is added then.
    pub fn append(&mut self, pcm: &[u8]) -> Result<(), AudioError> {
        let rate_hz = self
            .resampler
            .as_ref()
            .map_or(SAMPLE_RATE, Resampler::rate_hz);
        let coming = crate::resample::rescale(pcm.len() as u64 / 2, rate_hz);
        let coming = usize::try_from(coming).unwrap_or(usize::MAX);
        if self.samples.len().saturating_add(coming) > self.max_samples {
            return Err(AudioError::TooLong {
                max_secs: self.max_secs,
            });
        }
        self.incoming.clear();
        let mut pcm = pcm;
        if let (Some(low), [high, rest @ ..]) = (self.odd, pcm) {
            self.incoming.push(level([low, *high]));
            self.odd = None;
            pcm = rest;
        }
        let (whole, odd) = pcm.as_chunks::<2>();
        self.incoming.extend(whole.iter().map(|pair| level(*pair)));
        self.odd = odd.first().copied().or(self.odd);
        match &mut self.resampler {
            None => self.samples.extend_from_slice(&self.incoming),
            Some(resampler) => resampler.push(&self.incoming, &mut self.samples)?,
        }
        Ok(())
    }

    /// What has been recorded, at [`SAMPLE_RATE`].
    ///
    /// With another rate, up to 80 ms that were appended last are still in the resampler.
    #[must_use]
    pub fn samples(&self) -> &[f32] {
        &self.samples
    }

    /// A copy of [`samples`](Self::samples) as a clip; recording goes on.
    #[must_use]
    pub fn snapshot(&self) -> Clip {
        Clip::new(self.samples.clone())
    }

    /// Takes the first `count` of [`samples`](Self::samples) out; without a copy where that is all.
    #[must_use]
    pub fn take_front(&mut self, count: usize) -> Vec<f32> {
        if count >= self.samples.len() {
            return std::mem::take(&mut self.samples);
        }
        let front = self.samples.drain(..count).collect();
        if self.samples.capacity() > KEPT_SAMPLES {
            // What was taken is counted as given back.
            self.samples.shrink_to(KEPT_SAMPLES);
        }
        front
    }

    /// Everything recorded as a clip; the recorder begins the next clip, and keeps an odd byte.
    ///
    /// # Errors
    /// [`AudioError::Resample`] if the resampler fails, which no input is known to cause.
    pub fn take(&mut self) -> Result<Clip, AudioError> {
        if let Some(resampler) = &mut self.resampler {
            resampler.finish(&mut self.samples)?;
        }
        Ok(Clip::new(std::mem::take(&mut self.samples)))
    }
}

impl std::fmt::Debug for PcmRecorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PcmRecorder")
            .field("samples", &self.samples.len())
            .finish_non_exhaustive()
    }
}

fn level(sample: [u8; 2]) -> f32 {
    f32::from(i16::from_le_bytes(sample)) / 32_768.0
}
