//! Who waits for whom when several write the store.

use auricle_tenancy::{Actor, Page, Quotas, Store, StoreError};
use rusqlite::Connection;

use crate::{store, tenant};

#[test]
fn reading_does_not_wait_for_whoever_writes() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let other = Connection::open(dir.path().join("auricle.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    std::thread::scope(|scope| {
        let write = || store.create_tenant(&Actor::local(), &tenant("late"), &Quotas::default());
        let writer = scope.spawn(write);
        // One write waits for the other process, and another one for it.
        let next = || store.set_quotas(&Actor::local(), &tenant("acme"), &Quotas::default());
        let next = scope.spawn(next);
        for _ in 0..100 {
            assert_eq!(store.tenants(&Page::first(10)).unwrap().data.len(), 2);
            store.contents().unwrap();
        }
        assert!(!writer.is_finished() && !next.is_finished());
        other.execute_batch("COMMIT").unwrap();
        writer.join().unwrap().unwrap();
        next.join().unwrap().unwrap();
    });
    assert_eq!(store.tenants(&Page::first(10)).unwrap().data.len(), 3);
}

#[test]
fn all_who_wait_for_another_process_give_up_together() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let other = Connection::open(dir.path().join("auricle.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let began = std::time::Instant::now();
    let refused = std::thread::scope(|scope| {
        let set = || store.set_quotas(&Actor::local(), &tenant("acme"), &Quotas::default());
        let writers: Vec<_> = (0..8).map(|_| scope.spawn(set)).collect();
        let outcomes = writers.into_iter().map(|writer| writer.join().unwrap());
        outcomes
            .filter(|outcome| matches!(outcome, Err(StoreError::Busy)))
            .count()
    });
    assert_eq!(refused, 8);
    // One after the other they would take 40 s.
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
}
