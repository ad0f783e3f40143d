//! A handler that returns without an answer.

use auricle_guest::handler::{Handler, IncomingRequest, ResponseOutparam};

struct Hostile;

impl Handler for Hostile {
    fn handle(_: IncomingRequest, _: ResponseOutparam) {}
}

auricle_guest::handler::export!(Hostile);
