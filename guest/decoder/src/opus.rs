//! Opus in Ogg, Matroska, MP4 and CAF.
//!
//! `ropus` decodes packets; this module does what RFC 7845 asks of a player besides: the samples
//! before the start (`pre-skip`) are left out, the header's gain is applied, and streams are put
//! together to channels. Damaged packets are left out, as with other codecs; nothing conceals the
//! loss.

use ropus::OpusMSDecoder;
use symphonia::core::audio::Channels;
use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::packet::Packet;

use crate::codec::Decoded;
use crate::downmix;
use crate::error::DecodeError;

/// Opus decodes to this rate, whatever was encoded.
const RATE_HZ: u32 = 48_000;

/// Most samples of a channel in a packet: 120 ms.
const MAX_PACKET_SAMPLES: usize = 5_760;

/// Most channels that a layout is known for (RFC 7845, mapping family 1).
const MAX_CHANNELS: usize = 8;

/// The identification header (RFC 7845, section 5.1).
struct Head {
    channels: usize,
    pre_skip: usize,
    /// In 1/256 dB.
    gain: i16,
    streams: u8,
    coupled: u8,
    mapping: [u8; MAX_CHANNELS],
}

impl Head {
    /// That of mono or stereo without a header.
    fn plain(channels: usize) -> Option<Self> {
        let coupled = match channels {
            1 => 0,
            2 => 1,
            _ => return None,
        };
        Some(Self {
            channels,
            pre_skip: 0,
            gain: 0,
            streams: 1,
            coupled,
            mapping: [0, 1, 2, 3, 4, 5, 6, 7],
        })
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let [
            version,
            channels,
            skip_0,
            skip_1,
            _,
            _,
            _,
            _,
            gain_0,
            gain_1,
            family,
            rest @ ..,
        ] = bytes.strip_prefix(b"OpusHead")?
        else {
            return None;
        };
        // MP4 has the same fields the other way round, and says so by a version of 0.
        let (skip, gain) = match version {
            0 => ([*skip_1, *skip_0], [*gain_1, *gain_0]),
            _ => ([*skip_0, *skip_1], [*gain_0, *gain_1]),
        };
        let count = usize::from(*channels);
        let mut mapping = [0, 1, 2, 3, 4, 5, 6, 7];
        let (streams, coupled) = match (family, rest) {
            (0, _) if matches!(count, 1 | 2) => (1, channels - 1),
            (1, [streams, coupled, table @ ..]) if (1..=MAX_CHANNELS).contains(&count) => {
                let table = table.get(..count)?;
                mapping.get_mut(..count)?.copy_from_slice(table);
                (*streams, *coupled)
            }
            _ => return None,
        };
        Some(Self {
            channels: count,
            pre_skip: usize::from(u16::from_le_bytes(skip)),
            gain: i16::from_le_bytes(gain),
            streams,
            coupled,
            mapping,
        })
    }
}

/// The decoder of one Opus track.
pub(crate) struct OpusDecoder {
    decoder: OpusMSDecoder,
    channels: usize,
    /// Samples of each channel that are still before the start.
    skip_samples: usize,
    weights: Vec<f32>,
    pcm: Vec<i16>,
}

impl OpusDecoder {
    /// A decoder for a track that describes itself by `params`, which skips `skip` frames at its
    /// start, or as many as its header says.
    pub(crate) fn new(
        params: &AudioCodecParameters,
        skip: Option<usize>,
    ) -> Result<Self, DecodeError> {
        let unsupported = || DecodeError::unsupported("Opus of this channel layout");
        let bytes = params.extra_data.as_deref().unwrap_or_default();
        let channels = params.channels.as_ref().map_or(0, Channels::count);
        let head = match bytes.starts_with(b"OpusHead") {
            true => Head::parse(bytes),
            // CAF has no such header.
            false => Head::plain(channels),
        }
        .ok_or_else(unsupported)?;
        let mut decoder = OpusMSDecoder::new(
            RATE_HZ as i32,
            head.channels as i32,
            i32::from(head.streams),
            i32::from(head.coupled),
            &head.mapping,
        )
        .map_err(|_| unsupported())?;
        if head.gain != 0 {
            decoder.set_gain(i32::from(head.gain));
        }
        let mut weights = Vec::new();
        downmix::of_vorbis_order(head.channels, &mut weights);
        Ok(Self {
            decoder,
            channels: head.channels,
            skip_samples: skip.unwrap_or(head.pre_skip),
            weights,
            pcm: vec![0; MAX_PACKET_SAMPLES * head.channels],
        })
    }

    /// Decodes `packet` into `out`, or says what is wrong with it.
    pub(crate) fn decode(
        &mut self,
        packet: &Packet,
        out: &mut Decoded,
    ) -> Result<(), &'static str> {
        const BROKEN: &str = "its Opus packets are damaged";
        let bytes = i32::try_from(packet.data.len()).map_err(|_| BROKEN)?;
        if bytes == 0 {
            return Err(BROKEN);
        }
        let made = self
            .decoder
            .decode(
                Some(&packet.data),
                bytes,
                &mut self.pcm,
                MAX_PACKET_SAMPLES as i32,
                false,
            )
            .map_err(|_| BROKEN)?;
        let made = usize::try_from(made).map_err(|_| BROKEN)?;
        let first = self.skip_samples.min(made);
        self.skip_samples -= first;
        let kept = self.pcm.get(first * self.channels..made * self.channels);
        out.samples.clear();
        let level = |sample: &i16| f32::from(*sample) / 32_768.0;
        out.samples
            .extend(kept.unwrap_or_default().iter().map(level));
        out.weights.clone_from(&self.weights);
        out.rate_hz = RATE_HZ;
        out.skipped = first as u64;
        Ok(())
    }
}
