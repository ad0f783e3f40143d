//! The container's time: what was cut out is not transcribed, and times are those of the file.

use crate::support::audio::{RATE, speech, wav_of};
use crate::support::muxers::{PLAY, Track, mkv, mov};
use crate::support::{Upload, shared};

/// The speech at 8 kHz, as the writers of files take it.
fn telephone() -> Vec<i16> {
    let pairs = speech().samples.chunks(2);
    pairs
        .map(|pair| ((i32::from(pair[0]) + i32::from(pair[pair.len() - 1])) / 2) as i16)
        .collect()
}

/// The start of the first word, and the text.
async fn first_word(name: &str, file: Vec<u8>) -> (f64, String) {
    let form = Upload::file(name, file)
        .field("model", "whisper-1")
        .field("response_format", "verbose_json")
        .field("timestamp_granularities[]", "word");
    let answer = form.send(shared(), "/v1/audio/transcriptions").await.ok();
    let text = answer["text"].as_str().unwrap().to_owned();
    (answer["words"][0]["start"].as_f64().unwrap(), text)
}

#[tokio::test]
async fn audio_that_an_edit_list_cuts_out_is_not_transcribed() {
    let samples = telephone();
    let (whole_start, whole) = first_word("whole.mov", mov(&[Track::sound(1, &samples)])).await;
    let mut track = Track::sound(1, &samples);
    let length_ms = samples.len() as u32 / 8;
    // The second half is cut away, and the rest is heard after three seconds.
    let half = length_ms / 2;
    track.edits = vec![(3_000, -1, PLAY), (half, 0, PLAY)];
    let (start, text) = first_word("cut.mov", mov(&[track])).await;
    assert!(
        (start - whole_start - 3.0).abs() < 0.5,
        "{start} for {whole_start}"
    );
    let (words, all) = (
        text.split_whitespace().count(),
        whole.split_whitespace().count(),
    );
    assert!(words * 4 < all * 3, "{text} of {whole}");
}

#[tokio::test]
async fn words_of_a_late_track_have_the_times_of_the_file() {
    let samples = telephone();
    let blocks: Vec<_> = samples
        .chunks(800)
        .enumerate()
        .map(|(number, block)| {
            let bytes = block.iter().flat_map(|it| it.to_le_bytes()).collect();
            (1, 4_900 + number as u32 * 100, bytes)
        })
        .collect();
    let with_pictures: Vec<_> = std::iter::once((2, 0, vec![0; 20]))
        .chain(blocks.clone())
        .collect();
    let tracks = [(1, true, 2, "A_PCM/INT/LIT"), (2, true, 1, "V_VP8")];
    let (start, _) = first_word("late.mkv", mkv(&tracks, None, &with_pictures)).await;
    let (alone, _) = first_word("alone.mkv", mkv(&tracks[..1], None, &blocks)).await;
    assert!((start - alone - 4.9).abs() < 0.5, "{start} for {alone}");
}

#[tokio::test]
async fn a_recording_whose_channels_cancel_each_other_is_heard() {
    let data: Vec<u8> = speech()
        .samples
        .iter()
        .flat_map(|sample| [*sample, sample.saturating_neg()])
        .flat_map(i16::to_le_bytes)
        .collect();
    let file = wav_of(1, 2, RATE as u32, 16, &data);
    let text = Upload::wav(&file).transcribe(shared()).await.transcript();
    speech().must_nearly_be(&text, 0.1);
}
