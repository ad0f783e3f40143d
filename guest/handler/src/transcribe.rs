//! `POST /transcribe`: a file in, its transcript out.

use std::time::Duration;

use auricle_guest::http::{Request, Response};
use auricle_guest::monotonic_clock;
use auricle_guest::transcriber;

use crate::failure::Failure;
use crate::form;
use crate::render::{Shown, TranscriptBody};

/// Answers with the transcript of the uploaded file.
pub fn answer(request: &Request) -> Result<Response, Failure> {
    let began = monotonic_clock::now();
    let upload = form::read(request)?;
    let mut options = upload.asked.resolve()?;
    if let Some(speakers) = &mut options.diarize {
        speakers.known = upload.known;
    }
    let shown = Shown {
        words: upload.asked.words()?,
        subtitles: upload.asked.subtitles()?,
    };
    let transcription = transcriber::start(&upload.clip, options)?;
    // The host counts a clip against the tenant for as long as there is a handle.
    drop(upload.clip);
    let all = transcriber::collect_all(&transcription)?;
    let took = Duration::from_nanos(monotonic_clock::now().saturating_sub(began));
    let body = TranscriptBody::new(&all, took, shown);
    Ok(Response::json(200, &body))
}
