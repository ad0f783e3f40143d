//! A handler that computes without end, for a request as for a WebSocket.

use auricle_guest::handler::{Handler, IncomingRequest, ResponseOutparam};
use auricle_guest::websocket::{Socket, Upgrade, WebsocketHandler};

struct Hostile;

impl Handler for Hostile {
    fn handle(_: IncomingRequest, _: ResponseOutparam) {
        auricle_hostile::spin()
    }
}

impl WebsocketHandler for Hostile {
    fn handle(_: Upgrade, _: Socket) {
        auricle_hostile::spin()
    }
}

auricle_guest::handler::export!(Hostile);
auricle_guest::websocket::export!(Hostile);
