//! Prints how fast files are decoded on one core: `decode_speed FILE…`.

use std::path::PathBuf;
use std::time::Instant;

use auricle_audio::{DecodeLimits, decode_path};

/// Each file is decoded again until this much time has passed, and the best run counts.
const MIN_SECS: f64 = 1.0;

fn main() {
    for path in std::env::args_os().skip(1).map(PathBuf::from) {
        let name = path.file_name().unwrap_or_default().display();
        let began = Instant::now();
        let mut best_secs = f64::INFINITY;
        let mut outcome = Ok(0.0);
        while outcome.is_ok() && began.elapsed().as_secs_f64() < MIN_SECS {
            let run = Instant::now();
            outcome = decode_path(&path, &DecodeLimits::default(), &|| false)
                .map(|clip| clip.duration().as_secs_f64());
            best_secs = best_secs.min(run.elapsed().as_secs_f64());
        }
        match outcome {
            Ok(secs) => println!(
                "{name}: {secs:.4} s of audio in {:.2} ms, {:.0} x real time",
                best_secs * 1e3,
                secs / best_secs
            ),
            Err(error) => println!("{name}: {error}"),
        }
    }
}
