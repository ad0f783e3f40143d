//! A full disk: what takes rights away works, everything else is refused until there is room.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use auricle_tenancy::{
    Actor, CredentialConfig, Denied, Quotas, RevokeError, Scope, SqliteStore, Store, StoreError,
    Tenancy,
};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::{fresh, store, tenant};

const SOURCE: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// A small file system of the test's own, which only root can mount.
struct Disk(TempDir);

impl Disk {
    fn mount(bytes: u64) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"]);
        match mount.arg(dir.path()).output() {
            Ok(output) if output.status.success() => Some(Self(dir)),
            _ => {
                eprintln!("skipped: no file system can be mounted here");
                None
            }
        }
    }

    /// Writes until nothing more is taken.
    fn fill(&self) {
        use std::io::Write;
        let mut file = std::fs::File::create(self.0.path().join("filled")).unwrap();
        for size in [64 << 10, 4 << 10, 1] {
            while file.write_all(&vec![1; size]).is_ok() {}
        }
    }

    fn make_room(&self) {
        std::fs::remove_file(self.0.path().join("filled")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).output();
    }
}

/// Writes until the store says that the disk is full.
fn fill_store(store: &SqliteStore) {
    let filled = (0..100_000).find_map(|_| {
        let (key, _) = fresh(Scope::Transcribe);
        store.create_key(&Actor::local(), &key).err()
    });
    assert!(matches!(filled, Some(StoreError::Full)), "{filled:?}");
}

fn reserve(dir: &Path) -> bool {
    dir.join("auricle.reserve").exists()
}

#[test]
fn keys_are_revoked_and_tenants_removed_on_a_full_disk() {
    let Some(disk) = Disk::mount(8 << 20) else {
        return;
    };
    let data = disk.0.path().join("data");
    let store = Arc::new(store(&data));
    let config = CredentialConfig::default();
    let (key, text) = fresh(Scope::Transcribe);
    store.create_key(&Actor::local(), &key).unwrap();
    let defaults = Quotas::default();
    let tenancy = Tenancy::new(&config, Some(Arc::clone(&store) as _), defaults).unwrap();
    let bearer = format!("Bearer {text}");
    tenancy.admit(Some(bearer.as_bytes()), SOURCE).unwrap();
    assert!(reserve(&data));

    disk.fill();
    fill_store(&store);
    let revoked = tenancy.revoke_key(&*store, &Actor::local(), &key.key.id);
    assert!(revoked.unwrap().revoked_at.is_some());
    assert!(!reserve(&data), "its room was used");
    let refused = tenancy.admit(Some(bearer.as_bytes()), SOURCE).unwrap_err();
    assert_eq!(refused, Denied::Revoked);
    tenancy
        .delete_tenant(&*store, &Actor::local(), &tenant("acme"))
        .unwrap();
    // The next process to open the file reads the same, without room for another file.
    disk.fill();
    let other = SqliteStore::open(&data).unwrap();
    assert!(other.key(&key.key.id).unwrap().revoked_at.is_some());
    assert!(matches!(
        other.tenant(&tenant("acme")),
        Err(StoreError::NoTenant(_))
    ));

    disk.make_room();
    store.upkeep();
    assert!(reserve(&data), "there is room again");
    let sound: String = Connection::open(data.join("auricle.db"))
        .unwrap()
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(sound, "ok");
}

#[test]
fn a_key_that_cannot_be_written_as_revoked_is_refused_all_the_same() {
    let Some(disk) = Disk::mount(8 << 20) else {
        return;
    };
    let data = disk.0.path().join("data");
    let store = Arc::new(store(&data));
    let (key, text) = fresh(Scope::Transcribe);
    store.create_key(&Actor::local(), &key).unwrap();
    let config = CredentialConfig::default();
    let defaults = Quotas::default();
    let tenancy = Tenancy::new(&config, Some(Arc::clone(&store) as _), defaults).unwrap();
    // Not even the reserve is there.
    std::fs::remove_file(data.join("auricle.reserve")).unwrap();
    disk.fill();
    fill_store(&store);
    let refused = tenancy.revoke_key(&*store, &Actor::local(), &key.key.id);
    let error = refused.unwrap_err();
    assert!(
        matches!(error, RevokeError::NotWritten(StoreError::Full)),
        "{error:?}"
    );
    assert!(error.to_string().contains("restart"), "{error}");
    let bearer = format!("Bearer {text}");
    let knock = || tenancy.admit(Some(bearer.as_bytes()), SOURCE);
    assert_eq!(knock().unwrap_err(), Denied::Revoked);
    assert!(!tenancy.is_good(Some(key.key.id.as_str())));
    // Reading the store, which does not say so, changes nothing.
    tenancy.refresh().unwrap();
    assert_eq!(knock().unwrap_err(), Denied::Revoked);
    disk.make_room();
    tenancy
        .revoke_key(&*store, &Actor::local(), &key.key.id)
        .unwrap();
    tenancy.refresh().unwrap();
    assert_eq!(knock().unwrap_err(), Denied::Revoked);
}

#[test]
fn a_key_that_is_not_there_is_an_error_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(store(dir.path()));
    let (missing, _) = fresh(Scope::Transcribe);
    let config = CredentialConfig::default();
    let tenancy = Tenancy::new(&config, Some(Arc::clone(&store) as _), Quotas::default()).unwrap();
    let refused = tenancy.revoke_key(&*store, &Actor::local(), &missing.key.id);
    assert!(matches!(
        refused,
        Err(RevokeError::Store(StoreError::NoKey(_)))
    ));
    let default = tenant("default");
    let refused = tenancy.delete_tenant(&*store, &Actor::local(), &default);
    assert!(matches!(
        refused,
        Err(RevokeError::Store(StoreError::Protected))
    ));
}
