//! One request, in the order in which things happen to it.
//!
//! name and span → preflight → the gateway's own routes, and deploying → credential, removed from the
//! head ([`Secrets`]) → WebSocket, or size → admission → app. Every refusal is a [`Refusal`] and becomes
//! an answer in `rescue`.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use auricle_deployment::ControlPlane;
use auricle_tenancy::{Access, Account, Tenancy};
use futures::FutureExt;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, ORIGIN};
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode, Version};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::AccessLog;
use crate::acts::Acts;
use crate::admission::{Admission, Kind};
use crate::answer::{Held, hold};
use crate::app::{App, AppError, RequestClass, RequestContext};
use crate::body::{BodyError, LimitedBody, ResponseBody, Verdict};
use crate::class;
use crate::config::{GatewayConfig, ms};
use crate::connection::Peer;
use crate::cors::Cors;
use crate::deploy;
use crate::idle::Activity;
use crate::in_flight::InFlight;
use crate::keyless::AllowedHosts;
use crate::pages;
use crate::rate;
use crate::request_id::{RequestId, X_REQUEST_ID};
use crate::rescue::{self, Dialect, Refusal};
use crate::route;
use crate::secrets::Secrets;
use crate::slots::ConnectionSlot;
use crate::socket;
use crate::watch::AnswerWatch;

/// Milliseconds until the head of the answer, as OpenAI's API tells them.
const PROCESSING_MS: HeaderName = HeaderName::from_static("openai-processing-ms");

/// What all requests share; lives as long as the gateway serves.
pub(crate) struct Shared<A> {
    pub(crate) app: A,
    pub(crate) config: GatewayConfig,
    pub(crate) tenancy: Arc<Tenancy>,
    /// Where deployments are changed.
    pub(crate) control_plane: Option<Arc<ControlPlane>>,
    /// Components that operators may send now.
    pub(crate) pushes: Semaphore,
    /// Requests about deployments.
    pub(crate) acts: Arc<Acts>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) cors: Cors,
    pub(crate) hosts: AllowedHosts,
    /// Requests that are not answered yet, and the end of the drain.
    pub(crate) in_flight: Arc<InFlight>,
    /// Connections, HTTP/2 streams and WebSockets.
    pub(crate) tasks: TaskTracker,
    /// Finish what has begun and take nothing new.
    pub(crate) draining: CancellationToken,
    /// Stop at once.
    pub(crate) kill: CancellationToken,
}

impl<A> Shared<A> {
    /// Has no tenant's component be compiled any more.
    pub(crate) fn stop_compilers(&self) {
        if let Some(control_plane) = &self.control_plane {
            control_plane.stop();
        }
    }
}

/// What all requests of one connection share.
#[derive(Clone)]
pub(crate) struct ConnectionScope {
    pub(crate) peer: Peer,
    pub(crate) activity: Arc<Activity>,
    /// Of its HTTP/1 answers.
    pub(crate) watch: Arc<AnswerWatch>,
    /// Held by the connection and by the WebSocket it may turn into.
    pub(crate) _slot: Arc<ConnectionSlot>,
}

