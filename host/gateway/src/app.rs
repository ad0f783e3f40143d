//! The seam between the gateway and what answers.
//!
//! The gateway knows connections, tenants and limits; an [`App`] knows what a request means. Both
//! futures of an app are cancelled by dropping them: when the client goes away, at the deadline and
//! at the end of a drain. An app must therefore hold everything it spends in values that stop
//! when they are dropped.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use auricle_speech::TenantId;
use auricle_tenancy::Account;
use http::{Request, Response};
use serde::Serialize;

use crate::body::{RequestBody, ResponseBody};
use crate::request_id::RequestId;
use crate::socket::WebSocket;

/// What is known about a request besides itself.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// Whose request it is.
    pub tenant: TenantId,
    /// What that tenant may use and uses.
    pub account: Arc<Account>,
    /// The name it has in the log and in `x-request-id`.
    pub request_id: RequestId,
    /// How urgent it is.
    pub class: RequestClass,
    /// When its headers had been read.
    pub received: Instant,
    /// When the gateway drops it; `None` for a WebSocket.
    pub deadline: Option<Instant>,
}

/// How urgent a request is: live before interactive before batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RequestClass {
    /// Somebody is speaking: a WebSocket.
    Live,
    /// Somebody waits for the answer.
    Interactive,
    /// Nobody is in a hurry: the client said `x-auricle-class: batch`.
    Batch,
}

/// Answers requests.
pub trait App: Send + Sync + 'static {
    /// Answers one request.
    ///
    /// The body is counted and timed; an app that fails (or answers 4xx or 5xx) after its body was
    /// cut off need not say why: the gateway answers 413 or 408 instead.
    ///
    /// # Errors
    /// [`AppError`], which the gateway turns into a status and a body.
    fn http(
        &self,
        context: RequestContext,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Result<Response<ResponseBody>, AppError>> + Send;

    /// Whether `path` takes WebSockets of this tenant. Asked before the upgrade, so that a path
    /// without one gets 404.
    fn accepts_websocket(
        &self,
        context: &RequestContext,
        path: &str,
    ) -> impl Future<Output = bool> + Send;

    /// Runs one WebSocket to its end. When the future ends, messages sent so far are delivered and
    /// the socket is closed: with 1000, or as the error says.
    ///
    /// # Errors
    /// [`AppError`], which the gateway turns into a close code and a reason.
    fn websocket(
        &self,
        context: RequestContext,
        head: http::request::Parts,
        socket: WebSocket,
    ) -> impl Future<Output = Result<(), AppError>> + Send;

    /// How the app is, for `/health` and `/readyz`. Must not wait.
    fn health(&self) -> Health;

    /// What has a value at any time, for `/metrics`. Must not wait.
    fn snapshot(&self) -> auricle_telemetry::Snapshot;
}

/// The answer to `GET /health`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Health {
    /// Whether requests can be answered.
    pub status: HealthStatus,
    /// Name of the default model.
    pub model: String,
}

/// Whether requests can be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// Yes.
    Ok,
    /// Not yet: a model is being loaded.
    Loading,
    /// No longer: the server is about to stop.
    Draining,
}

/// Why an app did not answer. The texts in it are for the operator's log and never reach a client.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// Nothing answers this path: 404.
    #[error("nothing answers this path")]
    NotFound,
    /// The tenant may not do this: 403.
    #[error("not granted: {detail}")]
    NotGranted {
        /// What was asked for.
        detail: String,
    },
    /// The component trapped, panicked or ended without an answer: 502 `component_failed`.
    #[error("the component failed: {detail}")]
    ComponentFailed {
        /// The trap, with its backtrace.
        detail: String,
    },
    /// The component used up its processor time or its deadline: 504 `component_timeout`.
    #[error("the component took too long: {detail}")]
    ComponentTimeout {
        /// Which limit it was.
        detail: String,
    },
    /// The component wanted more memory, handles or output than it may have: 502
    /// `component_over_limit`.
    #[error("the component went over a limit: {detail}")]
    ComponentOverLimit {
        /// Which limit it was.
        detail: String,
    },
    /// The node has too much to do: 503 `overloaded`.
    #[error("the node has too much to do")]
    Overloaded {
        /// When to come back.
        retry_after: Duration,
    },
    /// The tenant has too much to do: 429 `rate_limit_exceeded`.
    #[error("the tenant is over its limit")]
    TenantOverLimit {
        /// When to come back.
        retry_after: Duration,
    },
    /// The model is not loaded yet: 503 `model_loading`.
    #[error("the model is being loaded")]
    Loading {
        /// When to come back.
        retry_after: Duration,
    },
    /// The server is about to stop: 503 `draining`.
    #[error("the server is about to stop")]
    Draining,
    /// Nobody waits for the answer any more: 499, in the log only.
    #[error("the client is gone")]
    ClientGone,
    /// A bug or a broken machine: 500 `internal`.
    #[error("internal error: {detail}")]
    Internal {
        /// What happened.
        detail: String,
    },
}
