//! Keys: `GET` and `POST /keys`, `GET /keys/{id}`, `POST /keys/{id}/revoke`, `POST
//! /keys/{id}/rotate`.

use std::collections::BTreeSet;

use auricle_speech::TenantId;
use auricle_tenancy::{
    FreshKey, Key, KeyId, Scope, Store, StoredKey, Tenancy, TenantName, unix_now,
};
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::AdminError;
use super::api::{Call, Reply};
use super::input;
use crate::rescue::Refusal;

/// Longest name of a key, in characters.
const MAX_NAME: usize = 100;

/// Longest life of a key, and a century is long enough to be a mistake beyond it.
const MAX_LIFE_SECS: u64 = 100 * 365 * 24 * 3600;

/// Both keys are good for so long after a rotation, when nobody says otherwise: a day.
const OVERLAP_SECS: u64 = 24 * 3600;

/// The longest overlap: 90 days.
const MAX_OVERLAP_SECS: u64 = 90 * 24 * 3600;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    tenant: Option<TenantName>,
    #[serde(default)]
    name: String,
    #[serde(default = "transcribe")]
    scopes: BTreeSet<Scope>,
    expires_in_secs: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotation {
    #[serde(default = "overlap")]
    overlap_secs: u64,
    expires_in_secs: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

fn transcribe() -> BTreeSet<Scope> {
    BTreeSet::from([Scope::Transcribe])
}

fn overlap() -> u64 {
    OVERLAP_SECS
}

pub(super) fn reply(
    call: &Call<'_>,
    tenancy: &Tenancy,
    store: &dyn Store,
    path: &[&str],
) -> Result<Reply, Refusal> {
    let id = |text: &str| input::key(text).map_err(AdminError::from);
    let reply = match (path, call.method) {
        ([], &Method::GET) => {
            let listing = call.listing()?;
            let keys = store.keys(listing.tenant.as_ref(), &listing.page);
            Reply::list(keys.map_err(AdminError::from)?, view)
        }
        ([], &Method::POST) => create(call, store)?,
        ([], _) => return Err(Refusal::Method { allow: "GET, POST" }),
        ([key], &Method::GET) => {
            Reply::found(view(store.key(&id(key)?).map_err(AdminError::from)?))
        }
        ([_], _) => return Err(Refusal::Method { allow: "GET" }),
        ([key, "revoke"], &Method::POST) => {
            let _: Nothing = call.input()?;
            let revoked = tenancy.revoke_key(store, call.actor, &id(key)?);
            Reply::changed(view(revoked.map_err(AdminError::from)?))
        }
        ([key, "rotate"], &Method::POST) => rotate(call, store, &id(key)?)?,
        ([_, "revoke" | "rotate"], _) => return Err(Refusal::Method { allow: "POST" }),
        _ => return Err(crate::AppError::NotFound.into()),
    };
    Ok(reply)
}

fn create(call: &Call<'_>, store: &dyn Store) -> Result<Reply, AdminError> {
    let new: New = call.input()?;
    if new.name.chars().count() > MAX_NAME || new.name.chars().any(char::is_control) {
        let advice = "'name' must be at most 100 characters, none of them a control character";
        return Err(AdminError::invalid(Some("name"), advice));
    }
    let now = unix_now();
    let key = Parts {
        tenant: holder(new.tenant, &new.scopes)?,
        name: new.name,
        scopes: new.scopes,
        expires_at: end(new.expires_in_secs, now)?,
    };
    let (stored, secret) = key.make(now)?;
    store.create_key(call.actor, &stored)?;
    Ok(Reply::created(with_secret(stored.key, &secret)))
}

/// A key like another one, which goes on for the time of the overlap.
fn rotate(call: &Call<'_>, store: &dyn Store, id: &KeyId) -> Result<Reply, AdminError> {
    let rotation: Rotation = call.input()?;
    if rotation.overlap_secs > MAX_OVERLAP_SECS {
        let advice = format!("'overlap_secs' must be at most {MAX_OVERLAP_SECS}");
        return Err(AdminError::invalid(Some("overlap_secs"), advice));
    }
    let (old, now) = (store.key(id)?, unix_now());
    let life = old
        .expires_at
        .map(|at| at.saturating_sub(old.created_at).max(1));
    let key = Parts {
        tenant: old.tenant,
        name: old.name,
        scopes: old.scopes,
        expires_at: end(rotation.expires_in_secs.or(life), now)?,
    };
    let (stored, secret) = key.make(now)?;
    store.rotate_key(call.actor, id, &stored, now + rotation.overlap_secs)?;
    Ok(Reply::created(with_secret(stored.key, &secret)))
}

/// Whose a key with these scopes is: nobody's with scope `admin`, which stands alone.
fn holder(
    tenant: Option<TenantName>,
    scopes: &BTreeSet<Scope>,
) -> Result<Option<TenantName>, AdminError> {
    if scopes.is_empty() {
        let advice = "'scopes' must name one of transcribe, deploy, admin";
        return Err(AdminError::invalid(Some("scopes"), advice));
    }
    if !scopes.contains(&Scope::Admin) {
        return Ok(Some(
            tenant.unwrap_or_else(|| TenantName(TenantId::default_tenant())),
        ));
    }
    if scopes.len() > 1 {
        let advice = "scope 'admin' stands alone: make another key for other things";
        return Err(AdminError::invalid(Some("scopes"), advice));
    }
    if tenant.is_some() {
        let advice = "a key with scope 'admin' belongs to no tenant: leave 'tenant' out";
        return Err(AdminError::invalid(Some("tenant"), advice));
    }
    Ok(None)
}

fn end(expires_in_secs: Option<u64>, now: u64) -> Result<Option<u64>, AdminError> {
    match expires_in_secs {
        None => Ok(None),
        Some(secs) if (1..=MAX_LIFE_SECS).contains(&secs) => Ok(Some(now + secs)),
        Some(_) => {
            let advice = format!("'expires_in_secs' must be from 1 to {MAX_LIFE_SECS}");
            Err(AdminError::invalid(Some("expires_in_secs"), advice))
        }
    }
}

/// What a new key is to be.
struct Parts {
    tenant: Option<TenantName>,
    name: String,
    scopes: BTreeSet<Scope>,
    expires_at: Option<u64>,
}

impl Parts {
    fn make(self, created_at: u64) -> Result<(StoredKey, String), AdminError> {
        let fresh = FreshKey::generate()?;
        let key = Key {
            id: fresh.id,
            tenant: self.tenant,
            name: self.name,
            scopes: self.scopes,
            created_at,
            expires_at: self.expires_at,
            revoked_at: None,
            last_used_at: None,
            replaced_by: None,
        };
        let stored = StoredKey {
            key,
            sha256: fresh.sha256,
        };
        Ok((stored, fresh.text))
    }
}

fn view(key: Key) -> Value {
    json!(View::of(key))
}

/// The only answer that has the key itself.
fn with_secret(key: Key, secret: &str) -> Value {
    json!(View {
        secret: Some(secret),
        ..View::of(key)
    })
}

#[derive(Serialize)]
struct View<'a> {
    object: &'static str,
    #[serde(flatten)]
    key: Key,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
}

impl View<'_> {
    fn of(key: Key) -> Self {
        let status = match (key.revoked_at, key.is_live(unix_now())) {
            (Some(_), _) => "revoked",
            (None, true) => "live",
            (None, false) => "expired",
        };
        Self {
            object: "key",
            key,
            status,
            secret: None,
        }
    }
}
