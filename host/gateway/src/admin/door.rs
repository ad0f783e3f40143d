//! Who may do what at the admin listener.
//!
//! | address | health | `/metrics` | API |
//! |---|---|---|---|
//! | loopback | everybody | everybody | everybody, until there is a key with scope `admin`; then its holders |
//! | elsewhere | everybody | holders of such a key; everybody with `allow_remote` or `insecure` | holders of such a key; with `insecure` everybody until there is one |
//!
//! A web page in a browser on this machine reaches loopback too. It is told apart by what browsers
//! cannot leave out: an `Origin` with every request that changes something, JSON only with leave that
//! is never given, and the name that the page came from as `Host`. `keyless` checks the latter for
//! everything that is answered without a key on loopback.

use std::net::{IpAddr, SocketAddr};

use auricle_tenancy::{Actor, Tenancy};
use http::header::{AUTHORIZATION, CONTENT_TYPE, ORIGIN};
use http::{HeaderMap, HeaderValue, Method, Request};

use super::{AdminError, api};
use crate::config::GatewayConfig;
use crate::rescue::Refusal;
use crate::service::Shared;

/// Whether the listener may take this address.
pub(super) fn may_listen(address: SocketAddr, config: &GatewayConfig, tenancy: &Tenancy) -> bool {
    is_loopback(address)
        || config.admin.allow_remote
        || config.insecure
        || tenancy.asks_for_admin_keys()
}

/// Refuses a request that a web page may have caused, where it is answered without a key on loopback.
pub(super) fn check_page<A, B>(
    address: SocketAddr,
    request: &Request<B>,
    shared: &Shared<A>,
) -> Result<(), Refusal> {
    let is_keyed = api::answers(request.uri().path()) && shared.tenancy.asks_for_admin_keys();
    if is_loopback(address) && !is_keyed {
        shared.hosts.check(&request.into(), &shared.cors)?;
    }
    Ok(())
}

/// Refuses whoever may not read metrics.
pub(super) fn may_read<A>(
    address: SocketAddr,
    source: IpAddr,
    headers: &HeaderMap,
    shared: &Shared<A>,
) -> Result<(), Refusal> {
    let config = &shared.config;
    if is_loopback(address) || config.admin.allow_remote || config.insecure {
        return Ok(());
    }
    let authorization = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
    shared.tenancy.admit_admin(authorization, source)?;
    Ok(())
}

/// Who uses the API.
pub(super) fn enter<A>(
    address: SocketAddr,
    source: IpAddr,
    headers: &HeaderMap,
    shared: &Shared<A>,
) -> Result<Actor, Refusal> {
    if headers.contains_key(ORIGIN) {
        return Err(AdminError::Browser.into());
    }
    let is_trusted = is_loopback(address) || shared.config.insecure;
    if is_trusted && !shared.tenancy.asks_for_admin_keys() {
        return Ok(Actor::keyless());
    }
    let authorization = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
    Ok(shared.tenancy.admit_admin(authorization, source)?)
}

/// Refuses a request that could be a form's of a web page.
pub(super) fn check_content_type(method: &Method, headers: &HeaderMap) -> Result<(), AdminError> {
    if method == Method::GET || method == Method::HEAD || method == Method::DELETE {
        return Ok(());
    }
    match has_type(headers, "application/json") {
        true => Ok(()),
        false => Err(AdminError::ContentType),
    }
}

/// The same for a component.
pub(super) fn check_wasm(headers: &HeaderMap) -> Result<(), AdminError> {
    match has_type(headers, "application/wasm") {
        true => Ok(()),
        false => Err(AdminError::NotWasm),
    }
}

fn has_type(headers: &HeaderMap, expected: &str) -> bool {
    let content_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    content_type.is_some_and(|text| {
        let essence = text.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case(expected)
    })
}

fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}
