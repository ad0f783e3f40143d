//! A handler that calls itself without end.

use auricle_guest::handler::{Handler, IncomingRequest, ResponseOutparam};
use auricle_guest::http::Response;

struct Hostile;

impl Handler for Hostile {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let length = request.path_with_query().unwrap_or_default().len() as u64;
        Response::text(200, auricle_hostile::recurse(length).to_string()).send(out);
    }
}

auricle_guest::handler::export!(Hostile);
