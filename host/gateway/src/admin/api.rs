//! The admin API: JSON about tenants, keys and the audit log.
//!
//! A [`Call`] is answered without a network, so that the command line can do without a server what
//! it otherwise asks one for, with the same answers. What comes to be administered later gets a
//! module of its own and a line in [`Call::answer`].

use auricle_tenancy::{Actor, Listed, Store, Tenancy};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Response, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};

use super::{audit, keys, tenants};
use crate::rescue::{self, Dialect, Refusal};

/// What every path of the API begins with.
pub const PREFIX: &str = "/admin/v1/";

/// Whether the API answers `path`.
pub(super) fn answers(path: &str) -> bool {
    path.starts_with(PREFIX)
}

/// One question or act.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Who asks; whether they may has been decided.
    pub actor: &'a Actor,
    /// GET, POST, PUT, PATCH or DELETE.
    pub method: &'a Method,
    /// Begins with [`PREFIX`].
    pub path: &'a str,
    /// What stands behind `?`.
    pub query: Option<&'a str>,
    /// JSON, or nothing.
    pub body: &'a [u8],
}

/// What was done or found, as JSON.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) body: Value,
    /// Whether the store was written.
    pub(super) changed: bool,
}

impl Reply {
    /// Something that was asked for.
    pub(super) fn found(body: Value) -> Self {
        Self {
            status: StatusCode::OK,
            body,
            changed: false,
        }
    }

    /// Something that was changed.
    pub(super) fn changed(body: Value) -> Self {
        Self {
            changed: true,
            ..Self::found(body)
        }
    }

    /// Something that was made.
    pub(super) fn created(body: Value) -> Self {
        Self {
            status: StatusCode::CREATED,
            ..Self::changed(body)
        }
    }

    /// A part of a list.
    pub(super) fn list<T: Serialize>(listed: Listed<T>, view: impl Fn(T) -> Value) -> Self {
        let data: Vec<Value> = listed.data.into_iter().map(view).collect();
        Self::found(json!({ "object": "list", "data": data, "has_more": listed.has_more }))
    }
}

impl Call<'_> {
    /// Does or finds what is asked for. What was changed is on the disk, and holds for requests of
    /// this process, when this returns. Blocks while the store works.
    #[must_use]
    pub fn answer(&self, tenancy: &Tenancy) -> Response<Bytes> {
        let reply = match self.reply(tenancy) {
            Ok(reply) => reply,
            Err(refusal) => {
                let response = rescue::whole(&refusal, Dialect::OpenAi);
                if response.status().is_server_error() {
                    let error: &dyn std::error::Error = &refusal;
                    tracing::error!(error, path = self.path, "an admin request failed");
                }
                return response;
            }
        };
        if reply.changed {
            let (actor, method, path) = (self.actor.as_str(), self.method, self.path);
            tracing::info!(actor, %method, path, "an admin act");
        }
        if reply.changed
            && let Err(error) = tenancy.refresh()
        {
            // It is done and stays done; it is tried again every second until it holds here too.
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, "keys and quotas may be out of date");
        }
        let mut response = Response::new(Bytes::from(reply.body.to_string()));
        *response.status_mut() = reply.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }

    fn reply(&self, tenancy: &Tenancy) -> Result<Reply, Refusal> {
        let nothing_there = || Refusal::from(crate::AppError::NotFound);
        let store: &dyn Store = tenancy.store().ok_or_else(nothing_there)?;
        let path = self.path.strip_prefix(PREFIX).ok_or_else(nothing_there)?;
        let parts: Vec<&str> = path.split('/').collect();
        match parts.as_slice() {
            ["tenants", rest @ ..] => tenants::reply(self, store, rest),
            ["keys", rest @ ..] => keys::reply(self, store, rest),
            ["audit"] => audit::reply(self, store),
            _ => Err(nothing_there()),
        }
    }
}