/// Answers one request. Cancelled by drop.
pub(crate) async fn handle<A: App>(
    shared: Arc<Shared<A>>,
    scope: ConnectionScope,
    request: Request<Incoming>,
) -> Response<ResponseBody> {
    let received = Instant::now();
    let is_http2 = request.version() == Version::HTTP_2;
    let busy = scope.activity.request(is_http2);
    let watch = AnswerWatch::of_stream().unwrap_or_else(|| Arc::clone(&scope.watch));
    let secrets = Secrets::of(request.headers());
    let id = RequestId::of(request.headers(), &secrets);
    let path = request.uri().path();
    let dialect = Dialect::of(path);
    let path_is_openai = path.starts_with("/v1/");
    let quiet = route::is_own(path);
    let logged = secrets.redact_path(path);
    let in_flight = &shared.in_flight;
    let log = AccessLog::new(
        in_flight,
        &id,
        request.method(),
        &logged,
        request.headers(),
        quiet,
    );
    let spans = log.spans().clone();
    let span = spans.log.clone();
    let method = request.method().clone();
    let origin = request.headers().get(ORIGIN).cloned();
    let mut visit = Visit {
        shared: &shared,
        scope,
        received,
        id: id.clone(),
        secrets,
        held: Some(Held {
            log,
            _busy: busy,
            permit: None,
        }),
        account: None,
    };
    let outcome = tokio::select! {
        biased;
        outcome = spans.instrument(visit.answer(request)) => outcome,
        () = in_flight.cut_off().cancelled() => Err(Refusal::App(AppError::Draining)),
    };
    let mut response = outcome.unwrap_or_else(|refusal| {
        let error: &dyn std::error::Error = &refusal;
        tracing::debug!(parent: &span, error, "refused");
        rescue::response(&refusal, dialect)
    });
    if let Some(value) = id.header_value() {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    if path_is_openai {
        let took_ms = u64::try_from(received.elapsed().as_millis()).unwrap_or(u64::MAX);
        response.headers_mut().insert(PROCESSING_MS, took_ms.into());
        if let Some(account) = &visit.account {
            rate::mark(response.headers_mut(), &account.flowing());
        }
    }
    shared.cors.mark(origin.as_ref(), response.headers_mut());
    let deadline = visit.deadline();
    match visit.held.take() {
        Some(held) => {
            let stall = ms(shared.config.limits.write_stall_timeout_ms);
            // What the deadline has made of the answer has time to go out, too.
            let cut_at = deadline.max(Instant::now()) + stall;
            watch.begin(cut_at.into(), is_http2.then_some(stall));
            hold(response, held, &method, deadline.into(), watch)
        }
        None => response,
    }
}

/// A request on its way through the gateway.
struct Visit<'a, A> {
    shared: &'a Arc<Shared<A>>,
    scope: ConnectionScope,
    received: Instant,
    id: RequestId,
    /// The credentials it was sent with.
    secrets: Secrets,
    /// Moves on to whoever ends the request: the answer's body, or the WebSocket.
    held: Option<Held>,
    /// Of the tenant, once it is known.
    account: Option<Arc<Account>>,
}

