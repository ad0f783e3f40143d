//! Example of a handler: answers with what is said in a file, its digits and chosen words blotted out.
//!
//! Every request is a form with the audio as field `file`; the answer is
//! `{"text": "…", "redacted": 3}`, where the number counts figures and words that were blotted out.
//! Digits are those of every script, and the English words "zero" to "nine". The transcript itself
//! leaves this component in no other way.
//!
//! # Configuration
//! - `words`: further words to blot out, with commas between them; default none.

mod redact;

use auricle_guest::audio::{DecodeError, Hint, decode};
use auricle_guest::handler::{Handler, IncomingRequest, ResponseOutparam};
use auricle_guest::http::{Request, Response};
use auricle_guest::transcriber::{self, Options};
use auricle_guest::{config, log};
use redact::Redactor;

struct Redacting;

impl Handler for Redacting {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        log::panics();
        let answer = match transcribe(&Request::new(request)) {
            Ok(text) => redacted(&text),
            Err(response) => response,
        };
        answer.send(out);
    }
}

auricle_guest::handler::export!(Redacting);

/// What is said in the form's file.
fn transcribe(request: &Request) -> Result<String, Response> {
    let form = request.form().map_err(|e| refusal(400, e))?;
    while let Some(part) = form.next_part().map_err(|e| refusal(400, e))? {
        if part.name().as_deref() != Some("file") {
            continue;
        }
        let hint = Hint {
            file_name: part.file_name(),
            content_type: part.content_type(),
        };
        let content = part.content().ok_or_else(no_file)?;
        let clip = decode(content, &hint).map_err(undecoded)?;
        let running = transcriber::start(&clip, Options::default()).map_err(|e| refusal(503, e))?;
        let (segments, _) = transcriber::collect(&running).map_err(|e| refusal(503, e))?;
        return Ok(transcriber::joined_text(&segments));
    }
    Err(no_file())
}

fn undecoded(error: DecodeError) -> Response {
    let status = match error {
        DecodeError::Empty
        | DecodeError::Unsupported(_)
        | DecodeError::Undecodable(_)
        | DecodeError::TooLong(_) => 422,
        _ => 503,
    };
    refusal(status, error)
}

fn no_file() -> Response {
    Response::detail(400, "add the audio as form field 'file'")
}

fn refusal(status: u16, error: impl std::fmt::Display) -> Response {
    Response::detail(status, &error.to_string())
}

fn redacted(text: &str) -> Response {
    let further = config::get("words").unwrap_or_default();
    let (text, redacted) = Redactor::new(&further).redact(text);
    let body = serde_json::json!({ "text": text, "redacted": redacted });
    Response::json(200, &body)
}
