//! `auricle:audio/recording`: live audio that is still arriving.

use auricle_audio::PcmRecorder;
use auricle_speech::audio::samples_to_bytes;
use auricle_speech::{Clip, SAMPLE_RATE};
use auricle_tenancy::HeldKind;
use wasmtime::component::Resource;

use crate::bindings::imports::auricle::audio::recording::{Host, HostRecorder, RecordError};
use crate::state::GuestState;

/// Samples that a recorder holds: 600 s.
const MAX_SAMPLES: usize = 600 * SAMPLE_RATE as usize;

impl Host for GuestState {}

impl HostRecorder for GuestState {
    fn new(&mut self) -> wasmtime::Result<Resource<PcmRecorder>> {
        let limits = self.services()?.decode_limits();
        let recorder = PcmRecorder::new(SAMPLE_RATE, &limits).map_err(wasmtime::Error::new)?;
        Ok(self.table.push(recorder)?)
    }

    fn append(
        &mut self,
        recorder: Resource<PcmRecorder>,
        pcm: Vec<u8>,
    ) -> wasmtime::Result<Result<(), RecordError>> {
        let number = recorder.rep();
        let recorder = self.table.get_mut(&recorder)?;
        let length = recorder.samples().len();
        if length + pcm.len() / 2 > MAX_SAMPLES {
            return Ok(Err(RecordError::Full));
        }
        self.held
            .hold_recorder(number, length + pcm.len().div_ceil(2))?;
        let appended = recorder.append(&pcm);
        Ok(appended.map_err(|error| RecordError::Other(Some(error.to_string()))))
    }

    fn length(&mut self, recorder: Resource<PcmRecorder>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&recorder)?.samples().len() as u64)
    }

    fn take(
        &mut self,
        recorder: Resource<PcmRecorder>,
        samples: u64,
    ) -> wasmtime::Result<Resource<Clip>> {
        let number = recorder.rep();
        let recorder = self.table.get_mut(&recorder)?;
        let count = recorder
            .samples()
            .len()
            .min(usize::try_from(samples).unwrap_or(usize::MAX));
        let rest = recorder.samples().len() - count;
        if rest == 0 {
            // Nothing is copied: the recorder's memory becomes the clip's.
            self.held.hold_recorder(number, 0)?;
        }
        let bytes = samples_to_bytes(count as u64);
        let reservation = self.held.reserve(HeldKind::Clip, bytes)?;
        let clip = Clip::reserved(recorder.take_front(count), Box::new(reservation));
        self.held.hold_recorder(number, rest)?;
        self.push_clip(clip)
    }

    fn drop(&mut self, recorder: Resource<PcmRecorder>) -> wasmtime::Result<()> {
        self.held.release(recorder.rep());
        self.table.delete(recorder)?;
        Ok(())
    }
}
