//! The store's schema, version by version. A version that was released is never changed: what comes
//! later is added behind it, and runs once on every store that has not had it.

use rusqlite::{Connection, Transaction};

use super::StoreError;

/// Marks a file as ours: `Auri` in ASCII.
pub(super) const APPLICATION_ID: i32 = 0x4175_7269;

/// Number `n` leads from schema `n` to `n + 1`.
const MIGRATIONS: [&str; 2] = [TENANCY, DEPLOYMENTS];

/// The newest schema.
pub(super) const KNOWN: u32 = MIGRATIONS.len() as u32;

/// The schema that a database has; 0 for an empty one.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Runs what a database has not had, within `transaction`.
pub(super) fn run(transaction: &Transaction<'_>, now: u64) -> Result<(), StoreError> {
    let found = version(transaction)?;
    for step in MIGRATIONS.iter().skip(found as usize) {
        transaction.execute_batch(step)?;
    }
    if found == 0 {
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.execute(
            "INSERT INTO tenants (id, created_at, quotas) VALUES ('default', ?1, '{}')",
            [now],
        )?;
    }
    transaction.pragma_update(None, "user_version", KNOWN)?;
    Ok(())
}

/// Times are Unix seconds, quotas and details JSON, scopes names with commas between them.
///
/// Keys outlive their tenant (revoked) and are never deleted, so that the removal of the last one
/// does not open a server that asked for keys.
const TENANCY: &str = "
CREATE TABLE tenants (
    id TEXT PRIMARY KEY,
    created_at INTEGER NOT NULL,
    quotas TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE keys (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    tenant TEXT,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    sha256 BLOB NOT NULL UNIQUE CHECK (length(sha256) = 32),
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    last_used_at INTEGER,
    replaced_by TEXT
) STRICT;
CREATE INDEX keys_of_tenant ON keys (tenant, number);

CREATE TABLE audit (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    tenant TEXT,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;
CREATE INDEX audit_of_tenant ON audit (tenant, number);
CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_is_never_shortened BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
-- REPLACE deletes without a trigger.
CREATE TRIGGER audit_is_never_replaced BEFORE INSERT ON audit
    WHEN EXISTS (SELECT 1 FROM audit WHERE number = NEW.number)
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
";

/// Components by tenant, the revisions that were made of them, and what serves each role. The bytes
/// lie in files of their own, once for all tenants. A `state` is JSON. `component` is NULL for the
/// first-party component.
const DEPLOYMENTS: &str = "
CREATE TABLE components (
    tenant TEXT NOT NULL,
    digest TEXT NOT NULL CHECK (length(digest) = 64),
    bytes INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    signature TEXT,
    PRIMARY KEY (tenant, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX holders_of_component ON components (digest);

CREATE TABLE revisions (
    tenant TEXT NOT NULL,
    role TEXT NOT NULL,
    number INTEGER NOT NULL,
    component TEXT,
    configuration TEXT NOT NULL,
    graphs TEXT NOT NULL,
    limits TEXT,
    created_at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    PRIMARY KEY (tenant, role, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE deployments (
    tenant TEXT NOT NULL,
    role TEXT NOT NULL,
    state TEXT NOT NULL,
    PRIMARY KEY (tenant, role)
) STRICT, WITHOUT ROWID;

CREATE TABLE signers (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    public_key TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;

-- The highest generation of a signed component that a role was ever given.
CREATE TABLE generations (
    tenant TEXT NOT NULL,
    role TEXT NOT NULL,
    generation INTEGER NOT NULL,
    PRIMARY KEY (tenant, role)
) STRICT, WITHOUT ROWID;
";
