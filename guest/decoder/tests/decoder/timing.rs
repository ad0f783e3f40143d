//! The container's time is kept: clicks come out when the file says, to within 30 ms, whatever was
//! cut, lost, damaged or joined.

use auricle_speech::Clip;

use crate::files::{flac_of_silence, ogg_opus, opus_head, opus_packets};
use crate::muxers::{
    MP3_FRAME_BYTES, MP3_FRAME_SAMPLES, PLAY, Track, adts_frame, caf_opus, fragmented, mkv, mov,
    mp3_frame, mp3_info,
};
use crate::support::{decode_all, decode_stream};

/// Seconds at 8 kHz with a click of 5 ms at each of these times.
fn sound(secs: f64, clicks: &[f64]) -> Vec<i16> {
    let mut samples = vec![0; (secs * 8_000.0) as usize];
    for at in clicks {
        let from = (at * 8_000.0) as usize;
        for (n, sample) in samples[from..from + 40].iter_mut().enumerate() {
            *sample = if n / 4 % 2 == 0 { 24_000 } else { -24_000 };
        }
    }
    samples
}

/// When clicks begin, in seconds: sound after 20 ms without any.
fn clicks(clip: &Clip) -> Vec<f64> {
    let mut found = Vec::new();
    let mut quiet = 320;
    for (at, sample) in clip.samples().iter().enumerate() {
        if sample.abs() < 0.1 {
            quiet += 1;
            continue;
        }
        if quiet >= 320 {
            found.push(at as f64 / 16_000.0);
        }
        quiet = 0;
    }
    found
}

/// Whether there are clicks at these times and no others, and the clip has this length.
fn assert_heard(what: &str, clip: &Clip, secs: f64, expected: &[f64]) {
    let found = clicks(clip);
    let near = |(a, b): (&f64, &f64)| (a - b).abs() < 0.03;
    assert!(
        found.len() == expected.len() && found.iter().zip(expected).all(near),
        "{what}: clicks at {found:?} for {expected:?}"
    );
    let got = clip.duration().as_secs_f64();
    assert!((got - secs).abs() < 0.03, "{what}: {got} s for {secs}");
}

fn heard(what: &str, file: &[u8], secs: f64, expected: &[f64]) {
    assert_heard(what, &decode_all(file).unwrap(), secs, expected);
    assert_heard(what, &decode_stream(file).unwrap(), secs, expected);
}

#[test]
fn edit_lists_are_obeyed_and_cut_audio_is_never_heard() {
    let samples = sound(6.0, &[1.0, 2.5, 4.5]);
    let with = |edits: &[(u32, i32, u32)]| {
        let mut track = Track::sound(1, &samples);
        track.edits = edits.to_vec();
        mov(&[track])
    };
    let at = |secs: f64| (secs * 8_000.0) as i32;
    for (what, edits, secs, expected) in [
        ("no list", vec![], 6.0, vec![1.0, 2.5, 4.5]),
        (
            "front cut off",
            vec![(4_000, at(2.0), PLAY)],
            4.0,
            vec![0.5, 2.5],
        ),
        (
            "both ends cut off",
            vec![(1_000, at(2.0), PLAY)],
            1.0,
            vec![0.5],
        ),
        (
            "to the end of the media",
            vec![(0, at(2.0), PLAY)],
            4.0,
            vec![0.5, 2.5],
        ),
        (
            "silence in front",
            vec![(3_000, -1, PLAY), (2_000, at(0.0), PLAY)],
            5.0,
            vec![4.0],
        ),
        (
            "the middle cut out",
            vec![(2_000, at(0.0), PLAY), (2_000, at(4.0), PLAY)],
            4.0,
            vec![1.0, 2.5],
        ),
        (
            "silence between, and a freeze",
            vec![
                (2_000, at(0.0), PLAY),
                (1_000, -1, PLAY),
                (500, at(1.0), 0),
                (1_000, at(2.0), PLAY),
            ],
            4.5,
            vec![1.0, 4.0],
        ),
        (
            "another order, and twice",
            vec![
                (1_000, at(4.0), PLAY),
                (1_000, at(2.0), PLAY),
                (1_000, at(4.0), PLAY),
            ],
            3.0,
            vec![0.5, 1.5, 2.5],
        ),
        (
            "a rate, which is not applied",
            vec![(1_000, at(2.0), 2 * PLAY)],
            1.0,
            vec![0.5],
        ),
        (
            "beyond the media",
            vec![(60_000, at(4.0), PLAY)],
            2.0,
            vec![0.5],
        ),
        (
            "nothing but silence is no list",
            vec![(3_000, -1, PLAY)],
            6.0,
            vec![1.0, 2.5, 4.5],
        ),
    ] {
        heard(what, &with(&edits), secs, &expected);
    }
}

