//! The listener for operators: `/metrics`, `/livez`, `/readyz`, `/health`, and the admin API under
//! `/admin/v1`.
//!
//! Apart from the API's addresses, so that a full or draining server can be looked at and so that a
//! proxy in front of the API does not show it to everybody. Who may do what stands in `door`, what
//! there is to do in [`api`].
//!
//! # Limits
//! HTTP/1 only, 10 s for a request's head, for its body and between requests, 64 KiB of body. A
//! component may be larger (`max_component_bytes`) and take 120 s; two are received at once. Answers
//! have the deadlines of the API's (`write_stall_timeout_ms`, `request_timeout_ms`).
//!
//! At most 64 connections. One more takes the slot of the connection that has been longest without a
//! request, or else of the one that has waited longest for its client. Acts run on threads of
//! their own (`acts`). Neither a client that is silent nor acts that take long
//! keep a probe or `/metrics` from its answer.

pub mod api;
mod audit;
pub mod content;
mod deployments;
mod door;
mod error;
mod input;
mod keys;
mod tenants;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use auricle_speech::TenantId;
use auricle_tenancy::Tenancy;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Incoming};
use hyper_util::rt::TokioTimer;
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::GatewayError;
use crate::app::App;
use crate::body::ResponseBody;
use crate::config::{GatewayConfig, ms};
use crate::connection::{self, Answering, ConnectionGuard, StreamTasks};
use crate::idle::Activity;
use crate::rescue::{self, Dialect, Refusal};
use crate::route;
use crate::service::Shared;
use crate::slots::{ConnectionSlots, Evicts};
use crate::watch::{AnswerWatch, WatchedBody};

pub(crate) use error::AdminError;

/// Connections at once.
const MAX_CONNECTIONS: usize = 64;

/// For a request's head, for its body, and between requests.
const PATIENCE: Duration = Duration::from_secs(10);

/// For a component.
const PUSH_PATIENCE: Duration = Duration::from_secs(120);

/// Largest body of a request that is no component: a tenant with a thousand models fits.
const MAX_BODY_BYTES: usize = 64 << 10;

/// Pause after the system refuses a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// An address that is taken and not served yet.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) addr: SocketAddr,
    listener: TcpListener,
}

/// Takes the admin address, where one is set.
pub(crate) async fn bind(
    config: &GatewayConfig,
    tenancy: &Tenancy,
) -> Result<Option<Listener>, GatewayError> {
    let Some(address) = config.admin.listen else {
        return Ok(None);
    };
    if !door::may_listen(address, config, tenancy) {
        return Err(GatewayError::AdminExposed { address });
    }
    let cannot = |source| GatewayError::Bind { address, source };
    let listener = TcpListener::bind(address).await.map_err(cannot)?;
    let addr = listener.local_addr().map_err(cannot)?;
    Ok(Some(Listener { addr, listener }))
}

impl Listener {
    /// Serves until the handle is dropped.
    pub(crate) fn start<A: App>(self, shared: Arc<Shared<A>>) -> AbortOnDropHandle<()> {
        AbortOnDropHandle::new(tokio::spawn(accept(self, shared)))
    }
}

async fn accept<A: App>(listener: Listener, shared: Arc<Shared<A>>) {
    let slots = ConnectionSlots::new(MAX_CONNECTIONS, Evicts::Waiting);
    // Its connections end with it.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((stream, source)) = listener.listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let activity = Activity::with_timeouts(PATIENCE, PATIENCE);
        let Some(slot) = slots.take(&activity) else {
            continue;
        };
        let service = Arc::new(AdminService {
            shared: Arc::clone(&shared),
            source: source.ip(),
            address: listener.addr,
            activity,
            watch: AnswerWatch::new(),
        });
        connections.spawn(async move {
            serve(stream, service).await;
            drop(slot);
        });
    }
}

async fn serve<A: App>(stream: TcpStream, service: Arc<AdminService<A>>) {
    let guard = ConnectionGuard {
        activity: Arc::clone(&service.activity),
        watch: Arc::clone(&service.watch),
        write_stall: ms(service.shared.config.limits.write_stall_timeout_ms),
        tasks: TaskTracker::new(),
        // To the end of the drain: then the task is dropped.
        draining: CancellationToken::new(),
        kill: CancellationToken::new(),
    };
    let mut builder = Builder::new(StreamTasks::of(&guard)).http1_only();
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .half_close(false);
    let answer = move |request| -> Answering {
        let service = Arc::clone(&service);
        Box::pin(async move { Ok(service.answer(request).await) })
    };
    connection::drive(stream, &builder, &guard, answer).await;
}

/// What answers one connection.
struct AdminService<A> {
    shared: Arc<Shared<A>>,
    /// Where the connection comes from.
    source: IpAddr,
    /// Where it came to.
    address: SocketAddr,
    activity: Arc<Activity>,
    watch: Arc<AnswerWatch>,
}

