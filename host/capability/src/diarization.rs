//! `auricle:speech/diarization`: who speaks when.
//!
//! The clips of known speakers are taken from the component: its handles to them are gone after the
//! call. Of each only [`KNOWN_SECS`] are kept, so that what a transcription holds beside its own
//! clip is bounded.

use auricle_speech::audio::samples_to_bytes;
use auricle_speech::{Clip, KnownVoice, SAMPLE_RATE, Span, SpeakerOptions};
use auricle_tenancy::HeldKind;
use wasmtime::component::Resource;

use crate::bindings::imports::auricle::speech::diarization::{
    Host, SpeakerOptions as WitSpeakerOptions,
};
use crate::bindings::imports::auricle::speech::types::{SpeechError as WitSpeechError, Turn};
use crate::convert::{error_to_wit, turn_to_wit};
use crate::services::SpeechError;
use crate::state::GuestState;

/// Seconds of a known speaker's clip that count.
const KNOWN_SECS: u64 = 60;

/// Known speakers of one request.
const MAX_KNOWN: usize = 16;

/// Bytes of a known speaker's name.
const MAX_NAME_BYTES: usize = 256;

impl GuestState {
    /// Takes over the clips of the known speakers, also when the options are refused.
    pub(crate) fn speaker_options(
        &mut self,
        options: WitSpeakerOptions,
    ) -> wasmtime::Result<Result<SpeakerOptions, SpeechError>> {
        let mut known: Vec<KnownVoice> = Vec::new();
        for speaker in options.known {
            self.held.release(speaker.voice.rep());
            let clip = self.table.delete(speaker.voice)?;
            known.push(KnownVoice {
                name: speaker.name,
                clip: self.beginning(clip)?,
            });
        }
        Ok(check_known(&known).map(|()| SpeakerOptions {
            num_speakers: options.num_speakers,
            min_speakers: options.min_speakers,
            max_speakers: options.max_speakers,
            known,
        }))
    }

    /// What counts of a known speaker's clip; a copy, so that the rest of the clip is given back.
    fn beginning(&self, clip: Clip) -> wasmtime::Result<Clip> {
        let end = KNOWN_SECS * u64::from(SAMPLE_RATE);
        if clip.len_samples() <= end {
            return Ok(clip);
        }
        let samples = clip.slice(Span { start: 0, end });
        let bytes = samples_to_bytes(samples.len() as u64);
        let reservation = self.scope.account.reserve(HeldKind::Clip, bytes);
        let reservation = reservation.map_err(wasmtime::Error::new)?;
        Ok(Clip::reserved(samples.to_vec(), Box::new(reservation)))
    }
}

fn check_known(known: &[KnownVoice]) -> Result<(), SpeechError> {
    let refuse = |text: String| Err(SpeechError::InvalidOption(text));
    if known.len() > MAX_KNOWN {
        return refuse(format!(
            "there are {} known speakers: send at most {MAX_KNOWN}",
            known.len()
        ));
    }
    for (number, speaker) in known.iter().enumerate() {
        if speaker.name.trim().is_empty() || speaker.name.len() > MAX_NAME_BYTES {
            return refuse(format!(
                "the name of known speaker {} must have 1 to {MAX_NAME_BYTES} bytes",
                number + 1
            ));
        }
        let before = known.iter().take(number);
        if before.into_iter().any(|other| other.name == speaker.name) {
            return refuse("two known speakers have one name: give each its own".to_owned());
        }
    }
    Ok(())
}

impl Host for GuestState {
    async fn diarize(
        &mut self,
        clip: Resource<Clip>,
        options: WitSpeakerOptions,
    ) -> wasmtime::Result<Result<Vec<Turn>, WitSpeechError>> {
        let clip = self.table.get(&clip)?.clone();
        let services = self.services()?;
        let options = match self.speaker_options(options)? {
            Ok(options) => options,
            Err(error) => return Ok(Err(error_to_wit(error))),
        };
        if let Err(error) = self.spend_voice(clip.len_samples()) {
            return Ok(Err(error_to_wit(error)));
        }
        let turns = services.diarize(&self.scope, clip, options).await;
        Ok(turns
            .map(|turns| turns.into_iter().map(turn_to_wit).collect())
            .map_err(error_to_wit))
    }
}
