//! Which request is answered by what.

use auricle_guest::http::{Method, Request, Response};

use crate::failure::Failure;
use crate::{detect, transcribe};

/// Path of the WebSocket.
pub const LIVE_PATH: &str = "/ws/transcribe";

enum Route {
    Transcribe,
    DetectLanguage,
    Live,
}

/// Answers a request; every failure becomes a response here and nowhere else.
pub fn answer(request: &Request) -> Response {
    let answer = route(request.path(), request.method()).and_then(|route| match route {
        Route::Transcribe => transcribe::answer(request),
        Route::DetectLanguage => detect::answer(request),
        Route::Live => Err(Failure::new(426, "connect to this path with a WebSocket")),
    });
    answer.unwrap_or_else(Failure::into_response)
}

fn route(path: &str, method: &Method) -> Result<Route, Failure> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let (route, allowed) = match path {
        "/transcribe" => (Route::Transcribe, "POST"),
        "/detect-language" => (Route::DetectLanguage, "POST"),
        LIVE_PATH => (Route::Live, "GET"),
        _ => return Err(Failure::new(404, "Not Found")),
    };
    match (method, allowed) {
        (Method::Post, "POST") | (Method::Get, "GET") => Ok(route),
        _ => Err(Failure::new(405, "Method Not Allowed").allow(allowed)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(path: &str, method: Method) -> u16 {
        route(path, &method).map_or_else(|failure| failure.status(), |_| 200)
    }

    #[test]
    fn other_paths_are_404_and_other_methods_405() {
        assert_eq!(status("/transcribe", Method::Post), 200);
        assert_eq!(status("/transcribe/", Method::Post), 200);
        assert_eq!(status("/transcribe", Method::Get), 405);
        assert_eq!(status("/detect-language", Method::Put), 405);
        assert_eq!(status(LIVE_PATH, Method::Get), 200);
        assert_eq!(status(LIVE_PATH, Method::Other("QUERY".to_owned())), 405);
        assert_eq!(status("/", Method::Post), 404);
        assert_eq!(status("/transcribe/x", Method::Post), 404);
    }
}
