//! What needs no host, as a library: for `fuzz/`.

use auricle_guest::speech::{Model, Segment, Task};
use auricle_guest::transcriber::Options;
use serde_json::Value;

use crate::failure::Failure;
use crate::openai::asked::Asked;
use crate::openai::events::Events;
use crate::openai::form::Fields;
use crate::options::Asked as Tutorial;

/// What a request asks for, or the status and the body of its refusal.
pub type Read = Result<Options, (u16, Value)>;

/// Reads `query` and the fields of a form as `POST /transcribe` does.
pub fn transcribe(query: &str, fields: &[(String, String)]) -> Read {
    let (_, query) = auricle_guest::http::Query::split_target(query);
    let mut asked = Tutorial::in_query(&query);
    for (name, value) in fields {
        asked.set(name, value.clone());
    }
    let read = || {
        asked.words()?;
        asked.subtitles()?;
        asked.resolve()
    };
    read().map_err(refused)
}

/// Reads the fields of a form as `POST /v1/audio/transcriptions` does, or as translations do.
pub fn openai(fields: &[(String, String)], translates: bool) -> Read {
    asked(fields, translates)
        .and_then(|asked| asked.options(&model()))
        .map_err(refused)
}

/// All that is sent of `segments` as a stream of events, one text for each segment and one for the
/// end; nothing where `fields` do not ask for a stream.
pub fn events(fields: &[(String, String)], segments: Vec<Segment>, secs: f64) -> Vec<String> {
    let asked = match asked(fields, false) {
        Ok(asked) if asked.streams => asked,
        _ => return Vec::new(),
    };
    let mut events = Events::new(asked, Vec::new(), secs);
    let mut sent: Vec<String> = segments
        .into_iter()
        .map(|segment| events.segment(segment, None))
        .collect();
    sent.push(events.done(&[auricle_speech::Language::ENGLISH]));
    sent
}

fn asked(fields: &[(String, String)], translates: bool) -> Result<Asked, Failure> {
    let mut all = Fields::default();
    for (name, value) in fields {
        all.add(name, value.clone());
    }
    let task = match translates {
        true => Task::Translate,
        false => Task::Transcribe,
    };
    Asked::read(&all, task)
}

fn model() -> Model {
    Model {
        name: "base".to_owned(),
        installed: 0,
        alias_of: None,
        diarizes: false,
    }
}

fn refused(failure: Failure) -> (u16, Value) {
    (failure.status(), failure.openai_body())
}
