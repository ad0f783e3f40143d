//! What can be set, and its defaults.
//!
//! Every number names its unit. A time of 0 is refused instead of meaning "never": a limit that is
//! not there is a way to hold the server's memory for ever.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::GatewayError;

/// Smallest buffer that hyper accepts (`MINIMUM_MAX_BUFFER_SIZE`); it panics below.
const MIN_HEADER_BYTES: usize = 8192;

/// The whole configuration of the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GatewayConfig {
    /// Where to listen; port 0 takes a free one. Default `127.0.0.1:8000`.
    pub listen: Vec<SocketAddr>,
    /// Serve other machines although no key is configured. Default `false`.
    pub insecure: bool,
    /// Host names by which clients may call a listener on a loopback address while it asks for no
    /// key, besides `localhost`, names below it, and loopback addresses; `*` allows any, which lets
    /// web pages in by DNS rebinding. Without ports. Default: none.
    pub allowed_hosts: Vec<String>,
    /// Answer the pages for browsers and the document of the API: `/`, `/docs`, `/openapi.json` and
    /// what they load. `false` leaves these paths to tenants' handlers. Default `true`.
    pub pages: bool,
    /// How long requests in flight may go on once the server is told to stop. Default 30 s.
    pub drain_timeout_ms: u64,
    /// Limits of connections and requests.
    pub limits: Limits,
    /// How many requests run at once.
    pub admission: AdmissionLimits,
    /// Limits of WebSockets.
    pub websocket: WebSocketLimits,
    /// Which web pages may call.
    pub cors: CorsConfig,
    /// Where operators look; the table `[admin]` of the configuration file.
    #[serde(skip)]
    pub admin: AdminConfig,
}

/// Where operators look: metrics and health.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdminConfig {
    /// Where to listen; port 0 takes a free one. Default: nowhere, so that two servers on one
    /// machine do not want the same port.
    pub listen: Option<SocketAddr>,
    /// Listen where other machines can read it too, without keys. Default `false`.
    pub allow_remote: bool,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 8000))],
            insecure: false,
            allowed_hosts: Vec::new(),
            pages: true,
            drain_timeout_ms: 30_000,
            limits: Limits::default(),
            admission: AdmissionLimits::default(),
            websocket: WebSocketLimits::default(),
            cors: CorsConfig::default(),
            admin: AdminConfig::default(),
        }
    }
}

/// Limits of connections and requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Open connections, WebSockets included. One more takes the slot of the connection that has been
    /// longest without an open request or WebSocket. Default 1024.
    pub max_connections: usize,
    /// From a connection's opening, or a request's first byte, to the end of its headers.
    /// Default 10 s.
    pub header_read_timeout_ms: u64,
    /// Headers of an HTTP/1 request. Default 100.
    pub max_headers: usize,
    /// Bytes of an HTTP/1 request's head, and of each read; at least 8192. Default 64 KiB.
    pub max_header_bytes: usize,
    /// Requests at once on one HTTP/2 connection. Default 64.
    pub http2_max_streams: u32,
    /// Bytes of an HTTP/2 request's headers, uncompressed. Default 16 KiB.
    pub http2_max_header_bytes: u32,
    /// How long a connection is kept without a request. Default 75 s.
    pub keep_alive_timeout_ms: u64,
    /// Longest wait for the next piece of a request body. Default 30 s.
    pub body_idle_timeout_ms: u64,
    /// Slowest request body, over the time spent waiting for it beyond
    /// `body_idle_timeout_ms`; 0 allows any. Default 256 (6 kbit/s speech is 750).
    pub body_min_bytes_per_sec: u64,
    /// Largest request body. Default 1 GiB.
    pub max_body_bytes: u64,
    /// Largest body of a request to a path under `/v1/`, the whole form counted. Default 25 MiB
    /// (26,214,400), as OpenAI has it; `max_body_bytes` holds too.
    pub max_v1_body_bytes: u64,
    /// Longest wait for a client to take a piece of an answer: 16 KiB on HTTP/2, any byte on HTTP/1.
    /// Default 30 s.
    pub write_stall_timeout_ms: u64,
    /// From a request's headers to the last byte of its answer; WebSockets are exempt. What is there
    /// by then has `write_stall_timeout_ms` to go out. Default 30 min.
    pub request_timeout_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 1024,
            header_read_timeout_ms: 10_000,
            max_headers: 100,
            max_header_bytes: 64 * 1024,
            http2_max_streams: 64,
            http2_max_header_bytes: 16 * 1024,
            keep_alive_timeout_ms: 75_000,
            body_idle_timeout_ms: 30_000,
            body_min_bytes_per_sec: 256,
            max_body_bytes: 1 << 30,
            max_v1_body_bytes: 25 << 20,
            write_stall_timeout_ms: 30_000,
            request_timeout_ms: 30 * 60 * 1000,
        }
    }
}