impl<A: App> AdminService<A> {
    async fn answer(&self, request: Request<Incoming>) -> Response<ResponseBody> {
        let busy = self.activity.request(false);
        let limits = &self.shared.config.limits;
        let deadline = Instant::now() + ms(limits.request_timeout_ms);
        let outcome = match door::check_page(self.address, &request, &self.shared) {
            Err(refusal) => Err(refusal),
            Ok(()) => match request.uri().path() {
                "/metrics" => self.metrics(&request),
                path if api::answers(path) => self.api(request).await,
                _ => self.health(&request),
            },
        };
        let response = outcome.unwrap_or_else(|refusal| {
            let error: &dyn std::error::Error = &refusal;
            tracing::debug!(error, "an admin request was refused");
            rescue::response(&refusal, Dialect::OpenAi)
        });
        let cut_at = deadline.max(Instant::now()) + ms(limits.write_stall_timeout_ms);
        self.watch.begin(cut_at, None);
        let watch = Arc::clone(&self.watch);
        response.map(|body| WatchedBody::new(body, watch, Some(busy)).boxed_unsync())
    }

    fn metrics(&self, request: &Request<Incoming>) -> Result<Response<ResponseBody>, Refusal> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return Err(Refusal::Method { allow: "GET, HEAD" });
        }
        door::may_read(self.address, self.source, request.headers(), &self.shared)?;
        let text = auricle_telemetry::metrics().render(&self.shared.app.snapshot());
        let mut response = Response::new(rescue::full(text));
        let content_type = HeaderValue::from_static(auricle_telemetry::CONTENT_TYPE);
        response.headers_mut().insert(CONTENT_TYPE, content_type);
        let no_store = HeaderValue::from_static("no-store");
        response.headers_mut().insert(CACHE_CONTROL, no_store);
        Ok(response)
    }

    fn health(&self, request: &Request<Incoming>) -> Result<Response<ResponseBody>, Refusal> {
        let mut head = Request::new(()).into_parts().0;
        head.method = request.method().clone();
        head.uri = request.uri().clone();
        let draining = self.shared.draining.is_cancelled();
        let own = route::own(&head, || self.shared.app.health(), draining);
        own.unwrap_or_else(|| Err(crate::AppError::NotFound.into()))
    }

    async fn api(&self, request: Request<Incoming>) -> Result<Response<ResponseBody>, Refusal> {
        let (head, body) = request.into_parts();
        let actor = door::enter(self.address, self.source, &head.headers, &self.shared)?;
        let body = receive(&self.shared, &head, body, Pusher::Operator).await?;
        let _work = self.activity.work();
        let tenancy = Arc::clone(&self.shared.tenancy);
        let control_plane = self.shared.control_plane.clone();
        let running = (self.shared.acts.begin_operator(), self.shared.tasks.token());
        // The store may wait for a disk, and a deployment compiles.
        let answered = self.shared.acts.run_operator(move || {
            let call = api::Call {
                actor: &actor,
                method: &head.method,
                path: head.uri.path(),
                query: head.uri.query(),
                body: &body,
                signature: signature(&head.headers),
                control_plane: control_plane.as_deref(),
            };
            let response = call.answer(&tenancy);
            drop(running);
            response
        });
        Ok(answered.await?.map(content::Content::into_body))
    }
}

/// Who sends a component.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pusher<'a> {
    /// An operator.
    Operator,
    /// A tenant, for itself.
    Tenant(&'a TenantId),
}

/// The body of a request that changes something: JSON, or a component, of which few are received at
/// once.
pub(crate) async fn receive<A, B>(
    shared: &Shared<A>,
    head: &http::request::Parts,
    body: B,
    pusher: Pusher<'_>,
) -> Result<Bytes, AdminError>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let limit = match (
        &shared.control_plane,
        deployments::is_push(&head.method, head.uri.path()),
    ) {
        (Some(control_plane), true) => control_plane.max_component_bytes(),
        _ => {
            door::check_content_type(&head.method, &head.headers)?;
            return read(body, MAX_BODY_BYTES, PATIENCE).await;
        }
    };
    door::check_wasm(&head.headers)?;
    let _place = match pusher {
        Pusher::Tenant(tenant) => (None, Some(shared.acts.begin_push(tenant)?)),
        Pusher::Operator => {
            let place = shared.pushes.try_acquire();
            (Some(place.map_err(|_| AdminError::Pushing)?), None)
        }
    };
    read(body, limit, PUSH_PATIENCE).await
}

/// The header with a component's signature.
pub(crate) fn signature(headers: &http::HeaderMap) -> Option<&str> {
    headers
        .get(api::SIGNATURE_HEADER)
        .and_then(|value| value.to_str().ok())
}

async fn read<B>(body: B, limit_bytes: usize, patience: Duration) -> Result<Bytes, AdminError>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let body = std::pin::pin!(Limited::new(body, limit_bytes).collect());
    match tokio::time::timeout(patience, body).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            Err(AdminError::TooLarge { limit_bytes })
        }
        Ok(Err(_)) => Err(AdminError::invalid(
            None,
            "the body broke off: send it again",
        )),
        Err(_) => Err(AdminError::TooSlow),
    }
}
