//! What `Fetcher::url` promises.

use std::path::PathBuf;

use auricle_models::ModelsError;
use auricle_models::fetch::{Expected, Fetched, Fetcher};
use auricle_models::progress::NoProgress;

use crate::server::{Answer, Server};
use crate::{impatient, names, noise, sha256};

const LEN: usize = 600_000;

struct Case {
    content: Vec<u8>,
    sha256: String,
    server: Server,
    cache: tempfile::TempDir,
}

impl Case {
    fn new(answers: Vec<Answer>) -> Self {
        let content = noise(LEN);
        Self {
            sha256: sha256(&content),
            server: Server::start(content.clone(), answers),
            content,
            cache: tempfile::tempdir().unwrap(),
        }
    }

    fn downloads(&self) -> PathBuf {
        self.cache.path().join("downloads")
    }

    fn fetch_as(&self, sha256: Option<&str>, limit: usize) -> Result<Fetched, ModelsError> {
        let expected = Expected {
            sha256,
            sha1: None,
            limit_bytes: limit as u64,
        };
        let fetcher = Fetcher::new(self.downloads(), impatient());
        fetcher.url(&self.server.url("/x"), "weights", &expected, &NoProgress)
    }

    fn fetch(&self) -> Result<Fetched, ModelsError> {
        self.fetch_as(Some(&self.sha256), LEN)
    }

    fn ranges(&self) -> Vec<Option<String>> {
        self.server
            .requests()
            .into_iter()
            .map(|r| r.range)
            .collect()
    }
}

#[test]
fn a_broken_download_continues_where_it_stopped() {
    let case = Case::new(vec![
        Answer::Cut(250_000),
        Answer::Cut(250_000),
        Answer::Whole,
    ]);
    let fetched = case.fetch().unwrap();
    assert_eq!(std::fs::read(&fetched.path).unwrap(), case.content);
    assert_eq!(fetched.sha256, case.sha256);
    let expected = [None, Some("bytes=250000-"), Some("bytes=500000-")];
    assert_eq!(case.ranges(), expected.map(|r| r.map(ToOwned::to_owned)));
    assert_eq!(names(&case.downloads()), ["weights"]);
}

#[test]
fn breaks_that_bring_something_are_not_counted_as_failures() {
    let case = Case::new(vec![Answer::Cut(60_000)]);
    case.fetch().unwrap();
    assert_eq!(case.ranges().len(), 10);
}

#[test]
fn what_a_killed_process_left_is_continued() {
    let case = Case::new(vec![Answer::Whole]);
    std::fs::create_dir_all(case.downloads()).unwrap();
    std::fs::write(case.downloads().join("weights.part"), &case.content[..1000]).unwrap();
    case.fetch().unwrap();
    assert_eq!(case.ranges(), [Some("bytes=1000-".to_owned())]);
}

#[test]
fn a_part_that_is_whole_already_only_needs_the_servers_word() {
    let case = Case::new(vec![Answer::Whole]);
    std::fs::create_dir_all(case.downloads()).unwrap();
    std::fs::write(case.downloads().join("weights.part"), &case.content).unwrap();
    case.fetch().unwrap();
    assert_eq!(case.ranges().len(), 1);
}

#[test]
fn a_part_longer_than_the_file_starts_over() {
    let case = Case::new(vec![Answer::Whole]);
    std::fs::create_dir_all(case.downloads()).unwrap();
    std::fs::write(case.downloads().join("weights.part"), noise(LEN + 5)).unwrap();
    case.fetch().unwrap();
    assert_eq!(case.ranges().last().unwrap(), &None);
}

#[test]
fn a_server_without_ranges_is_asked_for_all_again() {
    let case = Case::new(vec![Answer::Cut(100_000), Answer::NoRanges]);
    let fetched = case.fetch().unwrap();
    assert_eq!(std::fs::read(fetched.path).unwrap(), case.content);
}

