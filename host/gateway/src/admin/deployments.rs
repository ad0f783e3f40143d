//! Components and deployments of one tenant: of any for operators, of its own for a tenant.
//!
//! `components`, `components/{digest}`, `components/{digest}/content`, `deployments`,
//! `deployments/{role}` and below it `revisions`, `history`, `promote`, `abandon`, `rollback`;
//! `signers` and `signers/{id}`.

use auricle_deployment::signature::SignedStatement;
use auricle_deployment::{ControlPlane, Push};
use auricle_speech::TenantId;
use auricle_tenancy::{
    Change, ComponentDigest, NewRevision, Place, Role, StoreError, StoredComponent, TrialPlan,
};
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::AdminError;
use super::api::{Call, Reply};
use crate::AppError;
use crate::rescue::Refusal;

/// Longest reason that somebody gives for an act, in characters.
const MAX_REASON: usize = 500;

/// Whose deployments are asked for, and by whom.
pub(super) struct Whose<'a> {
    pub(super) tenant: &'a TenantId,
    /// Whether it is whoever runs the server, who may raise limits and say who signs.
    pub(super) is_operator: bool,
}

/// Whether the rest of a path is answered here.
pub(super) fn answers(rest: &[&str]) -> bool {
    matches!(
        rest.first(),
        Some(&("components" | "deployments" | "signers"))
    )
}

/// Whether a request sends a component.
pub(super) fn is_push(method: &Method, path: &str) -> bool {
    method == Method::POST && path.ends_with("/components")
}

pub(super) fn reply(call: &Call<'_>, whose: &Whose<'_>, path: &[&str]) -> Result<Reply, Refusal> {
    let control_plane = call.control_plane.ok_or(AdminError::NoControlPlane)?;
    let asked = Asked {
        call,
        whose,
        control_plane,
    };
    match path {
        ["components", rest @ ..] => asked.components(rest),
        ["signers", rest @ ..] => asked.signers(rest),
        ["deployments"] => match *call.method {
            Method::GET => asked.overview(),
            _ => Err(Refusal::Method { allow: "GET" }),
        },
        ["deployments", role, rest @ ..] => {
            let role = Role::parse(role).ok_or(AppError::NotFound)?;
            asked.deployment(role, rest)
        }
        _ => Err(AppError::NotFound.into()),
    }
}

/// What a new revision is to be.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    #[serde(default)]
    component: Option<ComponentDigest>,
    #[serde(default)]
    configuration: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    graphs: std::collections::BTreeSet<String>,
    #[serde(default)]
    limits: Option<Value>,
    #[serde(default)]
    trial: Option<TrialPlan>,
}

/// An act on what serves.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    /// The revision that is meant.
    #[serde(default)]
    revision: Option<u64>,
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewSigner {
    public_key: String,
}

struct Asked<'a> {
    call: &'a Call<'a>,
    whose: &'a Whose<'a>,
    control_plane: &'a ControlPlane,
}

