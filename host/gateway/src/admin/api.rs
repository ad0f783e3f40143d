//! The admin API: JSON about tenants, keys, deployments and the audit log.
//!
//! A [`Call`] is answered without a network, so that the command line can do without a server what
//! it otherwise asks one for, with the same answers. What comes to be administered later gets a
//! module of its own and a line in [`Call::answer`].

use std::fs::File;

use auricle_deployment::ControlPlane;
use auricle_speech::TenantId;
use auricle_tenancy::{Actor, Listed, Store, Tenancy};
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, Response, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};

use super::content::Content;
use super::deployments::{self, Whose};
use super::{AdminError, audit, input, keys, tenants};
use crate::rescue::{self, Dialect, Refusal};

/// What every path of the API begins with.
pub const PREFIX: &str = "/admin/v1/";

/// Whether the API answers `path`.
pub(super) fn answers(path: &str) -> bool {
    path.starts_with(PREFIX)
}

/// One question or act.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// Who asks; whether they may has been decided.
    pub actor: &'a Actor,
    /// GET, POST, PUT, PATCH or DELETE.
    pub method: &'a Method,
    /// Begins with [`PREFIX`].
    pub path: &'a str,
    /// What stands behind `?`.
    pub query: Option<&'a str>,
    /// JSON, a component, or nothing.
    pub body: &'a [u8],
    /// Who answers for a component that is sent: the header of that name, JSON.
    pub signature: Option<&'a str>,
    /// Where deployments are changed; only a running server has one.
    pub control_plane: Option<&'a ControlPlane>,
}

/// The header that a component's signature comes in.
pub const SIGNATURE_HEADER: &str = "x-auricle-signature";

/// What was done or found.
pub(crate) struct Reply {
    status: StatusCode,
    body: ReplyBody,
    /// Whether the store was written.
    changed: bool,
}

enum ReplyBody {
    Json(Value),
    Component(File, u64),
    Document,
}

impl Reply {
    /// Something that was asked for.
    pub(super) fn found(body: Value) -> Self {
        Self {
            status: StatusCode::OK,
            body: ReplyBody::Json(body),
            changed: false,
        }
    }

    /// What there is to ask for.
    fn document() -> Self {
        Self {
            body: ReplyBody::Document,
            ..Self::found(Value::Null)
        }
    }

    /// The file of a component, of so many bytes.
    pub(super) fn component(file: File, len: u64) -> Self {
        Self {
            body: ReplyBody::Component(file, len),
            ..Self::found(Value::Null)
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
    pub fn answer(&self, tenancy: &Tenancy) -> Response<Content> {
        self.respond(tenancy, self.reply(tenancy))
    }

    /// The same for a tenant that deploys; `path` is what follows the prefix.
    #[must_use]
    pub(crate) fn answer_tenant(
        &self,
        tenancy: &Tenancy,
        tenant: &TenantId,
        path: &str,
    ) -> Response<Content> {
        let parts: Vec<&str> = path.split('/').collect();
        let whose = Whose {
            tenant,
            is_operator: false,
        };
        self.respond(tenancy, deployments::reply(self, &whose, &parts))
    }

    fn respond(&self, tenancy: &Tenancy, reply: Result<Reply, Refusal>) -> Response<Content> {
        let reply = match reply {
            Ok(reply) => reply,
            Err(refusal) => {
                let response = rescue::whole(&refusal, Dialect::OpenAi);
                if response.status().is_server_error() {
                    let error: &dyn std::error::Error = &refusal;
                    tracing::error!(error, path = self.path, "an admin request failed");
                }
                return response.map(Content::Bytes);
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
        let (body, content_type) = match reply.body {
            ReplyBody::Json(body) => (Content::Bytes(body.to_string().into()), "application/json"),
            ReplyBody::Document => {
                let document = auricle_web::ADMIN_OPENAPI.into();
                (Content::Bytes(document), "application/json")
            }
            ReplyBody::Component(file, len) => (Content::File(file, len), "application/wasm"),
        };
        let length = match &body {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::File(_, len) => *len,
        };
        let mut response = Response::new(body);
        response.headers_mut().insert(CONTENT_LENGTH, length.into());
        *response.status_mut() = reply.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }

    fn reply(&self, tenancy: &Tenancy) -> Result<Reply, Refusal> {
        let nothing_there = || Refusal::from(crate::AppError::NotFound);
        let store: &dyn Store = tenancy.store().ok_or_else(nothing_there)?;
        let path = self.path.strip_prefix(PREFIX).ok_or_else(nothing_there)?;
        let parts: Vec<&str> = path.split('/').collect();
        match parts.as_slice() {
            ["tenants", tenant, rest @ ..] if deployments::answers(rest) => {
                let tenant = input::tenant(tenant).map_err(AdminError::from)?;
                store.tenant(&tenant).map_err(AdminError::from)?;
                let whose = Whose {
                    tenant: &tenant,
                    is_operator: true,
                };
                deployments::reply(self, &whose, rest)
            }
            ["tenants", rest @ ..] => tenants::reply(self, tenancy, store, rest),
            ["keys", rest @ ..] => keys::reply(self, tenancy, store, rest),
            ["audit"] => audit::reply(self, store),
            ["openapi.json"] if *self.method == Method::GET => Ok(Reply::document()),
            ["openapi.json"] => Err(Refusal::Method { allow: "GET" }),
            _ => Err(nothing_there()),
        }
    }
}
