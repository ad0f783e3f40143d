//! What was answered is there for whoever opens the file next.

use auricle_tenancy::{
    Actor, Page, Quotas, Scope, SqliteStore, Store, StoreError, Versioned, unix_now,
};
use rusqlite::Connection;

use crate::{fresh, store, tenant};

#[test]
fn what_one_opening_writes_another_reads() {
    let dir = tempfile::tempdir().unwrap();
    let first = store(dir.path());
    let second = SqliteStore::open(dir.path()).unwrap();
    let before = second.version().unwrap();
    let (key, _) = fresh(Scope::Transcribe);
    first.create_key(&Actor::local(), &key).unwrap();
    assert_ne!(second.version().unwrap(), before);
    assert_eq!(second.key(&key.key.id).unwrap(), key.key);
    let quotas = Quotas {
        max_requests: Some(3),
        models: Some(["base".to_owned()].into()),
        ..Quotas::default()
    };
    first
        .set_quotas(&Actor::local(), &tenant("acme"), &quotas)
        .unwrap();
    assert_eq!(second.tenant(&tenant("acme")).unwrap().quotas, quotas);
    let contents = second.contents().unwrap();
    assert_eq!((contents.tenants.len(), contents.keys.len()), (2, 1));
    assert_eq!(contents.keys[0].sha256, key.sha256);
}

#[test]
fn what_is_not_there_and_what_is_there_already_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (store, actor) = (store(dir.path()), Actor::local());
    let again = store.create_tenant(&actor, &tenant("acme"), &Quotas::default());
    assert!(matches!(again, Err(StoreError::TenantExists(_))));
    let nobody = tenant("nobody");
    assert!(matches!(
        store.tenant(&nobody),
        Err(StoreError::NoTenant(_))
    ));
    let set = store.set_quotas(&actor, &nobody, &Quotas::default());
    assert!(matches!(set, Err(StoreError::NoTenant(_))));
    let removed = store.delete_tenant(&actor, &nobody);
    assert!(matches!(removed, Err(StoreError::NoTenant(_))));
    let removed = store.delete_tenant(&actor, &tenant("default"));
    assert!(matches!(removed, Err(StoreError::Protected)));
    let (mut key, _) = fresh(Scope::Transcribe);
    assert!(matches!(
        store.revoke_key(&actor, &key.key.id),
        Err(StoreError::NoKey(_))
    ));
    key.key.tenant = Some(auricle_tenancy::TenantName(nobody));
    let created = store.create_key(&actor, &key);
    assert!(matches!(created, Err(StoreError::NoTenant(_))));
    // None of it is in the log but the one act that was done.
    let log = store.audit(None, &Page::first(10)).unwrap().data;
    assert_eq!(log.len(), 1, "{log:?}");
}

#[test]
fn a_removed_tenants_keys_do_not_come_back_with_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let (store, actor) = (store(dir.path()), Actor::local());
    let (key, _) = fresh(Scope::Transcribe);
    store.create_key(&actor, &key).unwrap();
    store.delete_tenant(&actor, &tenant("acme")).unwrap();
    store
        .create_tenant(&actor, &tenant("acme"), &Quotas::default())
        .unwrap();
    assert!(!store.key(&key.key.id).unwrap().is_live(unix_now()));
}

#[test]
fn a_replaced_key_ends_when_it_was_told_to_and_not_later_than_before() {
    let dir = tempfile::tempdir().unwrap();
    let (store, actor, now) = (store(dir.path()), Actor::local(), unix_now());
    let (mut old, _) = fresh(Scope::Transcribe);
    old.key.expires_at = Some(now + 50);
    store.create_key(&actor, &old).unwrap();
    let (new, _) = fresh(Scope::Transcribe);
    store
        .rotate_key(&actor, &old.key.id, &new, now + 100)
        .unwrap();
    let rotated = store.key(&old.key.id).unwrap();
    assert_eq!(rotated.expires_at, Some(now + 50));
    assert_eq!(rotated.replaced_by, Some(new.key.id.clone()));
    let (newer, _) = fresh(Scope::Transcribe);
    store.rotate_key(&actor, &new.key.id, &newer, now).unwrap();
    let (newest, _) = fresh(Scope::Transcribe);
    let dead = store.rotate_key(&actor, &new.key.id, &newest, now);
    assert!(matches!(dead, Err(StoreError::DeadKey(_))), "{dead:?}");
    assert!(store.key(&newest.key.id).is_err(), "half of it was done");
}

#[test]
fn lists_come_in_pages_that_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (store, actor) = (store(dir.path()), Actor::local());
    let keys: Vec<_> = (0..7).map(|_| fresh(Scope::Transcribe).0).collect();
    for key in &keys {
        store.create_key(&actor, key).unwrap();
    }
    let mut page = Page::first(3);
    let mut listed = Vec::new();
    loop {
        let part = store.keys(Some(&tenant("acme")), &page).unwrap();
        assert!(part.data.len() <= 3);
        listed.extend(part.data.iter().map(|key| key.id.clone()));
        page.after = listed.last().map(|id| id.as_str().to_owned());
        if !part.has_more {
            break;
        }
    }
    let created: Vec<_> = keys.into_iter().map(|key| key.key.id).collect();
    assert_eq!(listed, created);
    let others = store.keys(Some(&tenant("other")), &Page::first(3)).unwrap();
    assert!(others.data.is_empty() && !others.has_more);
    let newest = store.audit(None, &Page::first(2)).unwrap();
    assert_eq!(newest.data[0].subject, created[6].as_str());
    assert!(newest.has_more && newest.data[0].id > newest.data[1].id);
    let after = Some(newest.data[1].id.to_string());
    let next = store.audit(None, &Page { limit: 2, after }).unwrap();
    assert_eq!(next.data[0].id, newest.data[1].id - 1);
}

#[test]
fn the_audit_log_only_grows() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let other = Connection::open(dir.path().join("auricle.db")).unwrap();
    for act in [
        "UPDATE audit SET actor = 'nobody'",
        "DELETE FROM audit",
        "INSERT OR REPLACE INTO audit (number, at, actor, action, subject, detail)
         VALUES (1, 0, 'nobody', 'x', 'x', '{}')",
    ] {
        let refused = other.execute(act, []).unwrap_err().to_string();
        assert!(refused.contains("append-only"), "{act}: {refused}");
    }
    let log = store.audit(None, &Page::first(10)).unwrap().data;
    assert_eq!((log.len(), log[0].actor.as_str()), (1, "local"));
    assert_eq!(log[0].action, "tenant.create");
}

#[test]
fn no_text_of_a_key_is_anywhere_in_the_files() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let (key, text) = fresh(Scope::Transcribe);
    store.create_key(&Actor::local(), &key).unwrap();
    let secret = text.rsplit('-').next().unwrap().as_bytes();
    let mut bytes = 0;
    for file in dir.path().read_dir().unwrap() {
        let content = std::fs::read(file.unwrap().path()).unwrap();
        bytes += content.len();
        assert!(!content.windows(secret.len()).any(|part| part == secret));
    }
    assert!(bytes > 4096, "{bytes}");
}