#[test]
fn of_several_tracks_the_one_that_is_enabled_is_heard() {
    let mut first = Track::sound(1, &sound(2.0, &[0.5]));
    let mut second = Track::sound(2, &sound(2.0, &[1.5]));
    let mut chapters = Track::sound(3, &sound(1.0, &[]));
    chapters.handler = *b"text";
    heard(
        "first",
        &mov(&[chapters.clone(), first.clone(), second.clone()]),
        2.0,
        &[0.5],
    );
    first.enabled = false;
    heard(
        "second",
        &mov(&[chapters.clone(), first.clone(), second.clone()]),
        2.0,
        &[1.5],
    );
    second.enabled = false;
    heard("neither", &mov(&[chapters, first, second]), 2.0, &[0.5]);
}

#[test]
fn fragments_are_heard_when_they_say() {
    let mut track = Track::sound(1, &sound(3.0, &[0.5, 1.5, 2.5]));
    let (second, at) = (8_000, |secs: u64| secs * 8_000);
    let even = [(at(0), second), (at(1), second), (at(2), second)];
    heard("even", &fragmented(&track, &even), 3.0, &[0.5, 1.5, 2.5]);
    let lost = [(at(0), second), (at(5), second), (at(6), second)];
    heard("a gap", &fragmented(&track, &lost), 7.0, &[0.5, 5.5, 6.5]);
    let late = [(at(700), second), (at(701), second), (at(704), second)];
    heard(
        "joined while it ran",
        &fragmented(&track, &late),
        5.0,
        &[0.5, 1.5, 4.5],
    );
    let mut damaged = fragmented(&track, &even);
    let second = damaged
        .windows(4)
        .enumerate()
        .filter(|(_, it)| *it == b"moof")
        .nth(1);
    let at = second.unwrap().0 - 4;
    damaged[at..at + 9_000].copy_from_slice(&garbage(9_000));
    let clip = decode_all(&damaged).unwrap();
    assert_heard("a damaged fragment", &clip, 3.0, &[0.5, 2.5]);
    track.edits = vec![(0, 8_000, PLAY)];
    heard("with a list", &fragmented(&track, &even), 2.0, &[0.5, 1.5]);
}

#[test]
fn a_file_that_is_cut_off_gives_what_it_holds() {
    let file = mov(&[Track::sound(1, &sound(4.0, &[0.5, 1.5, 3.5]))]);
    let half = decode_all(&file[..file.len() - 4 * 8_000]).unwrap();
    assert_heard("half", &half, 2.0, &[0.5, 1.5]);
}

/// Blocks of 100 ms of a track, each with this many milliseconds added.
fn blocks(track: u8, samples: &[i16], shift: impl Fn(u32) -> u32) -> Vec<(u8, u32, Vec<u8>)> {
    let blocks = samples.chunks(800).enumerate().map(|(number, block)| {
        let ms = number as u32 * 100;
        let bytes = block.iter().flat_map(|it| it.to_le_bytes()).collect();
        (track, ms + shift(ms), bytes)
    });
    blocks.collect()
}

const SOUND: (u8, bool, u8, &str) = (1, true, 2, "A_PCM/INT/LIT");
const PICTURES: (u8, bool, u8, &str) = (2, true, 1, "V_VP8");

#[test]
fn a_late_track_of_a_matroska_file_is_late() {
    let late = blocks(1, &sound(2.0, &[0.5]), |_| 4_900);
    let mut with_pictures = vec![(2, 0, vec![0; 20])];
    with_pictures.extend(late.clone());
    let file = mkv(&[SOUND, PICTURES], None, &with_pictures);
    heard("behind pictures", &file, 6.9, &[5.4]);
    heard("alone", &mkv(&[SOUND], None, &late), 2.0, &[0.5]);
}

#[test]
fn gaps_of_a_matroska_file_are_silence() {
    let samples = sound(4.0, &[0.5, 1.5, 2.5, 3.5]);
    let gap = blocks(1, &samples, |ms| if ms < 2_000 { 0 } else { 19_000 });
    heard(
        "a gap",
        &mkv(&[SOUND], Some(23_000.0), &gap),
        23.0,
        &[0.5, 1.5, 21.5, 22.5],
    );
    heard(
        "of a live file",
        &mkv(&[SOUND], None, &gap),
        23.0,
        &[0.5, 1.5, 21.5, 22.5],
    );
    let jitter = blocks(1, &samples, |ms| ms / 100 % 3 * 13);
    heard(
        "jitter",
        &mkv(&[SOUND], None, &jitter),
        4.0,
        &[0.5, 1.5, 2.5, 3.5],
    );
    let lost: Vec<_> = blocks(1, &samples, |_| 0)
        .into_iter()
        .filter(|(_, ms, _)| !(1_600..2_400).contains(ms))
        .collect();
    heard(
        "lost blocks",
        &mkv(&[SOUND], None, &lost),
        4.0,
        &[0.5, 1.5, 2.5, 3.5],
    );
}

