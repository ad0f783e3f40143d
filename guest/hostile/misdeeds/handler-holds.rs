//! A handler that takes handle after handle from the host and keeps them all.

use auricle_guest::handler::{Handler, IncomingRequest, ResponseOutparam};
use auricle_guest::monotonic_clock;

struct Hostile;

impl Handler for Hostile {
    fn handle(_: IncomingRequest, _: ResponseOutparam) {
        let mut held = Vec::new();
        loop {
            held.push(monotonic_clock::subscribe_duration(1));
        }
    }
}

auricle_guest::handler::export!(Hostile);
