//! Protection of servers that ask for no key against web pages.
//!
//! A listener on a loopback address trusts its machine, and a web browser on that machine runs pages
//! of anyone. A page reaches the listener in two ways: by DNS rebinding, where its own host name
//! resolves to 127.0.0.1 and the browser takes the server for the page's origin; and by a plain
//! cross-origin request, whose answer it cannot read but whose effects it wants. Browsers always
//! send what tells both apart: the name as `Host` (HTTP/2: `:authority`), and `Origin` with every
//! request other than GET and HEAD and with every WebSocket.
//!
//! Where a key is needed, or the listener is open to other machines by configuration, nothing is
//! checked here.

use std::net::IpAddr;

use http::header::{HOST, UPGRADE};
use http::uri::Authority;
use http::{HeaderMap, Method, Uri, Version};

use crate::GatewayError;
use crate::cors::Cors;
use crate::rescue::Refusal;

/// The host names that keyless requests may use.
#[derive(Debug)]
pub(crate) struct AllowedHosts {
    /// In lower case.
    names: Vec<String>,
    any: bool,
}

impl AllowedHosts {
    /// Loopback names and addresses, and those configured.
    ///
    /// # Errors
    /// When a name is not a host name.
    pub(crate) fn new(names: &[String]) -> Result<Self, GatewayError> {
        let is_name = |name: &String| {
            name == "*"
                || name
                    .parse::<Authority>()
                    .is_ok_and(|authority| authority.host() == name)
        };
        if !names.iter().all(is_name) {
            return Err(GatewayError::config(
                "allowed_hosts",
                "write each as a host name without scheme and port, such as auricle.example, or * for any",
            ));
        }
        Ok(Self {
            any: names.iter().any(|name| name == "*"),
            names: names.iter().map(|name| name.to_lowercase()).collect(),
        })
    }

    /// Refuses a keyless request that a web page of another origin may have caused.
    ///
    /// # Errors
    /// [`Refusal::Host`] for a host name that is not allowed, [`Refusal::ForeignPage`] for a request
    /// with side effects from a page of another origin.
    pub(crate) fn check(&self, request: &Head<'_>, cors: &Cors) -> Result<(), Refusal> {
        if !self.allows(request) {
            return Err(Refusal::Host);
        }
        let has_effects = !matches!(
            *request.method,
            Method::GET | Method::HEAD | Method::OPTIONS
        ) || request.headers.contains_key(UPGRADE);
        let authority = request.uri.authority().map(Authority::as_str);
        let host = request
            .headers
            .get(HOST)
            .and_then(|host| host.to_str().ok());
        if has_effects && !cors.allows_page(request.headers, host.or(authority)) {
            return Err(Refusal::ForeignPage);
        }
        Ok(())
    }

    /// Whether every name that the request gives the server is allowed. Only HTTP/1.0, which no
    /// browser speaks, may give none.
    fn allows(&self, request: &Head<'_>) -> bool {
        if self.any {
            return true;
        }
        let in_uri = request.uri.authority().cloned().map(Ok);
        let in_headers = request.headers.get_all(HOST).iter();
        let in_headers = in_headers.map(|host| Authority::try_from(host.as_bytes()));
        let mut names = in_uri.into_iter().chain(in_headers).peekable();
        if names.peek().is_none() {
            return request.version <= Version::HTTP_10;
        }
        names.all(|name| name.is_ok_and(|name| self.allows_name(name.host())))
    }

    fn allows_name(&self, host: &str) -> bool {
        is_loopback_name(host) || self.names.contains(&host.to_lowercase())
    }
}

/// What is looked at of a request.
pub(crate) struct Head<'a> {
    pub(crate) method: &'a Method,
    pub(crate) uri: &'a Uri,
    pub(crate) version: Version,
    pub(crate) headers: &'a HeaderMap,
}

impl<'a, B> From<&'a http::Request<B>> for Head<'a> {
    fn from(request: &'a http::Request<B>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            version: request.version(),
            headers: request.headers(),
        }
    }
}

