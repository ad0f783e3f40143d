use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use auricle::assemble::{Node, Server};

use crate::inside::config_with_cache;

/// What nobody may wait longer for than once, even on a busy machine.
const WARM_START: Duration = Duration::from_secs(10);

#[test]
fn a_second_start_takes_its_components_from_the_cache() {
    let dir = tempfile::tempdir().unwrap();
    let config = config_with_cache("", &dir.path().join("components"));
    let (_, cold) = timed(|| Node::assemble(&config).unwrap());
    let before = compiled(dir.path());
    assert!(before.len() >= 3, "{before:?}");
    let (_, warm) = timed(|| Node::assemble(&config).unwrap());
    println!("assembled in {cold:?}, and in {warm:?} with compiled components");
    assert_eq!(compiled(dir.path()), before);
    assert!(warm < cold / 2, "{warm:?} of {cold:?}");
}

#[test]
fn a_component_that_was_tampered_with_is_compiled_again() {
    let dir = tempfile::tempdir().unwrap();
    let config = config_with_cache("", &dir.path().join("components"));
    Node::assemble(&config).unwrap();
    let mut files = compiled(dir.path());
    // The smallest, which is made anew the soonest.
    files.sort_by_key(|(path, _)| path.metadata().unwrap().len());
    let (path, _) = files.first().unwrap();
    let good = std::fs::read(path).unwrap();
    let flipped = |position: usize| {
        let mut bad = good.clone();
        bad[position] ^= 1;
        bad
    };
    // A byte, an end, and another component's code, which is authentic in its own place.
    let bad = [
        flipped(0),
        flipped(good.len() / 2),
        flipped(good.len() - 1),
        good[..good.len() - 100].to_vec(),
        std::fs::read(&files.last().unwrap().0).unwrap(),
    ];
    for (number, bad) in bad.into_iter().enumerate() {
        std::fs::write(path, &bad).unwrap();
        Node::assemble(&config).unwrap();
        assert!(std::fs::read(path).unwrap() != bad, "case {number}");
    }
    files.sort();
    let after = compiled(dir.path());
    let names =
        |files: &[(PathBuf, SystemTime)]| files.iter().map(|f| f.0.clone()).collect::<Vec<_>>();
    assert_eq!(names(&after), names(&files));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_warm_start_with_the_model_base_is_quick() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config_with_cache("", &dir.path().join("components"));
    config.default_model = "base".to_owned();
    Server::start(config.clone())
        .await
        .expect("`make setup` has been run");
    let since = Instant::now();
    Server::start(config).await.unwrap();
    let took = since.elapsed();
    println!("warm start with base: {took:?}");
    assert!(took < WARM_START, "{took:?}");
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let since = Instant::now();
    let outcome = work();
    (outcome, since.elapsed())
}

/// Compiled components and when they were written, in order of their names.
fn compiled(dir: &Path) -> Vec<(PathBuf, SystemTime)> {
    let entries = std::fs::read_dir(dir.join("components"))
        .unwrap()
        .map(|entry| entry.unwrap());
    let mut files: Vec<_> = entries
        .filter(|entry| entry.path().extension().is_some_and(|e| e == "cwasm"))
        .map(|entry| (entry.path(), entry.metadata().unwrap().modified().unwrap()))
        .collect();
    files.sort();
    files
}
