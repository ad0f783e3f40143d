//! A handler that waits for a day and does not answer.

use auricle_guest::handler::{Handler, IncomingRequest, ResponseOutparam};
use auricle_guest::monotonic_clock;

struct Hostile;

impl Handler for Hostile {
    fn handle(_: IncomingRequest, _: ResponseOutparam) {
        const DAY_NANOS: u64 = 86_400_000_000_000;
        monotonic_clock::subscribe_duration(DAY_NANOS).block();
    }
}

auricle_guest::handler::export!(Hostile);
