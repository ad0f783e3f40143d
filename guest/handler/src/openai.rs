//! OpenAI's transcription API: `/v1/audio/transcriptions` and `/v1/audio/translations`.
//!
//! Errors have OpenAI's shape, whatever fails.

pub mod asked;
pub mod form;
pub mod reply;
mod stream;

use auricle_guest::http::{Method, Request, Response};
use auricle_guest::speech::Task;
use auricle_guest::transcriber;

use crate::failure::Failure;
use crate::openai::form::Sent;
use crate::openai::stream::Sse;

/// What the answer to a request is.
pub enum Answer {
    /// A whole response.
    Whole(Response),
    /// Events as the work goes on.
    Events(Box<Sse>),
}

/// Whether a path is one of this API's.
pub fn owns(path: &str) -> bool {
    path == "/v1" || path.starts_with("/v1/")
}

/// Answers a request.
pub fn answer(request: &Request) -> Answer {
    match dispatch(request) {
        Ok(answer) => answer,
        Err(failure) => Answer::Whole(failure.into_openai()),
    }
}

fn dispatch(request: &Request) -> Result<Answer, Failure> {
    let task = task_of(request.path(), matches!(request.method(), Method::Post))?;
    let sent = form::read(request, task)?;
    transcribe(sent)
}

fn task_of(path: &str, is_post: bool) -> Result<Task, Failure> {
    let task = match path.strip_suffix('/').unwrap_or(path) {
        "/v1/audio/transcriptions" => Task::Transcribe,
        "/v1/audio/translations" => Task::Translate,
        _ => return Err(Failure::new(404, "Invalid URL: nothing answers this path")),
    };
    if is_post {
        return Ok(task);
    }
    Err(Failure::new(405, "Not allowed: send a POST request")
        .coded("method_not_allowed")
        .allow("POST"))
}

fn transcribe(sent: Sent) -> Result<Answer, Failure> {
    let Sent { clip, asked, known } = sent;
    let mut options = asked.options()?;
    let names = known.iter().map(|speaker| speaker.name.clone()).collect();
    if let Some(speakers) = &mut options.diarize {
        speakers.known = known;
    }
    let transcription = transcriber::start(&clip, options)?;
    let secs = clip.length() as f64 / f64::from(auricle_guest::audio::SAMPLE_RATE);
    // The host counts a clip against the tenant for as long as there is a handle.
    drop(clip);
    if asked.streams {
        let sse = Sse::begin(transcription, asked, names, secs)?;
        return Ok(Answer::Events(Box::new(sse)));
    }
    let all = transcriber::collect_all(&transcription)?;
    Ok(Answer::Whole(reply::whole(all, &asked, names)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn other_paths_are_404_and_other_methods_405() {
        let status = |path, is_post| task_of(path, is_post).map_err(|f| f.status()).map(drop);
        assert_eq!(status("/v1/audio/transcriptions", true), Ok(()));
        assert_eq!(status("/v1/audio/translations/", true), Ok(()));
        assert_eq!(status("/v1/audio/transcriptions", false), Err(405));
        assert_eq!(status("/v1/audio/speech", true), Err(404));
        assert!(owns("/v1/x") && !owns("/v1x") && !owns("/transcribe"));
    }
}