impl Limits {
    /// Largest body of a request to `path`.
    pub(crate) fn body_bytes(&self, path: &str) -> u64 {
        if path.starts_with("/v1/") {
            self.max_v1_body_bytes.min(self.max_body_bytes)
        } else {
            self.max_body_bytes
        }
    }
}

/// How many requests run at once, WebSockets included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdmissionLimits {
    /// Of one tenant; more are answered 429. Default 64.
    pub max_requests_per_tenant: usize,
    /// Of all tenants; more are answered 503. Default 256.
    pub max_requests: usize,
    /// Changes of its components and deployments that a tenant makes at once; more are answered 429.
    /// Default 2.
    pub max_deploy_acts_per_tenant: usize,
    /// The same of all tenants, each a thread; more are answered 503. Default 16.
    pub max_deploy_acts: usize,
}

impl Default for AdmissionLimits {
    fn default() -> Self {
        Self {
            max_requests_per_tenant: 64,
            max_requests: 256,
            max_deploy_acts_per_tenant: 2,
            max_deploy_acts: 16,
        }
    }
}

/// Limits of WebSockets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebSocketLimits {
    /// Largest message from a client. Default 1 MiB.
    pub max_message_bytes: usize,
    /// Largest frame from a client. Default 1 MiB: clients send a message as one frame.
    pub max_frame_bytes: usize,
    /// Messages received and not yet taken by the app; beyond it the socket is closed.
    /// Default 4 MiB, about 2 min of 16-bit audio at 16 kHz.
    pub max_backlog_bytes: usize,
    /// Messages sent and not yet taken by the client, and the largest single one; beyond it
    /// sending waits. Default 1 MiB.
    pub max_unsent_bytes: usize,
    /// Time between pings. Default 20 s.
    pub ping_interval_ms: u64,
    /// Longest silence of a client, pongs counted; then the socket is closed. Default 60 s.
    pub pong_timeout_ms: u64,
    /// After a client's Close: how long the app may still send before Close is answered.
    /// Default 10 s, how long Python's `websockets` waits for that answer.
    pub close_grace_ms: u64,
}

impl Default for WebSocketLimits {
    fn default() -> Self {
        Self {
            max_message_bytes: 1 << 20,
            max_frame_bytes: 1024 * 1024,
            max_backlog_bytes: 4 << 20,
            max_unsent_bytes: 1 << 20,
            ping_interval_ms: 20_000,
            pong_timeout_ms: 60_000,
            close_grace_ms: 10_000,
        }
    }
}

/// Which web pages may call from a browser.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CorsConfig {
    /// Origins such as `https://app.example`, or `*` for all. Empty (the default) switches CORS
    /// off. WebSockets from other origins than these and the server's own are refused.
    pub allowed_origins: Vec<String>,
    /// Methods a page may use. Default GET, POST, PUT, PATCH, DELETE.
    pub allowed_methods: Vec<String>,
    /// Request headers a page may set; `*` (the default) allows those it asks for.
    pub allowed_headers: Vec<String>,
    /// How long a browser may remember the answer. Default 600 s.
    pub max_age_secs: u32,
}

