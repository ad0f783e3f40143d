//! Listens, routes and answers HTTP and WebSocket.
//!
//! Owns sockets, limits and the order in which a request meets them; knows nothing of speech, and of
//! WebAssembly only the control plane of deployments, whose calls it passes on. What a request means
//! is an [`App`]'s business. Everything a request holds ends with it, by drop: the client leaving,
//! the deadline and the end of a drain all look the same to an app.
//!
//! # The line
//! `listen` (connection slot) → `connection` (HTTP/1 or HTTP/2) → `service` (request id, span,
//! preflight) → `route` (health, pages) → key (tenant) → `admission` (429, 503) → [`App`].
//! WebSockets leave the line at admission into `socket`. All refusals meet in `rescue`.
//!
//! # Limits
//! No TLS: put a proxy in front. Connections are not limited per source address. Errors in an
//! HTTP/1 head (400, 414, 431) are hyper's and have neither body nor request id.

mod access;
mod acts;
pub mod admin;
mod admission;
mod answer;
pub mod app;
pub mod body;
mod class;
pub mod config;
mod connection;
mod cors;
mod deploy;
#[cfg(test)]
mod fuzz;
mod idle;
mod in_flight;
mod keyless;
mod listen;
mod pages;
mod rate;
mod request_id;
mod rescue;
mod route;
mod secrets;
mod service;
mod slots;
pub mod socket;
mod timed_io;
mod watch;

use std::net::SocketAddr;

use auricle_tenancy::TenancyError;

pub use app::{App, AppError, Health, HealthStatus, RequestClass, RequestContext};
pub use body::{BodyError, RequestBody, ResponseBody};
pub use config::{
    AdminConfig, AdmissionLimits, CorsConfig, GatewayConfig, Limits, WebSocketLimits,
};
pub use listen::{Bound, DrainReport, Gateway};
pub use request_id::RequestId;
pub use socket::{Message, SocketError, SocketReceiver, SocketSender, WebSocket};

/// Why the gateway cannot serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// A field of the configuration makes no sense.
    #[error("{field} of the configuration cannot be used: {advice}")]
    Config {
        /// The field, with dots.
        field: &'static str,
        /// What to write instead.
        advice: &'static str,
    },
    /// Keys and addresses do not go together.
    #[error(transparent)]
    Exposed(#[from] TenancyError),
    /// Whoever reaches the admin address could read it.
    #[error(
        "{address} can be reached from other machines and there is no key with scope admin: listen on 127.0.0.1, create one (auricle key create --scope admin), or set allow_remote under [admin] to let everybody read metrics"
    )]
    AdminExposed {
        /// The address.
        address: SocketAddr,
    },
    /// An address cannot be taken.
    #[error("cannot listen on {address}: choose another address, or stop what listens there")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

impl GatewayError {
    pub(crate) fn config(field: &'static str, advice: &'static str) -> Self {
        Self::Config { field, advice }
    }
}
