//! The store in one SQLite file.
//!
//! Write-ahead log with `synchronous=FULL`: a transaction that was answered is on the disk, also
//! after `kill -9` and a power cut. One connection is the process's only writer (`writer`); another one
//! reads, and never waits for a writer of any process. Requests wait for neither, because they are answered
//! from memory. Other processes (the command line, a second server) may open the same file: SQLite lets one
//! write at a time and the others wait, for at most 5 s in all.
//!
//! Where the disk is full, acts that take rights or bytes away get the room that is kept for them
//! (`reserve`).
//!
//! # Limits
//! SQLite's locks need a local file system.

mod deployments;
mod open;
mod reserve;
mod writer;

use std::sync::{Mutex, MutexGuard, PoisonError};

use auricle_speech::TenantId;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};
use serde_json::{Value, json};

use super::{
    Actor, AuditEntry, Contents, Listed, Page, Store, StoreError, StoredKey, Tenant, Versioned,
};
use crate::key::{Key, KeyId, Scope, TenantName};
use crate::quota::Quotas;
use crate::unix_now;
use reserve::Reserve;
use writer::Writer;

/// What [`key_of`] reads, in its order.
const KEY_COLUMNS: &str = "id, tenant, name, scopes, created_at, expires_at, revoked_at, \
                           last_used_at, replaced_by, sha256";

/// The store of a data directory.
#[derive(Debug)]
pub struct SqliteStore {
    writer: Writer,
    reader: Mutex<Connection>,
    reserve: Reserve,
}

impl SqliteStore {
    /// The connection for reading.
    fn read(&self) -> MutexGuard<'_, Connection> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does `work` in one transaction: all of it is on the disk afterwards, or none.
    fn write<R>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<R, StoreError>,
    ) -> Result<R, StoreError> {
        let mut connection = self.writer.acquire()?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let result = work(&transaction)?;
        transaction.commit()?;
        Ok(result)
    }

    /// The same for an act that takes rights or bytes away, also on a full disk.
    fn write_always<R>(
        &self,
        work: impl Fn(&Transaction<'_>) -> Result<R, StoreError>,
    ) -> Result<R, StoreError> {
        match self.write(&work) {
            Err(StoreError::Full) if self.reserve.release() => self.write(&work),
            result => result,
        }
    }
}

impl Versioned for SqliteStore {
    fn version(&self) -> Result<u64, StoreError> {
        let connection = self.read();
        Ok(connection.pragma_query_value(None, "data_version", |row| row.get(0))?)
    }
}

impl Store for SqliteStore {
    fn create_tenant(
        &self,
        actor: &Actor,
        id: &TenantId,
        quotas: &Quotas,
    ) -> Result<Tenant, StoreError> {
        self.write(|tx| {
            let created_at = unix_now();
            let added = tx.execute(
                "INSERT INTO tenants (id, created_at, quotas) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO NOTHING",
                params![id.as_str(), created_at, json!(quotas).to_string()],
            )?;
            if added == 0 {
                return Err(StoreError::TenantExists(id.to_string()));
            }
            let detail = json!({ "quotas": quotas });
            audit(tx, actor, "tenant.create", Some(id), id.as_str(), &detail)?;
            Ok(Tenant {
                id: TenantName(id.clone()),
                created_at,
                quotas: quotas.clone(),
            })
        })
    }

    fn tenant(&self, id: &TenantId) -> Result<Tenant, StoreError> {
        tenant(&self.read(), id)
    }

