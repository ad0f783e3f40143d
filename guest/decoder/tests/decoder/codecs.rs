//! Real files. The expected durations are ffprobe's (5.1.9), where it does not estimate.

use auricle_speech::Clip;

use crate::support::{decode_all, decode_stream, eval_file};

/// Name, seconds, and how far off encoder delay may be: AAC keeps the 1024 to 2112 samples that
/// ffmpeg cuts.
const DECODED: [(&str, f64, f64); 12] = [
    ("jfk.mp3", 11.0, 0.001),
    ("jfk_441khz.m4a", 11.0527, 0.001),
    ("mono_24bit.flac", 2.744943, 0.001),
    ("mono_8bit.wav", 2.744943, 0.001),
    // ffprobe guesses 9.40 from the bit rate; ffmpeg decodes 9.009.
    ("p001.aac", 9.009, 0.05),
    ("p001.aiff", 8.994989, 0.001),
    // One damaged frame is left out, by ffmpeg too (8.986).
    ("p001.flac", 8.994989, 0.02),
    ("p001.mp3", 9.0133, 0.05),
    ("p001.mp4", 9.009, 0.05),
    ("p001.ogg", 8.994989, 0.001),
    // It does not say what its last packet is padded with; ffmpeg decodes as much.
    ("p001.webm", 9.01369, 0.001),
    ("video_with_audio.mp4", 5.312, 0.001),
];

#[test]
fn every_file_has_its_duration_in_memory_and_as_a_stream() {
    for (name, secs, tolerance) in DECODED {
        let Some(file) = eval_file(name) else {
            return;
        };
        let clip = decode_all(&file).unwrap_or_else(|error| panic!("{name}: {error}"));
        let got = clip.duration().as_secs_f64();
        assert!(
            (got - secs).abs() <= tolerance,
            "{name}: {got} s for {secs}"
        );
        assert_eq!(
            clip.samples(),
            decode_stream(&file).unwrap().samples(),
            "{name}"
        );
    }
}

/// The greatest correlation of `b` with `a` over shifts of up to `reach` samples, and the shift.
fn correlation(a: &Clip, b: &Clip, reach: usize) -> (f64, i64) {
    let at = |clip: &Clip, n: i64| -> f64 {
        let n = usize::try_from(n).ok();
        n.and_then(|n| clip.samples().get(n))
            .map_or(0.0, |s| f64::from(*s))
    };
    let (mut best, mut shift) = (0.0, 0);
    for lag in -(reach as i64)..=reach as i64 {
        let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
        for n in 16_000..80_000 {
            let (x, y) = (at(a, n), at(b, n + lag));
            ab += x * y;
            aa += x * x;
            bb += y * y;
        }
        let r = ab / (aa * bb).sqrt();
        if r > best {
            (best, shift) = (r, lag);
        }
    }
    (best, shift)
}

#[test]
fn one_recording_sounds_the_same_in_eight_formats_and_opus_adds_no_delay() {
    let Some(original) = eval_file("p001.aiff") else {
        return;
    };
    let original = decode_all(&original).unwrap();
    for (name, most_delay) in [
        ("p001.flac", 0),
        ("p001.ogg", 1),
        ("p001.webm", 1),
        ("p001.mp3", 500),
        ("p001.aac", 800),
        ("p001.mp4", 800),
    ] {
        let clip = decode_all(&eval_file(name).unwrap()).unwrap();
        let (r, shift) = correlation(&original, &clip, 900);
        println!("{name}: correlation {r:.4} at {shift} samples");
        assert!(r > 0.95, "{name}: correlation {r} at {shift}");
        assert!(shift.abs() <= most_delay, "{name}: {shift} samples late");
    }
}
