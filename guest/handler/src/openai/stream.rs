//! Server-sent events: text as it is recognised.
//!
//! Each event is one line `data: {…}` and an empty line, as OpenAI sends them. What fails before the
//! first event of the transcription is answered with a status; what fails later is an `error` event,
//! after which nothing comes. A client that goes away ends the transcription.

use auricle_guest::handler::ResponseOutparam;
use auricle_guest::http::{ClientGone, StreamedResponse};
use auricle_guest::speech::{Segment, SpeechError};
use auricle_guest::transcriber::{Event, Transcription};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::openai::asked::{Asked, Format};
use crate::openai::reply::Labels;

/// Audio tokens in a second, as OpenAI counts them for its own models.
const TOKENS_PER_SEC: f64 = 10.0;

/// A transcription whose events are about to be sent.
pub struct Sse {
    transcription: Transcription,
    first: Option<Event>,
    asked: Asked,
    labels: Labels,
    secs: f64,
    text: String,
    tokens: usize,
}

impl Sse {
    /// Waits for the first event; `known` are the names of known speakers, `secs` the audio's length.
    pub fn begin(
        transcription: Transcription,
        asked: Asked,
        known: Vec<String>,
        secs: f64,
    ) -> Result<Self, Failure> {
        let first = transcription.next()?;
        Ok(Self {
            transcription,
            first,
            asked,
            labels: Labels::lettered(known),
            secs,
            text: String::new(),
            tokens: 0,
        })
    }

    /// Sends the events to their end.
    pub fn send(mut self, out: ResponseOutparam) {
        let headers = [
            ("content-type", "text/event-stream; charset=utf-8"),
            ("cache-control", "no-cache"),
            // Proxies would hold events back otherwise.
            ("x-accel-buffering", "no"),
        ];
        let Some(mut response) = StreamedResponse::start(200, &headers, out) else {
            return;
        };
        if self.events(&mut response).is_ok() {
            response.finish();
        }
    }

    fn events(&mut self, response: &mut StreamedResponse) -> Result<(), ClientGone> {
        let mut next = Ok(self.first.take());
        loop {
            match next {
                Ok(Some(Event::Segments(segments))) => {
                    for segment in segments {
                        self.segment(segment, response)?;
                    }
                }
                Ok(Some(Event::Finished(_))) => return self.done(response),
                Ok(Some(Event::Language(_) | Event::Dropped(_) | Event::Progress(_))) => {}
                Ok(None) => {
                    let text = "the transcription ended without a summary".to_owned();
                    return failed(SpeechError::Other(Some(text)), response);
                }
                Err(error) => return failed(error, response),
            }
            next = self.transcription.next();
        }
    }

    fn segment(
        &mut self,
        segment: Segment,
        response: &mut StreamedResponse,
    ) -> Result<(), ClientGone> {
        self.tokens += segment.tokens.len();
        let segment = self.labels.segment(segment);
        let diarized = self.asked.format == Format::DiarizedJson;
        if !segment.text.is_empty() {
            let space = if self.text.is_empty() { "" } else { " " };
            let mut delta = json!({
                "type": "transcript.text.delta",
                "delta": format!("{space}{}", segment.text),
            });
            if diarized && let Some(fields) = delta.as_object_mut() {
                fields.insert(
                    "segment_id".to_owned(),
                    format!("seg_{}", segment.id).into(),
                );
            }
            self.text.push_str(space);
            self.text.push_str(&segment.text);
            write(&delta, response)?;
        }
        if diarized {
            let event = auricle_formats::diarized_segment(&segment);
            response.write(format!("data: {event}\n\n").as_bytes())?;
        }
        Ok(())
    }

    fn done(&mut self, response: &mut StreamedResponse) -> Result<(), ClientGone> {
        let audio_tokens = (self.secs * TOKENS_PER_SEC).ceil() as u64;
        let output_tokens = self.tokens as u64;
        let done = json!({
            "type": "transcript.text.done",
            "text": self.text,
            "usage": {
                "type": "tokens",
                "input_tokens": audio_tokens,
                "input_token_details": { "text_tokens": 0, "audio_tokens": audio_tokens },
                "output_tokens": output_tokens,
                "total_tokens": audio_tokens + output_tokens,
            },
        });
        write(&done, response)?;
        response.write(b"data: [DONE]\n\n")
    }
}

fn failed(error: SpeechError, response: &mut StreamedResponse) -> Result<(), ClientGone> {
    let mut event = Failure::from(error).openai_body();
    if let Some(fields) = event.as_object_mut() {
        fields.insert("type".to_owned(), "error".into());
    }
    write(&event, response)
}

fn write(event: &Value, response: &mut StreamedResponse) -> Result<(), ClientGone> {
    response.write(format!("data: {event}\n\n").as_bytes())
}
