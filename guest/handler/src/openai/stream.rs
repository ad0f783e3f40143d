//! Server-sent events: text as it is recognised.
//!
//! What fails before the first event of the transcription is answered with a status; what fails later
//! is an `error` event, after which nothing comes. A client that goes away ends the transcription.

use auricle_guest::handler::ResponseOutparam;
use auricle_guest::http::{ClientGone, StreamedResponse};

use crate::channels::Channels;
use crate::failure::Failure;
use crate::openai::asked::Asked;
use crate::openai::events::{Events, failed};

/// A transcription whose events are about to be sent.
pub struct Sse {
    channels: Channels,
    events: Events,
}

impl Sse {
    /// Waits for the first event; `known` are the names of known speakers.
    pub fn begin(
        mut channels: Channels,
        asked: Asked,
        known: Vec<String>,
    ) -> Result<Self, Failure> {
        channels.begin()?;
        let events = Events::new(asked, known, channels.secs);
        Ok(Self { channels, events })
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
        if self.send_events(&mut response).is_ok() {
            response.finish();
        }
    }

    fn send_events(&mut self, response: &mut StreamedResponse) -> Result<(), ClientGone> {
        loop {
            match self.channels.next() {
                Ok(Some((segment, channel))) => {
                    let events = self.events.segment(segment, channel);
                    if !events.is_empty() {
                        response.write(events.as_bytes())?;
                    }
                }
                Ok(None) => {
                    let done = self.events.done(&self.channels.languages());
                    return response.write(done.as_bytes());
                }
                Err(error) => return response.write(failed(error).as_bytes()),
            }
        }
    }
}
