//! Every way of not answering, and what the client is told: one exhaustive match.
//!
//! The texts are for whoever wrote the client. They say what to do next and never name a tenant, a
//! path of this machine or what a component said; that is in the log.

use std::time::Duration;

use auricle_deployment::DeployError;
use auricle_runtime::RuntimeError;
use auricle_runtime::compile::CompileError;
use auricle_tenancy::{Denied, OverQuota, RevokeError, StoreError};
use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, SEC_WEBSOCKET_VERSION, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::json;

use crate::admin::AdminError;
use crate::admission::Busy;
use crate::app::AppError;
use crate::body::{BodyError, ResponseBody};

/// How long a client is told to wait when nothing better is known.
const SOON: Duration = Duration::from_secs(5);

/// Why a request gets no answer of the app's.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(transparent)]
    App(#[from] AppError),
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(transparent)]
    Admin(#[from] AdminError),
    #[error("not admitted: {0:?}")]
    Busy(Busy),
    #[error("method not allowed")]
    Method { allow: &'static str },
    #[error("the request deadline of {timeout:?} has passed")]
    Deadline { timeout: Duration },
    #[error("no usable WebSocket handshake: {detail}")]
    Handshake { detail: String },
    #[error("a WebSocket from a foreign origin")]
    Origin,
    #[error("a keyless request for a host name that is not allowed")]
    Host,
    #[error("a keyless request with side effects from a foreign origin")]
    ForeignPage,
    #[error("the app panicked")]
    Panic,
}

/// What the client gets for a [`Refusal`].
struct Answer {
    status: u16,
    code: &'static str,
    message: String,
    /// The field that is to blame.
    param: Option<&'static str>,
    header: Option<(HeaderName, HeaderValue)>,
}

/// Logged when the client did not wait for the answer (nginx's status; never sent).
pub(crate) const CLIENT_GONE: u16 = 499;

/// The whole table.
fn answer(refusal: &Refusal) -> Answer {
    match refusal {
        Refusal::App(error) => of_app(error),
        Refusal::Body(error) => of_body(error),
        Refusal::Denied(denied) => of_denied(denied),
        Refusal::Admin(error) => of_admin(error),
        Refusal::Busy(busy) => of_busy(busy),
        Refusal::Method { allow } => say(405, "method_not_allowed", format!("use one of: {allow}"))
            .with(ALLOW, HeaderValue::from_static(allow)),
        Refusal::Deadline { timeout } => say(
            504,
            "deadline_exceeded",
            format!(
                "no answer within {} s: send a shorter file",
                timeout.as_secs()
            ),
        ),
        Refusal::Handshake { .. } => say(
            400,
            "invalid_websocket_handshake",
            "send Sec-WebSocket-Key and Sec-WebSocket-Version: 13 (RFC 6455)",
        )
        .with(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13")),
        Refusal::Origin => say(
            403,
            "origin_not_allowed",
            "pages of this origin may not open WebSockets here: ask whoever runs this server to allow the origin",
        ),
        Refusal::Host => say(
            421,
            "wrong_host",
            "without a key this server answers to localhost, 127.0.0.1 and [::1] only: use one of them, or add the name to server.allowed_hosts",
        ),
        Refusal::ForeignPage => say(
            403,
            "origin_not_allowed",
            "pages of this origin may not call this server without a key: add the origin to server.cors.allowed_origins",
        ),
        Refusal::Panic => internal(),
    }
}

fn of_denied(denied: &Denied) -> Answer {
    let message = denied.to_string();
    match denied {
        Denied::Missing | Denied::Wrong | Denied::Revoked | Denied::Expired => {
            say(401, "invalid_api_key", message)
                .with(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
        }
        Denied::Scope(_) => say(403, "missing_scope", message),
        Denied::Throttled { retry_after } => {
            say(429, "too_many_wrong_keys", message).after(*retry_after)
        }
    }
}

fn of_busy(busy: &Busy) -> Answer {
    let code = "rate_limit_exceeded";
    match busy {
        Busy::Tenant { retry_after } => over_limit(*retry_after),
        Busy::Sessions { retry_after } => {
            let message = "too many WebSockets at once with this key: close one first";
            say(429, code, message).after(*retry_after)
        }
        Busy::Flow(over) => over_quota(over),
        Busy::Node { retry_after } => overloaded(*retry_after),
    }
}

fn of_admin(error: &AdminError) -> Answer {
    let message = error.to_string();
    match error {
        AdminError::Invalid { param, .. } => Answer {
            param: *param,
            ..say(400, "invalid_request", message)
        },
        AdminError::ContentType | AdminError::NotWasm => {
            say(415, "unsupported_content_type", message)
        }
        AdminError::TooLarge { .. } => say(413, "body_too_large", message),
        AdminError::TooSlow => say(408, "body_timeout", message),
        AdminError::Browser => say(403, "origin_not_allowed", message),
        AdminError::OperatorOnly => say(403, "operator_only", message),
        AdminError::NoControlPlane => say(409, "no_server", message),
        AdminError::Pushing => say(503, "overloaded", message).after(SOON),
        AdminError::TooManyActs { .. } => say(429, "rate_limit_exceeded", message).after(SOON),
        AdminError::Revoke(RevokeError::Store(error)) => of_store(error),
        AdminError::Revoke(RevokeError::NotWritten(error)) => Answer {
            message,
            ..of_store(error)
        },
        AdminError::Store(error) => of_store(error),
        AdminError::Deploy(error) => of_deploy(error),
        AdminError::Failed(_) => internal(),
    }
}

fn of_store(error: &StoreError) -> Answer {
    let message = error.to_string();
    match error {
        StoreError::NoTenant(_) => say(404, "tenant_not_found", message),
        StoreError::NoKey(_) => say(404, "key_not_found", message),
        StoreError::NoComponent(_) => say(404, "component_not_found", message),
        StoreError::NoRevision(_) => say(404, "revision_not_found", message),
        StoreError::NoSigner(_) => say(404, "signer_not_found", message),
        StoreError::TenantExists(_) => say(409, "tenant_exists", message),
        StoreError::DeadKey(_) => say(409, "key_not_live", message),
        StoreError::Protected => say(409, "tenant_protected", message),
        StoreError::TooManyComponents(_) => say(409, "too_many_components", message),
        StoreError::TooManyComponentBytes { .. } => say(409, "component_storage_full", message),
        StoreError::ComponentInUse(_) => say(409, "component_in_use", message),
        StoreError::NoCandidate => say(409, "no_candidate", message),
        StoreError::NothingBefore => say(409, "nothing_before", message),
        StoreError::OldGeneration { .. } => say(409, "old_generation", message),
        StoreError::Busy => say(503, "store_busy", message).after(SOON),
        StoreError::Full => say(503, "store_full", message).after(SOON),
        _ => internal(),
    }
}

fn of_deploy(error: &DeployError) -> Answer {
    let message = error.to_string();
    match error {
        DeployError::Store(error) => of_store(error),
        DeployError::Component(error) => match error {
            RuntimeError::TooLarge { .. } => say(413, "component_too_large", message),
            RuntimeError::WrongWorld { .. } => say(422, "wrong_world", message),
            RuntimeError::NotGranted { .. } => say(422, "import_not_granted", message),
            RuntimeError::Invalid(_) | RuntimeError::Compile(CompileError::Refused(_)) => {
                say(422, "invalid_component", message)
            }
            RuntimeError::Compile(CompileError::OverLimit) => {
                say(422, "component_over_limit", message)
            }
            RuntimeError::Compile(CompileError::Busy { retry_after }) => {
                say(503, "overloaded", message).after(*retry_after)
            }
            RuntimeError::Compile(CompileError::Stopping) => {
                say(503, "draining", message).after(SOON)
            }
            _ => internal(),
        },
        DeployError::OverQuota(over) => over_quota(over),
        DeployError::Busy => say(503, "overloaded", message).after(SOON),
        DeployError::Stopping => say(503, "draining", message).after(SOON),
        DeployError::Smoke(_) => say(422, "first_call_failed", message),
        DeployError::Graph(_) => say(422, "graph_not_found", message),
        DeployError::Invalid { field, .. } => Answer {
            param: Some(field),
            ..say(400, "invalid_request", message)
        },
        DeployError::Signature(_) => say(422, "signature_refused", message),
        DeployError::Damaged(_) => say(409, "component_damaged", message),
        DeployError::Io(error) if error.kind() == std::io::ErrorKind::StorageFull => {
            let message = "the disk that components are on is full: make room, and try again";
            say(503, "store_full", message).after(SOON)
        }
        _ => internal(),
    }
}

fn of_app(error: &AppError) -> Answer {
    match error {
        AppError::NotFound => say(
            404,
            "not_found",
            "nothing answers here: check the method and the path",
        ),
        AppError::NotGranted { .. } => say(
            403,
            "not_granted",
            "this key may not do that: ask whoever runs this server to grant it",
        ),
        AppError::ComponentFailed { .. } => say(
            502,
            "component_failed",
            "the component that answers here failed: try again, and report the request id if it fails again",
        ),
        AppError::ComponentTimeout { .. } => say(
            504,
            "component_timeout",
            "the component that answers here took too long: send less at once, or report the request id",
        ),
        AppError::ComponentOverLimit { .. } => say(
            502,
            "component_over_limit",
            "the component that answers here went over a limit: send less at once, or report the request id",
        ),
        AppError::Overloaded { retry_after } => overloaded(*retry_after),
        AppError::TenantOverLimit { retry_after } => over_limit(*retry_after),
        AppError::OverQuota(over) => over_quota(over),
        AppError::Loading { retry_after } => {
            say(503, "model_loading", "the model is being loaded: try again").after(*retry_after)
        }
        AppError::Draining => {
            say(503, "draining", "the server is about to stop: try again").after(SOON)
        }
        AppError::ClientGone => say(CLIENT_GONE, "client_gone", "the client is gone"),
        AppError::Internal { .. } => internal(),
    }
}

fn of_body(error: &BodyError) -> Answer {
    match error {
        BodyError::TooLarge { limit_bytes } => say(
            413,
            "body_too_large",
            format!(
                "Maximum content size limit ({limit_bytes}) exceeded: send less than {limit_bytes} bytes"
            ),
        ),
        BodyError::IdleTimeout { .. } | BodyError::TooSlow { .. } => say(
            408,
            "body_timeout",
            "the request body came too slowly: send it again without pauses",
        ),
        BodyError::Transport(_) => say(
            400,
            "body_incomplete",
            "the request body could not be read to its end: send it again",
        ),
    }
}

fn over_limit(retry_after: Duration) -> Answer {
    let message = "too many requests at once with this key: wait for one to end";
    say(429, "rate_limit_exceeded", message).after(retry_after)
}

fn over_quota(over: &OverQuota) -> Answer {
    say(429, "rate_limit_exceeded", over.to_string()).after(over.retry_after())
}

fn overloaded(retry_after: Duration) -> Answer {
    say(
        503,
        "overloaded",
        "the server has too much to do: try again later",
    )
    .after(retry_after)
}

fn internal() -> Answer {
    let message = "something is broken here: report the request id to whoever runs this server";
    say(500, "internal", message)
}

fn say(status: u16, code: &'static str, message: impl Into<String>) -> Answer {
    Answer {
        status,
        code,
        message: message.into(),
        param: None,
        header: None,
    }
}

impl Answer {
    /// The object `error` of OpenAI's API.
    fn openai(&self) -> serde_json::Value {
        json!({
            "message": self.message,
            "type": kind(self.status),
            "param": self.param,
            "code": self.code,
        })
    }

    fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.header = Some((name, value));
        self
    }

    fn after(self, wait: Duration) -> Self {
        self.with(RETRY_AFTER, HeaderValue::from(whole_secs(wait)))
    }
}

/// Whole seconds, rounded up: an early retry is refused again.
fn whole_secs(wait: Duration) -> u64 {
    let secs = wait.as_millis().div_ceil(1000).max(1);
    u64::try_from(secs).unwrap_or(u64::MAX)
}

/// Which shape an API's errors have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `{"error": {"message", "type", "param", "code"}}`.
    OpenAi,
    /// `{"detail"}`.
    Tutorial,
}

impl Dialect {
    pub(crate) fn of(path: &str) -> Self {
        match path {
            "/transcribe" | "/detect-language" | "/ws/transcribe" | "/health" => Self::Tutorial,
            _ => Self::OpenAi,
        }
    }
}

/// The whole answer to a refused request.
pub(crate) fn response(refusal: &Refusal, dialect: Dialect) -> Response<ResponseBody> {
    whole(refusal, dialect).map(full)
}

/// The same with a body that is at hand.
pub(crate) fn whole(refusal: &Refusal, dialect: Dialect) -> Response<Bytes> {
    let answer = answer(refusal);
    auricle_telemetry::metrics().error(answer.code);
    let body = match dialect {
        Dialect::Tutorial => json!({ "detail": answer.message }),
        Dialect::OpenAi => json!({ "error": answer.openai() }),
    };
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() =
        StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some((name, value)) = answer.header {
        headers.insert(name, value);
    }
    response
}

/// OpenAI's `type` of an error.
fn kind(status: u16) -> &'static str {
    match status {
        429 => "rate_limit_error",
        403 => "permission_error",
        400..=499 => "invalid_request_error",
        _ => "server_error",
    }
}

