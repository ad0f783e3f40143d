//! Media: any bytes are samples or a refusal, within bounded work, whatever container they claim.
//!
//! The codecs are not ours: a panic of theirs ends the sandbox that they run in, and is no finding.
//! One of the decoder's own code is.

use std::io::Cursor;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::Once;

use auricle_decoder::{DecodeError, Hint, Refusal, Sink, decode};

/// Most channels that are taken, as the server's limit.
const MAX_CHANNELS: usize = 8;

/// Audio that is taken, as a server limits the duration.
const MAX_SECS: f64 = 60.0;

/// Crates whose panics are no findings.
const CODECS: [&str; 3] = ["symphonia", "ropus", "rusty_aac"];

/// Takes `data` as a file.
pub fn check(data: &[u8]) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| panic::set_hook(Box::new(on_panic)));
    let mut sink = Counting::default();
    let source = Box::new(Cursor::new(data.to_vec()));
    let decoding = AssertUnwindSafe(|| decode(source, &mut sink, Hint::default()));
    let Ok(outcome) = panic::catch_unwind(decoding) else {
        return;
    };
    match outcome {
        Ok(()) | Err(DecodeError::Empty | DecodeError::Stopped) => {}
        Err(DecodeError::Unsupported(text) | DecodeError::Undecodable(text)) => {
            assert!(text.len() < 1_000 && text.contains(';'), "{text}");
            for library in CODECS.iter().chain(&["isomp4", "mkv:", "ogg:"]) {
                assert!(!text.contains(library), "{text}");
            }
        }
        Err(error) => panic!("{error}"),
    }
}

fn on_panic(info: &PanicHookInfo<'_>) {
    let file = info.location().map_or("", |location| location.file());
    let is_codec = CODECS.iter().any(|name| file.contains(&format!("/{name}")));
    if !is_codec {
        eprintln!("{info}");
        std::process::abort();
    }
}

#[derive(Default)]
struct Counting {
    secs: f64,
    is_full: bool,
}

impl Sink for Counting {
    fn push(&mut self, interleaved: &[f32], weights: &[f32], rate_hz: u32) -> Result<(), Refusal> {
        assert!(!self.is_full, "asked again after it was full");
        let channels = weights.len();
        if !(1..=MAX_CHANNELS).contains(&channels) || !(8_000..=192_000).contains(&rate_hz) {
            assert!(interleaved.is_empty(), "asked for before samples come");
            return Err(Refusal::Unfit("no; such".to_owned()));
        }
        assert_eq!(interleaved.len() % channels, 0, "whole frames");
        assert!(weights.iter().all(|it| (0.0..=1.0).contains(it)));
        self.secs += (interleaved.len() / channels) as f64 / f64::from(rate_hz);
        self.is_full = self.secs > MAX_SECS;
        match self.is_full {
            true => Err(Refusal::Stopped),
            false => Ok(()),
        }
    }
}
