//! Rows of components, revisions and deployments.

use auricle_speech::TenantId;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::deployment::{
    ComponentDigest, DeploymentState, NewRevision, Role, StoredComponent, StoredRevision,
};
use crate::store::{Actor, Page, StoreError};
use crate::unix_now;

/// What [`revision_of`] reads, in its order.
pub(super) const REVISION_COLUMNS: &str =
    "number, component, configuration, graphs, limits, created_at, actor";

/// The number that a page of numbered things, newest first, ends before.
pub(super) fn before(page: &Page) -> i64 {
    let after = page.after.as_deref().and_then(|text| text.parse().ok());
    after.unwrap_or(i64::MAX)
}

pub(super) fn json_of<T: DeserializeOwned>(
    text: &str,
    what: &'static str,
) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Corrupt(what))
}

pub(super) fn component(
    connection: &Connection,
    tenant: &TenantId,
    digest: &ComponentDigest,
) -> Result<StoredComponent, StoreError> {
    let mut statement = connection.prepare(
        "SELECT digest, bytes, created_at, signature FROM components
         WHERE tenant = ?1 AND digest = ?2",
    )?;
    let mut rows = statement.query(params![tenant.as_str(), digest.as_str()])?;
    match rows.next()? {
        Some(row) => component_of(row),
        None => Err(StoreError::NoComponent(digest.to_string())),
    }
}

pub(super) fn component_of(row: &Row<'_>) -> Result<StoredComponent, StoreError> {
    let (digest, signature): (String, Option<String>) = (row.get(0)?, row.get(3)?);
    let signature = signature.map(|text| json_of(&text, "components.signature"));
    Ok(StoredComponent {
        digest: ComponentDigest::parse(&digest).ok_or(StoreError::Corrupt("components.digest"))?,
        bytes: row.get(1)?,
        created_at: row.get(2)?,
        signature: signature.transpose()?,
    })
}

/// Refuses a component older than one that the role had, and remembers a newer one.
pub(super) fn check_generation(
    tx: &Transaction<'_>,
    tenant: &TenantId,
    role: Role,
    generation: Option<u64>,
) -> Result<(), StoreError> {
    let Some(generation) = generation else {
        return Ok(());
    };
    let key = params![tenant.as_str(), role.as_str()];
    let sql = "SELECT generation FROM generations WHERE tenant = ?1 AND role = ?2";
    let highest: Option<u64> = tx.query_row(sql, key, |row| row.get(0)).optional()?;
    if let Some(highest) = highest.filter(|highest| *highest > generation) {
        return Err(StoreError::OldGeneration {
            generation,
            highest,
        });
    }
    tx.execute(
        "INSERT INTO generations (tenant, role, generation) VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET generation = excluded.generation",
        params![tenant.as_str(), role.as_str(), generation],
    )?;
    Ok(())
}

pub(super) fn insert_revision(
    tx: &Transaction<'_>,
    actor: &Actor,
    tenant: &TenantId,
    role: Role,
    new: &NewRevision,
) -> Result<StoredRevision, StoreError> {
    let number: u64 = tx.query_row(
        "SELECT coalesce(max(number), 0) + 1 FROM revisions WHERE tenant = ?1 AND role = ?2",
        params![tenant.as_str(), role.as_str()],
        |row| row.get(0),
    )?;
    let stored = StoredRevision {
        number,
        made_of: new.clone(),
        created_at: unix_now(),
        actor: actor.as_str().to_owned(),
    };
    tx.execute(
        "INSERT INTO revisions (tenant, role, number, component, configuration, graphs, limits,
                                created_at, actor)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            tenant.as_str(),
            role.as_str(),
            number,
            new.component.as_ref().map(ComponentDigest::as_str),
            json!(new.configuration).to_string(),
            json!(new.graphs).to_string(),
            new.limits.as_ref().map(ToString::to_string),
            stored.created_at,
            stored.actor
        ],
    )?;
    Ok(stored)
}

pub(super) fn revision(
    connection: &Connection,
    tenant: &TenantId,
    role: Role,
    number: u64,
) -> Result<StoredRevision, StoreError> {
    let mut statement = connection.prepare(&format!(
        "SELECT {REVISION_COLUMNS} FROM revisions
         WHERE tenant = ?1 AND role = ?2 AND number = ?3"
    ))?;
    let mut rows = statement.query(params![tenant.as_str(), role.as_str(), number])?;
    match rows.next()? {
        Some(row) => revision_of(row),
        None => Err(StoreError::NoRevision(number)),
    }
}

pub(super) fn revision_of(row: &Row<'_>) -> Result<StoredRevision, StoreError> {
    let component: Option<String> = row.get(1)?;
    let parse = |text: String| {
        ComponentDigest::parse(&text).ok_or(StoreError::Corrupt("revisions.component"))
    };
    let (configuration, graphs): (String, String) = (row.get(2)?, row.get(3)?);
    let limits: Option<String> = row.get(4)?;
    let limits = limits.map(|text| json_of(&text, "revisions.limits"));
    Ok(StoredRevision {
        number: row.get(0)?,
        made_of: NewRevision {
            component: component.map(parse).transpose()?,
            configuration: json_of(&configuration, "revisions.configuration")?,
            graphs: json_of(&graphs, "revisions.graphs")?,
            limits: limits.transpose()?,
        },
        created_at: row.get(5)?,
        actor: row.get(6)?,
    })
}

pub(super) fn states(
    connection: &Connection,
    tenant: &TenantId,
) -> Result<Vec<(Role, DeploymentState)>, StoreError> {
    let mut statement =
        connection.prepare("SELECT role, state FROM deployments WHERE tenant = ?1")?;
    let mut rows = statement.query([tenant.as_str()])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let (role, state): (String, String) = (row.get(0)?, row.get(1)?);
        let role = Role::parse(&role).ok_or(StoreError::Corrupt("deployments.role"))?;
        found.push((role, json_of(&state, "deployments.state")?));
    }
    Ok(found)
}

pub(super) fn state(
    tx: &Transaction<'_>,
    tenant: &TenantId,
    role: Role,
) -> Result<DeploymentState, StoreError> {
    let states = states(tx, tenant)?;
    let found = states.into_iter().find(|(of, _)| *of == role);
    Ok(found.map(|(_, state)| state).unwrap_or_default())
}

pub(super) fn save(
    tx: &Transaction<'_>,
    tenant: &TenantId,
    role: Role,
    state: &DeploymentState,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO deployments (tenant, role, state) VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET state = excluded.state",
        params![tenant.as_str(), role.as_str(), json!(state).to_string()],
    )?;
    Ok(())
}

/// Has `number` serve everything.
pub(super) fn serve(state: &mut DeploymentState, number: u64) {
    *state = DeploymentState {
        stable: number,
        since: unix_now(),
        previous: Some(state.stable),
        candidate: None,
    };
}

/// Leads back to `to`, or to what served before; there is nothing to lead back from that again
/// without a number.
pub(super) fn roll_back(
    tx: &Transaction<'_>,
    tenant: &TenantId,
    role: Role,
    state: &mut DeploymentState,
    to: Option<u64>,
) -> Result<u64, StoreError> {
    let number = to.or(state.previous).ok_or(StoreError::NothingBefore)?;
    if number > 0 {
        let made_of = revision(tx, tenant, role, number)?.made_of;
        if let Some(digest) = &made_of.component {
            component(tx, tenant, digest)?;
        }
    }
    *state = DeploymentState {
        stable: number,
        since: unix_now(),
        previous: None,
        candidate: None,
    };
    Ok(number)
}
