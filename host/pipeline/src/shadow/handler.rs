//! Handlers that answer copies of requests.
//!
//! While a request goes to the handler that serves, what is read of its body is kept, and what is
//! answered; when the answer has been sent, the candidate gets the same request, and both answers are
//! compared. What it has transcribed is not counted against the tenant's minute. A request whose body
//! the handler did not read to its end, or that is too large, is not compared; nor is one whose copies
//! the tenant has no memory for.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use auricle_capability::{
    HandlerComponent, RequestBody, RequestScope, ResponseBody, SourceFailure,
};
use auricle_deployment::{Answer, TenantDeployments};
use auricle_runtime::{GuestFailure, Revision};
use auricle_tenancy::{Account, HeldKind, Reservation, Role};
use bytes::Bytes;
use futures::stream;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Request, Response, request};
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, LengthLimitError, Limited, StreamBody};
use tokio::sync::oneshot::{self, Receiver, Sender};

use super::{ShadowPlace, ShadowPlaces, scope_of_copy};
use crate::Pipeline;

/// Bytes of a request's body that are kept: a file of OpenAI's size, and its form.
const MAX_REQUEST_BYTES: usize = 32 << 20;

/// Bytes of an answer that are kept.
const MAX_ANSWER_BYTES: usize = 4 << 20;

/// What came through a body, in its pieces.
type Pieces = Vec<Bytes>;

/// A candidate that is to answer a copy of this request.
struct Shadow {
    candidate: Arc<Revision<HandlerComponent>>,
    scope: RequestScope,
    copies: CopyBudget,
    _place: ShadowPlace,
}

/// Memory of a request's copies, reserved before they grow. Clones share one reservation.
#[derive(Clone)]
struct CopyBudget(Arc<Mutex<Reservation>>);

impl CopyBudget {
    fn new(account: &Arc<Account>) -> Self {
        let empty = account.reservation(HeldKind::Copy);
        Self(Arc::new(Mutex::new(empty)))
    }

    /// Reserves so many bytes more; whether they are to be had.
    fn grow(&self, more: usize) -> bool {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = held.bytes().saturating_add(more as u64);
        held.resize(bytes).is_ok()
    }
}

/// What the handler that serves was asked and has answered.
struct Given {
    head: request::Parts,
    request: Pieces,
    status: u16,
    answer: Pieces,
}

impl Pipeline {
    /// Has the tenant's handler answer a request.
    ///
    /// # Errors
    /// [`GuestFailure`] when it ends without an answer.
    pub async fn http(
        &self,
        deployments: &TenantDeployments,
        scope: RequestScope,
        request: Request<RequestBody>,
    ) -> Result<Response<ResponseBody>, GuestFailure> {
        let revision = deployments.handler.revision_for(&scope.request_id);
        let services = Arc::new(self.clone());
        let Some(shadow) = wanted(&self.inner.shadows, deployments, &scope) else {
            let answer = self.inner.guests.http(revision, scope, services, request);
            return answer.await;
        };
        let (head, body) = request.into_parts();
        let (body, asked) = copied(
            body,
            &head.headers,
            MAX_REQUEST_BYTES,
            shadow.copies.clone(),
        );
        let request = Request::from_parts(head.clone(), body);
        let answer = self.inner.guests.http(revision, scope, services, request);
        let (parts, body) = answer.await?.into_parts();
        let (body, answered) = copied(
            body,
            &parts.headers,
            MAX_ANSWER_BYTES,
            shadow.copies.clone(),
        );
        let status = parts.status.as_u16();
        tokio::spawn(shadow.follow(self.for_copies(), head, asked, status, answered));
        Ok(Response::from_parts(parts, body))
    }
}

/// The candidate for this request, if there is one and nothing else is compared now.
fn wanted(
    places: &Arc<ShadowPlaces>,
    deployments: &TenantDeployments,
    scope: &RequestScope,
) -> Option<Shadow> {
    Some(Shadow {
        candidate: deployments.handler.shadow_for(&scope.request_id)?,
        scope: scope.clone(),
        copies: CopyBudget::new(&scope.account),
        _place: places.try_acquire(&scope.tenant)?,
    })
}