impl Asked<'_> {
    fn components(&self, path: &[&str]) -> Result<Reply, Refusal> {
        let (control_plane, tenant, call) = (self.control_plane, self.whose.tenant, self.call);
        match (path, call.method) {
            ([], &Method::GET) => {
                let page = call.listing()?.page;
                let listed = control_plane
                    .components(tenant, &page)
                    .map_err(AdminError::from)?;
                Ok(Reply::list(listed, component))
            }
            ([], &Method::POST) => self.push(),
            ([], _) => Err(Refusal::Method { allow: "GET, POST" }),
            ([digest], &Method::GET) => {
                let found = control_plane.store().component(tenant, &parse(digest)?);
                Ok(Reply::found(component(found.map_err(AdminError::from)?)))
            }
            ([digest], &Method::DELETE) => {
                let digest = parse(digest)?;
                control_plane
                    .remove(call.actor, tenant, &digest)
                    .map_err(AdminError::from)?;
                let gone = json!({ "object": "component", "id": digest, "deleted": true });
                Ok(Reply::changed(gone))
            }
            ([_], _) => Err(Refusal::Method {
                allow: "GET, DELETE",
            }),
            ([digest, "content"], &Method::GET) => {
                let found = control_plane.content_file(tenant, &parse(digest)?);
                let (file, len) = found.map_err(AdminError::from)?;
                Ok(Reply::component(file, len))
            }
            ([_, "content"], _) => Err(Refusal::Method { allow: "GET" }),
            _ => Err(AppError::NotFound.into()),
        }
    }

    fn push(&self) -> Result<Reply, Refusal> {
        let signature = match self.call.signature {
            None => None,
            Some(text) => Some(
                serde_json::from_str::<SignedStatement>(text).map_err(|error| {
                    let advice = format!(
                        "'x-auricle-signature' must be what `auricle component sign` wrote: {error}"
                    );
                    AdminError::invalid(None, advice)
                })?,
            ),
        };
        let push = Push {
            bytes: self.call.body,
            signature,
        };
        let pushed = self
            .control_plane
            .push(self.call.actor, self.whose.tenant, push);
        let (stored, is_new) = pushed.map_err(AdminError::from)?;
        Ok(match is_new {
            true => Reply::created(component(stored)),
            false => Reply::changed(component(stored)),
        })
    }

    fn signers(&self, path: &[&str]) -> Result<Reply, Refusal> {
        let (store, tenant, call) = (self.control_plane.store(), self.whose.tenant, self.call);
        let changes = matches!(*call.method, Method::POST | Method::DELETE);
        if changes && !self.whose.is_operator {
            return Err(AdminError::OperatorOnly.into());
        }
        match (path, call.method) {
            ([], &Method::GET) => {
                let signers = store.signers(tenant).map_err(AdminError::from)?;
                let list = json!({ "object": "list", "data": signers, "has_more": false });
                Ok(Reply::found(list))
            }
            ([], &Method::POST) => {
                let new: NewSigner = call.input()?;
                let added = self
                    .control_plane
                    .add_signer(call.actor, tenant, &new.public_key);
                Ok(Reply::created(json!(added.map_err(AdminError::from)?)))
            }
            ([], _) if self.whose.is_operator => Err(Refusal::Method { allow: "GET, POST" }),
            ([], _) => Err(Refusal::Method { allow: "GET" }),
            ([id], &Method::DELETE) => {
                let removed = store.remove_signer(call.actor, tenant, id);
                removed.map_err(AdminError::from)?;
                Ok(Reply::changed(
                    json!({ "object": "signer", "id": id, "deleted": true }),
                ))
            }
            ([_], _) => Err(Refusal::Method { allow: "DELETE" }),
            _ => Err(AppError::NotFound.into()),
        }
    }

    fn overview(&self) -> Result<Reply, Refusal> {
        let statuses = Role::ALL
            .iter()
            .map(|role| {
                self.control_plane
                    .status(self.whose.tenant, *role)
                    .map(deployment)
            })
            .collect::<Result<Vec<Value>, _>>()
            .map_err(AdminError::from)?;
        let list = json!({ "object": "list", "data": statuses, "has_more": false });
        Ok(Reply::found(list))
    }

    fn deployment(&self, role: Role, path: &[&str]) -> Result<Reply, Refusal> {
        let (control_plane, tenant, call) = (self.control_plane, self.whose.tenant, self.call);
        match (path, call.method) {
            ([], &Method::GET) => Ok(Reply::found(self.status(role)?)),
            (["revisions"], &Method::GET) => {
                let page = call.listing()?.page;
                let listed = control_plane.store().revisions(tenant, role, &page);
                Ok(Reply::list(listed.map_err(AdminError::from)?, |revision| {
                    json!(revision)
                }))
            }
            (["revisions"], &Method::POST) => self.deploy(role),
            (["history"], &Method::GET) => {
                let page = call.listing()?.page;
                let listed = control_plane.store().history(tenant, role, &page);
                Ok(Reply::list(listed.map_err(AdminError::from)?, |entry| {
                    json!(entry)
                }))
            }
            ([act @ ("promote" | "abandon" | "rollback")], &Method::POST) => self.step(role, act),
            ([] | ["history"], _) => Err(Refusal::Method { allow: "GET" }),
            (["revisions"], _) => Err(Refusal::Method { allow: "GET, POST" }),
            (["promote" | "abandon" | "rollback"], _) => Err(Refusal::Method { allow: "POST" }),
            _ => Err(AppError::NotFound.into()),
        }
    }

    fn deploy(&self, role: Role) -> Result<Reply, Refusal> {
        let new: New = self.call.input()?;
        if new.limits.is_some() && !self.whose.is_operator {
            return Err(AdminError::OperatorOnly.into());
        }
        let place = new.trial.map_or(Place::Serve, Place::Try);
        let revision = NewRevision {
            component: new.component,
            configuration: new.configuration,
            graphs: new.graphs,
            limits: new.limits,
        };
        let (actor, tenant) = (self.call.actor, self.whose.tenant);
        let deployed = self
            .control_plane
            .deploy(actor, tenant, role, &revision, &place);
        let deployed = deployed.map_err(AdminError::from)?;
        let mut status = self.status(role)?;
        if let Some(fields) = status.as_object_mut() {
            fields.insert("deployed".to_owned(), json!(deployed.number));
        }
        Ok(Reply::created(status))
    }

    fn step(&self, role: Role, act: &str) -> Result<Reply, Refusal> {
        let step: Step = self.call.input()?;
        if step.reason.chars().count() > MAX_REASON {
            let advice = format!("'reason' must be at most {MAX_REASON} characters");
            return Err(AdminError::invalid(Some("reason"), advice).into());
        }
        let (actor, tenant) = (self.call.actor, self.whose.tenant);
        let candidate = || -> Result<u64, AdminError> {
            let state = self.control_plane.state(tenant, role)?;
            let candidate = state.candidate.map(|candidate| candidate.number);
            Ok(step.revision.or(candidate).ok_or(StoreError::NoCandidate)?)
        };
        let change = match act {
            "promote" => Change::Promote(candidate()?),
            "abandon" => Change::Abandon(candidate()?),
            _ => Change::Rollback(step.revision),
        };
        let changed = self
            .control_plane
            .change(actor, tenant, role, change, &step.reason);
        changed.map_err(AdminError::from)?;
        Ok(Reply::changed(self.status(role)?))
    }

    fn status(&self, role: Role) -> Result<Value, AdminError> {
        Ok(deployment(
            self.control_plane.status(self.whose.tenant, role)?,
        ))
    }
}

/// What cannot be a digest is no component's.
fn parse(digest: &str) -> Result<ComponentDigest, AdminError> {
    ComponentDigest::parse(digest).ok_or_else(|| {
        let shown = digest.chars().take(80).collect();
        AdminError::from(StoreError::NoComponent(shown))
    })
}

fn component(component: StoredComponent) -> Value {
    json!(ComponentView {
        object: "component",
        id: component.digest.clone(),
        component,
    })
}

fn deployment(status: impl Serialize) -> Value {
    let mut view = json!(status);
    if let Some(fields) = view.as_object_mut() {
        fields.insert("object".to_owned(), json!("deployment"));
    }
    view
}

#[derive(Serialize)]
struct ComponentView {
    object: &'static str,
    id: ComponentDigest,
    #[serde(flatten)]
    component: StoredComponent,
}
