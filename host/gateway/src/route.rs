//! What the gateway answers itself: whether the server is alive, ready and well; and the pages.
//!
//! These paths need no key, take no permit and are answered while everything else is refused.
//! All other paths are the app's: a tenant may put its own there.

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use serde_json::json;

use crate::app::{Health, HealthStatus};
use crate::body::ResponseBody;
use crate::rescue::{self, Refusal};

/// Methods of the paths below.
const ALLOWED: &str = "GET, HEAD, OPTIONS";

/// Whether the gateway answers `path`.
pub(crate) fn is_own(path: &str) -> bool {
    matches!(path, "/health" | "/livez" | "/readyz")
}

/// The answer, when the gateway has it.
pub(crate) fn own(
    head: &Parts,
    health: impl FnOnce() -> Health,
    draining: bool,
) -> Option<Result<Response<ResponseBody>, Refusal>> {
    if head.method == Method::CONNECT || head.method == Method::TRACE {
        // Neither a proxy nor an echo.
        return Some(Err(Refusal::Method {
            allow: "GET, HEAD, POST, OPTIONS",
        }));
    }
    let path = head.uri.path();
    if !is_own(path) {
        return None;
    }
    if head.method == Method::OPTIONS {
        let mut response = Response::new(rescue::full(""));
        *response.status_mut() = StatusCode::NO_CONTENT;
        response
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static(ALLOWED));
        return Some(Ok(response));
    }
    if head.method != Method::GET && head.method != Method::HEAD {
        return Some(Err(Refusal::Method { allow: ALLOWED }));
    }
    if path == "/livez" {
        return Some(Ok(report(true, json!({ "status": "ok" }).to_string())));
    }
    let mut health = health();
    if draining {
        health.status = HealthStatus::Draining;
    }
    let ready = health.status == HealthStatus::Ok;
    let body = json!({ "status": health.status, "model": health.model });
    Some(Ok(report(ready, body.to_string())))
}

fn report(ready: bool, body: String) -> Response<ResponseBody> {
    let mut response = Response::new(rescue::full(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if !ready {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "tests"
    )]

    use super::*;

    fn status(path: &str, status: HealthStatus, draining: bool) -> u16 {
        let head = http::Request::get(path).body(()).unwrap().into_parts().0;
        let health = || Health {
            status,
            model: "base".into(),
        };
        let response = own(&head, health, draining).unwrap().unwrap();
        assert_eq!(
            response.headers().contains_key(RETRY_AFTER),
            response.status() == StatusCode::SERVICE_UNAVAILABLE
        );
        response.status().as_u16()
    }

    #[test]
    fn only_a_server_that_can_answer_is_ready() {
        for path in ["/readyz", "/health"] {
            assert_eq!(status(path, HealthStatus::Ok, false), 200);
            assert_eq!(status(path, HealthStatus::Ok, true), 503);
            assert_eq!(status(path, HealthStatus::Loading, false), 503);
            assert_eq!(status(path, HealthStatus::Draining, false), 503);
        }
        assert_eq!(status("/livez", HealthStatus::Loading, true), 200);
    }
}
