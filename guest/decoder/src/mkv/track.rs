//! What a Matroska file says of itself and its tracks.

use symphonia::core::audio::{Channels, Position};
use symphonia::core::codecs::audio::well_known as id;
use symphonia::core::codecs::audio::{AudioCodecId, AudioCodecParameters};

use super::ebml::{Elements, float, unsigned};
use crate::codec::Decoder;
use crate::error::DecodeError;

/// Nanoseconds of a tick in a file that does not say.
const TICK_NS: i64 = 1_000_000;

/// The segment's information.
pub(super) struct Info {
    pub(super) tick_ns: i64,
    duration_ticks: f64,
}

impl Default for Info {
    fn default() -> Self {
        Self {
            tick_ns: TICK_NS,
            duration_ticks: 0.0,
        }
    }
}

impl Info {
    pub(super) fn read(body: &[u8]) -> Self {
        let mut info = Self::default();
        for (id, content) in Elements(body) {
            match id {
                0x002A_D7B1 => {
                    let scale = i64::try_from(unsigned(content)).unwrap_or(0);
                    info.tick_ns = if scale > 0 { scale } else { TICK_NS };
                }
                0x4489 => info.duration_ticks = float(content).unwrap_or(0.0),
                _ => {}
            }
        }
        info
    }

    /// The duration that the file declares; 0 if it does not.
    pub(super) fn duration_ns(&self) -> i64 {
        (self.duration_ticks * self.tick_ns as f64) as i64
    }
}

/// A track.
#[derive(Default)]
pub(super) struct Track {
    pub(super) number: u64,
    kind: u64,
    is_default: bool,
    is_enabled: bool,
    codec: String,
    private: Vec<u8>,
    /// Encoder delay, which stamps include.
    pub(super) delay_ns: i64,
    rate_hz: f64,
    channels: u32,
    bits: u32,
    /// Bytes that each packet begins with and that are left out.
    pub(super) stripped: Vec<u8>,
    /// Whether packets are encrypted or compressed in a way that is not read.
    is_encoded: bool,
    /// Other tracks of sound and pictures.
    pub(super) others: Vec<u64>,
}

/// Types of tracks.
const VIDEO: u64 = 1;
const AUDIO: u64 = 2;

/// The tracks of the file.
pub(super) fn read(body: &[u8]) -> Vec<Track> {
    let entries = Elements(body).filter(|(id, _)| *id == 0xAE);
    entries.map(|(_, entry)| Track::read(entry)).collect()
}

/// The track to play and its decoder.
pub(super) fn select(tracks: Vec<Track>) -> Result<(Track, Decoder), DecodeError> {
    let shown: Vec<u64> = tracks
        .iter()
        .filter(|track| matches!(track.kind, VIDEO | AUDIO))
        .map(|track| track.number)
        .collect();
    let sound = tracks.into_iter().filter(|track| track.kind == AUDIO);
    let (first, others): (Vec<_>, Vec<_>) = sound.partition(|it| it.is_default && it.is_enabled);
    let mut refusal = None;
    for mut track in first.into_iter().chain(others) {
        let decoder = track
            .params()
            .and_then(|params| Decoder::new(&params, None));
        match decoder {
            Ok(decoder) => {
                track.others = shown
                    .iter()
                    .copied()
                    .filter(|it| *it != track.number)
                    .collect();
                return Ok((track, decoder));
            }
            Err(error) => {
                refusal.get_or_insert(error);
            }
        }
    }
    Err(refusal.unwrap_or_else(|| DecodeError::undecodable("the file has no audio track")))
}

impl Track {
    fn read(entry: &[u8]) -> Self {
        let mut track = Self {
            is_default: true,
            is_enabled: true,
            rate_hz: 8_000.0,
            channels: 1,
            ..Self::default()
        };
        for (id, content) in Elements(entry) {
            match id {
                0xD7 => track.number = unsigned(content),
                0x83 => track.kind = unsigned(content),
                0x88 => track.is_default = unsigned(content) != 0,
                0xB9 => track.is_enabled = unsigned(content) != 0,
                0x86 => {
                    track.codec = String::from_utf8_lossy(content)
                        .trim_end_matches('\0')
                        .to_owned()
                }
                0x63A2 => track.private = content.to_vec(),
                0x56AA => track.delay_ns = i64::try_from(unsigned(content)).unwrap_or(0),
                0xE1 => track.read_audio(content),
                0x6D80 => track.read_encodings(content),
                _ => {}
            }
        }
        track
    }

    fn read_audio(&mut self, body: &[u8]) {
        for (id, content) in Elements(body) {
            match id {
                0xB5 => self.rate_hz = float(content).unwrap_or(self.rate_hz),
                0x9F => self.channels = u32::try_from(unsigned(content)).unwrap_or(0),
                0x6264 => self.bits = u32::try_from(unsigned(content)).unwrap_or(0),
                _ => {}
            }
        }
    }

