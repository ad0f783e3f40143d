//! How a clip grows: within a memory reservation, in bounded steps.
//!
//! Every step is reserved before it is allocated. Steps are an eighth of the clip, so that a clip of
//! hours takes a few dozen of them; where that much is not to be had, exactly what is needed is
//! asked for. The vector never grows by itself, whose doubling no reservation would cover. Large
//! blocks grow by remapping pages (glibc and musl), so the old and the new block are never both
//! resident.

use auricle_speech::MemoryReservation;
use auricle_speech::audio::samples_to_bytes;
use auricle_speech::memory::unlimited;

use crate::error::AudioError;

/// Smallest step, in samples: 256 KiB.
const MIN_STEP_SAMPLES: u64 = 64 << 10;

/// Largest step, in samples: 32 MiB.
const MAX_STEP_SAMPLES: u64 = 8 << 20;

/// The reservation that a growing clip takes its memory from.
pub(crate) struct Growth(Box<dyn MemoryReservation>);

impl Default for Growth {
    fn default() -> Self {
        Self(unlimited())
    }
}

impl Growth {
    pub(crate) fn new(reservation: Box<dyn MemoryReservation>) -> Self {
        Self(reservation)
    }

    /// Growth of another clip on the same account.
    pub(crate) fn sibling(&self) -> Self {
        Self(self.0.sibling())
    }

    /// Makes room in `out` for `samples` in all.
    ///
    /// # Errors
    /// [`AudioError::Memory`]; `out` is unchanged then.
    pub(crate) fn make_room(&mut self, out: &mut Vec<f32>, samples: u64) -> Result<(), AudioError> {
        if samples <= out.capacity() as u64 {
            return Ok(());
        }
        let step = (samples / 8).clamp(MIN_STEP_SAMPLES, MAX_STEP_SAMPLES);
        let mut granted = samples.saturating_add(step);
        if self.0.resize(samples_to_bytes(granted)).is_err() {
            granted = samples;
            self.0.resize(samples_to_bytes(granted))?;
        }
        let more = usize::try_from(granted)
            .unwrap_or(usize::MAX)
            .saturating_sub(out.len());
        out.try_reserve_exact(more)
            .map_err(|_| AudioError::OutOfMemory)
    }

    /// The reservation, for the clip that it has grown into.
    pub(crate) fn into_reservation(self) -> Box<dyn MemoryReservation> {
        self.0
    }
}
