//! Tenants: `GET` and `POST /tenants`, `GET`, `PUT`, `PATCH` and `DELETE /tenants/{id}`.

use auricle_speech::TenantId;
use auricle_tenancy::{Quotas, Store, StoreError, Tenancy, Tenant, TenantName};
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::AdminError;
use super::api::{Call, Reply};
use super::input;
use crate::rescue::Refusal;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    id: TenantName,
    #[serde(default)]
    quotas: Quotas,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    #[serde(default)]
    quotas: Quotas,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Patch {
    #[serde(default)]
    quotas: Map<String, Value>,
}

pub(super) fn reply(
    call: &Call<'_>,
    tenancy: &Tenancy,
    store: &dyn Store,
    path: &[&str],
) -> Result<Reply, Refusal> {
    let id = match path {
        [] => return all(call, store),
        [id] => input::tenant(id).map_err(AdminError::from)?,
        _ => return Err(crate::AppError::NotFound.into()),
    };
    let reply = match *call.method {
        Method::GET => Reply::found(view(store.tenant(&id).map_err(AdminError::from)?)),
        Method::PUT => put(call, store, &id)?,
        Method::PATCH => patch(call, store, &id)?,
        Method::DELETE => delete(call, tenancy, store, &id)?,
        _ => {
            let allow = "GET, PUT, PATCH, DELETE";
            return Err(Refusal::Method { allow });
        }
    };
    Ok(reply)
}

fn delete(
    call: &Call<'_>,
    tenancy: &Tenancy,
    store: &dyn Store,
    id: &TenantId,
) -> Result<Reply, AdminError> {
    let control_plane = call.control_plane;
    // Files that are not found here are removed by a later sweep.
    let digests = control_plane.and_then(|control_plane| control_plane.digests(id).ok());
    tenancy.delete_tenant(store, call.actor, id)?;
    if let Some(control_plane) = control_plane {
        control_plane.forget(id, &digests.unwrap_or_default());
    }
    Ok(Reply::changed(
        json!({ "object": "tenant", "id": id.as_str(), "deleted": true }),
    ))
}

fn all(call: &Call<'_>, store: &dyn Store) -> Result<Reply, Refusal> {
    match *call.method {
        Method::GET => {
            let page = call.listing()?.page;
            let tenants = store.tenants(&page).map_err(AdminError::from)?;
            Ok(Reply::list(tenants, view))
        }
        Method::POST => {
            let new: New = call.input()?;
            check(&new.quotas)?;
            let tenant = store.create_tenant(call.actor, &new.id.0, &new.quotas);
            Ok(Reply::created(view(tenant.map_err(AdminError::from)?)))
        }
        _ => Err(Refusal::Method { allow: "GET, POST" }),
    }
}

/// Sets all quotas of a tenant, which is created if it is not there: however often it is sent, the
/// outcome is the same.
fn put(call: &Call<'_>, store: &dyn Store, id: &TenantId) -> Result<Reply, AdminError> {
    let whole: Whole = call.input()?;
    check(&whole.quotas)?;
    match store.set_quotas(call.actor, id, &whole.quotas) {
        Err(StoreError::NoTenant(_)) => {
            let tenant = store.create_tenant(call.actor, id, &whole.quotas)?;
            Ok(Reply::created(view(tenant)))
        }
        tenant => Ok(Reply::changed(view(tenant?))),
    }
}

/// Sets the quotas that are named; `null` gives the server's default back (RFC 7396).
fn patch(call: &Call<'_>, store: &dyn Store, id: &TenantId) -> Result<Reply, AdminError> {
    let patch: Patch = call.input()?;
    let tenant = store.tenant(id)?;
    let mut quotas = json!(tenant.quotas);
    if let Value::Object(fields) = &mut quotas {
        fields.extend(patch.quotas);
    }
    let quotas = serde_json::from_value(quotas)
        .map_err(|error| AdminError::invalid(Some("quotas"), format!("'quotas': {error}")))?;
    check(&quotas)?;
    Ok(Reply::changed(view(
        store.set_quotas(call.actor, id, &quotas)?,
    )))
}

fn check(quotas: &Quotas) -> Result<(), AdminError> {
    quotas
        .check()
        .map_err(|error| AdminError::invalid(Some(error.field), error.to_string()))
}

fn view(tenant: Tenant) -> Value {
    json!(View {
        object: "tenant",
        tenant,
    })
}

#[derive(Serialize)]
struct View {
    object: &'static str,
    #[serde(flatten)]
    tenant: Tenant,
}