    fn tenants(&self, page: &Page) -> Result<Listed<Tenant>, StoreError> {
        let connection = self.read();
        let mut statement = connection.prepare(
            "SELECT id, created_at, quotas FROM tenants WHERE id > ?1 ORDER BY id LIMIT ?2",
        )?;
        let after = page.after.as_deref().unwrap_or("");
        let mut rows = statement.query(params![after, page.limit + 1])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(tenant_of(row)?);
        }
        Ok(Listed::of(found, page))
    }

    fn set_quotas(
        &self,
        actor: &Actor,
        id: &TenantId,
        quotas: &Quotas,
    ) -> Result<Tenant, StoreError> {
        self.write(|tx| {
            tx.execute(
                "UPDATE tenants SET quotas = ?2 WHERE id = ?1",
                params![id.as_str(), json!(quotas).to_string()],
            )?;
            let tenant = tenant(tx, id)?;
            let detail = json!({ "quotas": quotas });
            audit(tx, actor, "tenant.set", Some(id), id.as_str(), &detail)?;
            Ok(tenant)
        })
    }

    fn delete_tenant(&self, actor: &Actor, id: &TenantId) -> Result<(), StoreError> {
        if *id == TenantId::default_tenant() {
            return Err(StoreError::Protected);
        }
        self.write_always(|tx| {
            let removed = tx.execute("DELETE FROM tenants WHERE id = ?1", [id.as_str()])?;
            if removed == 0 {
                return Err(StoreError::NoTenant(id.to_string()));
            }
            let keys = tx.execute(
                "UPDATE keys SET revoked_at = ?2 WHERE tenant = ?1 AND revoked_at IS NULL",
                params![id.as_str(), unix_now()],
            )?;
            for table in [
                "components",
                "revisions",
                "deployments",
                "signers",
                "generations",
            ] {
                let sql = format!("DELETE FROM {table} WHERE tenant = ?1");
                tx.execute(&sql, [id.as_str()])?;
            }
            let detail = json!({ "revoked_keys": keys });
            audit(tx, actor, "tenant.delete", Some(id), id.as_str(), &detail)
        })
    }

    fn create_key(&self, actor: &Actor, key: &StoredKey) -> Result<(), StoreError> {
        self.write(|tx| {
            if let Some(TenantName(id)) = &key.key.tenant {
                tenant(tx, id)?;
            }
            insert_key(tx, key)?;
            audit_key(tx, actor, "key.create", &key.key, &json!(key.key))
        })
    }

    fn key(&self, id: &KeyId) -> Result<Key, StoreError> {
        key(&self.read(), id)
    }

    fn keys(&self, tenant: Option<&TenantId>, page: &Page) -> Result<Listed<Key>, StoreError> {
        let connection = self.read();
        let mut statement = connection.prepare(&format!(
            "SELECT {KEY_COLUMNS} FROM keys WHERE (?1 IS NULL OR tenant = ?1)
             AND number > coalesce((SELECT number FROM keys WHERE id = ?2), 0)
             ORDER BY number LIMIT ?3"
        ))?;
        let tenant = tenant.map(TenantId::as_str);
        let mut rows = statement.query(params![tenant, page.after, page.limit + 1])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(key_of(row)?.key);
        }
        Ok(Listed::of(found, page))
    }

    fn revoke_key(&self, actor: &Actor, id: &KeyId) -> Result<Key, StoreError> {
        self.write_always(|tx| {
            let found = key(tx, id)?;
            if found.revoked_at.is_some() {
                return Ok(found);
            }
            tx.execute(
                "UPDATE keys SET revoked_at = ?2 WHERE id = ?1",
                params![id.as_str(), unix_now()],
            )?;
            audit_key(tx, actor, "key.revoke", &found, &json!({}))?;
            key(tx, id)
        })
    }

    fn rotate_key(
        &self,
        actor: &Actor,
        id: &KeyId,
        replacement: &StoredKey,
        old_expires_at: u64,
    ) -> Result<(), StoreError> {
        self.write(|tx| {
            let old = key(tx, id)?;
            if !old.is_live(unix_now()) {
                return Err(StoreError::DeadKey(id.to_string()));
            }
            let ends = old
                .expires_at
                .map_or(old_expires_at, |at| at.min(old_expires_at));
            tx.execute(
                "UPDATE keys SET expires_at = ?2, replaced_by = ?3 WHERE id = ?1",
                params![id.as_str(), ends, replacement.key.id.as_str()],
            )?;
            insert_key(tx, replacement)?;
            let detail = json!({ "replaced_by": replacement.key.id, "expires_at": ends });
            audit_key(tx, actor, "key.rotate", &old, &detail)?;
            let detail = json!(replacement.key);
            audit_key(tx, actor, "key.create", &replacement.key, &detail)
        })
    }

    fn note_use(&self, used: &[(KeyId, u64)]) -> Result<(), StoreError> {
        self.write(|tx| {
            let mut statement = tx.prepare(
                "UPDATE keys SET last_used_at = max(coalesce(last_used_at, 0), ?2) WHERE id = ?1",
            )?;
            for (id, at) in used {
                statement.execute(params![id.as_str(), at])?;
            }
            Ok(())
        })
    }

    fn audit(
        &self,
        tenant: Option<&TenantId>,
        page: &Page,
    ) -> Result<Listed<AuditEntry>, StoreError> {
        let connection = self.read();
        let mut statement = connection.prepare(
            "SELECT number, at, actor, action, tenant, subject, detail FROM audit
             WHERE (?1 IS NULL OR tenant = ?1) AND number < ?2 ORDER BY number DESC LIMIT ?3",
        )?;
        let after = page.after.as_deref().and_then(|text| text.parse().ok());
        let before = after.unwrap_or(i64::MAX);
        let tenant = tenant.map(TenantId::as_str);
        let mut rows = statement.query(params![tenant, before, page.limit + 1])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(audit_entry(row)?);
        }
        Ok(Listed::of(found, page))
    }

    fn contents(&self) -> Result<Contents, StoreError> {
        let mut connection = self.read();
        // One transaction, so that keys and tenants are of one moment.
        let tx = connection.transaction()?;
        let mut contents = Contents::default();
        let mut statement = tx.prepare("SELECT id, created_at, quotas FROM tenants")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            contents.tenants.push(tenant_of(row)?);
        }
        let mut statement = tx.prepare(&format!("SELECT {KEY_COLUMNS} FROM keys"))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            contents.keys.push(key_of(row)?);
        }
        Ok(contents)
    }

    fn upkeep(&self) {
        self.reserve.restore();
    }
}

