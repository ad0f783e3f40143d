//! How much is kept of what a tenant deploys.

use auricle_tenancy::{
    Actor, ComponentDigest, ComponentLimits, DeploymentStore, NewRevision, Page, Place, Role,
    SqliteStore, StoreError, StoredComponent, TrialKind, TrialPlan,
};

use crate::{store, tenant};

fn component(number: u8, bytes: u64) -> StoredComponent {
    StoredComponent {
        digest: ComponentDigest::of_sha256([number; 32]),
        bytes,
        created_at: 0,
        signature: None,
    }
}

fn deploy(store: &SqliteStore, component: Option<u8>, place: &Place) -> u64 {
    let new = NewRevision {
        component: component.map(|number| self::component(number, 0).digest),
        ..NewRevision::default()
    };
    let deployed = store.deploy(
        &Actor::local(),
        &tenant("acme"),
        Role::Chunker,
        &new,
        place,
        None,
    );
    deployed.unwrap().0.number
}

fn kept(store: &SqliteStore) -> Vec<u64> {
    let page = Page::first(100);
    let listed = store
        .revisions(&tenant("acme"), Role::Chunker, &page)
        .unwrap();
    listed.data.iter().map(|revision| revision.number).collect()
}

#[test]
fn components_are_limited_in_number_and_in_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let (acme, actor) = (tenant("acme"), Actor::local());
    let limits = ComponentLimits {
        count: 3,
        bytes: 100,
    };
    let put = |component: &StoredComponent| store.put_component(&actor, &acme, component, limits);
    assert!(put(&component(1, 60)).unwrap());
    for (number, bytes) in [(2, 41), (3, u64::from(u32::MAX))] {
        let large = component(number, bytes);
        let checked = store.check_component(&acme, &large, limits);
        assert!(matches!(
            checked,
            Err(StoreError::TooManyComponentBytes {
                limit_bytes: 100,
                ..
            })
        ));
        assert!(matches!(
            put(&large),
            Err(StoreError::TooManyComponentBytes { .. })
        ));
    }
    // One that is there is not counted twice.
    assert!(!put(&component(1, 60)).unwrap());
    assert!(put(&component(2, 40)).unwrap());
    assert!(put(&component(3, 0)).unwrap());
    assert!(matches!(
        put(&component(4, 0)),
        Err(StoreError::TooManyComponents(3))
    ));
    assert!(matches!(
        store.check_component(&tenant("nobody"), &component(1, 1), limits),
        Err(StoreError::NoTenant(_))
    ));
    assert_eq!(store.all_components().unwrap().len(), 3);
}

#[test]
fn old_revisions_are_removed_but_for_those_that_something_leads_to() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let (acme, actor) = (tenant("acme"), Actor::local());
    let limits = ComponentLimits {
        count: 100,
        bytes: 1_000,
    };
    for number in 1..=9 {
        store
            .put_component(&actor, &acme, &component(number, 1), limits)
            .unwrap();
    }
    // 1 is where a rollback leads, 2 serves, 3 is tried out; the rest was abandoned.
    let trial = Place::Try(TrialPlan {
        kind: TrialKind::Canary,
        percent: 10,
        promote_after_secs: None,
    });
    deploy(&store, Some(1), &Place::Serve);
    deploy(&store, Some(2), &Place::Serve);
    for number in 3..=9 {
        deploy(&store, Some(number), &trial);
    }
    let serving = store.serving_components().unwrap();
    let expected = [1, 2, 9].map(|number| component(number, 0).digest);
    assert_eq!(serving, expected.into());
    assert_eq!(store.prune_revisions(&acme, Role::Chunker, 2).unwrap(), 5);
    assert_eq!(kept(&store), [9, 8, 2, 1]);
    assert_eq!(store.prune_revisions(&acme, Role::Chunker, 2).unwrap(), 0);
    assert_eq!(store.prune_revisions(&acme, Role::Handler, 1).unwrap(), 0);
    // Numbers go on.
    assert_eq!(deploy(&store, None, &Place::Serve), 10);
    store.prune_revisions(&acme, Role::Chunker, 1).unwrap();
    assert_eq!(kept(&store), [10, 2]);
    let serving = store.serving_components().unwrap();
    assert_eq!(serving, [component(2, 0).digest].into());
}