/// The same table for a stream of events that has begun: its last event, as OpenAI's API has it.
pub(crate) fn event(error: &AppError) -> Bytes {
    let answer = of_app(error);
    auricle_telemetry::metrics().error(answer.code);
    let event = json!({ "type": "error", "error": answer.openai() });
    Bytes::from(format!("data: {event}\n\n"))
}

/// How a WebSocket ends whose app failed.
pub(crate) struct Farewell {
    /// For the log.
    pub(crate) status: u16,
    /// Close code (RFC 6455, 7.4; 1013 is IANA's).
    pub(crate) code: u16,
    pub(crate) reason: String,
}

/// The same table for an open WebSocket, which can only be closed.
pub(crate) fn farewell(error: &AppError) -> Farewell {
    let code = match error {
        AppError::NotFound
        | AppError::NotGranted { .. }
        | AppError::TenantOverLimit { .. }
        | AppError::OverQuota(_) => 1008,
        AppError::Overloaded { .. } | AppError::Loading { .. } => 1013,
        AppError::Draining | AppError::ClientGone => 1001,
        AppError::ComponentFailed { .. }
        | AppError::ComponentTimeout { .. }
        | AppError::ComponentOverLimit { .. }
        | AppError::Internal { .. } => 1011,
    };
    let answer = of_app(error);
    Farewell {
        status: answer.status,
        code,
        reason: format!("{}: {}", answer.code, answer.message),
    }
}

/// A body that is known at once.
pub(crate) fn full(body: impl Into<Bytes>) -> ResponseBody {
    Full::new(body.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}
