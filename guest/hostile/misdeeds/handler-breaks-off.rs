//! A handler that fails in the middle of its answer.

#![allow(clippy::panic, reason = "this is the misdeed")]

use auricle_guest::handler::{Handler, IncomingRequest, ResponseOutparam};
use auricle_guest::http::StreamedResponse;

struct Hostile;

impl Handler for Hostile {
    fn handle(_: IncomingRequest, out: ResponseOutparam) {
        let headers = [("content-type", "text/plain"), ("content-length", "1000")];
        if let Some(mut response) = StreamedResponse::start(200, &headers, out) {
            let _ = response.write(b"the beginning");
        }
        panic!("on purpose")
    }
}

auricle_guest::handler::export!(Hostile);
