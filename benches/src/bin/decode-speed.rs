//! How fast files are decoded: `decode-speed FILE…` prints `SECS NATIVE-CPU-SECS SANDBOX-CPU-SECS
//! FILE` for each, the sides one after the other.
//!
//! CPU time of the whole process: what the sandbox costs beside the decoder (instantiation, the
//! border, the epoch clock) is in it. Each side is run until it has taken a second; its best run
//! counts.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use auricle_audio::DecodeLimits;
use auricle_benches::{FirstParty, scope};
use auricle_capability::{Channels, Decoding, Media, MediaHint};
use rustix::time::{ClockId, clock_gettime};

const MIN: Duration = Duration::from_secs(1);

fn main() -> Result<()> {
    let tokio = tokio::runtime::Runtime::new()?;
    let served = FirstParty::start()?;
    let limits = DecodeLimits::default();
    for path in std::env::args_os().skip(1) {
        let path = Path::new(&path);
        let (secs, native) = best(|| {
            let clip = auricle_decoder::native::decode_path(path, &limits)?;
            Ok(clip.duration().as_secs_f64())
        })?;
        let (_, sandbox) = best(|| {
            let media = Media::reader(File::open(path)?);
            let decoding = Decoding {
                decoder: served.decoder.clone(),
                hint: MediaHint::default(),
                limits: limits.clone(),
                channels: Channels::Mixed,
            };
            let scope = scope();
            let clips = tokio.block_on(served.guests.decode(&scope, media, decoding))?;
            Ok(clips.iter().map(|clip| clip.duration().as_secs_f64()).sum())
        })?;
        let name = path.file_name().context("no file")?.display();
        println!("{secs:.3} {native:.6} {sandbox:.6} {name}");
    }
    Ok(())
}

/// What `run` gives, and the least CPU seconds that it took.
fn best(run: impl Fn() -> Result<f64>) -> Result<(f64, f64)> {
    let began = cpu();
    let mut least = Duration::MAX;
    loop {
        let before = cpu();
        let given = run()?;
        least = least.min(cpu().saturating_sub(before));
        if cpu().saturating_sub(began) >= MIN {
            return Ok((given, least.as_secs_f64()));
        }
    }
}

/// CPU time of this process.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
