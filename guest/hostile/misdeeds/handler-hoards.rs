//! A handler that takes memory without end.

use auricle_guest::handler::{Handler, IncomingRequest, ResponseOutparam};

struct Hostile;

impl Handler for Hostile {
    fn handle(_: IncomingRequest, _: ResponseOutparam) {
        auricle_hostile::take_all_memory()
    }
}

auricle_guest::handler::export!(Hostile);
