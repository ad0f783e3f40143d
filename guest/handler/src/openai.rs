//! OpenAI's transcription API: `/v1/audio/transcriptions`, `/v1/audio/translations`, `/v1/models`.
//!
//! Errors have OpenAI's shape, whatever fails.

pub mod asked;
pub mod chunking;
pub mod events;
pub mod form;
mod models;
pub mod references;
pub mod reply;
mod stream;

use auricle_guest::http::{Method, Query, Request, Response};
use auricle_guest::speech::Task;

use crate::channels::Channels;
use crate::failure::Failure;
use crate::openai::form::Sent;
use crate::openai::reply::Labels;
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
    match route(request.path(), request.method())? {
        Route::Audio(task) => transcribe(form::read(request, task)?),
        Route::Models => Ok(Answer::Whole(models::list())),
        Route::Model(name) => models::one(&name).map(Answer::Whole),
    }
}

#[derive(Debug)]
enum Route {
    /// A file to transcribe or translate.
    Audio(Task),
    /// The list of models.
    Models,
    /// The model of this name.
    Model(String),
}

fn route(path: &str, method: &Method) -> Result<Route, Failure> {
    let bare = path.strip_suffix('/').unwrap_or(path);
    let route = match bare {
        "/v1/audio/transcriptions" => Route::Audio(Task::Transcribe),
        "/v1/audio/translations" => Route::Audio(Task::Translate),
        "/v1/models" => Route::Models,
        _ => match bare.strip_prefix("/v1/models/") {
            // A name may have slashes of its own.
            Some(name) => Route::Model(Query::decoded(name)),
            None => return Err(Failure::new(404, "Invalid URL: nothing answers this path")),
        },
    };
    let (allowed, fits) = match route {
        Route::Audio(_) => ("POST", matches!(method, Method::Post)),
        Route::Models | Route::Model(_) => ("GET", matches!(method, Method::Get | Method::Head)),
    };
    if fits {
        return Ok(route);
    }
    Err(
        Failure::new(405, format!("Not allowed: send a {allowed} request"))
            .coded("method_not_allowed")
            .allow(allowed),
    )
}

fn transcribe(sent: Sent) -> Result<Answer, Failure> {
    let Sent {
        clips,
        asked,
        model,
        mut known,
    } = sent;
    let names: Vec<_> = known.iter().map(|speaker| speaker.name.clone()).collect();
    let channels = Channels::start(clips, asked.multichannel, || {
        let mut options = asked.options(&model)?;
        if let Some(speakers) = &mut options.diarize {
            // Speakers are told of one clip alone.
            speakers.known = std::mem::take(&mut known);
        }
        Ok(options)
    })?;
    if asked.streams {
        let sse = Sse::begin(channels, asked, names)?;
        return Ok(Answer::Events(Box::new(sse)));
    }
    let transcript = channels.collect(Labels::lettered(names))?;
    Ok(Answer::Whole(reply::whole(&transcript, &asked)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn other_paths_are_404_and_other_methods_405() {
        let (get, post) = (Method::Get, Method::Post);
        let status = |path, method| route(path, method).map_err(|f| f.status()).map(drop);
        assert_eq!(status("/v1/audio/transcriptions", &post), Ok(()));
        assert_eq!(status("/v1/audio/translations/", &post), Ok(()));
        assert_eq!(status("/v1/audio/transcriptions", &get), Err(405));
        assert_eq!(status("/v1/audio/speech", &post), Err(404));
        assert_eq!(status("/v1/models", &get), Ok(()));
        assert_eq!(status("/v1/models", &post), Err(405));
        assert!(matches!(
            route("/v1/models/org%2Fmy%20own/", &get),
            Ok(Route::Model(name)) if name == "org/my own"
        ));
        assert!(owns("/v1/x") && !owns("/v1x") && !owns("/transcribe"));
    }
}
