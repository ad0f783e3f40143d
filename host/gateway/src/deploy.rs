//! A tenant's own deployments, under `/deploy/v1` of the API's addresses.
//!
//! For keys with scope `deploy`, and never without a key: a web page that somebody on this machine
//! looks at reaches loopback too. What there is to do is the admin API's, for the key's tenant alone;
//! of other tenants it says nothing, not even that they are there.

use std::net::IpAddr;
use std::sync::Arc;

use http::header::{AUTHORIZATION, ORIGIN};
use http::request::Parts;
use http::{HeaderValue, Response};

use crate::admin::{self, AdminError};
use crate::body::{RequestBody, ResponseBody};
use crate::rescue::{self, Refusal};
use crate::service::Shared;

/// What every path begins with.
const PREFIX: &str = "/deploy/v1/";

/// Whether a request is for here.
pub(crate) fn answers(path: &str) -> bool {
    path.starts_with(PREFIX)
}

/// Answers it. Takes no permit: of what is large, few are received at once.
pub(crate) async fn answer<A>(
    shared: &Shared<A>,
    source: IpAddr,
    head: Parts,
    body: RequestBody,
) -> Result<Response<ResponseBody>, Refusal> {
    if head.headers.contains_key(ORIGIN) {
        return Err(AdminError::Browser.into());
    }
    let authorization = head.headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
    let (tenant, actor) = shared.tenancy.admit_deploy(authorization, source)?;
    let body = admin::receive(shared, &head, body).await?;
    let (tenancy, control_plane) = (Arc::clone(&shared.tenancy), shared.control_plane.clone());
    // It may compile.
    let answered = tokio::task::spawn_blocking(move || {
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
        call.answer_tenant(&tenancy, &tenant, path)
    });
    let answered = answered.await.map_err(|_| Refusal::Panic)?;
    Ok(answered.map(rescue::full))
}
