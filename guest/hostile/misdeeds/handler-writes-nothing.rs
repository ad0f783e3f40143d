//! A handler that writes nothing, ten million times: each write is one more for a queue that counts
//! bytes.

use auricle_guest::handler::{Handler, IncomingRequest, ResponseOutparam};
use auricle_guest::http::raw::types::{Fields, OutgoingBody, OutgoingResponse};

struct Hostile;

impl Handler for Hostile {
    fn handle(_: IncomingRequest, out: ResponseOutparam) {
        let response = OutgoingResponse::new(Fields::new());
        let Ok(body) = response.body() else {
            return;
        };
        ResponseOutparam::set(out, Ok(response));
        let Ok(stream) = body.write() else {
            return;
        };
        for _ in 0..10_000_000 {
            // What is refused is tried again.
            let _ = stream.check_write();
            let _ = stream.write(&[]);
        }
        drop(stream);
        let _ = OutgoingBody::finish(body, None);
    }
}

auricle_guest::handler::export!(Hostile);
