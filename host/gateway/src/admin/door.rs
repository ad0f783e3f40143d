//! Who may do what at the admin listener.
//!
//! | address | health | `/metrics` | API |
//! |---|---|---|---|
//! | loopback | everybody | everybody | everybody, until there is a key with scope `admin`; then its holders |
//! | elsewhere | everybody | holders of such a key; everybody with `allow_remote` or `insecure` | holders of such a key; with `insecure` everybody until there is one |
//!
//! A web page that somebody on this machine looks at reaches loopback too. It is told apart by what
//! browsers cannot leave out: an `Origin` with every request that changes something, JSON only with
//! leave that is never given, and the name that the page came from as `Host`.

use std::net::{IpAddr, SocketAddr};

use auricle_tenancy::{Actor, Tenancy};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method};

use super::AdminError;
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
    if !shared.tenancy.asks_for_admin_keys() {
        if is_loopback(address) {
            let named_so = headers.get(HOST).is_some_and(names_loopback);
            return match named_so {
                true => Ok(Actor::keyless()),
                false => Err(AdminError::Host.into()),
            };
        }
        if shared.config.insecure {
            return Ok(Actor::keyless());
        }
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

fn names_loopback(host: &HeaderValue) -> bool {
    let authority = Authority::try_from(host.as_bytes());
    authority.is_ok_and(|authority| {
        let host = authority.host();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        host.eq_ignore_ascii_case("localhost")
            || bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_loopback_are_names_of_loopback() {
        for host in [
            "127.0.0.1",
            "127.0.0.1:8001",
            "[::1]:1",
            "localhost",
            "LocalHost:80",
        ] {
            assert!(names_loopback(&HeaderValue::from_static(host)), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example:80",
            "10.0.0.1",
            "127.0.0.1.example",
        ] {
            assert!(!names_loopback(&HeaderValue::from_static(host)), "{host}");
        }
    }
}
