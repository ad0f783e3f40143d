//! The pages for browsers, and the document of the API.
//!
//! They hold nothing of a tenant's, so they ask for no key: a browser sends none when somebody types
//! an address. `/` alone is left to the handler of a tenant whose key comes along, because it is
//! where a handler of one's own answers first of all.

use http::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};

use crate::body::ResponseBody;
use crate::rescue::{self, Refusal};

/// Methods of a page.
const ALLOWED: &str = "GET, HEAD, OPTIONS";

/// The answer, when a page has it.
pub(crate) fn answer(head: &Parts) -> Option<Result<Response<ResponseBody>, Refusal>> {
    let path = head.uri.path();
    if path == "/" && head.headers.contains_key(AUTHORIZATION) {
        return None;
    }
    let page = auricle_web::page(path)?;
    let known = head.headers.get(IF_NONE_MATCH);
    Some(match head.method {
        Method::GET | Method::HEAD if known.is_some_and(|tags| names(tags, &page.tag)) => {
            Ok(marked(StatusCode::NOT_MODIFIED, page, ""))
        }
        Method::GET | Method::HEAD => Ok(marked(StatusCode::OK, page, page.body)),
        Method::OPTIONS => {
            let mut response = marked(StatusCode::NO_CONTENT, page, "");
            response
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static(ALLOWED));
            Ok(response)
        }
        _ => Err(Refusal::Method { allow: ALLOWED }),
    })
}

/// Whether the list of tags that a browser has names this one.
fn names(tags: &HeaderValue, tag: &str) -> bool {
    let tags = tags.to_str().unwrap_or_default().split(',');
    tags.map(|known| known.trim().trim_start_matches("W/"))
        .any(|known| known == tag || known == "*")
}

fn marked(
    status: StatusCode,
    page: &'static auricle_web::Page,
    body: impl Into<bytes::Bytes>,
) -> Response<ResponseBody> {
    let mut response = Response::new(rescue::full(body));
    *response.status_mut() = status;
    let fixed = [
        (CONTENT_TYPE, page.content_type),
        (CONTENT_SECURITY_POLICY, page.policy),
        // Asked for again each time, and sent again only after an update.
        (CACHE_CONTROL, "no-cache"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    let headers = response.headers_mut();
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(tag) = HeaderValue::from_str(&page.tag) {
        headers.insert(ETAG, tag);
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

    fn asked(method: Method, path: &str, header: Option<(&str, &str)>) -> Option<u16> {
        let mut request = http::Request::builder().method(method).uri(path);
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let head = request.body(()).unwrap().into_parts().0;
        let answer = answer(&head)?;
        Some(answer.map_or(405, |response| response.status().as_u16()))
    }

    #[test]
    fn pages_are_read_and_nothing_else() {
        for path in ["/", "/docs", "/openapi.json"] {
            assert_eq!(asked(Method::GET, path, None), Some(200), "{path}");
            assert_eq!(asked(Method::HEAD, path, None), Some(200), "{path}");
            assert_eq!(asked(Method::OPTIONS, path, None), Some(204), "{path}");
            assert_eq!(asked(Method::POST, path, None), Some(405), "{path}");
        }
        assert_eq!(asked(Method::GET, "/transcribe", None), None);
        assert_eq!(asked(Method::GET, "/docs/../etc", None), None);
    }

    #[test]
    fn a_tenants_key_asks_the_tenants_handler_for_the_root() {
        let key = Some(("authorization", "Bearer k"));
        assert_eq!(asked(Method::GET, "/", key), None);
        assert_eq!(asked(Method::GET, "/openapi.json", key), Some(200));
    }

    #[test]
    fn a_browser_that_has_a_page_is_not_sent_it_again() {
        let tag = &auricle_web::page("/docs").unwrap().tag;
        for known in [tag.clone(), format!("\"x\", W/{tag}"), "*".to_owned()] {
            let known = Some(("if-none-match", known.as_str()));
            assert_eq!(asked(Method::GET, "/docs", known), Some(304), "{known:?}");
        }
        let other = Some(("if-none-match", "\"x\""));
        assert_eq!(asked(Method::GET, "/docs", other), Some(200));
    }
}
