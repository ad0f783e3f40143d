//! A handler's answer to an HTTP request.
//!
//! The guest is polled by whoever waits: first for the head of the answer, then for each piece of its
//! body, and ends when the body is dropped. A task of its own, as `wasmtime serve` gives each guest, would
//! wake another thread for every request; and a guest whose client reads slowly would run ahead of it.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use auricle_runtime::{GuestFailure, Revision, Tally};
use auricle_telemetry::step;
use bytes::Bytes;
use futures::FutureExt;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use tokio::sync::oneshot;
use tracing::Instrument;
use wasmtime::Store;
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};

use super::frames::NonEmptyFrames;
use super::{Guests, refused, run};
use crate::roles::HandlerComponent;
use crate::services::{RequestScope, Services};
use crate::source::SourceFailure;
use crate::state::{Grants, GuestState};

/// A request's body on its way to a guest.
pub type RequestBody = UnsyncBoxBody<Bytes, SourceFailure>;

/// A response's body on its way from a guest. Dropping it ends the guest.
pub type ResponseBody = UnsyncBoxBody<Bytes, GuestBodyError>;

/// A guest ended before it had written the whole body.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the component ended before it had written the whole body")]
pub struct GuestBodyError;

type WasiBody = UnsyncBoxBody<Bytes, wasmtime_wasi_http::Error>;

/// Takes a guest's response, or why there is none.
type ResponseSender = oneshot::Sender<Result<Response<WasiBody>, ErrorCode>>;

impl Guests {
    /// Has a handler answer an HTTP request.
    ///
    /// The response comes as soon as the guest sets it; the guest goes on to write the body while that is
    /// read, and ends with it.
    ///
    /// # Errors
    /// [`GuestFailure`] when the guest ends without a response.
    pub async fn http(
        &self,
        revision: Arc<Revision<HandlerComponent>>,
        scope: RequestScope,
        services: Arc<dyn Services>,
        request: Request<RequestBody>,
    ) -> Result<Response<ResponseBody>, GuestFailure> {
        let (sender, mut response) = oneshot::channel();
        let store = self.store("handler", &revision, &scope, Grants::of_handler(services))?;
        let tally = Arc::clone(&revision.tally);
        let attempt = tally.begin();
        let work = run_http(store, revision, scope.deadline, request, sender);
        let mut guest = AtWork::new(work.instrument(step!("guest", role = "handler")));
        let head = std::future::poll_fn(|context| {
            guest.go_on(context);
            // Once the guest has ended there is nobody who could send one.
            response.poll_unpin(context)
        });
        let failure = match head.await {
            Ok(Ok(response)) => {
                match response.status() {
                    // Other failures may be another component's, or the host's.
                    StatusCode::INTERNAL_SERVER_ERROR => attempt.failed(),
                    _ => attempt.succeeded(),
                }
                let guarded = |body| GuardedBody { body, tally, guest };
                let sent = |body| UnsyncBoxBody::new(NonEmptyFrames(guarded(body)));
                return Ok(response.map(sent));
            }
            // With a text of the guest's, of any length.
            Ok(Err(code)) => refused("the request", &code),
            Err(_) => guest
                .failure()
                .unwrap_or_else(|| GuestFailure::ContractBroken("ended without a response".into())),
        };
        attempt.judge(Err(failure))
    }
}

async fn run_http(
    mut store: Store<GuestState>,
    revision: Arc<Revision<HandlerComponent>>,
    deadline: Instant,
    request: Request<RequestBody>,
    sender: ResponseSender,
) -> Result<(), GuestFailure> {
    let outcome = run(&mut store, deadline, async |store| {
        let mut view = store.data_mut().http();
        let request = request.map(|body| body.map_err(wasi_error).boxed_unsync());
        let request = view.new_incoming_request(Scheme::Http, request)?;
        let response = view.new_response_outparam(sender)?;
        let guest = revision
            .component
            .http
            .instantiate_async(&mut *store)
            .await?;
        guest
            .wasi_http_incoming_handler()
            .call_handle(store, request, response)
            .await
    })
    .await;
    if let Err(failure) = &outcome {
        let (tenant, id) = (&store.data().scope.tenant, &store.data().scope.request_id);
        tracing::warn!(%tenant, request_id = %id, kind = failure.kind(), error = %failure, "the handler failed");
    }
    outcome
}

/// What a failed body looks like to `wasi:http`; the source's streams read it back.
fn wasi_error(failure: SourceFailure) -> wasmtime_wasi_http::Error {
    match failure {
        SourceFailure::TooLarge => wasmtime_wasi_http::Error::HttpRequestBodySize(None),
        SourceFailure::TimedOut => wasmtime_wasi_http::Error::ConnectionReadTimeout,
        SourceFailure::Disconnected | SourceFailure::NotBase64 => {
            wasmtime_wasi_http::Error::ConnectionTerminated
        }
    }
}

/// How a guest ended: by itself, or by a panic of the host's.
type Ended = Result<Result<(), GuestFailure>, Box<dyn Any + Send>>;

/// A guest that answers, until it has ended.
enum AtWork {
    Running(Pin<Box<dyn Future<Output = Ended> + Send>>),
    Ended(Option<GuestFailure>),
}

impl AtWork {
    fn new(work: impl Future<Output = Result<(), GuestFailure>> + Send + 'static) -> Self {
        Self::Running(Box::pin(AssertUnwindSafe(work).catch_unwind()))
    }

    /// Lets the guest go on until it waits for something or has ended.
    fn go_on(&mut self, context: &mut Context<'_>) {
        let Self::Running(work) = self else { return };
        let Poll::Ready(ended) = work.as_mut().poll(context) else {
            return;
        };
        *self = Self::Ended(match ended {
            Ok(outcome) => outcome.err(),
            Err(_) => {
                tracing::error!("the host panicked in a handler's call");
                Some(GuestFailure::Trapped("the call failed in the host".into()))
            }
        });
    }

    /// How it failed, if it has ended so.
    fn failure(self) -> Option<GuestFailure> {
        match self {
            Self::Running(_) => None,
            Self::Ended(failure) => failure,
        }
    }

    fn has_failed(&self) -> bool {
        matches!(self, Self::Ended(Some(_)))
    }
}

/// A response body that its guest goes on to write, and that ends it when it is dropped.
struct GuardedBody {
    body: WasiBody,
    tally: Arc<Tally>,
    guest: AtWork,
}

impl Body for GuardedBody {
    type Data = Bytes;
    type Error = GuestBodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, GuestBodyError>>> {
        let this = self.get_mut();
        let mut frame = Pin::new(&mut this.body).poll_frame(context);
        if frame.is_pending() {
            this.guest.go_on(context);
            frame = Pin::new(&mut this.body).poll_frame(context);
        }
        frame.map(|frame| match frame {
            // A guest that fails leaves its body to end without having been finished, which is no end.
            // wasmtime's own bodies do not tell the two apart.
            None if !this.guest.has_failed() => None,
            None | Some(Err(_)) => {
                this.tally.failed_late();
                this.guest = AtWork::Ended(None);
                Some(Err(GuestBodyError))
            }
            Some(Ok(frame)) => Some(Ok(frame)),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
