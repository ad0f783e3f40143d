//! What the gateway's requests mean: they are answered by the tenant's handler.

use std::sync::Arc;
use std::time::{Duration, Instant};

use auricle_capability::{
    Message as GuestMessage, RequestScope, Socket, SocketError as GuestSocketError, SourceFailure,
    UpgradeRequest, services,
};
use auricle_gateway::{
    App, AppError, BodyError, Health, HealthStatus, Message, RequestBody, RequestContext,
    ResponseBody, SocketError, SocketReceiver, SocketSender, WebSocket,
};
use auricle_pipeline::Pipeline;
use auricle_runtime::GuestFailure;
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
        let revision = self
            .pipeline
            .deployments()
            .of(&scope.tenant)
            .handler
            .current();
        let request = request.map(|body| body.map_err(source_failure).boxed_unsync());
        let services = Arc::new(self.pipeline.clone());
        let response = self
            .pipeline
            .guests()
            .http(revision, scope, services, request)
            .await;
        let response = response.map_err(app_error)?;
        Ok(response.map(|body| body.map_err(Into::into).boxed_unsync()))
    }

    fn accepts_websocket(&self, tenant: &TenantId, _path: &str) -> bool {
        self.pipeline
            .deployments()
            .of(tenant)
            .handler
            .current()
            .component
            .serves_websockets()
    }

    async fn websocket(
        &self,
        context: RequestContext,
        head: http::request::Parts,
        socket: WebSocket,
    ) -> Result<(), AppError> {
        let scope = self.scope(&context);
        let revision = self
            .pipeline
            .deployments()
            .of(&scope.tenant)
            .handler
            .current();
        let (receiver, sender) = socket.split();
        let socket = Socket {
            receiver: Box::new(Receiver(receiver)),
            sender: Box::new(Sender(sender)),
        };
        let services = Arc::new(self.pipeline.clone());
        let guests = self.pipeline.guests();
        guests
            .websocket(&revision, scope, services, upgrade_request(&head), socket)
            .await
            .map_err(app_error)
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

fn upgrade_request(head: &http::request::Parts) -> UpgradeRequest {
    let path_with_query = head
        .uri
        .path_and_query()
        .map_or("/", |path| path.as_str())
        .to_owned();
    let headers = head
        .headers
        .iter()
        .filter(|(name, _)| *name != http::header::AUTHORIZATION)
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
