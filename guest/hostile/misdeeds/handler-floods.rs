//! A handler whose answer never ends.

use auricle_guest::handler::{Handler, IncomingRequest, ResponseOutparam};
use auricle_guest::http::StreamedResponse;

struct Hostile;

impl Handler for Hostile {
    fn handle(_: IncomingRequest, out: ResponseOutparam) {
        let headers = [("content-type", "application/octet-stream")];
        if let Some(mut response) = StreamedResponse::start(200, &headers, out) {
            while response.write(&[0; 65_536]).is_ok() {}
        }
    }
}

auricle_guest::handler::export!(Hostile);