impl<A: App> Visit<'_, A> {
    async fn answer(
        &mut self,
        request: Request<Incoming>,
    ) -> Result<Response<ResponseBody>, Refusal> {
        let shared = self.shared;
        if self.scope.peer.to_loopback && !shared.tenancy.asks_for_keys() {
            shared.hosts.check(&(&request).into(), &shared.cors)?;
        }
        if let Some(headers) = shared.cors.preflight(request.method(), request.headers()) {
            return Ok(empty(StatusCode::NO_CONTENT, headers));
        }
        let draining = shared.draining.is_cancelled();
        let (mut head, body) = request.into_parts();
        // From here on the body is drained when nobody wants it.
        let body = LimitedBody::new(body, &head, &shared.config.limits);
        if let Some(own) = route::own(&head, || shared.app.health(), draining) {
            return own;
        }
        if shared.config.pages
            && let Some(page) = pages::answer(&head)
        {
            return page;
        }
        if deploy::answers(head.uri.path()) {
            return self.deploy(head, body).await;
        }
        let access = self.access(&head.headers)?;
        self.secrets.remove_from(&mut head);
        let request = Request::from_parts(head, body);
        if hyper_tungstenite::is_upgrade_request(&request) {
            return self.upgrade(access, request.map(drop)).await;
        }
        self.check_size(&request)?;
        self.admit(&access, Kind::Request)?;
        self.call(access, request).await
    }

    fn access(&mut self, headers: &HeaderMap) -> Result<Access, Refusal> {
        let header = headers.get(AUTHORIZATION).map(http::HeaderValue::as_bytes);
        let access = self.shared.tenancy.admit(header, self.scope.peer.source)?;
        if let Some(held) = &mut self.held {
            held.log.of(&access);
        }
        self.account = Some(Arc::clone(&access.account));
        Ok(access)
    }

    /// Answers a request about deployments; the admission permit is held until the act ends.
    async fn deploy(
        &mut self,
        head: http::request::Parts,
        body: LimitedBody,
    ) -> Result<Response<ResponseBody>, Refusal> {
        let shared = self.shared;
        let caller = deploy::identify(shared, self.scope.peer.source, &head)?;
        if let Some(held) = &mut self.held {
            held.log.of(&caller.access);
        }
        let permit = shared.admission.admit(&caller.access, Kind::Deployment);
        let permit = permit.map_err(Refusal::Busy)?;
        let answer = deploy::answer(shared, caller, permit, head, body.boxed_unsync());
        let (response, permit) = Box::pin(answer).await?;
        if let Some(held) = &mut self.held {
            held.permit = Some(permit);
        }
        Ok(response)
    }

    /// Refuses a body that says it is too long before a byte of it is read.
    fn check_size<B>(&self, request: &Request<B>) -> Result<(), Refusal> {
        let limit_bytes = self.shared.config.limits.body_bytes(request.uri().path());
        let length = request
            .headers()
            .get(CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok());
        match length.and_then(|text| text.parse::<u64>().ok()) {
            Some(length) if length > limit_bytes => Err(BodyError::TooLarge { limit_bytes }.into()),
            _ => Ok(()),
        }
    }

    fn admit(&mut self, access: &Access, kind: Kind) -> Result<(), Refusal> {
        let admitted = self.shared.admission.admit(access, kind);
        let permit = admitted.map_err(Refusal::Busy)?;
        if let Some(held) = &mut self.held {
            held.permit = Some(permit);
        }
        Ok(())
    }

    async fn call(
        &self,
        access: Access,
        request: Request<LimitedBody>,
    ) -> Result<Response<ResponseBody>, Refusal> {
        let verdict = request.body().verdict();
        let class = class::of(request.headers());
        let context = self.context(access, class, Some(self.deadline()));
        let request = request.map(BodyExt::boxed_unsync);
        let answer = AssertUnwindSafe(Box::pin(self.shared.app.http(context, request)));
        let timeout = ms(self.shared.config.limits.request_timeout_ms);
        let outcome = tokio::select! {
            biased;
            outcome = answer.catch_unwind() => match outcome {
                Ok(Ok(response)) => Ok(response),
                Ok(Err(error)) => Err(Refusal::App(error)),
                Err(_) => Err(Refusal::Panic),
            },
            () = tokio::time::sleep_until(self.deadline().into()) => Err(Refusal::Deadline { timeout }),
            () = verdict.broken() => Err(Refusal::App(crate::AppError::ClientGone)),
        };
        if let Err(refusal) = &outcome {
            let error: &dyn std::error::Error = refusal;
            tracing::warn!(error, "the app did not answer");
        }
        blame_body(outcome, &verdict)
    }

    /// Answers the handshake and leaves the WebSocket to a task of its own.
    async fn upgrade(
        &mut self,
        access: Access,
        mut request: Request<()>,
    ) -> Result<Response<ResponseBody>, Refusal> {
        let shared = self.shared;
        if request.method() != Method::GET {
            return Err(Refusal::Method { allow: "GET" });
        }
        if !shared.cors.allows_websocket(request.headers()) {
            return Err(Refusal::Origin);
        }
        let key = access.key.clone();
        let context = self.context(access.clone(), RequestClass::Live, None);
        if !shared
            .app
            .accepts_websocket(&context, request.uri().path())
            .await
        {
            return Err(crate::AppError::NotFound.into());
        }
        self.admit(&access, Kind::Session)?;
        let (response, upgrade) =
            hyper_tungstenite::upgrade(&mut request, None).map_err(|error| Refusal::Handshake {
                detail: error.to_string(),
            })?;
        if let Some(held) = self.held.take() {
            let spans = held.log.spans().clone();
            let scope = self.scope.clone();
            let call = socket::Call {
                key,
                context,
                head: request.into_parts().0,
                upgrade,
            };
            let session = socket::run(Arc::clone(shared), scope, held, call);
            shared.tasks.spawn(spans.instrument(Box::pin(session)));
        }
        Ok(response.map(|body| body.map_err(|never| match never {}).boxed_unsync()))
    }

    fn context(
        &self,
        access: Access,
        class: RequestClass,
        deadline: Option<Instant>,
    ) -> RequestContext {
        RequestContext {
            tenant: access.tenant,
            account: access.account,
            request_id: self.id.clone(),
            class,
            received: self.received,
            deadline,
        }
    }

    fn deadline(&self) -> Instant {
        self.received + ms(self.shared.config.limits.request_timeout_ms)
    }
}

/// An app that could not read its body whole cannot know why: the gateway does.
fn blame_body(
    outcome: Result<Response<ResponseBody>, Refusal>,
    verdict: &Verdict,
) -> Result<Response<ResponseBody>, Refusal> {
    let succeeded = matches!(&outcome, Ok(response) if response.status().as_u16() < 400);
    match verdict.error() {
        Some(error) if !succeeded => Err(Refusal::Body(error.clone())),
        _ => outcome,
    }
}

fn empty(status: StatusCode, headers: HeaderMap) -> Response<ResponseBody> {
    let mut response = Response::new(rescue::full(""));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
