//! A handler that accepts WebSockets and never reads from them.

use auricle_guest::handler::{Handler, IncomingRequest, ResponseOutparam};
use auricle_guest::http::Response;
use auricle_guest::monotonic_clock;
use auricle_guest::websocket::{Socket, Upgrade, WebsocketHandler};

struct Hostile;

impl Handler for Hostile {
    fn handle(_: IncomingRequest, out: ResponseOutparam) {
        Response::text(200, "only WebSockets are ignored here").send(out);
    }
}

impl WebsocketHandler for Hostile {
    fn handle(_: Upgrade, _: Socket) {
        const DAY_NANOS: u64 = 86_400_000_000_000;
        monotonic_clock::subscribe_duration(DAY_NANOS).block();
    }
}

auricle_guest::handler::export!(Hostile);
auricle_guest::websocket::export!(Hostile);
