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
    let answer = route(request.path(), is_post(request.method())).and_then(|route| match route {
        Route::Transcribe => transcribe::answer(request),
        Route::DetectLanguage => detect::answer(request),
        Route::Live => Err(Failure::new(426, "connect to this path with a WebSocket")),
    });
    answer.unwrap_or_else(Failure::into_response)
}

fn is_post(method: &Method) -> bool {
    matches!(method, Method::Post)
}

fn route(path: &str, is_post: bool) -> Result<Route, Failure> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let route = match path {
        "/transcribe" => Route::Transcribe,
        "/detect-language" => Route::DetectLanguage,
        LIVE_PATH => return Ok(Route::Live),
        _ => return Err(Failure::new(404, "Not Found")),
    };
    if is_post {
        Ok(route)
    } else {
        Err(Failure::new(405, "Method Not Allowed").allow("POST"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(path: &str, is_post: bool) -> u16 {
        route(path, is_post).map_or_else(|failure| failure.status(), |_| 200)
    }

    #[test]
    fn other_paths_are_404_and_other_methods_405() {
        assert_eq!(status("/transcribe", true), 200);
        assert_eq!(status("/transcribe/", true), 200);
        assert_eq!(status("/transcribe", false), 405);
        assert_eq!(status("/detect-language", false), 405);
        assert_eq!(status("/", true), 404);
        assert_eq!(status("/transcribe/x", true), 404);
    }
}
