//! Audio: fetched, generated, or from the evaluation data.
//!
//! Fetched audio is pinned by the manifest of `auricle-models`. Evaluation data is what
//! `AURICLE_EVAL_DATA` names (else `../shared/data` beside the repository); a test that needs it
//! says in one line that it is absent, and ends.

use std::path::PathBuf;
use std::sync::OnceLock;

use auricle_models::{Store, StoreDirs};

use super::program::repository;
use super::text::word_error_rate;

/// Samples per second of everything here.
pub const RATE: usize = 16_000;

/// A recording whose words are known.
pub struct Speech {
    /// 16 kHz, mono.
    pub samples: Vec<i16>,
    pub text: &'static str,
    /// Bound on the word error rate of `tiny.en`.
    pub max_error_rate: f64,
}

impl Speech {
    pub fn wav(&self) -> Vec<u8> {
        wav(&self.samples)
    }

    pub fn secs(&self) -> f64 {
        self.samples.len() as f64 / RATE as f64
    }

    /// Fails unless `heard` is what was said.
    pub fn must_be(&self, heard: &str) {
        self.must_nearly_be(heard, 0.0);
    }

    /// Fails unless `heard` is what was said but for a rate of `allowed` more errors.
    pub fn must_nearly_be(&self, heard: &str, allowed: f64) {
        let rate = word_error_rate(self.text, heard);
        assert!(
            rate <= self.max_error_rate + allowed,
            "word error rate {rate}: {heard}"
        );
    }
}

/// 11 s of one speaker, which `tiny.en` understands without an error. On machines that cannot fetch
/// it (it takes npm), 6 s of a telephone conversation.
pub fn speech() -> &'static Speech {
    static SPEECH: OnceLock<Speech> = OnceLock::new();
    SPEECH.get_or_init(
        || match jfk("jfk.wav").or_else(|| evaluation("en/jfk.wav")) {
            Some(path) => Speech {
                samples: samples(&std::fs::read(path).unwrap()),
                text: "And so my fellow Americans, ask not what your country can do for you, ask \
                   what you can do for your country.",
                max_error_rate: 0.0,
            },
            None => {
                eprintln!("audio-jfk is not installed (no npm): a telephone call takes its place");
                Speech {
                    samples: two_speakers()[18 * RATE..24 * RATE].to_vec(),
                    text: "I'm originally from Chicago also. I'm in New Jersey now though. Well, \
                           there isn't that much difference.",
                    max_error_rate: 0.4,
                }
            }
        },
    )
}

/// A file of the set `audio-jfk`.
pub fn jfk(name: &str) -> Option<PathBuf> {
    let files = store().file("audio-jfk").ok()?;
    files.get(name).map(|file| file.path.clone())
}

/// 30 s of a telephone conversation of two speakers.
pub fn two_speakers() -> Vec<i16> {
    let files = store()
        .file("audio-two-speakers")
        .expect("`make setup` has installed it");
    samples(&std::fs::read(&files.get("sample.wav").unwrap().path).unwrap())
}

fn store() -> Store {
    Store::open(StoreDirs::from_env().unwrap()).unwrap()
}

/// A file of the evaluation data.
pub fn evaluation(name: &str) -> Option<PathBuf> {
    let dir = std::env::var_os("AURICLE_EVAL_DATA").map(PathBuf::from);
    let path = dir
        .unwrap_or_else(|| repository().join("../shared/data"))
        .join(name);
    path.exists().then_some(path)
}

/// As [`evaluation`], and says when it is absent.
pub fn evaluation_or_say(name: &str) -> Option<PathBuf> {
    let path = evaluation(name);
    if path.is_none() {
        eprintln!("skipped: no {name} in AURICLE_EVAL_DATA");
    }
    path
}

/// A 16-bit mono WAV file.
pub fn wav(samples: &[i16]) -> Vec<u8> {
    let data: Vec<u8> = samples
        .iter()
        .flat_map(|sample| sample.to_le_bytes())
        .collect();
    wav_of(1, 1, RATE as u32, 16, &data)
}

/// A WAV file of this format tag, with `data` as it is.
pub fn wav_of(tag: u16, channels: u16, rate: u32, bits: u16, data: &[u8]) -> Vec<u8> {
    let mut file = wav_header(tag, channels, rate, bits, data.len() as u32);
    file.extend_from_slice(data);
    file
}

/// What stands before `data_bytes` bytes of samples.
pub fn wav_header(tag: u16, channels: u16, rate: u32, bits: u16, data_bytes: u32) -> Vec<u8> {
    let frame = channels * bits.div_ceil(8);
    let mut header = Vec::with_capacity(44);
    header.extend_from_slice(b"RIFF");
    header.extend_from_slice(&data_bytes.saturating_add(36).to_le_bytes());
    header.extend_from_slice(b"WAVEfmt ");
    header.extend_from_slice(&16u32.to_le_bytes());
    header.extend_from_slice(&tag.to_le_bytes());
    header.extend_from_slice(&channels.to_le_bytes());
    header.extend_from_slice(&rate.to_le_bytes());
    header.extend_from_slice(&(rate * u32::from(frame)).to_le_bytes());
    header.extend_from_slice(&frame.to_le_bytes());
    header.extend_from_slice(&bits.to_le_bytes());
    header.extend_from_slice(b"data");
    header.extend_from_slice(&data_bytes.to_le_bytes());
    header
}

/// The samples of a 16-bit mono WAV file.
pub fn samples(wav: &[u8]) -> Vec<i16> {
    let data = wav
        .windows(4)
        .position(|w| w == b"data")
        .expect("a data chunk")
        + 8;
    wav[data..]
        .chunks_exact(2)
        .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
        .collect()
}

/// Digital silence.
pub fn silence(secs: f64) -> Vec<i16> {
    vec![0; (secs * RATE as f64) as usize]
}

/// White noise, the same each time, with a peak of `peak`.
pub fn noise(secs: f64, peak: i16) -> Vec<i16> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ((state >> 48) as i64 - 32_768) * i64::from(peak) / 32_768
    };
    silence(secs).iter().map(|_| next() as i16).collect()
}

/// Three tones with beats, as of a held chord.
pub fn chord(secs: f64) -> Vec<i16> {
    let tone =
        |i: usize, hertz: f64| (i as f64 / RATE as f64 * hertz * std::f64::consts::TAU).sin();
    let sample = |i: usize| (tone(i, 220.0) + tone(i, 277.2) + tone(i, 329.6)) * 6000.0;
    (0..silence(secs).len()).map(|i| sample(i) as i16).collect()
}
