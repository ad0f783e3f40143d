//! A handler that hands the host more in one call than a call may carry, as its query says.
//!
//! - `case=bytes`: 200 MiB of sound for a recorder.
//! - `case=line`: 200 MiB of text for the log.
//! - `case=strings`: ten million keywords for a transcription.
//! - `case=fields`: a million header fields for an answer.

use auricle_guest::audio::Recorder;
use auricle_guest::handler::{Handler, IncomingRequest, ResponseOutparam};
use auricle_guest::http::raw::types::Fields;
use auricle_guest::http::{Request, Response};
use auricle_guest::log;
use auricle_guest::transcriber::{Options, start};

/// More than any call may carry.
const BYTES: usize = 200 << 20;

struct Hostile;

impl Handler for Hostile {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let request = Request::new(request);
        let taken = match request.query().get("case").unwrap_or_default() {
            "bytes" => Recorder::new().append(&vec![0; BYTES]).is_ok(),
            "line" => {
                log::write(log::Level::Info, &"x".repeat(BYTES));
                true
            }
            "strings" => strings(),
            "fields" => {
                let fields = vec![("x".to_owned(), vec![b'y']); 1_000_000];
                Fields::from_list(&fields).is_ok()
            }
            _ => true,
        };
        Response::text(200, taken.to_string()).send(out);
    }
}

auricle_guest::handler::export!(Hostile);

fn strings() -> bool {
    let recorder = Recorder::new();
    let options = Options {
        // Empty ones take no memory but their places.
        keywords: vec![String::new(); 10_000_000],
        ..Options::default()
    };
    recorder.append(&[0; 32_000]).is_ok() && start(&recorder.take(16_000), options).is_ok()
}
