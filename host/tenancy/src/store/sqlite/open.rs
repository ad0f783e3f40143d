//! Opening the file: making it, knowing it for ours, bringing its schema up to date.

use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::SqliteStore;
use super::reserve::Reserve;
use super::writer::{BUSY, Writer};
use crate::store::StoreError;
use crate::store::migrations::{self, APPLICATION_ID, KNOWN};
use crate::unix_now;

/// Name of the file in the data directory.
const FILE: &str = "auricle.db";

impl SqliteStore {
    /// Name of the directory in the data directory that keeps the bytes of components, as
    /// `DIGEST.wasm`.
    pub const COMPONENTS_DIR: &str = "wasm";

    /// Opens the store of `data_dir`, and makes both where they are not there. Only their owner may
    /// read what is made.
    ///
    /// # Errors
    /// [`StoreError::Open`], [`StoreError::Foreign`], [`StoreError::Damaged`], [`StoreError::Newer`],
    /// [`StoreError::Lost`], and
    /// [`StoreError::Busy`] when another process does not stop writing.
    pub fn open(data_dir: &Path) -> Result<Self, StoreError> {
        let reserve = Reserve::new(data_dir);
        let store = match Self::open_files(data_dir) {
            // SQLite makes files beside its own, for which there may be no room.
            Err(StoreError::Full | StoreError::Open { .. }) if reserve.release() => {
                Self::open_files(data_dir)
            }
            opened => opened,
        }?;
        store.reserve.restore();
        Ok(store)
    }

    fn open_files(data_dir: &Path) -> Result<Self, StoreError> {
        let path = data_dir.join(FILE);
        let cannot = |source: Box<dyn std::error::Error + Send + Sync>| StoreError::Open {
            path: path.clone(),
            source,
        };
        refuse_lost(data_dir, &path)?;
        make_files(data_dir, &path).map_err(|error| cannot(error.into()))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open =
            || Connection::open_with_flags(&path, flags).map_err(|error| cannot(error.into()));
        let told = |error: StoreError| match error {
            StoreError::Database(error) => match error.sqlite_error_code() {
                Some(ErrorCode::NotADatabase) => StoreError::Foreign(path.clone()),
                Some(ErrorCode::DatabaseCorrupt) => StoreError::Damaged {
                    path: path.clone(),
                    source: error,
                },
                _ => cannot(error.into()),
            },
            other => other,
        };
        let writer = prepare(open()?, &path).map_err(&told)?;
        let reader = for_reading(open()?).map_err(&told)?;
        Ok(Self {
            writer: Writer::new(writer),
            reader: Mutex::new(reader),
            reserve: Reserve::new(data_dir),
        })
    }
}

/// Refuses a data directory whose components have outlived their database: a new one would have no
/// keys, and on loopback everybody would be let in.
fn refuse_lost(data_dir: &Path, path: &Path) -> Result<(), StoreError> {
    let has_database = path.metadata().is_ok_and(|file| file.len() > 0);
    let components = data_dir.join(SqliteStore::COMPONENTS_DIR);
    if has_database || !has_components(&components) {
        return Ok(());
    }
    Err(StoreError::Lost {
        path: path.to_owned(),
        components,
    })
}

fn has_components(dir: &Path) -> bool {
    let is_component = |file: &Path| file.extension().is_some_and(|it| it == "wasm");
    let mut files = dir.read_dir().into_iter().flatten().flatten();
    files.any(|file| is_component(&file.path()))
}

fn prepare(mut connection: Connection, path: &Path) -> Result<Connection, StoreError> {
    connection.busy_timeout(BUSY)?;
    // In a transaction: another process may be making the file, and half of what it commits
    // looks like a foreign database.
    check_owner(&*connection.transaction()?, path)?;
    use_write_ahead_log(&connection)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Again, now that no other process can write.
    check_owner(&transaction, path)?;
    if migrations::version(&transaction)? < KNOWN {
        migrations::run(&transaction, unix_now())?;
    }
    transaction.commit()?;
    Ok(connection)
}

/// The connection that reads: with the write-ahead log it waits for no writer.
fn for_reading(connection: Connection) -> Result<Connection, StoreError> {
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// Makes the directory and an empty file, where they are not there. SQLite gives its other files
/// the rights of this one.
fn make_files(data_dir: &Path, path: &Path) -> std::io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data_dir)?;
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .map(drop)
}

/// Refuses a file of somebody else's, and one of a later version.
fn check_owner(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let id: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let found = migrations::version(connection)?;
    let tables: u32 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if id != APPLICATION_ID && (id != 0 || tables > 0) {
        return Err(StoreError::Foreign(path.to_owned()));
    }
    if found > KNOWN {
        return Err(StoreError::Newer {
            path: path.to_owned(),
            found,
            known: KNOWN,
        });
    }
    Ok(())
}

