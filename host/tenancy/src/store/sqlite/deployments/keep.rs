//! How much is kept of components and revisions, and what is still referred to.

use std::collections::HashSet;

use auricle_speech::TenantId;
use rusqlite::{Connection, Transaction, params};

use super::rows::state;
use crate::deployment::{ComponentDigest, Role, StoredComponent};
use crate::store::StoreError;
use crate::store::deployments::ComponentLimits;
use crate::store::sqlite::tenant;

/// Components of revisions that a deployment's state names.
pub(super) const SERVING_COMPONENTS: &str = "
    SELECT DISTINCT r.component FROM deployments d
    JOIN revisions r ON r.tenant = d.tenant AND r.role = d.role
        AND r.number IN (d.state ->> 'stable', d.state ->> 'previous',
                         d.state ->> '$.candidate.number')
    WHERE r.component IS NOT NULL";

/// Refuses a component with which the tenant would have more than it may.
pub(super) fn check_limits(
    connection: &Connection,
    tenant_id: &TenantId,
    component: &StoredComponent,
    limits: ComponentLimits,
) -> Result<(), StoreError> {
    tenant(connection, tenant_id)?;
    let (count, bytes): (usize, u64) = connection.query_row(
        "SELECT count(*), coalesce(sum(bytes), 0) FROM components
         WHERE tenant = ?1 AND digest <> ?2",
        params![tenant_id.as_str(), component.digest.as_str()],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    if count >= limits.count {
        return Err(StoreError::TooManyComponents(limits.count));
    }
    let bytes = bytes.saturating_add(component.bytes);
    if bytes > limits.bytes {
        return Err(StoreError::TooManyComponentBytes {
            bytes,
            limit_bytes: limits.bytes,
        });
    }
    Ok(())
}

/// The digests that a query finds.
pub(super) fn digests(
    connection: &Connection,
    sql: &str,
) -> Result<HashSet<ComponentDigest>, StoreError> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut found = HashSet::new();
    while let Some(row) = rows.next()? {
        let digest: String = row.get(0)?;
        let digest = ComponentDigest::parse(&digest);
        found.insert(digest.ok_or(StoreError::Corrupt("components.digest"))?);
    }
    Ok(found)
}

/// Removes a role's revisions but the newest `keep` and those that its state names.
pub(super) fn prune(
    tx: &Transaction<'_>,
    tenant: &TenantId,
    role: Role,
    keep: u32,
) -> Result<usize, StoreError> {
    let state = state(tx, tenant, role)?;
    let candidate = state.candidate.as_ref().map(|candidate| candidate.number);
    let removed = tx.execute(
        "DELETE FROM revisions WHERE tenant = ?1 AND role = ?2
         AND number NOT IN (?3, coalesce(?4, 0), coalesce(?5, 0))
         AND number NOT IN (SELECT number FROM revisions WHERE tenant = ?1 AND role = ?2
                            ORDER BY number DESC LIMIT ?6)",
        params![
            tenant.as_str(),
            role.as_str(),
            state.stable,
            state.previous,
            candidate,
            keep
        ],
    )?;
    Ok(removed)
}