/// `localhost` and the names below it (RFC 6761, 6.3), and loopback addresses.
fn is_loopback_name(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<IpAddr>() {
        return address.to_canonical().is_loopback();
    }
    let name = host.strip_suffix('.').unwrap_or(host).to_lowercase();
    name == "localhost" || name.ends_with(".localhost")
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

    use http::Request;

    use super::*;
    use crate::config::CorsConfig;

    fn hosts(names: &[&str]) -> AllowedHosts {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        AllowedHosts::new(&names).unwrap()
    }

    fn cors(origins: &[&str]) -> Cors {
        Cors::new(&CorsConfig {
            allowed_origins: origins.iter().map(|o| (*o).to_owned()).collect(),
            ..CorsConfig::default()
        })
        .unwrap()
    }

    fn outcome(hosts: &AllowedHosts, cors: &Cors, request: &Request<()>) -> &'static str {
        match hosts.check(&request.into(), cors) {
            Ok(()) => "ok",
            Err(Refusal::Host) => "host",
            Err(Refusal::ForeignPage) => "page",
            Err(other) => panic!("{other}"),
        }
    }

    fn get(host: &str) -> Request<()> {
        Request::get("/").header("host", host).body(()).unwrap()
    }

    #[test]
    fn only_loopback_names_and_configured_ones_are_allowed() {
        let (hosts, cors) = (hosts(&["Auricle.example"]), cors(&[]));
        for host in [
            "127.0.0.1",
            "127.0.0.1:8001",
            "127.3.2.1",
            "[::1]:1",
            "[::ffff:127.0.0.1]:1",
            "localhost",
            "localhost.:80",
            "LocalHost:80",
            "app.localhost:3000",
            "auricle.EXAMPLE:8000",
        ] {
            assert_eq!(outcome(&hosts, &cors, &get(host)), "ok", "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example:80",
            "notlocalhost",
            "10.0.0.1",
            "0.0.0.0:8000",
            "[::]:8000",
            "127.0.0.1.example",
            "sub.auricle.example",
            "localhost, evil.example",
        ] {
            assert_eq!(outcome(&hosts, &cors, &get(host)), "host", "{host}");
        }
        assert_eq!(
            outcome(&self::hosts(&["*"]), &cors, &get("evil.example")),
            "ok"
        );
    }

    #[test]
    fn every_name_of_a_request_counts_and_none_is_allowed_only_with_http_1_0() {
        let (hosts, cors) = (hosts(&[]), cors(&[]));
        let absolute = |uri: &str, host: &str| {
            let request = Request::get(uri).version(Version::HTTP_2);
            request.header("host", host).body(()).unwrap()
        };
        let both = absolute("http://localhost/", "localhost:1");
        assert_eq!(outcome(&hosts, &cors, &both), "ok");
        let uri = absolute("http://evil.example/", "localhost");
        assert_eq!(outcome(&hosts, &cors, &uri), "host");
        let header = absolute("http://localhost/", "evil.example");
        assert_eq!(outcome(&hosts, &cors, &header), "host");
        let mut two = get("localhost");
        two.headers_mut()
            .append("host", "evil.example".parse().unwrap());
        assert_eq!(outcome(&hosts, &cors, &two), "host");
        for (version, expected) in [
            (Version::HTTP_10, "ok"),
            (Version::HTTP_11, "host"),
            (Version::HTTP_2, "host"),
        ] {
            let request = Request::get("/").version(version).body(()).unwrap();
            assert_eq!(outcome(&hosts, &cors, &request), expected, "{version:?}");
        }
    }

    #[test]
    fn foreign_pages_cause_no_effects() {
        let hosts = hosts(&[]);
        let (off, on) = (cors(&[]), cors(&["https://app.example"]));
        let request = |method: Method, origin: &str, upgrade: bool| {
            let mut request = Request::builder().method(method).uri("/transcribe");
            request = request.header("host", "localhost:8000");
            if !origin.is_empty() {
                request = request.header("origin", origin);
            }
            if upgrade {
                request = request.header("upgrade", "websocket");
            }
            request.body(()).unwrap()
        };
        for (method, upgrade) in [
            (Method::POST, false),
            (Method::DELETE, false),
            (Method::PUT, false),
            (Method::GET, true),
        ] {
            for (origin, expected) in [
                ("", "ok"),
                ("http://localhost:8000", "ok"),
                ("http://localhost:3000", "page"),
                ("http://evil.example", "page"),
                ("null", "page"),
                ("https://app.example", "page"),
            ] {
                let request = request(method.clone(), origin, upgrade);
                assert_eq!(
                    outcome(&hosts, &off, &request),
                    expected,
                    "{method} {origin}"
                );
            }
            let allowed = request(method.clone(), "https://app.example", upgrade);
            assert_eq!(outcome(&hosts, &on, &allowed), "ok", "{method}");
        }
        for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
            let read = request(method.clone(), "http://evil.example", false);
            assert_eq!(outcome(&hosts, &off, &read), "ok", "{method}");
        }
    }

    #[test]
    fn a_configured_name_is_a_name() {
        for name in ["http://a", "a:80", "a/b", "", "a b"] {
            assert!(AllowedHosts::new(&[name.to_owned()]).is_err(), "{name}");
        }
    }
}
