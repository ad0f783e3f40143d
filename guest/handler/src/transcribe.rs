//! `POST /transcribe`: a file in, its transcript out.

use std::time::Duration;

use auricle_guest::http::{Request, Response};
use auricle_guest::monotonic_clock;

use crate::channels::Channels;
use crate::failure::Failure;
use crate::form::{self, Upload};
use crate::openai::reply::Labels;
use crate::render::{Shown, TranscriptBody};

/// Answers with the transcript of the uploaded file.
pub fn answer(request: &Request) -> Result<Response, Failure> {
    let began = monotonic_clock::now();
    let Upload {
        clips,
        asked,
        mut known,
    } = form::read(request, form::Channels::AsAsked)?;
    let shown = Shown {
        words: asked.words()?,
        subtitles: asked.subtitles()?,
    };
    let channels = Channels::start(clips, asked.multichannel()?, || {
        let mut options = asked.resolve()?;
        if let Some(speakers) = &mut options.diarize {
            // Speakers are told of one clip alone.
            speakers.known = std::mem::take(&mut known);
        }
        Ok(options)
    })?;
    let transcript = channels.collect(Labels::Kept)?;
    let took = Duration::from_nanos(monotonic_clock::now().saturating_sub(began));
    let body = TranscriptBody::new(&transcript, took, shown);
    Ok(Response::json(200, &body))
}
