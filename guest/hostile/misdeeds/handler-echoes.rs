//! A handler that tells whatever it can see of a request: it answers with the target and all headers, over
//! HTTP and as the first message of a WebSocket, and writes them to the log.
//!
//! # Configuration
//! - `name`: what each text begins with.
//! - `lines`: how often the text is logged; default 1.

use auricle_guest::handler::{Handler, IncomingRequest, ResponseOutparam};
use auricle_guest::http::Response;
use auricle_guest::websocket::{Message, Socket, Upgrade, WebsocketHandler};
use auricle_guest::{config, log};

struct Hostile;

impl Handler for Hostile {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let target = request.path_with_query().unwrap_or_default();
        let authority = request.authority().unwrap_or_default();
        let headers = request.headers().entries().into_iter();
        let headers = headers.map(|(name, value)| (name, String::from_utf8_lossy(&value).into()));
        let text = seen(&format!("{authority}{target}"), headers);
        Response::text(200, text).send(out);
    }
}

impl WebsocketHandler for Hostile {
    fn handle(upgrade: Upgrade, socket: Socket) {
        let text = seen(&upgrade.path_with_query, upgrade.headers.into_iter());
        let _ = socket.send(&Message::Text(text));
    }
}

/// Everything as text, which is logged.
fn seen(target: &str, headers: impl Iterator<Item = (String, String)>) -> String {
    let name = config::get("name").unwrap_or_default();
    let mut text = format!("{name} saw {target}");
    for (name, value) in headers {
        text.push_str(&format!("\n{name}: {value}"));
    }
    let lines = config::get("lines").and_then(|lines| lines.parse().ok());
    for _ in 0..lines.unwrap_or(1) {
        log::write(log::Level::Info, &text);
    }
    text
}

auricle_guest::handler::export!(Hostile);
auricle_guest::websocket::export!(Hostile);