fn tenant(connection: &Connection, id: &TenantId) -> Result<Tenant, StoreError> {
    let mut statement =
        connection.prepare("SELECT id, created_at, quotas FROM tenants WHERE id = ?1")?;
    let mut rows = statement.query([id.as_str()])?;
    match rows.next()? {
        Some(row) => tenant_of(row),
        None => Err(StoreError::NoTenant(id.to_string())),
    }
}

fn tenant_of(row: &Row<'_>) -> Result<Tenant, StoreError> {
    let (id, quotas): (String, String) = (row.get(0)?, row.get(2)?);
    let id = TenantId::new(&id).map_err(|_| StoreError::Corrupt("tenants.id"))?;
    Ok(Tenant {
        id: TenantName(id),
        created_at: row.get(1)?,
        quotas: serde_json::from_str(&quotas).map_err(|_| StoreError::Corrupt("tenants.quotas"))?,
    })
}

fn key(connection: &Connection, id: &KeyId) -> Result<Key, StoreError> {
    let sql = format!("SELECT {KEY_COLUMNS} FROM keys WHERE id = ?1");
    let found = connection
        .query_row(&sql, [id.as_str()], |row| Ok(key_of(row)))
        .optional()?;
    match found {
        Some(found) => Ok(found?.key),
        None => Err(StoreError::NoKey(id.to_string())),
    }
}

fn key_of(row: &Row<'_>) -> Result<StoredKey, StoreError> {
    let id_of = |text: String| KeyId::parse(&text).ok_or(StoreError::Corrupt("keys.id"));
    let tenant: Option<String> = row.get(1)?;
    let tenant = tenant.map(|text| TenantId::new(&text)).transpose();
    let scopes: String = row.get(3)?;
    let scopes = scopes.split(',').map(|name| match name {
        "transcribe" => Ok(Scope::Transcribe),
        "deploy" => Ok(Scope::Deploy),
        "admin" => Ok(Scope::Admin),
        _ => Err(StoreError::Corrupt("keys.scopes")),
    });
    let replaced_by: Option<String> = row.get(8)?;
    let key = Key {
        id: id_of(row.get(0)?)?,
        tenant: tenant
            .map_err(|_| StoreError::Corrupt("keys.tenant"))?
            .map(TenantName),
        name: row.get(2)?,
        scopes: scopes.collect::<Result<_, _>>()?,
        created_at: row.get(4)?,
        expires_at: row.get(5)?,
        revoked_at: row.get(6)?,
        last_used_at: row.get(7)?,
        replaced_by: replaced_by.map(id_of).transpose()?,
    };
    Ok(StoredKey {
        key,
        sha256: row.get(9)?,
    })
}

fn insert_key(tx: &Transaction<'_>, stored: &StoredKey) -> Result<(), StoreError> {
    let key = &stored.key;
    let tenant = key.tenant.as_ref().map(|TenantName(id)| id.as_str());
    let scopes: Vec<_> = key.scopes.iter().map(|scope| scope.as_str()).collect();
    tx.execute(
        "INSERT INTO keys (id, tenant, name, scopes, sha256, created_at, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            key.id.as_str(),
            tenant,
            key.name,
            scopes.join(","),
            stored.sha256,
            key.created_at,
            key.expires_at
        ],
    )?;
    Ok(())
}

fn audit_key(
    tx: &Transaction<'_>,
    actor: &Actor,
    action: &str,
    key: &Key,
    detail: &Value,
) -> Result<(), StoreError> {
    let tenant = key.tenant.as_ref().map(|TenantName(id)| id);
    audit(tx, actor, action, tenant, key.id.as_str(), detail)
}

/// A line of the audit log: number, at, actor, action, tenant, subject, detail.
fn audit_entry(row: &Row<'_>) -> Result<AuditEntry, StoreError> {
    let detail: String = row.get(6)?;
    Ok(AuditEntry {
        id: row.get(0)?,
        at: row.get(1)?,
        actor: row.get(2)?,
        action: row.get(3)?,
        tenant: row.get(4)?,
        subject: row.get(5)?,
        detail: serde_json::from_str(&detail).map_err(|_| StoreError::Corrupt("audit.detail"))?,
    })
}

/// Writes a line of the audit log.
fn audit(
    tx: &Transaction<'_>,
    actor: &Actor,
    action: &str,
    tenant: Option<&TenantId>,
    subject: &str,
    detail: &Value,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO audit (at, actor, action, tenant, subject, detail)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            unix_now(),
            actor.as_str(),
            action,
            tenant.map(TenantId::as_str),
            subject,
            detail.to_string()
        ],
    )?;
    Ok(())
}
