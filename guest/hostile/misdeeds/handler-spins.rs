//! A handler that computes without end.

use auricle_guest::handler::{Handler, IncomingRequest, ResponseOutparam};

struct Hostile;

impl Handler for Hostile {
    fn handle(_: IncomingRequest, _: ResponseOutparam) {
        auricle_hostile::spin()
    }
}

auricle_guest::handler::export!(Hostile);
