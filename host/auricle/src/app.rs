//! What the gateway's requests mean: they are answered by the tenant's handler.

use std::sync::Arc;
use std::time::{Duration, Instant};

use auricle_capability::websocket::Superseded;
use auricle_capability::{
    HandlerComponent, Message as GuestMessage, RequestScope, Session, Socket,
    SocketError as GuestSocketError, SourceFailure, UpgradeRequest, services,
};
use auricle_deployment::TenantDeployments;
use auricle_gateway::{
    App, AppError, BodyError, Health, HealthStatus, Message, RequestBody, RequestContext,
    ResponseBody, SocketError, SocketReceiver, SocketSender, WebSocket,
};
use auricle_pipeline::Pipeline;
use auricle_runtime::{GuestFailure, Revision};
use auricle_speech::TenantId;
use auricle_telemetry::Snapshot;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::BodyExt;

/// When a client may come back after all instances were in use.
const POOL_RETRY: Duration = Duration::from_secs(1);

/// The longest life of a WebSocket.
const SESSION_DEADLINE: Duration = Duration::from_secs(24 * 60 * 60);

/// Failures of a live handler one after the other, without getting further, that its connection
/// outlives.
const MAX_FAILURES: u32 = 3;

/// Answers requests with the tenants' handlers.
pub struct HandlerApp {
    pipeline: Pipeline,
    model: String,
}

impl HandlerApp {
    /// Requests are answered through `pipeline`; `model` is the default model, for `/health`.
    #[must_use]
    pub fn new(pipeline: Pipeline, model: String) -> Self {
        Self { pipeline, model }
    }

    /// What serves the tenant.
    async fn ready(&self, tenant: &TenantId) -> Result<Arc<TenantDeployments>, AppError> {
        let ready = self.pipeline.deployments().of(tenant).await;
        ready.map_err(|error| {
            if let Some(retry_after) = error.retry_after() {
                return AppError::Overloaded { retry_after };
            }
            let error: &dyn std::error::Error = &error;
            tracing::error!(error, %tenant, "a tenant's components cannot be made ready");
            AppError::ComponentFailed {
                detail: "the tenant's components cannot be made ready".to_owned(),
            }
        })
    }

    /// The revision of the tenant's handler that answers the request of this id.
    async fn handler(
        &self,
        tenant: &TenantId,
        request_id: &str,
    ) -> Result<Arc<Revision<HandlerComponent>>, AppError> {
        Ok(self.ready(tenant).await?.handler.revision_for(request_id))
    }

    /// Has the tenant's handler serve a connection: another instance goes on after a failure or a
    /// swap, where the one before made checkpoints.
    async fn serve(
        &self,
        scope: &RequestScope,
        request: &UpgradeRequest,
        session: &Session,
    ) -> Result<(), AppError> {
        let mut failures = Failures::default();
        loop {
            let revision = self.handler(&scope.tenant, &scope.request_id).await?;
            session.begin(self.superseded(scope, &revision)).await;
            let services = Arc::new(self.pipeline.clone());
            let guests = self.pipeline.guests();
            let served =
                guests.websocket(&revision, scope.clone(), services, request.clone(), session);
            match served.await {
                Ok(()) if session.hands_over().await => {}
                Ok(()) => return Ok(()),
                Err(failure) => match session.can_go_on().await {
                    Some(checkpoints) if failures.may_go_on(&failure, checkpoints) => {
                        let (tenant, request_id) = (&scope.tenant, &scope.request_id);
                        tracing::warn!(%tenant, %request_id, error = %failure, "a live handler failed; another instance goes on");
                    }
                    _ => return Err(app_error(failure)),
                },
            }
        }
    }

    /// Whether the request would run on another revision by now.
    fn superseded(
        &self,
        scope: &RequestScope,
        revision: &Arc<Revision<HandlerComponent>>,
    ) -> Superseded {
        let fleet = Arc::clone(self.pipeline.deployments());
        let (tenant, id) = (scope.tenant.clone(), Arc::clone(&scope.request_id));
        let mine = (revision.number, Arc::clone(&revision.component));
        Arc::new(move || {
            fleet.now(&tenant).is_some_and(|ready| {
                let other = ready.handler.revision_for(&id);
                other.number != mine.0 || !Arc::ptr_eq(&other.component, &mine.1)
            })
        })
    }

    fn scope(&self, context: &RequestContext) -> RequestScope {
        RequestScope {
            tenant: context.tenant.clone(),
            account: Arc::clone(&context.account),
            request_id: context.request_id.as_str().into(),
            class: context.class,
            deadline: context
                .deadline
                .unwrap_or_else(|| Instant::now() + SESSION_DEADLINE),
        }
    }
}

