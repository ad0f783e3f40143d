//! A tenant's own deployments, under `/deploy/v1` of the API's addresses.
//!
//! For keys with scope `deploy`, and never without a key: a web page that somebody on this machine
//! looks at reaches loopback too. What there is to do is the admin API's, for the key's tenant alone;
//! of other tenants it says nothing, not even that they are there.
//!
//! A request passes admission as others of the tenant do, and the limits of [`acts`](crate::acts).

use std::net::IpAddr;
use std::sync::Arc;

use auricle_tenancy::{Access, Actor};
use http::header::{AUTHORIZATION, ORIGIN};
use http::request::Parts;
use http::{HeaderValue, Response};

use crate::acts::ActKind;
use crate::admin::{self, AdminError, Pusher};
use crate::admission::{Busy, Permit};
use crate::body::{RequestBody, ResponseBody};
use crate::rescue::Refusal;
use crate::service::Shared;

/// What every path begins with.
const PREFIX: &str = "/deploy/v1/";

/// Whether a request is for here.
pub(crate) fn answers(path: &str) -> bool {
    path.starts_with(PREFIX)
}

/// Who sends a request.
pub(crate) struct Caller {
    pub(crate) access: Access,
    actor: Actor,
}

/// Finds out who sends a request.
pub(crate) fn identify<A>(
    shared: &Shared<A>,
    source: IpAddr,
    head: &Parts,
) -> Result<Caller, Refusal> {
    if head.headers.contains_key(ORIGIN) {
        return Err(AdminError::Browser.into());
    }
    let authorization = head.headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
    let (access, actor) = shared.tenancy.admit_deploy(authorization, source)?;
    Ok(Caller { access, actor })
}

/// Answers an admitted request. Its permit comes back with the answer; where the client does not wait for
/// that, it is held until the act ends.
pub(crate) async fn answer<A>(
    shared: &Shared<A>,
    caller: Caller,
    permit: Permit,
    head: Parts,
    body: RequestBody,
) -> Result<(Response<ResponseBody>, Permit), Refusal> {
    let Caller { access, actor } = caller;
    let kind = ActKind::of(&head.method);
    let act = shared.acts.begin(&access.tenant, kind)?;
    if kind == ActKind::Change {
        let counted = access.account.begin_deploy_act();
        counted.map_err(|over| Refusal::Busy(Busy::Flow(over)))?;
    }
    let body = admin::receive(shared, &head, body, Pusher::Tenant(&access.tenant)).await?;
    let (tenancy, control_plane) = (Arc::clone(&shared.tenancy), shared.control_plane.clone());
    let running = (act, shared.tasks.token());
    let answered = shared.acts.run(kind, move || {
        let call = admin::api::Call {
            actor: &actor,
            method: &head.method,
            path: head.uri.path(),
            query: head.uri.query(),
            body: &body,
            signature: admin::signature(&head.headers),
            control_plane: control_plane.as_deref(),
        };
        let path = call.path.strip_prefix(PREFIX).unwrap_or_default();
        let response = call.answer_tenant(&tenancy, &access.tenant, path);
        drop(running);
        (response, permit)
    });
    let (response, permit) = answered.await?;
    Ok((response.map(admin::content::Content::into_body), permit))
}