    /// Stripped headers are put back; anything else is not read.
    fn read_encodings(&mut self, body: &[u8]) {
        for (_, encoding) in Elements(body).filter(|(id, _)| *id == 0x6240) {
            let find = |bytes, number| Elements(bytes).find(|(id, _)| *id == number).map(|it| it.1);
            let compression = find(encoding, 0x5034);
            let algorithm = compression.map(|it| find(it, 0x4254).map_or(0, unsigned));
            match (algorithm, compression) {
                (Some(3), Some(compression)) if self.stripped.is_empty() => {
                    self.stripped = find(compression, 0x4255).unwrap_or_default().to_vec();
                }
                _ => self.is_encoded = true,
            }
        }
    }

    /// What a decoder must know.
    fn params(&self) -> Result<AudioCodecParameters, DecodeError> {
        if self.is_encoded {
            return Err(DecodeError::unsupported(
                "an encrypted or compressed Matroska track",
            ));
        }
        let codec = self.codec_id()?;
        let mut params = AudioCodecParameters::new();
        params
            .for_codec(codec)
            .with_sample_rate(self.rate_hz.round() as u32);
        if let Some(positions) = Position::from_count(self.channels).filter(|_| self.channels > 0) {
            params.with_channels(Channels::Positioned(positions));
        }
        let damaged = || DecodeError::undecodable("the description of its audio track is damaged");
        let extra = match codec {
            id::CODEC_ID_VORBIS => Some(vorbis(&self.private).ok_or_else(damaged)?),
            id::CODEC_ID_FLAC => Some(flac(&self.private).ok_or_else(damaged)?),
            _ => Some(self.private.clone()).filter(|it| !it.is_empty()),
        };
        if let Some(extra) = extra {
            params.with_extra_data(extra.into());
        }
        Ok(params)
    }

    fn codec_id(&self) -> Result<AudioCodecId, DecodeError> {
        let unsupported = |what: &str| Err(DecodeError::unsupported(what));
        Ok(match self.codec.as_str() {
            "A_OPUS" => id::CODEC_ID_OPUS,
            "A_VORBIS" => id::CODEC_ID_VORBIS,
            "A_FLAC" => id::CODEC_ID_FLAC,
            "A_ALAC" => id::CODEC_ID_ALAC,
            "A_MPEG/L3" => id::CODEC_ID_MP3,
            "A_MPEG/L2" => id::CODEC_ID_MP2,
            name if name.starts_with("A_AAC") => id::CODEC_ID_AAC,
            "A_PCM/INT/LIT" | "A_PCM/INT/BIG" | "A_PCM/FLOAT/IEEE" => match self.pcm() {
                Some(codec) => codec,
                None => return unsupported("PCM of this sample size in Matroska"),
            },
            name if name.starts_with("A_AC3") => return unsupported("AC-3"),
            name if name.starts_with("A_EAC3") => return unsupported("E-AC-3"),
            name if name.starts_with("A_DTS") => return unsupported("DTS"),
            name if name.starts_with("A_TRUEHD") => return unsupported("TrueHD"),
            _ => return unsupported("the codec of its audio track"),
        })
    }

    fn pcm(&self) -> Option<AudioCodecId> {
        Some(match (self.codec.as_str(), self.bits) {
            ("A_PCM/INT/LIT" | "A_PCM/INT/BIG", 8) => id::CODEC_ID_PCM_U8,
            ("A_PCM/INT/LIT", 16) => id::CODEC_ID_PCM_S16LE,
            ("A_PCM/INT/LIT", 24) => id::CODEC_ID_PCM_S24LE,
            ("A_PCM/INT/LIT", 32) => id::CODEC_ID_PCM_S32LE,
            ("A_PCM/INT/BIG", 16) => id::CODEC_ID_PCM_S16BE,
            ("A_PCM/INT/BIG", 24) => id::CODEC_ID_PCM_S24BE,
            ("A_PCM/INT/BIG", 32) => id::CODEC_ID_PCM_S32BE,
            ("A_PCM/FLOAT/IEEE", 32) => id::CODEC_ID_PCM_F32LE,
            ("A_PCM/FLOAT/IEEE", 64) => id::CODEC_ID_PCM_F64LE,
            _ => return None,
        })
    }
}

/// Identification and setup of Vorbis, of three headers in Xiph lacing.
fn vorbis(private: &[u8]) -> Option<Vec<u8>> {
    let [2, rest @ ..] = private else {
        return None;
    };
    let mut rest = rest;
    let mut sizes = [0_usize; 2];
    for size in &mut sizes {
        loop {
            let (byte, behind) = rest.split_first()?;
            rest = behind;
            *size += usize::from(*byte);
            if *byte < 255 {
                break;
            }
        }
    }
    let [first, second] = sizes;
    let (identification, rest) = rest.split_at_checked(first)?;
    let (_, setup) = rest.split_at_checked(second)?;
    Some([identification, setup].concat())
}

/// The stream's information, behind "fLaC" and the head of its block.
fn flac(private: &[u8]) -> Option<Vec<u8>> {
    let info = private.strip_prefix(b"fLaC")?.get(4..38)?;
    Some(info.to_vec())
}
