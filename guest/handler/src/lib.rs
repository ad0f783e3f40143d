//! First-party handler: OpenAI's transcription API and the tutorial's, over HTTP and WebSocket.
//!
//! Owns one request or one live session. Audio never enters its memory: an upload goes from the form
//! to the decoder as a stream handle, and what the recognition yields is all it holds.
//!
//! | route | answer |
//! |---|---|
//! | `POST /transcribe` | transcript as JSON (`transcribe`) |
//! | `POST /detect-language` | the likeliest languages (`detect`) |
//! | `POST /v1/audio/transcriptions`, `/v1/audio/translations` | as OpenAI answers (`openai`) |
//! | `GET /v1/models`, `GET /v1/models/{id}` | what may be named as `model` (`openai`) |
//! | `WS /ws/transcribe` | text of live audio, piece by piece (`live`) |
//!
//! Health, pages and CORS are the gateway's. `web/openapi.json` documents these routes; the tests of
//! `documented` hold it against the fields that are read.
//!
//! # Configuration
//! - `live-chunk-secs`: seconds of live audio that are recognised at once, 1 to 30, default 5.
//! - `live-max-pending`: pieces of one connection that may wait for recognition before the handler
//!   stops to read from it, 1 to 64, default 8.

mod channels;
mod detect;
#[cfg(test)]
mod documented;
mod failure;
mod form;
mod live;
#[cfg(feature = "native")]
pub mod native;
mod openai;
mod options;
mod render;
mod routes;
mod transcribe;

use auricle_guest::handler::{Handler, IncomingRequest, ResponseOutparam};
use auricle_guest::http::Request;
use auricle_guest::log;
use auricle_guest::websocket::{Socket, Upgrade, WebsocketHandler};

struct FirstParty;

impl Handler for FirstParty {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        log::panics();
        let request = Request::new(request);
        if !openai::owns(request.path()) {
            return routes::answer(&request).send(out);
        }
        match openai::answer(&request) {
            openai::Answer::Whole(response) => response.send(out),
            openai::Answer::Events(events) => events.send(out),
        }
    }
}

impl WebsocketHandler for FirstParty {
    fn handle(upgrade: Upgrade, socket: Socket) {
        log::panics();
        live::serve(&upgrade, &socket);
    }
}

auricle_guest::handler::export!(FirstParty);
auricle_guest::websocket::export!(FirstParty);
