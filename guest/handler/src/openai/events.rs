//! The events of a streamed transcription, as text.
//!
//! Each event is one line `data: {…}` and an empty line, as OpenAI sends them. Pure: what it is given
//! becomes text, and whoever streams it sends that.

use auricle_formats::{LogprobBody, Usage, languages, logprobs};
use auricle_guest::speech::{Segment, SpeechError};
use auricle_speech::Language;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::openai::asked::{Asked, Format};
use crate::openai::reply::Labels;

/// The events of one transcription, in order.
pub struct Events {
    asked: Asked,
    labels: Labels,
    secs: f64,
    text: String,
    tokens: usize,
    /// As far as they are asked for.
    logprobs: Vec<LogprobBody>,
    segments: u32,
}

impl Events {
    /// No event yet; `known` are the names of known speakers, `secs` the audio's length.
    pub fn new(asked: Asked, known: Vec<String>, secs: f64) -> Self {
        Self {
            asked,
            labels: Labels::lettered(known),
            secs,
            text: String::new(),
            tokens: 0,
            logprobs: Vec::new(),
            segments: 0,
        }
    }

    /// What is sent of a segment, of this channel where they are transcribed apart; nothing of one
    /// without text, unless speakers are told.
    pub fn segment(&mut self, segment: Segment, channel: Option<u32>) -> String {
        self.tokens += segment.tokens.len();
        let mut segment = self.labels.segment(segment);
        segment.id = self.segments;
        self.segments += 1;
        let diarized = self.asked.format == Format::DiarizedJson;
        let mut sent = String::new();
        if !segment.text.is_empty() {
            let follows = !self.text.is_empty();
            let space = if follows { " " } else { "" };
            let mut delta = json!({
                "type": "transcript.text.delta",
                "delta": format!("{space}{}", segment.text),
            });
            if diarized {
                put(&mut delta, "segment_id", format!("seg_{}", segment.id));
            }
            if let Some(channel) = channel {
                put(&mut delta, "channel", channel);
            }
            if self.asked.logprobs {
                let logprobs = logprobs(&segment, follows);
                put(&mut delta, "logprobs", json!(logprobs));
                self.logprobs.extend(logprobs);
            }
            self.text.push_str(space);
            self.text.push_str(&segment.text);
            sent.push_str(&event(&delta));
        }
        if diarized {
            sent.push_str(&event(&auricle_formats::diarized_segment(&segment)));
        }
        sent
    }

    /// The end: the whole text, the languages that were spoken, and what it cost.
    pub fn done(&self, spoken: &[Language]) -> String {
        let mut done = json!({
            "type": "transcript.text.done",
            "text": self.text,
            "usage": Usage::tokens(self.secs, self.tokens),
        });
        if self.asked.logprobs {
            put(&mut done, "logprobs", json!(self.logprobs));
        }
        if self.asked.tells_languages() {
            put(&mut done, "languages", json!(languages(spoken)));
        }
        event(&done) + "data: [DONE]\n\n"
    }
}

/// The last event of a transcription that failed.
pub fn failed(error: SpeechError) -> String {
    let mut body = Failure::from(error).openai_body();
    put(&mut body, "type", "error");
    event(&body)
}

fn put(object: &mut Value, name: &str, value: impl Into<Value>) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(name.to_owned(), value.into());
    }
}

/// JSON has no line break outside of its strings' escapes: one line is one event.
fn event(data: &impl std::fmt::Display) -> String {
    format!("data: {data}\n\n")
}