impl Default for CorsConfig {
    fn default() -> Self {
        let methods = ["GET", "POST", "PUT", "PATCH", "DELETE"];
        Self {
            allowed_origins: Vec::new(),
            allowed_methods: methods.map(str::to_owned).to_vec(),
            allowed_headers: vec!["*".to_owned()],
            max_age_secs: 600,
        }
    }
}

impl GatewayConfig {
    /// Refuses what cannot be served.
    pub(crate) fn check(&self) -> Result<(), GatewayError> {
        let (limits, socket) = (&self.limits, &self.websocket);
        let positive = [
            ("listen", self.listen.len() as u64),
            ("limits.max_connections", limits.max_connections as u64),
            (
                "limits.header_read_timeout_ms",
                limits.header_read_timeout_ms,
            ),
            ("limits.max_headers", limits.max_headers as u64),
            ("limits.http2_max_streams", limits.http2_max_streams.into()),
            (
                "limits.http2_max_header_bytes",
                limits.http2_max_header_bytes.into(),
            ),
            ("limits.keep_alive_timeout_ms", limits.keep_alive_timeout_ms),
            ("limits.body_idle_timeout_ms", limits.body_idle_timeout_ms),
            (
                "limits.write_stall_timeout_ms",
                limits.write_stall_timeout_ms,
            ),
            ("limits.request_timeout_ms", limits.request_timeout_ms),
            (
                "admission.max_requests_per_tenant",
                self.admission.max_requests_per_tenant as u64,
            ),
            ("admission.max_requests", self.admission.max_requests as u64),
            (
                "admission.max_deploy_acts_per_tenant",
                self.admission.max_deploy_acts_per_tenant as u64,
            ),
            (
                "admission.max_deploy_acts",
                self.admission.max_deploy_acts as u64,
            ),
            (
                "websocket.max_message_bytes",
                socket.max_message_bytes as u64,
            ),
            ("websocket.max_frame_bytes", socket.max_frame_bytes as u64),
            (
                "websocket.max_backlog_bytes",
                socket.max_backlog_bytes as u64,
            ),
            ("websocket.max_unsent_bytes", socket.max_unsent_bytes as u64),
            ("websocket.ping_interval_ms", socket.ping_interval_ms),
            ("websocket.pong_timeout_ms", socket.pong_timeout_ms),
        ];
        for (field, value) in positive {
            if value == 0 {
                return Err(GatewayError::config(field, "set it to more than nothing"));
            }
        }
        if limits.max_header_bytes < MIN_HEADER_BYTES {
            return Err(GatewayError::config(
                "limits.max_header_bytes",
                "set it to at least 8192",
            ));
        }
        if u32::try_from(socket.max_unsent_bytes).is_err() {
            return Err(GatewayError::config(
                "websocket.max_unsent_bytes",
                "set it to less than 4 GiB",
            ));
        }
        Ok(())
    }
}

/// A configured time.
pub(crate) fn ms(value: u64) -> Duration {
    Duration::from_millis(value)
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

    #[test]
    fn the_defaults_are_valid_and_read_back() {
        let config = GatewayConfig::default();
        config.check().unwrap();
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(
            serde_json::from_str::<GatewayConfig>(&text).unwrap(),
            config
        );
        assert_eq!(serde_json::from_str::<GatewayConfig>("{}").unwrap(), config);
    }

    #[test]
    fn an_unknown_field_is_an_error() {
        for text in [
            r#"{"listn": []}"#,
            r#"{"limits": {"max_body": 1}}"#,
            r#"{"cors": {"origins": []}}"#,
        ] {
            assert!(
                serde_json::from_str::<GatewayConfig>(text).is_err(),
                "{text}"
            );
        }
    }

    #[test]
    fn a_limit_of_nothing_is_refused_by_name() {
        let mut config = GatewayConfig::default();
        config.limits.request_timeout_ms = 0;
        let error = config.check().unwrap_err().to_string();
        assert!(error.contains("limits.request_timeout_ms"), "{error}");
        let mut config = GatewayConfig::default();
        config.limits.max_header_bytes = 100;
        assert!(config.check().is_err());
    }
}
