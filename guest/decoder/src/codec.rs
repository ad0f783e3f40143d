//! Picks the decoder for a track and turns packets into interleaved f32.
//!
//! symphonia decodes everything but Opus, which [`opus`](crate::opus) does, and AAC that is more
//! than stereo LC: films with 5.1 sound and HE-AAC streams. Those go to `rusty_aac`, built without
//! its SIMD. It is the second choice because it is young; symphonia's AAC has met far more files.

use std::ops::Range;

use symphonia::core::codecs::audio::well_known as id;
use symphonia::core::codecs::audio::{AudioCodecId, AudioCodecParameters, AudioDecoder};
use symphonia::core::errors::Error;
use symphonia::core::packet::Packet;

use crate::downmix;
use crate::error::DecodeError;
use crate::opus::OpusDecoder;

/// Most frames in one packet that a decoder may be made for: FLAC's largest block is 65 535 and
/// the other codecs stay far below.
const MAX_PACKET_FRAMES: u64 = 1 << 20;

/// The decoder of one track.
pub(crate) enum Decoder {
    Symphonia(Box<dyn AudioDecoder>),
    Aac(Box<rusty_aac::AacDecoder>),
    Opus(Box<OpusDecoder>),
}

/// What packets become.
#[derive(Default)]
pub(crate) struct Decoded {
    /// Interleaved samples.
    pub(crate) samples: Vec<f32>,
    /// How much of each channel goes into the mix.
    pub(crate) weights: Vec<f32>,
    pub(crate) rate_hz: u32,
    /// Frames that the packet decodes to in front of `samples`, removed as encoder delay.
    pub(crate) skipped: u64,
}

impl Decoded {
    /// Frames of `samples`.
    pub(crate) fn frames(&self) -> u64 {
        (self.samples.len() / self.weights.len().max(1)) as u64
    }

    /// Drops all frames but those of `kept`.
    pub(crate) fn keep(&mut self, kept: Range<u64>) {
        let channels = self.weights.len().max(1);
        let index = |frame: u64| {
            usize::try_from(frame).map_or(usize::MAX, |it| it.saturating_mul(channels))
        };
        self.samples.truncate(index(kept.end));
        let front = index(kept.start).min(self.samples.len());
        self.samples.drain(..front);
        self.skipped += kept.start;
    }
}

impl Decoder {
    /// A decoder for a track of `params`, after a look at what they claim. `opus_skip`: 48 kHz frames
    /// to drop from the start of an Opus track, instead of the pre-skip in its header.
    pub(crate) fn new(
        params: &AudioCodecParameters,
        opus_skip: Option<usize>,
    ) -> Result<Self, DecodeError> {
        if params.codec == id::CODEC_ID_OPUS {
            let decoder = OpusDecoder::new(params, opus_skip)?;
            return Ok(Self::Opus(Box::new(decoder)));
        }
        if params
            .max_frames_per_packet
            .is_some_and(|frames| frames > MAX_PACKET_FRAMES)
        {
            return Err(DecodeError::undecodable("its packets are impossibly long"));
        }
        symphonia::default::get_codecs()
            .make_audio_decoder(params, &Default::default())
            .map(Self::Symphonia)
            .or_else(|error| match error {
                Error::Unsupported(_) if params.codec == id::CODEC_ID_AAC => aac(params),
                Error::Unsupported(_) => Err(DecodeError::unsupported(
                    codec_name(params.codec).unwrap_or("the codec of its audio track"),
                )),
                _ => Err(DecodeError::undecodable(
                    "the description of its audio track is damaged",
                )),
            })
    }

    /// Decodes `packet` into `out`, or says what is wrong with it.
    pub(crate) fn decode(
        &mut self,
        packet: &Packet,
        out: &mut Decoded,
    ) -> Result<(), &'static str> {
        out.skipped = 0;
        match self {
            Self::Symphonia(decoder) => match decoder.decode(packet) {
                Ok(buffer) => {
                    buffer.copy_to_vec_interleaved(&mut out.samples);
                    out.skipped = packet.trim_start.get();
                    downmix::of_layout(buffer.spec().channels(), &mut out.weights);
                    out.rate_hz = buffer.spec().rate();
                    Ok(())
                }
                Err(error) => {
                    if matches!(error, Error::ResetRequired) {
                        decoder.reset();
                    }
                    Err("its audio packets are damaged")
                }
            },
            Self::Aac(decoder) => {
                let audio = decoder
                    .decode(&packet.data, None)
                    .map_err(|_| "its AAC frames are damaged")?;
                out.samples = audio.samples;
                downmix::equal(usize::from(audio.channels), &mut out.weights);
                out.rate_hz = audio.sample_rate;
                Ok(())
            }
            Self::Opus(decoder) => decoder.decode(packet, out),
        }
    }

    /// Clears the state that earlier packets left, before a discontinuity.
    pub(crate) fn reset(&mut self) {
        if let Self::Symphonia(decoder) = self {
            decoder.reset();
        }
    }
}

/// A decoder for AAC that symphonia refuses.
fn aac(params: &AudioCodecParameters) -> Result<Decoder, DecodeError> {
    let unsupported = || DecodeError::unsupported("this kind of AAC");
    let decoder = match &params.extra_data {
        Some(config) => {
            rusty_aac::AacDecoder::with_config_bytes(config).map_err(|_| unsupported())?
        }
        // ADTS: its frames have told the layout and are taken off.
        None => {
            let channels = params.channels.as_ref().map_or(0, |it| it.count());
            let channels = match channels {
                1..=6 => channels as u16,
                8 => 7, // the number of the 7.1 layout
                _ => return Err(unsupported()),
            };
            rusty_aac::AacDecoder::with_config(rusty_aac::AudioSpecificConfig {
                object_type: 2,
                sample_rate: params.sample_rate.ok_or_else(unsupported)?,
                channels,
            })
        }
    };
    Ok(Decoder::Aac(Box::new(decoder)))
}

/// Names of codecs that people have in files.
fn codec_name(codec: AudioCodecId) -> Option<&'static str> {
    Some(match codec {
        id::CODEC_ID_SPEEX => "Speex",
        id::CODEC_ID_AC3 => "AC-3",
        id::CODEC_ID_EAC3 => "E-AC-3",
        id::CODEC_ID_AC4 => "AC-4",
        id::CODEC_ID_DCA => "DTS",
        id::CODEC_ID_TRUEHD => "TrueHD",
        id::CODEC_ID_WMA => "Windows Media Audio",
        _ => return None,
    })
}
