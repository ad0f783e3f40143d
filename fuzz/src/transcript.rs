//! Transcripts as a hostile component might write them: any text, any times.

use auricle_speech::{Language, Segment, TokenLogprob, Transcript, Word};

use crate::input::Input;

/// A transcript of at most 64 segments.
#[must_use]
pub fn transcript(input: &mut Input<'_>) -> Transcript {
    let duration_secs = input.secs(0.0);
    let (mut segments, mut at) = (Vec::new(), 0.0);
    while !input.is_empty() && segments.len() < 64 {
        let segment = segment(input, segments.len() as u32, at);
        at = segment.end;
        segments.push(segment);
    }
    let mut speakers: Vec<String> = Vec::new();
    for label in segments
        .iter()
        .filter_map(|segment| segment.speaker.clone())
    {
        if !speakers.contains(&label) {
            speakers.push(label);
        }
    }
    Transcript {
        language: Language::ENGLISH,
        languages: Vec::new(),
        segments,
        dropped: Vec::new(),
        silence: Vec::new(),
        speakers,
        channels: Vec::new(),
        duration_secs,
    }
}

fn segment(input: &mut Input<'_>, id: u32, after: f64) -> Segment {
    let start = input.secs(after);
    let end = input.secs(start);
    let (speaker, text) = (input.some_text(), input.text());
    let (mut words, mut at) = (Vec::new(), start);
    // As many words of the text have times as this says; half of them have odd ones.
    let timed = usize::from(input.byte() % 32);
    for (number, word) in text.split(' ').take(timed).enumerate() {
        let (start, end) = match number % 2 {
            0 => (at, at + 0.2),
            _ => (input.secs(at), input.secs(at)),
        };
        at = end;
        words.push(Word {
            word: word.trim().to_owned(),
            start,
            end,
            probability: 0.5,
            speaker: speaker.clone(),
        });
    }
    let logprob = match input.byte() {
        0 => f32::NAN,
        number => -f32::from(number) / 16.0,
    };
    let pieces = text.as_bytes().chunks(3);
    let logprobs = pieces.map(|piece| TokenLogprob {
        token: piece.to_vec(),
        logprob,
    });
    Segment {
        id,
        start,
        end,
        tokens: vec![id; timed],
        logprobs: logprobs.collect(),
        temperature: 0.0,
        avg_logprob: logprob,
        compression_ratio: f32::INFINITY,
        no_speech_prob: 0.0,
        words,
        speaker,
        channel: None,
        language: None,
        text,
    }
}
