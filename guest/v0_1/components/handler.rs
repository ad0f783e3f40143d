//! A handler: answers with the events of a transcription, then its text.

#![allow(
    missing_docs,
    unsafe_code,
    clippy::all,
    clippy::restriction,
    reason = "generated bindings"
)]

wit_bindgen::generate!({
    path: [
        "../../wit/deps/io.wit",
        "../../wit/deps/clocks.wit",
        "../../wit/deps/random.wit",
        "../../wit/deps/filesystem.wit",
        "../../wit/deps/sockets.wit",
        "../../wit/deps/cli.wit",
        "../../wit/deps/http.wit",
        "../../wit/auricle-runtime",
        "../../wit/auricle-audio",
        "../../wit/v0.1.0/auricle-speech",
        "../../wit/auricle-http",
        "../../wit/v0.1.0/auricle-pipeline",
    ],
    world: "auricle:pipeline/handler",
    generate_all,
});

use auricle::audio::decoding::{Hint, decode};
use auricle::http::multipart;
use auricle::pipeline::transcriber::{self, Event, Options};
use auricle::speech::types::Task;
use auricle::speech::{recognition, voice_activity};
use exports::wasi::http::incoming_handler::Guest;
use wasi::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};

struct Component;

impl Guest for Component {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        match transcribe(&request) {
            Ok(text) => answer(out, 200, &text),
            Err(reason) => answer(out, 400, &reason),
        }
    }
}

export!(Component);

fn transcribe(request: &IncomingRequest) -> Result<String, String> {
    let content_type = request.headers().get("content-type").into_iter().next();
    let content_type = String::from_utf8(content_type.unwrap_or_default()).unwrap_or_default();
    let body = request.consume().map_err(|()| "the request has no body")?;
    let form = multipart::parse(body, &content_type).map_err(|error| format!("{error:?}"))?;
    while let Some(part) = form.next_part().map_err(|error| format!("{error:?}"))? {
        if part.name().as_deref() != Some("file") {
            continue;
        }
        let hint = Hint {
            file_name: part.file_name(),
            content_type: part.content_type(),
        };
        let content = part.content().ok_or("the part was read before")?;
        let clip = decode(content, &hint).map_err(|error| format!("{error:?}"))?;
        if !recognition::knows_language("en") || recognition::list_models().is_empty() {
            return Err("the server has no models".to_owned());
        }
        let detected = recognition::detect_language(&clip, None);
        let detected = detected.map_err(|error| format!("{error:?}"))?;
        if detected.is_empty() || voice_activity::frame_samples() == 0 {
            return Err("the server detects nothing".to_owned());
        }
        let running = transcriber::start(&clip, options()).map_err(|error| format!("{error:?}"))?;
        return collect(&running).map_err(|error| format!("{error:?}"));
    }
    Err("add the audio as form field 'file'".to_owned())
}

fn collect(running: &transcriber::Transcription) -> Result<String, transcriber::SpeechError> {
    let (mut events, mut text) = (Vec::new(), Vec::new());
    while let Some(event) = running.next()? {
        match event {
            Event::Language(language) => events.push(format!("language {language}")),
            Event::Segments(segments) => {
                text.extend(segments.into_iter().map(|segment| segment.text));
            }
            Event::Dropped(dropped) => events.push(format!("dropped {}", dropped.len())),
            Event::Progress(_) => {}
            Event::Finished(summary) => events.push(format!("finished {}", summary.language)),
        }
    }
    Ok(format!("{}\n{}", events.join(", "), text.join(" ")))
}

/// The server's model, language detected, with every interface that a handler imports in use.
fn options() -> Options {
    Options {
        model: None,
        language: None,
        languages: Vec::new(),
        task: Task::Transcribe,
        prompt: None,
        keywords: Vec::new(),
        temperature: 0.0,
        beam_size: 1,
        word_timestamps: false,
        logprobs: false,
        chunking: None,
        diarize: None,
    }
}

/// Sends a short text. Where the client has gone away, there is nobody to tell.
fn answer(out: ResponseOutparam, status: u16, text: &str) {
    let response = OutgoingResponse::new(Fields::new());
    let (Ok(()), Ok(body)) = (response.set_status_code(status), response.body()) else {
        return;
    };
    // The host reads the body only once it has the response.
    ResponseOutparam::set(out, Ok(response));
    if let Ok(stream) = body.write() {
        for piece in text.as_bytes().chunks(4096) {
            if stream.blocking_write_and_flush(piece).is_err() {
                return;
            }
        }
    }
    let _ = OutgoingBody::finish(body, None);
}