#[test]
fn stamps_that_cannot_be_are_not_believed() {
    let samples = sound(2.0, &[0.5, 1.5]);
    let jump = blocks(1, &samples, |ms| if ms == 1_000 { 36_000_000 } else { 0 });
    heard("ten hours", &mkv(&[SOUND], None, &jump), 2.0, &[0.5, 1.5]);
    let beyond = blocks(1, &samples, |ms| if ms >= 1_000 { 600_000 } else { 0 });
    let file = mkv(&[SOUND], Some(2_000.0), &beyond);
    heard("beyond the duration", &file, 2.0, &[0.5, 1.5]);
    // As by joining two files.
    let mut joined = blocks(1, &samples, |_| 60_000);
    joined.extend(blocks(1, &samples, |_| 0));
    heard(
        "back to the start",
        &mkv(&[SOUND], None, &joined),
        4.0,
        &[0.5, 1.5, 2.5, 3.5],
    );
}

#[test]
fn the_default_track_of_a_matroska_file_is_heard() {
    let first = blocks(1, &sound(2.0, &[0.5]), |_| 0);
    let second = blocks(2, &sound(2.0, &[1.5]), |_| 0);
    let both: Vec<_> = first.into_iter().chain(second).collect();
    let codec = "A_PCM/INT/LIT";
    for (flags, expected) in [
        ([true, false], 0.5),
        ([false, true], 1.5),
        ([false, false], 0.5),
    ] {
        let tracks = [(1, flags[0], 2, codec), (2, flags[1], 2, codec)];
        heard("one of two", &mkv(&tracks, None, &both), 2.0, &[expected]);
    }
}

/// Frames of MP3, a click in each of these.
fn mp3(frames: usize, clicks: &[usize]) -> Vec<u8> {
    let frames = (0..frames).map(|number| mp3_frame(clicks.contains(&number)));
    frames.collect::<Vec<_>>().concat()
}

/// Bytes that look like nothing, and sometimes like the start of a frame.
fn garbage(bytes: usize) -> Vec<u8> {
    let mut state = 7_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..bytes)
        .map(|_| next() | if next() < 40 { 0xE0 } else { 0 })
        .collect()
}

/// When a frame of MP3 begins.
fn frame_secs(number: usize) -> f64 {
    (number * MP3_FRAME_SAMPLES) as f64 / 16_000.0
}

/// When it is heard: decoders are 529 samples late.
fn click_secs(number: usize) -> f64 {
    frame_secs(number) + 529.0 / 16_000.0
}

#[test]
fn damage_of_an_mp3_moves_nothing_behind_it() {
    let whole = mp3(300, &[50, 250]);
    let expected = [click_secs(50), click_secs(250)];
    heard("whole", &whole, frame_secs(300), &expected);
    let mut damaged = whole.clone();
    let (from, bytes) = (100 * MP3_FRAME_BYTES + 77, 100 * MP3_FRAME_BYTES);
    damaged[from..from + bytes].copy_from_slice(&garbage(bytes));
    heard("overwritten", &damaged, frame_secs(300), &expected);
    damaged[from..from + bytes].fill(0);
    heard("zeros", &damaged, frame_secs(300), &expected);
    // One frame's header: it is not heard, and its time passes.
    let mut flipped = whole;
    flipped[100 * MP3_FRAME_BYTES + 2] ^= 0x04;
    heard("a flipped bit", &flipped, frame_secs(300), &expected);
}

#[test]
fn junk_and_tags_in_front_of_an_mp3_are_skipped() {
    let file = mp3(100, &[50]);
    let id3 = |bytes: usize| {
        let mut tag = b"ID3\x04\0\0\0\0\0\0".to_vec();
        for (at, shift) in [(6, 21), (7, 14), (8, 7), (9, 0)] {
            tag[at] = (bytes >> shift & 0x7F) as u8;
        }
        tag.extend(garbage(bytes));
        tag
    };
    let mut ape = b"APETAGEX\xD0\x07\0\0\x40\0\0\0\0\0\0\0\0\0\0\xA0\0\0\0\0\0\0\0\0".to_vec();
    ape.extend([0x41; 64]);
    for (what, junk) in [
        ("zeros", vec![0; 70_000]),
        ("many zeros", vec![0; 800_000]),
        ("bytes", vec![0x55; 300_000]),
        ("a large tag", id3(200_000)),
        ("zeros and a tag", [vec![0; 70_000], id3(3_000)].concat()),
        ("an APE tag", ape),
    ] {
        let junked = [junk, file.clone()].concat();
        heard(what, &junked, frame_secs(100), &[click_secs(50)]);
    }
    let far = [vec![0; 2 << 20], file].concat();
    assert!(decode_all(&far).is_err(), "the search ends");
}

