//! A handler that guesses handles: it asks the host about the one that its query names, as one of a
//! clip, a recorder or a form (`kind`), and has none of them itself.

#![allow(unsafe_code, reason = "this is the misdeed")]

use auricle_guest::audio::{Clip, Recorder};
use auricle_guest::handler::{Handler, IncomingRequest, ResponseOutparam};
use auricle_guest::http::{Form, Request, Response};

struct Hostile;

impl Handler for Hostile {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let request = Request::new(request);
        let query = request.query();
        let handle = query.get("handle").and_then(|text| text.parse().ok());
        let handle = handle.unwrap_or(0_u32);
        // SAFETY: none; a handle is a number, and the host has to look what is behind it.
        let found = unsafe {
            match query.get("kind").unwrap_or_default() {
                "clip" => Clip::from_handle(handle).length(),
                "recorder" => Recorder::from_handle(handle).length(),
                _ => u64::from(Form::from_handle(handle).next_part().is_ok()),
            }
        };
        Response::text(200, format!("found {found}")).send(out);
    }
}

auricle_guest::handler::export!(Hostile);
