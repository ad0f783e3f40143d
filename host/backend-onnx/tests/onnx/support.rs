//! The store, the runtime and sounds.

use std::path::{Path, PathBuf};

use auricle_backend_onnx::OnnxRuntime;
use auricle_models::{InstalledFile, Store, StoreDirs};
use auricle_speech::Clip;

pub fn store() -> Store {
    Store::open(StoreDirs::from_env().unwrap()).unwrap()
}

/// A file of an installed set, or `None` and one line.
pub fn installed(set: &str, name: &str) -> Option<InstalledFile> {
    let file = store().file(set).ok().and_then(|f| f.get(name).cloned());
    if file.is_none() {
        println!("skipped: {name} of {set} is not installed");
    }
    file
}

/// The runtime of the store, or `None` and one line.
pub fn runtime() -> Option<OnnxRuntime> {
    match store().library("onnxruntime") {
        Ok(library) => Some(OnnxRuntime::load(&library.path).unwrap()),
        Err(error) => {
            println!("skipped: {error}");
            None
        }
    }
}

/// The evaluation data, if it is there.
pub fn eval_data() -> Option<PathBuf> {
    let root = std::env::var_os("AURICLE_EVAL_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    if root.is_dir() {
        return Some(root);
    }
    println!("skipped: no evaluation data");
    None
}

pub fn decode(path: &Path) -> Clip {
    auricle_decoder::native::decode_path(path, &auricle_audio::DecodeLimits::default()).unwrap()
}

/// Eleven seconds of one voice: of the evaluation data or the store, whichever is there.
pub fn jfk() -> Option<Clip> {
    let data = eval_data().map(|root| root.join("en/jfk.wav"));
    let path = data
        .filter(|path| path.is_file())
        .or_else(|| installed("audio-jfk", "jfk.wav").map(|file| file.path))?;
    Some(decode(&path))
}

/// Noise in -0.5..0.5 that is the same everywhere: the upper bits of a linear congruence.
pub fn noise(index: usize) -> f64 {
    let state = (index as u64)
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    (state >> 40) as f64 / f64::from(1 << 24) - 0.5
}

/// A tone that swells three times a second, with a little noise.
pub fn tone(samples: usize, hz: f64) -> Vec<f32> {
    use std::f64::consts::TAU;
    let at = |index: usize| {
        let secs = index as f64 / 16_000.0;
        let tone = 0.3 * (TAU * hz * secs).sin() * (TAU * 3.0 * secs).sin();
        (tone + 0.05 * noise(index)) as f32
    };
    (0..samples).map(at).collect()
}

/// White noise of full scale times `level`.
pub fn white_noise(samples: usize, level: f32) -> Vec<f32> {
    let mut state = 1_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..samples).map(|_| next() * level).collect()
}
