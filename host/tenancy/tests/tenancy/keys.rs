//! Keys in requests: which open what, and for how long.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use auricle_tenancy::{
    Actor, CredentialConfig, Denied, Quotas, Scope, SqliteStore, Store, StoredKey, Tenancy,
    ThrottleConfig, Upkeep, unix_now,
};
use tempfile::TempDir;

use crate::{fresh, store, tenant};

struct Node {
    tenancy: Arc<Tenancy>,
    store: Arc<SqliteStore>,
    dir: TempDir,
}

fn node() -> Node {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(store(dir.path()));
    let config = CredentialConfig {
        throttle: ThrottleConfig {
            max_failures: 3,
            ..ThrottleConfig::default()
        },
        ..CredentialConfig::default()
    };
    let tenancy = Tenancy::new(&config, Some(store.clone()), Quotas::default()).unwrap();
    Node {
        tenancy,
        store,
        dir,
    }
}

impl Node {
    fn add(&self, key: &StoredKey) {
        self.store.create_key(&Actor::local(), key).unwrap();
        self.tenancy.refresh().unwrap();
    }

    fn ask(&self, key: &str, source: u8) -> Result<String, Denied> {
        let header = format!("Bearer {key}");
        let access = self.tenancy.admit(Some(header.as_bytes()), ip(source))?;
        Ok(access.tenant.as_str().to_owned())
    }

    fn ask_admin(&self, key: &str) -> Result<Actor, Denied> {
        let header = format!("Bearer {key}");
        self.tenancy.admit_admin(Some(header.as_bytes()), ip(1))
    }
}

fn ip(last: u8) -> IpAddr {
    [192, 0, 2, last].into()
}

#[test]
fn the_first_key_shuts_the_server_and_revoking_it_does_not_open_it() {
    let node = node();
    assert!(!node.tenancy.asks_for_keys());
    assert_eq!(
        node.tenancy.admit(None, ip(1)).unwrap().tenant.as_str(),
        "default"
    );
    let (key, text) = fresh(Scope::Transcribe);
    node.add(&key);
    assert_eq!(
        node.tenancy.admit(None, ip(1)).unwrap_err(),
        Denied::Missing
    );
    assert_eq!(node.ask(&text, 1), Ok("acme".to_owned()));
    node.store.revoke_key(&Actor::local(), &key.key.id).unwrap();
    node.tenancy.refresh().unwrap();
    assert_eq!(node.ask(&text, 1), Err(Denied::Revoked));
    assert_eq!(
        node.tenancy.admit(None, ip(1)).unwrap_err(),
        Denied::Missing
    );
}

#[test]
fn a_key_opens_what_its_scope_names() {
    let node = node();
    let (transcribe, transcribe_text) = fresh(Scope::Transcribe);
    let (deploy, deploy_text) = fresh(Scope::Deploy);
    let (admin, admin_text) = fresh(Scope::Admin);
    for key in [&transcribe, &deploy, &admin] {
        node.add(key);
    }
    assert_eq!(node.ask(&transcribe_text, 1), Ok("acme".to_owned()));
    for text in [&deploy_text, &admin_text] {
        assert_eq!(node.ask(text, 1), Err(Denied::Scope(Scope::Transcribe)));
    }
    assert_eq!(node.ask_admin(&admin_text), Ok(Actor::key(&admin.key.id)));
    for text in [&transcribe_text, &deploy_text] {
        assert_eq!(node.ask_admin(text), Err(Denied::Scope(Scope::Admin)));
    }
}

#[test]
fn an_expired_key_is_told_so_and_a_guessed_one_nothing() {
    let node = node();
    let (mut key, text) = fresh(Scope::Transcribe);
    key.key.expires_at = Some(unix_now());
    node.add(&key);
    assert_eq!(node.ask(&text, 1), Err(Denied::Expired));
    let mut guess = text.clone();
    guess.pop();
    assert_eq!(node.ask(&format!("{guess}x"), 1), Err(Denied::Wrong));
    assert_eq!(node.ask("sk-00000000-1", 1), Err(Denied::Wrong));
}

#[test]
fn guessing_is_told_to_wait_and_a_right_key_is_let_in_all_the_same() {
    let node = node();
    let (key, text) = fresh(Scope::Transcribe);
    node.add(&key);
    let guess = format!("sk-{}-{}", key.key.id, "0".repeat(64));
    let outcomes: Vec<_> = (0..6).map(|_| node.ask(&guess, 1).unwrap_err()).collect();
    assert_eq!(outcomes[2], Denied::Wrong);
    assert!(
        matches!(outcomes[3], Denied::Throttled { .. }),
        "{outcomes:?}"
    );
    // From elsewhere too, for that key; and a name that is not there has no such count.
    assert!(matches!(node.ask(&guess, 2), Err(Denied::Throttled { .. })));
    assert_eq!(node.ask("sk-00000000-1", 3), Err(Denied::Wrong));
    assert_eq!(node.ask(&text, 1), Ok("acme".to_owned()));
}

#[test]
fn a_hundred_thousand_guesses_are_cheap_and_all_but_the_first_told_to_wait() {
    let node = node();
    let (key, _) = fresh(Scope::Transcribe);
    node.add(&key);
    let throttled = (0..100_000)
        .map(|n| format!("sk-{}-{n:064x}", key.key.id))
        .filter(|guess| matches!(node.ask(guess, 1), Err(Denied::Throttled { .. })))
        .count();
    assert!(throttled >= 99_900, "{throttled}");
}

#[test]
fn an_act_of_another_process_holds_here_within_seconds_and_use_is_noted_at_the_end() {
    let node = node();
    let upkeep = Upkeep::start(&node.tenancy).unwrap();
    let other = SqliteStore::open(node.dir.path()).unwrap();
    let (key, text) = fresh(Scope::Transcribe);
    other.create_key(&Actor::local(), &key).unwrap();
    let since = Instant::now();
    while node.ask(&text, 1) != Ok("acme".to_owned()) {
        assert!(since.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(20));
        // Before the key is known there is none that is asked for.
    }
    assert_eq!(other.key(&key.key.id).unwrap().last_used_at, None);
    drop(upkeep);
    let used = other.key(&key.key.id).unwrap().last_used_at.unwrap();
    assert!(unix_now().abs_diff(used) < 60);
}

#[test]
fn a_tenants_quotas_come_from_the_store_and_go_with_the_tenant() {
    let node = node();
    let (actor, acme) = (Actor::local(), tenant("acme"));
    let account = node.tenancy.ledger().account(&acme);
    assert_eq!(account.quotas().max_requests, None);
    let quotas = Quotas {
        max_requests: Some(2),
        ..Quotas::default()
    };
    node.store.set_quotas(&actor, &acme, &quotas).unwrap();
    node.tenancy.refresh().unwrap();
    assert_eq!(account.quotas().max_requests, Some(2));
    node.store.delete_tenant(&actor, &acme).unwrap();
    node.tenancy.refresh().unwrap();
    assert_eq!(account.quotas().max_requests, None);
}