impl Shadow {
    /// Waits until the request is answered, has the candidate answer it too, and compares.
    async fn follow(
        self,
        pipeline: Pipeline,
        head: request::Parts,
        mut asked: Receiver<Pieces>,
        status: u16,
        answered: Receiver<Pieces>,
    ) {
        // Gone where the client has left, or there was too much of it.
        let Ok(answer) = answered.await else { return };
        let Ok(request) = asked.try_recv() else {
            return;
        };
        let given = Given {
            head,
            request,
            status,
            answer,
        };
        self.compare(&pipeline, given).await;
    }

    async fn compare(self, pipeline: &Pipeline, given: Given) {
        let request = Request::from_parts(given.head, body_of(given.request));
        let other = match self.answer(pipeline, request).await {
            Ok(other) => Some(other),
            // The node's fault, or the tenant's for having asked for too much at once.
            Err(GuestFailure::PoolExhausted | GuestFailure::OverQuota(_)) => return,
            Err(_) => None,
        };
        let Some(deployed) = pipeline.deployments().deployed(&self.scope.tenant) else {
            return;
        };
        let (number, id) = (self.candidate.number, Arc::clone(&self.scope.request_id));
        let compare = move || {
            let answer = Answer::of_http(given.status, &given.answer.concat());
            deployed.report(Role::Handler, number, |report| match other {
                Some((status, body)) => {
                    report.compare(&id, &answer, &Answer::of_http(status, &body));
                }
                None => report.fail(&id),
            });
        };
        // Long answers are compared for a tenth of a second.
        let _ = tokio::task::spawn_blocking(compare).await;
    }

    /// The candidate's status and body.
    async fn answer(
        &self,
        pipeline: &Pipeline,
        request: Request<RequestBody>,
    ) -> Result<(u16, Bytes), GuestFailure> {
        let scope = scope_of_copy(&self.scope);
        let (candidate, services) = (Arc::clone(&self.candidate), Arc::new(pipeline.clone()));
        let answer = pipeline.guests().http(candidate, scope, services, request);
        let answer = answer.await?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect();
        match body.await {
            Ok(body) => Ok((status, body.to_bytes())),
            Err(error) if error.is::<LengthLimitError>() => {
                Err(GuestFailure::ContractBroken("answers too much".into()))
            }
            Err(error) => Err(GuestFailure::ContractBroken(error.to_string())),
        }
    }
}

fn body_of(copy: Pieces) -> RequestBody {
    let frames = copy.into_iter().map(|bytes| Ok(Frame::data(bytes)));
    StreamBody::new(stream::iter(frames))
        .map_err(|never: SourceFailure| never)
        .boxed_unsync()
}

/// The body, and what has come through it when it has ended, if that was no more than `most` bytes.
fn copied<E: 'static>(
    body: UnsyncBoxBody<Bytes, E>,
    headers: &HeaderMap,
    most: usize,
    budget: CopyBudget,
) -> (UnsyncBoxBody<Bytes, E>, Receiver<Pieces>) {
    let (sender, receiver) = oneshot::channel();
    let mut copying = Copying {
        body,
        copy: Pieces::new(),
        left_bytes: most,
        budget,
        announced_bytes: announced_bytes(headers),
        sender: Some(sender),
    };
    copying.end_if_over();
    (copying.boxed_unsync(), receiver)
}

