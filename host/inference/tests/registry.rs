//! Loading, leasing and unloading models, with a small engine of the tests' own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]
#![allow(dead_code, reason = "the engine is shared with other tests")]

#[path = "common/double.rs"]
mod double;

use std::sync::atomic::Ordering;
use std::time::Duration;

use auricle_inference::{InferenceError, Registry, RegistryConfig};
use double::{Desk, registry, until};

fn names(registry: &Registry) -> Vec<String> {
    registry.loaded().into_iter().map(|m| m.name).collect()
}

#[tokio::test]
async fn ten_leases_at_once_load_once() {
    let desk = Desk::new();
    desk.load_ms.store(50, Ordering::SeqCst);
    let registry = registry(&desk, RegistryConfig::default());
    let tasks: Vec<_> = (0..10)
        .map(|_| {
            let registry = registry.clone();
            tokio::spawn(async move { registry.lease("m", false).await.unwrap() })
        })
        .collect();
    let mut leases = Vec::new();
    for task in tasks {
        leases.push(task.await.unwrap());
    }
    assert_eq!(desk.loads.load(Ordering::SeqCst), 1);
    assert_eq!(registry.loaded()[0].leases, 10);
}

#[tokio::test]
async fn a_caller_who_gives_up_does_not_stop_the_load() {
    let desk = Desk::new();
    desk.load_ms.store(50, Ordering::SeqCst);
    let registry = registry(&desk, RegistryConfig::default());
    let impatient =
        tokio::time::timeout(Duration::from_millis(5), registry.lease("m", false)).await;
    assert!(impatient.is_err());
    registry.preload("m", false).await.unwrap();
    assert_eq!(desk.loads.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn word_times_are_an_engine_of_their_own() {
    let desk = Desk::new();
    let registry = registry(&desk, RegistryConfig::default());
    let _plain = registry.lease("m", false).await.unwrap();
    let _words = registry.lease("m", true).await.unwrap();
    let loaded = registry.loaded();
    assert_eq!(loaded.len(), 2);
    assert!(!loaded[0].word_timestamps && loaded[1].word_timestamps);
}

#[tokio::test]
async fn an_idle_model_is_unloaded_and_a_leased_one_is_not() {
    let desk = Desk::new();
    let config = RegistryConfig {
        idle: Some(Duration::from_millis(50)),
        ..RegistryConfig::default()
    };
    let registry = registry(&desk, config);
    let lease = registry.lease("m", false).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(names(&registry), ["m"]);
    drop(lease);
    until("the model is unloaded", || registry.loaded().is_empty()).await;
    registry.preload("m", false).await.unwrap();
    assert_eq!(desk.loads.load(Ordering::SeqCst), 2, "it loads again");
}

#[tokio::test]
async fn zero_unloads_at_once_and_none_never() {
    let desk = Desk::new();
    let at_once = registry(
        &desk,
        RegistryConfig {
            idle: Some(Duration::ZERO),
            ..RegistryConfig::default()
        },
    );
    at_once.preload("m", false).await.unwrap();
    until("the model is unloaded", || at_once.loaded().is_empty()).await;
    let never = registry(
        &desk,
        RegistryConfig {
            idle: None,
            ..RegistryConfig::default()
        },
    );
    never.preload("m", false).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(names(&never), ["m"]);
}

#[tokio::test]
async fn a_model_makes_room_only_by_unloading_unused_ones() {
    let desk = Desk::new();
    // The engines say 1000 bytes each; the file that stands for the weights has some 500.
    let config = RegistryConfig {
        memory_budget_bytes: Some(2_000),
        idle: None,
    };
    let registry = registry(&desk, config);
    let used = registry.lease("used", false).await.unwrap();
    registry.preload("unused", false).await.unwrap();
    registry.preload("third", false).await.unwrap();
    assert_eq!(names(&registry), ["third", "used"]);
    let third = registry.lease("third", false).await.unwrap();
    match registry.lease("fourth", false).await {
        Err(InferenceError::NoMemory { name, passing, .. }) => {
            assert_eq!((name.as_str(), passing), ("fourth", true));
        }
        other => panic!("{other:?}"),
    }
    drop((used, third));
    registry.preload("fourth", false).await.unwrap();
}

#[tokio::test]
async fn beside_models_that_are_never_given_back_no_room_is_waited_for() {
    let desk = Desk::new();
    let config = RegistryConfig {
        memory_budget_bytes: Some(2_400),
        idle: None,
    };
    let registry = registry(&desk, config);
    for pinned in ["one", "other"] {
        registry.lease(pinned, false).await.unwrap().pin();
    }
    match registry.lease("third", false).await {
        Err(InferenceError::NoMemory { passing, .. }) => assert!(!passing),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn failures_say_why_and_are_not_remembered() {
    let desk = Desk::new();
    let registry = registry(&desk, RegistryConfig::default());
    let unknown = registry.lease("unknown", false).await;
    assert!(matches!(unknown, Err(InferenceError::UnknownModel { name }) if name == "unknown"));
    let missing = registry.lease("missing", false).await.unwrap_err();
    assert_eq!(
        missing.to_string(),
        "cannot load model 'missing': run make setup"
    );
    for (name, why) in [("broken", "cut off"), ("panics", "told to panic")] {
        for _ in 0..2 {
            let error = registry.lease(name, false).await.unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
    assert_eq!(desk.loads.load(Ordering::SeqCst), 4);
    assert!(registry.loaded().is_empty());
}
