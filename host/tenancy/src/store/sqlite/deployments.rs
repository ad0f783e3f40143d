//! Components and deployments in the SQLite file.

mod keep;
mod rows;

use std::collections::HashSet;

use auricle_speech::TenantId;
use rusqlite::params;
use serde_json::json;

use self::keep::{SERVING_COMPONENTS, check_limits, digests, prune};
use self::rows::{
    REVISION_COLUMNS, before, check_generation, component, component_of, insert_revision, revision,
    revision_of, roll_back, save, serve, state, states,
};

use super::{SqliteStore, audit, audit_entry, tenant};
use crate::deployment::{
    Change, ComponentDigest, DeploymentState, NewRevision, Place, Role, StoredCandidate,
    StoredComponent, StoredRevision,
};
use crate::store::deployments::{ComponentLimits, DeploymentStore, Signer};
use crate::store::{Actor, AuditEntry, Listed, Page, StoreError};
use crate::unix_now;

impl DeploymentStore for SqliteStore {
    fn put_component(
        &self,
        actor: &Actor,
        tenant_id: &TenantId,
        component: &StoredComponent,
        limits: ComponentLimits,
    ) -> Result<bool, StoreError> {
        let signature = component.signature.as_ref().map(ToString::to_string);
        let (id, digest) = (tenant_id.as_str(), component.digest.as_str());
        self.write(|tx| {
            check_limits(tx, tenant_id, component, limits)?;
            let added = tx.execute(
                "INSERT INTO components (tenant, digest, bytes, created_at, signature)
                 VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
                params![id, digest, component.bytes, component.created_at, signature],
            )?;
            if added == 0 && signature.is_some() {
                tx.execute(
                    "UPDATE components SET signature = ?3 WHERE tenant = ?1 AND digest = ?2",
                    params![id, digest, signature],
                )?;
            }
            let detail = json!({ "bytes": component.bytes, "signature": component.signature });
            audit(
                tx,
                actor,
                "component.push",
                Some(tenant_id),
                digest,
                &detail,
            )?;
            Ok(added == 1)
        })
    }

    fn check_component(
        &self,
        tenant: &TenantId,
        component: &StoredComponent,
        limits: ComponentLimits,
    ) -> Result<(), StoreError> {
        check_limits(&self.read(), tenant, component, limits)
    }

    fn all_components(&self) -> Result<HashSet<ComponentDigest>, StoreError> {
        digests(&self.read(), "SELECT DISTINCT digest FROM components")
    }

    fn serving_components(&self) -> Result<HashSet<ComponentDigest>, StoreError> {
        digests(&self.read(), SERVING_COMPONENTS)
    }

    fn prune_revisions(
        &self,
        tenant: &TenantId,
        role: Role,
        keep: u32,
    ) -> Result<usize, StoreError> {
        self.write(|tx| prune(tx, tenant, role, keep))
    }

    fn component(
        &self,
        tenant: &TenantId,
        digest: &ComponentDigest,
    ) -> Result<StoredComponent, StoreError> {
        component(&self.read(), tenant, digest)
    }

