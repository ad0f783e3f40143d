//! What the first packets of an Ogg stream say of its codec.

use symphonia::core::audio::{Channels, Position};
use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::codecs::audio::well_known as id;

/// A stream, by its first packet.
pub(super) enum Identified {
    Audio(Codec),
    Unsupported(&'static str),
    /// Pictures, text, or unknown.
    Other,
}

/// The codec of a stream, as its headers come.
pub(super) enum Codec {
    Opus {
        head: Vec<u8>,
        has_tags: bool,
    },
    /// The identification, and the setup when it has come.
    Vorbis {
        head: Vec<u8>,
        has_setup: bool,
    },
    Flac {
        info: Vec<u8>,
    },
}

/// Tells a stream by its first packet.
pub(super) fn identify(packet: &[u8]) -> Identified {
    match packet {
        [b'O', b'p', b'u', b's', b'H', b'e', b'a', b'd', ..] => Identified::Audio(Codec::Opus {
            head: packet.to_vec(),
            has_tags: false,
        }),
        [1, b'v', b'o', b'r', b'b', b'i', b's', ..] => Identified::Audio(Codec::Vorbis {
            head: packet.to_vec(),
            has_setup: false,
        }),
        // Behind its version, the number of headers, "fLaC" and the head of the block.
        [0x7F, b'F', b'L', b'A', b'C', rest @ ..] => match rest.get(12..46) {
            Some(info) => Identified::Audio(Codec::Flac {
                info: info.to_vec(),
            }),
            None => Identified::Other,
        },
        [b'S', b'p', b'e', b'e', b'x', ..] => Identified::Unsupported("Speex"),
        _ => Identified::Other,
    }
}

impl Codec {
    /// Takes a header; `false` if the packet is audio.
    pub(super) fn take_header(&mut self, packet: &[u8]) -> bool {
        match self {
            Self::Opus { has_tags, .. } => {
                let is_tags = !*has_tags && packet.starts_with(b"OpusTags");
                *has_tags |= is_tags;
                is_tags
            }
            Self::Vorbis { head, has_setup } => {
                let is_header = packet.get(1..7) == Some(b"vorbis".as_slice());
                if is_header && packet.first() == Some(&5) && !*has_setup {
                    head.extend_from_slice(packet);
                    *has_setup = true;
                }
                is_header || packet.first().is_some_and(|kind| kind & 1 == 1)
            }
            Self::Flac { .. } => packet.first() != Some(&0xFF),
        }
    }

    /// Whether audio can be decoded.
    pub(super) fn is_complete(&self) -> bool {
        match self {
            Self::Vorbis { has_setup, .. } => *has_setup,
            Self::Opus { .. } | Self::Flac { .. } => true,
        }
    }

    /// Frames before the time 0.
    pub(super) fn pre_skip(&self) -> i64 {
        match self {
            Self::Opus { head, .. } => match head.get(10..12) {
                Some([low, high]) => i64::from(u16::from_le_bytes([*low, *high])),
                _ => 0,
            },
            Self::Vorbis { .. } | Self::Flac { .. } => 0,
        }
    }

    /// What a decoder must know.
    pub(super) fn params(&self) -> AudioCodecParameters {
        let mut params = AudioCodecParameters::new();
        match self {
            Self::Opus { head, .. } => {
                params.for_codec(id::CODEC_ID_OPUS);
                params.with_extra_data(head.as_slice().into());
            }
            Self::Vorbis { head, .. } => {
                params.for_codec(id::CODEC_ID_VORBIS);
                params.with_extra_data(head.as_slice().into());
            }
            Self::Flac { info } => {
                params.for_codec(id::CODEC_ID_FLAC);
                params.with_extra_data(info.as_slice().into());
                // Rate (20 bits), channels - 1 (3), bits - 1 (5).
                if let Some([a, b, c, d]) = info.get(10..14) {
                    let packed = u32::from_be_bytes([*a, *b, *c, *d]);
                    params.with_sample_rate(packed >> 12);
                    params.with_bits_per_sample((packed >> 4 & 31) + 1);
                    let positions = Position::from_count((packed >> 9 & 7) + 1);
                    if let Some(positions) = positions {
                        params.with_channels(Channels::Positioned(positions));
                    }
                }
            }
        }
        params
    }
}