#[test]
fn joined_mp3s_follow_each_other_without_their_delays() {
    let part = |clicks: &[usize]| [mp3_info(100, 576, 1_105), mp3(100, clicks)].concat();
    // 1,105 samples of delay and 576 of padding are not heard.
    let (delay, length) = (1_105.0 / 16_000.0, frame_secs(100) - 1_681.0 / 16_000.0);
    let first = click_secs(50) - delay;
    heard("one", &part(&[50]), length, &[first]);
    let tag = [b"ID3\x04\0\0\0\0\0\x20".as_slice(), &[0; 32]].concat();
    let last = [b"TAG".as_slice(), &[b' '; 125]].concat();
    let joined = [part(&[50]), last, tag, part(&[50])].concat();
    heard("two", &joined, 2.0 * length, &[first, length + first]);
}

#[test]
fn damage_of_adts_moves_nothing_behind_it() {
    let whole = vec![adts_frame(); 400].concat();
    let secs = 400.0 * 1_024.0 / 16_000.0;
    heard("whole", &whole, secs, &[]);
    let mut damaged = whole;
    let bytes = 100 * adts_frame().len();
    damaged[bytes + 3..2 * bytes + 3].copy_from_slice(&garbage(bytes));
    heard("overwritten", &damaged, secs, &[]);
}

/// Eight seconds of Ogg Opus in pages of one, a click in the middle of each.
fn ogg() -> Vec<u8> {
    let at: Vec<f64> = (0..8).map(|second| f64::from(second) + 0.5).collect();
    let samples = sound(8.0, &at);
    let doubled = samples.iter().flat_map(|it| [f32::from(*it) / 32_768.0; 2]);
    let (packets, skip) = opus_packets(&doubled.collect::<Vec<_>>(), 64_000);
    let end = u64::from(skip) + 8 * 48_000;
    ogg_opus(&opus_head(1, skip, 0), &packets, 960, end)
}

/// Where the pages of an Ogg file begin.
fn page_starts(file: &[u8]) -> Vec<usize> {
    let starts = file.windows(5).enumerate();
    let starts = starts.filter(|(_, bytes)| *bytes == b"OggS\0");
    starts.map(|(at, _)| at).collect()
}

#[test]
fn lost_and_damaged_pages_of_ogg_are_silence() {
    let file = ogg();
    let every = [0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5];
    heard("whole", &file, 8.0, &every);
    let starts = page_starts(&file);
    // Two pages of headers come first.
    let lost = [&file[..starts[4]], &file[starts[6]..]].concat();
    let expected = [0.5, 1.5, 4.5, 5.5, 6.5, 7.5];
    heard("lost", &lost, 8.0, &expected);
    let mut damaged = file.clone();
    damaged[starts[4] + 300] ^= 1;
    damaged[starts[5] + 300] ^= 1;
    heard("damaged", &damaged, 8.0, &expected);
    let first = [&file[..starts[2]], &file[starts[3]..]].concat();
    heard("the first is lost", &first, 8.0, &every[1..]);
    let chained = [file.clone(), file].concat();
    let both: Vec<f64> = (0..16).map(|second| f64::from(second) + 0.5).collect();
    heard("chained", &chained, 16.0, &both);
}

#[test]
fn lost_frames_of_flac_are_silence() {
    let whole = flac_of_silence(6, 6 * 65_535);
    let secs = 6.0 * 65_535.0 / 8_000.0;
    heard("whole", &whole, secs, &[]);
    let starts: Vec<usize> = (42..whole.len() - 1)
        .filter(|at| whole[*at] == 0xFF && whole[at + 1] == 0xF8)
        .collect();
    let lost = [&whole[..starts[2]], &whole[starts[4]..]].concat();
    heard("lost", &lost, secs, &[]);
}

#[test]
fn opus_in_caf_is_heard() {
    let samples = sound(2.0, &[0.5, 1.5]);
    let doubled = samples.iter().flat_map(|it| [f32::from(*it) / 32_768.0; 2]);
    let (packets, _) = opus_packets(&doubled.collect::<Vec<_>>(), 32_000);
    let secs = packets.len() as f64 * 0.02;
    for rate_hz in [48_000.0, 24_000.0] {
        heard("CAF", &caf_opus(&packets, rate_hz), secs, &[0.5, 1.5]);
    }
}