#[test]
fn a_wrong_digest_names_both_and_leaves_nothing() {
    let case = Case::new(vec![Answer::Whole]);
    let wanted = "0".repeat(64);
    let text = case.fetch_as(Some(&wanted), LEN).unwrap_err().to_string();
    assert!(text.contains(&wanted), "{text}");
    assert!(text.contains(&case.sha256), "{text}");
    assert!(text.contains("weights"), "{text}");
    assert!(names(&case.downloads()).is_empty());
}

#[test]
fn without_a_digest_nothing_is_fetched() {
    let case = Case::new(vec![Answer::Whole]);
    let error = case.fetch_as(None, LEN).unwrap_err();
    assert!(matches!(error, ModelsError::NoDigest { .. }), "{error}");
    let error = case.fetch_as(Some("abc"), LEN).unwrap_err();
    assert!(matches!(error, ModelsError::NoDigest { .. }), "{error}");
    assert!(case.ranges().is_empty());
}

#[test]
fn the_second_fetch_touches_no_network() {
    let case = Case::new(vec![Answer::Whole]);
    let first = case.fetch().unwrap();
    let second = case.fetch().unwrap();
    assert_eq!(first.path, second.path);
    assert_eq!(case.ranges().len(), 1);
}

#[test]
fn a_damaged_file_in_the_cache_is_fetched_again() {
    let case = Case::new(vec![Answer::Whole]);
    let path = case.fetch().unwrap().path;
    let mut damaged = case.content.clone();
    damaged[LEN / 2] ^= 1;
    std::fs::write(&path, damaged).unwrap();
    case.fetch().unwrap();
    assert_eq!(std::fs::read(path).unwrap(), case.content);
    assert_eq!(case.ranges().len(), 2);
}

#[test]
fn two_fetches_at_once_make_one_download() {
    let case = Case::new(vec![Answer::Whole]);
    std::thread::scope(|scope| {
        let both = [(); 2].map(|()| scope.spawn(|| case.fetch().unwrap()));
        for one in both {
            assert_eq!(
                std::fs::read(one.join().unwrap().path).unwrap(),
                case.content
            );
        }
    });
    assert_eq!(case.ranges().len(), 1);
}

#[test]
fn a_server_that_fails_is_given_up_after_the_set_attempts() {
    let case = Case::new(vec![Answer::Status(503)]);
    let text = case.fetch().unwrap_err().to_string();
    assert!(text.contains("503") && text.contains("/x"), "{text}");
    assert_eq!(case.ranges().len(), 3);
}

#[test]
fn a_file_that_is_not_there_is_not_asked_for_twice() {
    let case = Case::new(vec![Answer::Status(404)]);
    let text = case.fetch().unwrap_err().to_string();
    assert!(text.contains("404"), "{text}");
    assert_eq!(case.ranges().len(), 1);
}

#[test]
fn a_file_longer_than_allowed_is_refused_and_not_kept() {
    for answer in [Answer::Whole, Answer::NoLength] {
        let case = Case::new(vec![answer]);
        let error = case.fetch_as(Some(&case.sha256), LEN - 1).unwrap_err();
        assert!(error.to_string().contains("longer"), "{answer:?}: {error}");
        assert!(names(&case.downloads()).is_empty(), "{answer:?}");
        assert_eq!(case.ranges().len(), 1, "{answer:?}");
    }
}

#[test]
fn a_name_that_leaves_the_cache_is_refused() {
    let case = Case::new(vec![Answer::Whole]);
    let expected = Expected {
        sha256: Some(&case.sha256),
        sha1: None,
        limit_bytes: LEN as u64,
    };
    let fetcher = Fetcher::new(case.downloads(), impatient());
    let url = case.server.url("/x");
    let error = fetcher.url(&url, "../weights", &expected, &NoProgress);
    assert!(matches!(error, Err(ModelsError::BadName { .. })));
    assert!(case.ranges().is_empty());
}