/// Switches to the write-ahead log. Of processes that open a new file at once, one switches and the
/// others are refused without waiting, whatever the timeout.
fn use_write_ahead_log(connection: &Connection) -> Result<(), StoreError> {
    let since = Instant::now();
    loop {
        let switched = connection.pragma_update(None, "journal_mode", "WAL");
        match switched.map_err(StoreError::from) {
            Err(StoreError::Busy) if since.elapsed() < BUSY => {
                std::thread::sleep(Duration::from_millis(10));
            }
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::store::{Actor, Page, Store};

    #[test]
    fn only_the_owner_reads_what_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("new");
        let store = SqliteStore::open(&data).unwrap();
        let tenant = auricle_speech::TenantId::new("acme").unwrap();
        let quotas = crate::Quotas::default();
        store
            .create_tenant(&Actor::local(), &tenant, &quotas)
            .unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&data), 0o700);
        let files: Vec<_> = data
            .read_dir()
            .unwrap()
            .map(|f| f.unwrap().path())
            .collect();
        assert!(files.len() >= 2, "{files:?}");
        assert!(files.iter().all(|file| mode(file) == 0o600), "{files:?}");
    }

    #[test]
    fn what_is_not_ours_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        std::fs::write(
            &path,
            "somebody's notes, long enough to be no header of a database",
        )
        .unwrap();
        let refused = SqliteStore::open(dir.path()).unwrap_err();
        assert!(matches!(refused, StoreError::Foreign(_)), "{refused:?}");
        std::fs::remove_file(&path).unwrap();
        let other = Connection::open(&path).unwrap();
        other.execute_batch("CREATE TABLE theirs (x)").unwrap();
        let refused = SqliteStore::open(dir.path()).unwrap_err();
        assert!(matches!(refused, StoreError::Foreign(_)), "{refused:?}");
    }

    #[test]
    fn a_damaged_store_is_told_from_a_directory_that_cannot_be_written() {
        let dir = tempfile::tempdir().unwrap();
        drop(SqliteStore::open(dir.path()).unwrap());
        let path = dir.path().join(FILE);
        let mut bytes = std::fs::read(&path).unwrap();
        // The header stays; the schema's page and all others are gone.
        bytes.iter_mut().skip(100).for_each(|byte| *byte = 0xff);
        std::fs::write(&path, bytes).unwrap();
        let refused = SqliteStore::open(dir.path()).unwrap_err();
        assert!(matches!(refused, StoreError::Damaged { .. }), "{refused:?}");
        let said = refused.to_string();
        assert!(
            said.contains("damaged") && said.contains("backup"),
            "{said}"
        );
        assert!(!said.contains("can be written"), "{said}");
    }

    #[test]
    fn a_later_schema_is_refused_with_advice() {
        let dir = tempfile::tempdir().unwrap();
        drop(SqliteStore::open(dir.path()).unwrap());
        let newer = Connection::open(dir.path().join(FILE)).unwrap();
        newer
            .pragma_update(None, "user_version", KNOWN + 1)
            .unwrap();
        let refused = SqliteStore::open(dir.path()).unwrap_err();
        assert!(refused.to_string().contains("newer Auricle"), "{refused}");
    }

    #[test]
    fn components_without_their_database_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        drop(SqliteStore::open(dir.path()).unwrap());
        let components = dir.path().join(SqliteStore::COMPONENTS_DIR);
        std::fs::create_dir(&components).unwrap();
        // A directory without components is what a server without tenants' components leaves.
        for name in [FILE, "auricle.db-wal", "auricle.db-shm"] {
            let _ = std::fs::remove_file(dir.path().join(name));
        }
        drop(SqliteStore::open(dir.path()).unwrap());
        std::fs::write(components.join("0a.wasm"), "component").unwrap();
        drop(SqliteStore::open(dir.path()).unwrap());

        let database = dir.path().join(FILE);
        std::fs::remove_file(&database).unwrap();
        let refused = SqliteStore::open(dir.path()).unwrap_err();
        assert!(matches!(refused, StoreError::Lost { .. }), "{refused:?}");
        assert!(refused.to_string().contains("backup"), "{refused}");
        assert!(!database.exists(), "a second start must be refused too");
        std::fs::write(&database, "").unwrap();
        let refused = SqliteStore::open(dir.path()).unwrap_err();
        assert!(matches!(refused, StoreError::Lost { .. }), "{refused:?}");
    }

    #[test]
    fn a_file_in_the_place_of_the_directory_is_an_error_that_says_what_to_do() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let refused = SqliteStore::open(file.path()).unwrap_err();
        assert!(refused.to_string().contains("--data-dir"), "{refused}");
    }

    #[test]
    fn many_may_open_a_new_store_at_once() {
        // Some rounds: what a reader sees half of is rare.
        for _ in 0..50 {
            let dir = tempfile::tempdir().unwrap();
            std::thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| SqliteStore::open(dir.path()).unwrap());
                }
            });
            let store = SqliteStore::open(dir.path()).unwrap();
            assert_eq!(store.tenants(&Page::first(10)).unwrap().data.len(), 1);
        }
    }
}