    fn components(
        &self,
        tenant: &TenantId,
        page: &Page,
    ) -> Result<Listed<StoredComponent>, StoreError> {
        let connection = self.read();
        let mut statement = connection.prepare(
            "SELECT digest, bytes, created_at, signature FROM components
             WHERE tenant = ?1 AND digest > ?2 ORDER BY digest LIMIT ?3",
        )?;
        let after = page.after.as_deref().unwrap_or("");
        let mut rows = statement.query(params![tenant.as_str(), after, page.limit + 1])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(component_of(row)?);
        }
        Ok(Listed::of(found, page))
    }

    fn remove_component(
        &self,
        actor: &Actor,
        tenant: &TenantId,
        digest: &ComponentDigest,
    ) -> Result<bool, StoreError> {
        self.write_always(|tx| {
            component(tx, tenant, digest)?;
            for (role, state) in states(tx, tenant)? {
                let candidate = state.candidate.as_ref().map(|candidate| candidate.number);
                let used = [Some(state.stable), state.previous, candidate];
                for number in used.into_iter().flatten().filter(|number| *number > 0) {
                    if revision(tx, tenant, role, number)?
                        .made_of
                        .component
                        .as_ref()
                        == Some(digest)
                    {
                        return Err(StoreError::ComponentInUse(role.as_str()));
                    }
                }
            }
            tx.execute(
                "DELETE FROM components WHERE tenant = ?1 AND digest = ?2",
                params![tenant.as_str(), digest.as_str()],
            )?;
            let action = "component.remove";
            audit(tx, actor, action, Some(tenant), digest.as_str(), &json!({}))?;
            let others: usize = tx.query_row(
                "SELECT count(*) FROM components WHERE digest = ?1",
                [digest.as_str()],
                |row| row.get(0),
            )?;
            Ok(others > 0)
        })
    }

    fn deploy(
        &self,
        actor: &Actor,
        tenant_id: &TenantId,
        role: Role,
        new: &NewRevision,
        place: &Place,
        generation: Option<u64>,
    ) -> Result<(StoredRevision, DeploymentState), StoreError> {
        self.write(|tx| {
            tenant(tx, tenant_id)?;
            if let Some(digest) = &new.component {
                component(tx, tenant_id, digest)?;
            }
            check_generation(tx, tenant_id, role, generation)?;
            let stored = insert_revision(tx, actor, tenant_id, role, new)?;
            let mut state = state(tx, tenant_id, role)?;
            let number = stored.number;
            match place {
                Place::Serve => serve(&mut state, number),
                Place::Try(plan) => {
                    state.candidate = Some(StoredCandidate {
                        number,
                        since: unix_now(),
                        plan: plan.clone(),
                    });
                }
            }
            save(tx, tenant_id, role, &state)?;
            let trial = state.candidate.as_ref().map(|candidate| &candidate.plan);
            let detail = json!({ "revision": number, "component": new.component, "trial": trial });
            let subject = role.as_str();
            audit(
                tx,
                actor,
                "deployment.set",
                Some(tenant_id),
                subject,
                &detail,
            )?;
            Ok((stored, state))
        })
    }

    fn change(
        &self,
        actor: &Actor,
        tenant: &TenantId,
        role: Role,
        change: Change,
        reason: &str,
    ) -> Result<DeploymentState, StoreError> {
        self.write(|tx| {
            let mut state = state(tx, tenant, role)?;
            let candidate = state.candidate.as_ref().map(|candidate| candidate.number);
            let number = match change {
                Change::Promote(number) if candidate == Some(number) => {
                    serve(&mut state, number);
                    number
                }
                Change::Abandon(number) if candidate == Some(number) => {
                    state.candidate = None;
                    number
                }
                Change::Promote(_) | Change::Abandon(_) => return Err(StoreError::NoCandidate),
                Change::Rollback(to) => roll_back(tx, tenant, role, &mut state, to)?,
            };
            save(tx, tenant, role, &state)?;
            let detail = json!({ "revision": number, "reason": reason });
            let (action, subject) = (change.action(), role.as_str());
            audit(tx, actor, &action, Some(tenant), subject, &detail)?;
            Ok(state)
        })
    }

    fn states(&self, tenant: &TenantId) -> Result<Vec<(Role, DeploymentState)>, StoreError> {
        states(&self.read(), tenant)
    }

    fn deployed_tenants(&self) -> Result<Vec<TenantId>, StoreError> {
        let connection = self.read();
        let mut statement = connection.prepare("SELECT DISTINCT tenant FROM deployments")?;
        let mut rows = statement.query([])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let name: String = row.get(0)?;
            found
                .push(TenantId::new(&name).map_err(|_| StoreError::Corrupt("deployments.tenant"))?);
        }
        Ok(found)
    }

    fn revision(
        &self,
        tenant: &TenantId,
        role: Role,
        number: u64,
    ) -> Result<StoredRevision, StoreError> {
        revision(&self.read(), tenant, role, number)
    }

    fn revisions(
        &self,
        tenant: &TenantId,
        role: Role,
        page: &Page,
    ) -> Result<Listed<StoredRevision>, StoreError> {
        let connection = self.read();
        let mut statement = connection.prepare(&format!(
            "SELECT {REVISION_COLUMNS} FROM revisions
             WHERE tenant = ?1 AND role = ?2 AND number < ?3 ORDER BY number DESC LIMIT ?4"
        ))?;
        let (tenant, role) = (tenant.as_str(), role.as_str());
        let mut rows = statement.query(params![tenant, role, before(page), page.limit + 1])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(revision_of(row)?);
        }
        Ok(Listed::of(found, page))
    }

    fn history(
        &self,
        tenant: &TenantId,
        role: Role,
        page: &Page,
    ) -> Result<Listed<AuditEntry>, StoreError> {
        let connection = self.read();
        let mut statement = connection.prepare(
            "SELECT number, at, actor, action, tenant, subject, detail FROM audit
             WHERE tenant = ?1 AND subject = ?2 AND action LIKE 'deployment.%' AND number < ?3
             ORDER BY number DESC LIMIT ?4",
        )?;
        let (tenant, role) = (tenant.as_str(), role.as_str());
        let mut rows = statement.query(params![tenant, role, before(page), page.limit + 1])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(audit_entry(row)?);
        }
        Ok(Listed::of(found, page))
    }

    fn signers(&self, tenant: &TenantId) -> Result<Vec<Signer>, StoreError> {
        let connection = self.read();
        let mut statement = connection.prepare(
            "SELECT id, public_key, created_at FROM signers WHERE tenant = ?1 ORDER BY id",
        )?;
        let signers = statement.query_map([tenant.as_str()], |row| {
            Ok(Signer {
                id: row.get(0)?,
                public_key: row.get(1)?,
                created_at: row.get(2)?,
            })
        })?;
        Ok(signers.collect::<Result<_, _>>()?)
    }

    fn add_signer(
        &self,
        actor: &Actor,
        tenant_id: &TenantId,
        signer: &Signer,
    ) -> Result<(), StoreError> {
        self.write(|tx| {
            tenant(tx, tenant_id)?;
            tx.execute(
                "INSERT INTO signers (tenant, id, public_key, created_at) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO NOTHING",
                params![
                    tenant_id.as_str(),
                    signer.id,
                    signer.public_key,
                    signer.created_at
                ],
            )?;
            let detail = json!({ "public_key": signer.public_key });
            audit(
                tx,
                actor,
                "signer.add",
                Some(tenant_id),
                &signer.id,
                &detail,
            )
        })
    }

    fn remove_signer(&self, actor: &Actor, tenant: &TenantId, id: &str) -> Result<(), StoreError> {
        self.write(|tx| {
            let removed = tx.execute(
                "DELETE FROM signers WHERE tenant = ?1 AND id = ?2",
                params![tenant.as_str(), id],
            )?;
            if removed == 0 {
                return Err(StoreError::NoSigner(id.chars().take(80).collect()));
            }
            audit(tx, actor, "signer.remove", Some(tenant), id, &json!({}))
        })
    }
}
