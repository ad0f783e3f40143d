//! The listener for operators: `/metrics`, `/livez`, `/readyz`, `/health`.
//!
//! Apart from the API's addresses, so that a full or draining server can be looked at and so that a
//! proxy in front of the API does not show it to everybody. Asks for no key, and therefore listens
//! on loopback unless told otherwise.
//!
//! # Limits
//! HTTP/1 only, at most 16 connections, 10 s for a request's head and between requests.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use crate::GatewayError;
use crate::app::App;
use crate::body::ResponseBody;
use crate::config::AdminConfig;
use crate::rescue::{self, Dialect, Refusal};
use crate::route;
use crate::service::Shared;

/// Connections at once; more wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 16;

/// For a request's head, and between requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Pause after the system refuses a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// An address that is taken and not served yet.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) addr: SocketAddr,
    listener: TcpListener,
}

/// Takes the admin address, where one is set.
pub(crate) async fn bind(config: &AdminConfig) -> Result<Option<Listener>, GatewayError> {
    let Some(address) = config.listen else {
        return Ok(None);
    };
    if !config.allow_remote && !address.ip().to_canonical().is_loopback() {
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
        AbortOnDropHandle::new(tokio::spawn(accept(self.listener, shared)))
    }
}

async fn accept<A: App>(listener: TcpListener, shared: Arc<Shared<A>>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    // Its connections end with it.
    let mut connections = JoinSet::new();
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            serve(stream, shared).await;
            drop(place);
        });
    }
}

async fn serve<A: App>(stream: TcpStream, shared: Arc<Shared<A>>) {
    let service = service_fn(|request| {
        let answer = answer(&request, &shared);
        async move { Ok::<_, Infallible>(answer) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "an admin connection ended early");
    }
}

fn answer<A: App>(request: &Request<Incoming>, shared: &Shared<A>) -> Response<ResponseBody> {
    let refused = |refusal| rescue::response(&refusal, Dialect::OpenAi);
    let (method, path) = (request.method(), request.uri().path());
    if path == "/metrics" {
        if method != Method::GET && method != Method::HEAD {
            return refused(Refusal::Method { allow: "GET, HEAD" });
        }
        return metrics(&shared.app);
    }
    let draining = shared.draining.is_cancelled();
    let mut head = Request::new(()).into_parts().0;
    head.method = method.clone();
    head.uri = request.uri().clone();
    match route::own(&head, || shared.app.health(), draining) {
        Some(Ok(response)) => response,
        Some(Err(refusal)) => refused(refusal),
        None => refused(crate::AppError::NotFound.into()),
    }
}

fn metrics<A: App>(app: &A) -> Response<ResponseBody> {
    let text = auricle_telemetry::metrics().render(&app.snapshot());
    let mut response = Response::new(rescue::full(text));
    let content_type = HeaderValue::from_static(auricle_telemetry::CONTENT_TYPE);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(CACHE_CONTROL, no_store);
    response
}
