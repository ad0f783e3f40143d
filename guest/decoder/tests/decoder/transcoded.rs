//! Formats for which there is no small free file: made on the spot by ffmpeg, where there is one.

use std::io::Write;
use std::process::{Command, Stdio};

use auricle_audio::wav::write_s16le;
use auricle_decoder::DecodeError;
use auricle_decoder::native::NativeError;

use crate::support::{decode_all, decode_stream, levels, sine};

/// A 440 Hz tone of 2 s, written by ffmpeg to a file called `name`; `None` without ffmpeg.
fn transcode(name: &str, arguments: &[&str]) -> Option<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    let tone: Vec<f32> = sine(440.0, 0.5, 44_100, 2.0)
        .iter()
        .map(|s| *s as f32)
        .collect();
    let started = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "wav", "-i", "pipe:0"])
        .args(arguments)
        .arg(&path)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut ffmpeg) = started else {
        println!("skipped: no ffmpeg on the path");
        return None;
    };
    let _ = ffmpeg
        .stdin
        .take()
        .unwrap()
        .write_all(&write_s16le(&tone, 44_100));
    if !ffmpeg.wait().unwrap().success() {
        println!("skipped: this ffmpeg does not write {name}");
        return None;
    }
    Some(std::fs::read(path).unwrap())
}

#[test]
fn every_codec_keeps_frequency_and_level() {
    for (name, arguments) in [
        ("ms.wav", &["-c:a", "adpcm_ms"][..]),
        ("ima.wav", &["-c:a", "adpcm_ima_wav"]),
        ("mp3.wav", &["-c:a", "libmp3lame"]),
        ("rf64.wav", &["-rf64", "always"]),
        ("alac.m4a", &["-c:a", "alac"]),
        ("alac.caf", &["-c:a", "alac"]),
        ("pcm.caf", &["-c:a", "pcm_s24be"]),
        ("ima.caf", &["-c:a", "adpcm_ima_qt"]),
        ("float.aiff", &["-c:a", "pcm_f32be"]),
        ("law.aif", &["-c:a", "pcm_mulaw"]),
        ("aac.mov", &["-c:a", "aac"]),
        ("front.m4a", &["-c:a", "aac", "-movflags", "faststart"]),
        (
            "fragmented.mp4",
            &[
                "-c:a",
                "aac",
                "-movflags",
                "frag_keyframe+empty_moov",
                "-frag_duration",
                "200000",
            ],
        ),
        (
            "surround.m4a",
            &[
                "-c:a",
                "aac",
                "-af",
                "pan=5.1|FL=c0|FR=c0|FC=c0|LFE=c0|BL=c0|BR=c0",
            ],
        ),
        (
            "surround.aac",
            &[
                "-c:a",
                "aac",
                "-af",
                "pan=5.1|FL=c0|FR=c0|FC=c0|LFE=c0|BL=c0|BR=c0",
            ],
        ),
        ("flac.ogg", &["-c:a", "flac"]),
        (
            "voice.opus",
            &["-c:a", "libopus", "-b:a", "32k", "-ac", "1"],
        ),
        ("slow.opus", &["-c:a", "libopus", "-frame_duration", "60"]),
        ("quick.opus", &["-c:a", "libopus", "-frame_duration", "2.5"]),
        ("opus.webm", &["-c:a", "libopus"]),
        ("opus.mkv", &["-c:a", "libopus"]),
        ("opus.mp4", &["-c:a", "libopus"]),
        (
            "surround.opus",
            &[
                "-c:a",
                "libopus",
                "-b:a",
                "256k",
                "-af",
                "pan=5.1|FL=c0|FR=c0|FC=c0|LFE=c0|BL=c0|BR=c0",
            ],
        ),
        ("vorbis.webm", &["-c:a", "libvorbis"]),
        ("aac.mkv", &["-c:a", "aac"]),
        ("flac.mkv", &["-c:a", "flac"]),
        ("mp3.mkv", &["-c:a", "libmp3lame"]),
        ("layer2.mp2", &["-c:a", "mp2", "-b:a", "128k"]),
        ("low.mp3", &["-c:a", "libmp3lame", "-ar", "8000"]),
        (
            "tagged.mp3",
            &[
                "-c:a",
                "libmp3lame",
                "-metadata",
                "title=tone",
                "-write_id3v1",
                "1",
            ],
        ),
    ] {
        let Some(file) = transcode(name, arguments) else {
            continue;
        };
        let clip = decode_stream(&file).unwrap_or_else(|error| panic!("{name}: {error}"));
        let secs = clip.duration().as_secs_f64();
        assert!((1.99..2.08).contains(&secs), "{name}: {secs} s");
        let (level, rest) = levels(&clip.samples()[3_200..28_800], 440.0);
        // The LFE channel keeps only the lowest tones, so a mean of six may lose a sixth.
        assert!((0.4..0.52).contains(&level), "{name}: level {level}");
        assert!(rest < 0.03, "{name}: noise {rest}");
    }
}

/// A bit more than a second: the last packet of 20 ms is padded.
#[test]
fn opus_ends_where_it_was_cut_off_in_every_container() {
    let cut = ["-af", "atrim=end_sample=60000", "-c:a", "libopus"];
    for name in ["tone.opus", "tone.mp4", "tone.webm", "tone.mkv"] {
        if let Some(file) = transcode(name, &cut) {
            let length = decode_all(&file).unwrap().len_samples();
            // 60,000 of 44.1 kHz.
            assert!(length.abs_diff(21_769) <= 2, "{name}: {length}");
        }
    }
}

#[test]
fn chained_ogg_is_one_clip() {
    if let Some(file) = transcode("tone.ogg", &["-c:a", "libvorbis"]) {
        let clip = decode_stream(&[file.clone(), file].concat()).unwrap();
        assert!((clip.duration().as_secs_f64() - 4.0).abs() < 0.01);
    }
}

#[test]
fn an_mp3_is_found_behind_junk() {
    if let Some(file) = transcode("tone.mp3", &["-c:a", "libmp3lame"]) {
        let clip = decode_stream(&[vec![0x5A; 5_000], file].concat()).unwrap();
        assert!((clip.duration().as_secs_f64() - 2.0).abs() < 0.1);
    }
}

#[test]
fn codecs_that_are_not_decoded_are_named() {
    for (name, codec, word) in [
        ("b.mp4", "ac3", "AC-3"),
        ("a.ac3", "ac3", "AC-3"),
        ("a.ts", "aac", "MPEG transport stream"),
        ("a.wma", "wmav2", "Windows Media"),
    ] {
        let arguments = ["-ar", "48000", "-c:a", codec];
        if let Some(file) = transcode(name, &arguments) {
            let error = decode_all(&file).unwrap_err();
            assert!(
                matches!(&error, NativeError::Decode(DecodeError::Unsupported(what)) if what.contains(word)),
                "{name}: {error}"
            );
        }
    }
}