impl App for HandlerApp {
    async fn http(
        &self,
        context: RequestContext,
        request: Request<RequestBody>,
    ) -> Result<Response<ResponseBody>, AppError> {
        let scope = self.scope(&context);
        let ready = self.ready(&scope.tenant).await?;
        let request = request.map(|body| body.map_err(source_failure).boxed_unsync());
        let response = self.pipeline.http(&ready, scope, request).await;
        let response = response.map_err(app_error)?;
        Ok(response.map(|body| body.map_err(Into::into).boxed_unsync()))
    }

    async fn accepts_websocket(&self, context: &RequestContext, _path: &str) -> bool {
        let handler = self.handler(&context.tenant, context.request_id.as_str());
        let handler = handler.await;
        handler.is_ok_and(|handler| handler.component.serves_websockets())
    }

    async fn websocket(
        &self,
        context: RequestContext,
        head: http::request::Parts,
        socket: WebSocket,
    ) -> Result<(), AppError> {
        let scope = self.scope(&context);
        let (receiver, sender) = socket.split();
        let session = Session::new(Socket {
            receiver: Box::new(Receiver(receiver)),
            sender: Box::new(Sender(sender)),
        });
        self.serve(&scope, &upgrade_request(&head), &session).await
    }

    fn snapshot(&self) -> Snapshot {
        self.pipeline.snapshot()
    }

    fn health(&self) -> Health {
        // The default model is loaded before the port opens.
        Health {
            status: HealthStatus::Ok,
            model: self.model.clone(),
        }
    }
}

/// How often the handler of a connection has failed.
#[derive(Default)]
struct Failures {
    in_a_row: u32,
    checkpoints: u64,
}

impl Failures {
    /// Whether another instance may go on: not for ever where none gets any further.
    fn may_go_on(&mut self, failure: &GuestFailure, checkpoints: u64) -> bool {
        if checkpoints > self.checkpoints + 1 {
            self.in_a_row = 0;
        }
        self.checkpoints = checkpoints;
        self.in_a_row += 1;
        let is_hopeless = matches!(
            failure,
            GuestFailure::PoolExhausted | GuestFailure::DeadlineExceeded
        );
        self.in_a_row <= MAX_FAILURES && !is_hopeless
    }
}

fn upgrade_request(head: &http::request::Parts) -> UpgradeRequest {
    let path_with_query = head
        .uri
        .path_and_query()
        .map_or("/", |path| path.as_str())
        .to_owned();
    let headers = head
        .headers
        .iter()
        .filter_map(|(name, value)| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        })
        .collect();
    UpgradeRequest {
        path_with_query,
        headers,
    }
}

fn source_failure(error: BodyError) -> SourceFailure {
    match error {
        BodyError::TooLarge { .. } => SourceFailure::TooLarge,
        BodyError::IdleTimeout { .. } | BodyError::TooSlow { .. } => SourceFailure::TimedOut,
        BodyError::Transport(_) => SourceFailure::Disconnected,
    }
}

fn app_error(failure: GuestFailure) -> AppError {
    let detail = failure.to_string();
    match failure {
        GuestFailure::CpuExhausted | GuestFailure::DeadlineExceeded => {
            AppError::ComponentTimeout { detail }
        }
        GuestFailure::OutOfMemory | GuestFailure::LimitExceeded(_) => {
            AppError::ComponentOverLimit { detail }
        }
        GuestFailure::PoolExhausted => AppError::Overloaded {
            retry_after: POOL_RETRY,
        },
        GuestFailure::OverQuota(over) => AppError::OverQuota(over),
        _ => AppError::ComponentFailed { detail },
    }
}

struct Receiver(SocketReceiver);

impl services::SocketReceiver for Receiver {
    fn receive(&mut self) -> BoxFuture<'_, Result<Option<GuestMessage>, GuestSocketError>> {
        async {
            match self.0.receive().await {
                Ok(message) => Ok(message.map(|message| match message {
                    Message::Text(text) => GuestMessage::Text(text),
                    Message::Binary(bytes) => GuestMessage::Binary(bytes),
                })),
                Err(error) => Err(socket_error(error)),
            }
        }
        .boxed()
    }
}

struct Sender(SocketSender);

impl services::SocketSender for Sender {
    fn send(&mut self, message: GuestMessage) -> BoxFuture<'_, Result<(), GuestSocketError>> {
        let message = match message {
            GuestMessage::Text(text) => Message::Text(text),
            GuestMessage::Binary(bytes) => Message::Binary(bytes),
        };
        async { self.0.send(message).await.map_err(socket_error) }.boxed()
    }
}

fn socket_error(error: SocketError) -> GuestSocketError {
    match error {
        SocketError::TooLarge { .. } => GuestSocketError::TooLarge,
        SocketError::Disconnected | SocketError::Closed => GuestSocketError::Closed,
    }
}