fn announced_bytes(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// A body of which a copy is kept.
struct Copying<E> {
    body: UnsyncBoxBody<Bytes, E>,
    copy: Pieces,
    left_bytes: usize,
    budget: CopyBudget,
    /// What is still to come of what the head announces.
    announced_bytes: Option<usize>,
    /// Nothing once the copy is handed over, or given up.
    sender: Option<Sender<Pieces>>,
}

impl<E> Copying<E> {
    fn keep(&mut self, bytes: &Bytes) {
        self.announced_bytes = self
            .announced_bytes
            .map(|left| left.saturating_sub(bytes.len()));
        let left = self.left_bytes.checked_sub(bytes.len());
        match left.filter(|_| self.budget.grow(bytes.len())) {
            Some(left) => {
                self.left_bytes = left;
                self.copy.push(bytes.clone());
            }
            None => {
                self.sender = None;
                self.copy = Pieces::new();
            }
        }
    }

    /// Some read on to the end; others stop where the body says that it has ended, or has given what
    /// the head announces.
    fn end_if_over(&mut self) {
        if self.body.is_end_stream() || self.announced_bytes == Some(0) {
            self.end();
        }
    }

    fn end(&mut self) {
        if let Some(sender) = self.sender.take() {
            // Nobody compares any more.
            let _ = sender.send(std::mem::take(&mut self.copy));
        }
    }
}

impl<E> Body for Copying<E> {
    type Data = Bytes;
    type Error = E;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, E>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.body).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(bytes) = frame.data_ref().filter(|_| this.sender.is_some()) {
                    this.keep(bytes);
                }
                this.end_if_over();
            }
            Poll::Ready(None) => this.end(),
            Poll::Ready(Some(Err(_))) => this.sender = None,
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use auricle_tenancy::{NodeLimits, NodeMemory, Quotas};
    use futures::executor::block_on;

    use super::*;

    fn copied<E: 'static>(
        body: UnsyncBoxBody<Bytes, E>,
        headers: &HeaderMap,
        most: usize,
    ) -> (UnsyncBoxBody<Bytes, E>, Receiver<Pieces>) {
        super::copied(body, headers, most, CopyBudget::new(&Account::unlimited()))
    }

    fn body(pieces: &[&'static str]) -> RequestBody {
        body_of(pieces.iter().map(|piece| Bytes::from(*piece)).collect())
    }

    #[test]
    fn what_is_read_to_its_end_is_there_as_it_was() {
        let (body, mut copy) = copied(body(&["one", " ", "two"]), &HeaderMap::new(), 7);
        assert!(copy.try_recv().is_err(), "not yet");
        let read = block_on(body.collect()).unwrap().to_bytes();
        assert_eq!(read, "one two");
        assert_eq!(copy.try_recv().unwrap().concat(), b"one two");
    }

    #[test]
    fn what_the_head_announces_is_the_end() {
        let headers = [(CONTENT_LENGTH, 6.into())].into_iter().collect();
        let (mut body, mut copy) = copied(body(&["one", "two"]), &headers, 7);
        block_on(body.frame()).unwrap().unwrap();
        assert!(copy.try_recv().is_err(), "not yet");
        block_on(body.frame()).unwrap().unwrap();
        assert_eq!(copy.try_recv().unwrap().concat(), b"onetwo");
    }

    #[test]
    fn what_is_too_large_or_not_read_to_its_end_is_not_there() {
        let (body, mut copy) = copied(body(&["one", " ", "two"]), &HeaderMap::new(), 6);
        assert_eq!(block_on(body.collect()).unwrap().to_bytes(), "one two");
        assert!(copy.try_recv().is_err());

        let (mut body, mut copy) = copied(self::body(&["one", "two"]), &HeaderMap::new(), 100);
        block_on(body.frame()).unwrap().unwrap();
        drop(body);
        assert!(copy.try_recv().is_err());
    }
    #[test]
    fn copy_that_there_is_no_memory_for_is_given_up_and_the_body_goes_on() {
        let limits = NodeLimits {
            memory_bytes: 4,
            ..NodeLimits::UNLIMITED
        };
        let account = Account::on_node(Quotas::default(), NodeMemory::new(limits));
        let account = Arc::new(account);
        let budget = CopyBudget::new(&account);
        let (body, mut copy) = super::copied(body(&["one", "two"]), &HeaderMap::new(), 100, budget);
        assert_eq!(block_on(body.collect()).unwrap().to_bytes(), "onetwo");
        assert!(copy.try_recv().is_err());
        assert_eq!(account.held_bytes(), 0);
    }
}
