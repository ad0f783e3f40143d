//! Server-sent events: text as it is recognised.
//!
//! Each event is one line `data: {…}` and an empty line, as OpenAI sends them. What fails before the
//! first event of the transcription is answered with a status; what fails later is an `error` event,
//! after which nothing comes. A client that goes away ends the transcription.

use auricle_formats::{LogprobBody, Usage, languages, logprobs};
use auricle_guest::handler::ResponseOutparam;
use auricle_guest::http::{ClientGone, StreamedResponse};
use auricle_guest::speech::{Segment, SpeechError};
use auricle_guest::transcriber::{Event, Transcription};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::openai::asked::{Asked, Format};
use crate::openai::reply::Labels;

/// A transcription whose events are about to be sent.
pub struct Sse {
    transcription: Transcription,
    first: Option<Event>,
    asked: Asked,
    labels: Labels,
    secs: f64,
    text: String,
    tokens: usize,
    /// As far as they are asked for.
    logprobs: Vec<LogprobBody>,
    language: Option<String>,
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
            logprobs: Vec::new(),
            language: None,
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
                Ok(Some(Event::Language(language))) => self.language = Some(language),
                Ok(Some(Event::Dropped(_) | Event::Progress(_))) => {}
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
            let follows = !self.text.is_empty();
            let space = if follows { " " } else { "" };
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
            if self.asked.logprobs
                && let Some(fields) = delta.as_object_mut()
            {
                let logprobs = logprobs(&segment, follows);
                fields.insert("logprobs".to_owned(), json!(logprobs));
                self.logprobs.extend(logprobs);
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
        let mut done = json!({
            "type": "transcript.text.done",
            "text": self.text,
            "usage": Usage::tokens(self.secs, self.tokens),
        });
        if let Some(fields) = done.as_object_mut() {
            if self.asked.logprobs {
                fields.insert("logprobs".to_owned(), json!(self.logprobs));
            }
            let heard = !self.text.is_empty();
            let language = self.language.as_ref().and_then(|code| code.parse().ok());
            if let Some(language) = language.filter(|_| self.asked.tells_languages()) {
                fields.insert("languages".to_owned(), json!(languages(language, heard)));
            }
        }
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
