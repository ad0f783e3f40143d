//! The number of speakers that a client gives: it never makes turns worse.

use serde_json::Value;

use crate::support::audio::{evaluation_or_say, speech, two_speakers, wav};
use crate::support::{Upload, shared};

/// The speaker of each segment, with its start.
fn turns(body: &Value) -> Vec<(f64, String)> {
    let segments = body["segments"].as_array().unwrap().iter();
    let turn = |segment: &Value| {
        let speaker = segment["speaker"].as_str().unwrap_or_default();
        (segment["start"].as_f64().unwrap(), speaker.to_owned())
    };
    segments.map(turn).collect()
}

async fn diarized(audio: &[u8], fields: &[(&str, &str)]) -> Value {
    let upload = Upload::file("talk.wav", audio.to_vec()).field("diarize", "true");
    let upload = fields
        .iter()
        .fold(upload, |form, (name, value)| form.field(name, value));
    upload.transcribe(shared()).await.ok()
}

fn count(body: &Value) -> usize {
    body["speakers"].as_array().unwrap().len()
}

#[tokio::test]
async fn the_number_that_is_found_anyway_changes_no_turn() {
    let talk = [two_speakers(), speech().samples.clone()].concat();
    let audio = wav(&talk);
    let automatic = diarized(&audio, &[]).await;
    assert_eq!(count(&automatic), 3, "{automatic}");
    for option in ["num_speakers", "min_speakers", "max_speakers"] {
        let given = diarized(&audio, &[(option, "3")]).await;
        assert_eq!(turns(&given), turns(&automatic), "{option}");
    }
}

#[tokio::test]
async fn more_speakers_than_there_are_voices_leave_the_turns_as_they_are() {
    let audio = wav(&two_speakers());
    let automatic = diarized(&audio, &[]).await;
    let given = diarized(&audio, &[("num_speakers", "4")]).await;
    assert!((2..=4).contains(&count(&given)), "{given}");
    // Who has most to say keeps it: most segments have the speaker they had.
    let (before, after) = (turns(&automatic), turns(&given));
    let same = before.iter().filter(|turn| after.contains(turn)).count();
    assert!(same * 4 >= before.len() * 3, "{before:?} {after:?}");
}

/// Meetings of three, three and four, of whom three, three and one are found.
#[tokio::test]
async fn the_true_number_of_a_meeting_keeps_its_turns() {
    for (name, number) in [("ami_trn00", "3"), ("ami_trn04", "3"), ("ami_trn05", "4")] {
        let Some(path) = evaluation_or_say(&format!("diarization/{name}.wav")) else {
            continue;
        };
        let audio = std::fs::read(path).unwrap();
        let automatic = diarized(&audio, &[]).await;
        let given = diarized(&audio, &[("num_speakers", number)]).await;
        assert_eq!(turns(&given), turns(&automatic), "{name}");
    }
}
