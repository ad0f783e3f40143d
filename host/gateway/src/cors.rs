//! Which web pages may call from a browser.
//!
//! Answers preflights and marks answers. No cookie is ever used, so any header a page asks for may
//! be allowed and `*` is safe for a server that wants everybody. Written here instead of taken
//! from tower-http, whose layer wants a tower service around bodies of one type.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HOST, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method};

use crate::GatewayError;
use crate::config::CorsConfig;

/// Response headers that a page may read besides the usual ones.
const EXPOSED: HeaderValue = HeaderValue::from_static("x-request-id, retry-after");

const ANY: HeaderValue = HeaderValue::from_static("*");

/// The rules, ready to be sent.
#[derive(Debug)]
pub(crate) struct Cors {
    origins: Vec<HeaderValue>,
    any_origin: bool,
    methods: HeaderValue,
    /// `None`: whatever is asked for.
    headers: Option<HeaderValue>,
    max_age: HeaderValue,
}

impl Cors {
    pub(crate) fn new(config: &CorsConfig) -> Result<Self, GatewayError> {
        let any_header = config.allowed_headers.iter().any(|h| h == "*");
        let mut origins = Vec::new();
        for origin in &config.allowed_origins {
            let usable = origin == "*" || origin == "null" || origin.contains("://");
            if !usable || origin.ends_with('/') {
                return Err(GatewayError::config(
                    "cors.allowed_origins",
                    "write each origin as a browser sends it, such as https://app.example",
                ));
            }
            origins.push(list("cors.allowed_origins", std::slice::from_ref(origin))?);
        }
        let headers = list("cors.allowed_headers", &config.allowed_headers)?;
        Ok(Self {
            any_origin: origins.contains(&ANY),
            origins,
            methods: list("cors.allowed_methods", &config.allowed_methods)?,
            headers: (!any_header).then_some(headers),
            max_age: HeaderValue::from(config.max_age_secs),
        })
    }

    fn is_off(&self) -> bool {
        self.origins.is_empty()
    }

    /// The headers of the answer to a preflight; `None` when the request is not one, or CORS is
    /// off and the app may have a say.
    pub(crate) fn preflight(&self, method: &Method, headers: &HeaderMap) -> Option<HeaderMap> {
        let asked =
            headers.contains_key(ORIGIN) && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if self.is_off() || method != Method::OPTIONS || !asked {
            return None;
        }
        let mut answer = HeaderMap::new();
        if self.allows(headers.get(ORIGIN)) {
            answer.insert(ACCESS_CONTROL_ALLOW_METHODS, self.methods.clone());
            let wanted = headers.get(ACCESS_CONTROL_REQUEST_HEADERS);
            if let Some(allowed) = self.headers.as_ref().or(wanted) {
                answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed.clone());
            }
            answer.insert(ACCESS_CONTROL_MAX_AGE, self.max_age.clone());
        }
        Some(answer)
    }

    /// Marks an answer to a request from `origin`.
    pub(crate) fn mark(&self, origin: Option<&HeaderValue>, answer: &mut HeaderMap) {
        if self.is_off() {
            return;
        }
        if !self.any_origin {
            // Also without an origin: a cache must not give that answer to a page.
            answer.append(VARY, HeaderValue::from_static("origin"));
        }
        let Some(origin) = origin.filter(|origin| self.allows(Some(origin))) else {
            return;
        };
        let allowed = if self.any_origin { &ANY } else { origin };
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed.clone());
        answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }

    /// Whether a WebSocket may be opened. Browsers ask nobody before they open one, so a page of
    /// another origin is refused here; programs send no origin and are let in.
    pub(crate) fn allows_websocket(&self, headers: &HeaderMap) -> bool {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        self.allows_page(headers, host)
    }

    /// Whether a request comes from a program, a page of `host`, or one of an allowed origin.
    pub(crate) fn allows_page(&self, headers: &HeaderMap, host: Option<&str>) -> bool {
        let Some(origin) = headers.get(ORIGIN) else {
            return true;
        };
        let of_page = origin
            .to_str()
            .ok()
            .and_then(|o| o.split_once("://"))
            .map(|(_, host)| host);
        self.allows(Some(origin)) || (host.is_some() && of_page == host)
    }

    fn allows(&self, origin: Option<&HeaderValue>) -> bool {
        origin.is_some_and(|origin| self.any_origin || self.origins.contains(origin))
    }
}

fn list(field: &'static str, items: &[String]) -> Result<HeaderValue, GatewayError> {
    HeaderValue::from_str(&items.join(", "))
        .map_err(|_| GatewayError::config(field, "use only characters that fit into a header"))
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

    fn cors(origins: &[&str]) -> Cors {
        Cors::new(&CorsConfig {
            allowed_origins: origins.iter().map(|o| (*o).to_owned()).collect(),
            ..CorsConfig::default()
        })
        .unwrap()
    }

    fn headers(pairs: &[(http::HeaderName, &str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| (name.clone(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn a_websocket_of_a_foreign_page_is_refused() {
        let off = cors(&[]);
        assert!(off.allows_websocket(&headers(&[(HOST, "a:1")])));
        assert!(off.allows_websocket(&headers(&[(HOST, "a:1"), (ORIGIN, "http://a:1")])));
        for foreign in ["http://a", "http://evil:1", "null", "http://a:1.evil"] {
            let request = headers(&[(HOST, "a:1"), (ORIGIN, foreign)]);
            assert!(!off.allows_websocket(&request), "{foreign}");
            assert!(cors(&["*"]).allows_websocket(&request), "{foreign}");
            assert_eq!(
                cors(&["http://evil:1"]).allows_websocket(&request),
                foreign == "http://evil:1"
            );
        }
    }

    #[test]
    fn an_origin_that_no_browser_sends_is_refused() {
        for origin in ["app.example", "https://app.example/", "https://a\nb"] {
            let config = CorsConfig {
                allowed_origins: vec![origin.to_owned()],
                ..CorsConfig::default()
            };
            assert!(Cors::new(&config).is_err(), "{origin}");
        }
    }
}
