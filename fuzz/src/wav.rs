//! WAV: any bytes behind `RIFF…WAVE` are samples or a refusal, and no header has more samples come
//! out than bytes went in.

use auricle_decoder::native::decode_wav;
use auricle_decoder::{DecodeError, Refusal, Sink};

/// Most channels that are taken, as the server's limit.
const MAX_CHANNELS: usize = 8;

/// Takes `data` as a WAV, with its first bytes put right.
pub fn check(data: &[u8]) {
    let mut file = data.to_vec();
    file.resize(file.len().max(12), 0);
    if !matches!(&file[..4], b"RF64" | b"BW64") {
        file[..4].copy_from_slice(b"RIFF");
    }
    file[8..12].copy_from_slice(b"WAVE");
    let mut sink = Counting::default();
    let outcome = decode_wav(file, &mut sink);
    let bytes = data.len();
    assert!(
        sink.samples <= bytes,
        "{} samples of {bytes} bytes",
        sink.samples
    );
    match outcome {
        Ok(_) => {}
        Err(DecodeError::Unsupported(text) | DecodeError::Undecodable(text)) => {
            assert!(text.len() < 1_000 && text.contains(';'), "{text}");
        }
        Err(error) => panic!("{error}"),
    }
}

#[derive(Default)]
struct Counting {
    samples: usize,
}

impl Sink for Counting {
    fn push(&mut self, interleaved: &[f32], weights: &[f32], rate_hz: u32) -> Result<(), Refusal> {
        let channels = weights.len();
        if !(1..=MAX_CHANNELS).contains(&channels) || !(8_000..=192_000).contains(&rate_hz) {
            assert!(interleaved.is_empty(), "asked for before samples come");
            return Err(Refusal::Unfit("no; such".to_owned()));
        }
        assert_eq!(interleaved.len() % channels, 0, "whole frames");
        assert!(weights.iter().all(|it| (0.0..=1.0).contains(it)));
        self.samples += interleaved.len();
        Ok(())
    }
}
