//! Whisper models: pulled from a hub, imported, resolved, listed, removed.

use std::path::PathBuf;

use auricle_models::convert::Quantization;
use auricle_models::manifest::Manifest;
use auricle_models::progress::NoProgress;
use auricle_models::store::PullOptions;
use auricle_models::{ModelsError, Store, StoreDirs};

use crate::model::Model;
use crate::server::{Answer, Server};
use crate::{impatient, names, sha256};

/// Header, and the two numbers before the mel filters, whose content does not matter here.
const UP_TO_VOCABULARY: usize = 14 * 4 + 80 * 201 * 4;

fn weights() -> Vec<u8> {
    Model::english().expected(&vec![0; UP_TO_VOCABULARY])
}

struct Case {
    weights: Vec<u8>,
    server: Server,
    dir: tempfile::TempDir,
}

impl Case {
    fn new() -> Self {
        let weights = weights();
        Self {
            server: Server::start(weights.clone(), vec![Answer::Whole]),
            weights,
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn models(&self) -> PathBuf {
        self.dir.path().join("models")
    }

    /// A store with one model, whose f16 digest is given by this line.
    fn store(&self, digest: &str) -> Store {
        let text = format!(
            r#"
            schema = 1
            default_model = "toy"
            file = []
            archive = []
            [hub]
            url = "http://127.0.0.1:9/never"
            repository = "some/one"
            revision = "main"
            [[model]]
            name = "toy"
            description = "a toy"
            license = "none"
            languages = ["en"]
            memory_bytes = 1
            default_quantization = "q8_0"
            f16 = {{ {digest} about_bytes = {} }}
            source = [{{ from = "hub", file = "ggml-toy.bin" }}]
            "#,
            self.weights.len()
        );
        let dirs = StoreDirs {
            models: self.models(),
            cache: self.dir.path().join("cache"),
            hub_url: Some(self.server.url("/hub/")),
        };
        Store::with_manifest(dirs, Manifest::parse(&text).unwrap(), impatient())
    }

    fn pinned(&self) -> Store {
        self.store(&format!("sha256 = \"{}\",", sha256(&self.weights)))
    }

    fn file(&self, bytes: &[u8]) -> PathBuf {
        let path = self.dir.path().join("brought.bin");
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

#[test]
fn a_pulled_model_is_resolved_by_its_bare_name_in_the_default_quantization() {
    let case = Case::new();
    let store = case.pinned();
    let pulled = store.pull("toy", &NoProgress).unwrap();
    assert_eq!(pulled.reference, "toy:q8_0");
    assert!(!pulled.multilingual);
    assert_eq!(
        case.server.requests()[0].path,
        "/hub/some/one/resolve/main/ggml-toy.bin"
    );
    let found = store.resolve("toy").unwrap();
    assert_eq!((&found.path, &found.sha256), (&pulled.path, &pulled.sha256));
    auricle_models::verify_sha256(&found.path, &found.sha256).unwrap();
    assert!(found.bytes < case.weights.len() as u64);
    assert!(found.source.contains("/hub/some/one/"), "{}", found.source);
}

#[test]
fn pulling_again_and_other_quantizations_need_no_network() {
    let case = Case::new();
    let store = case.pinned();
    store.pull("toy", &NoProgress).unwrap();
    store.pull("toy", &NoProgress).unwrap();
    let f16 = store.pull("toy:f16", &NoProgress).unwrap();
    assert_eq!(std::fs::read(f16.path).unwrap(), case.weights);
    store.pull("toy:q5_1", &NoProgress).unwrap();
    assert_eq!(case.server.requests().len(), 1);
    let listed = store.list();
    let variants: Vec<_> = listed[0]
        .installed
        .iter()
        .map(|v| v.quantization.as_str())
        .collect();
    assert_eq!(variants, ["f16", "q5_1", "q8_0"]);
    let toy = case.models().join("toy");
    assert!(names(&toy).iter().all(|name| name.starts_with("ggml-toy-")));
}

#[test]
fn what_a_killed_process_left_half_made_is_cleared_away() {
    let case = Case::new();
    let store = case.pinned();
    let left = case.models().join("toy/.making");
    std::fs::create_dir_all(&left).unwrap();
    std::fs::write(left.join("f16"), "half").unwrap();
    store.pull("toy", &NoProgress).unwrap();
    assert!(!left.exists());
}

#[test]
fn a_model_that_is_not_installed_says_how_to_get_it() {
    let case = Case::new();
    let store = case.pinned();
    let text = store.resolve("toy:q5_0").unwrap_err().to_string();
    assert!(text.contains("`auricle models pull toy:q5_0`"), "{text}");
    let text = store.resolve("toi").unwrap_err().to_string();
    assert!(text.contains("models list"), "{text}");
}

#[test]
fn weights_that_are_not_the_pinned_ones_are_not_installed() {
    let case = Case::new();
    let store = case.store(&format!("sha256 = \"{}\",", "1".repeat(64)));
    let error = store.pull("toy", &NoProgress).unwrap_err();
    assert!(matches!(error, ModelsError::WrongDigest { .. }), "{error}");
    assert!(names(&case.models().join("toy")).is_empty());
    assert!(store.resolve("toy").is_err());
}

#[test]
fn without_a_digest_a_person_must_give_one() {
    let case = Case::new();
    let store = case.store("");
    let text = store.pull("toy", &NoProgress).unwrap_err().to_string();
    assert!(text.contains("--sha256"), "{text}");
    assert!(case.server.requests().is_empty());
    let trusted = sha256(&case.weights);
    let options = PullOptions {
        sha256: Some(&trusted),
    };
    store.pull_with("toy", options, &NoProgress).unwrap();
    store.resolve("toy").unwrap();
}

#[test]
fn a_publishers_sha1_is_enough_and_is_checked() {
    let case = Case::new();
    let digest = {
        use sha1::Digest;
        hex::encode(sha1::Sha1::digest(&case.weights))
    };
    let wrong = case.store(&format!("sha1 = \"{}\",", "2".repeat(40)));
    let text = wrong.pull("toy", &NoProgress).unwrap_err().to_string();
    assert!(text.contains("sha1") && text.contains(&digest), "{text}");
    let store = case.store(&format!("sha1 = \"{digest}\","));
    store.pull("toy", &NoProgress).unwrap();
}

#[test]
fn a_hub_that_cannot_be_reached_is_named() {
    let case = Case::new();
    let mut dirs = case.pinned().dirs().clone();
    dirs.hub_url = Some("http://127.0.0.1:9".to_owned());
    let store = Store::with_manifest(dirs, case.pinned().manifest().clone(), impatient());
    let text = store.pull("toy", &NoProgress).unwrap_err().to_string();
    assert!(text.contains("127.0.0.1:9"), "{text}");
}

#[test]
fn damaged_weights_are_noticed_and_pulled_again() {
    let case = Case::new();
    let store = case.pinned();
    let path = store.pull("toy", &NoProgress).unwrap().path;
    std::fs::write(&path, "short").unwrap();
    let text = store.resolve("toy").unwrap_err().to_string();
    assert!(
        text.contains("damaged") && text.contains("models pull"),
        "{text}"
    );
    assert!(store.list()[0].installed.is_empty());
    store.pull("toy", &NoProgress).unwrap();
    store.resolve("toy").unwrap();
}

#[test]
fn a_record_that_disagrees_with_a_newer_manifest_does_not_count() {
    let case = Case::new();
    case.pinned().pull("toy:f16", &NoProgress).unwrap();
    let newer = case.store(&format!("sha256 = \"{}\",", "3".repeat(64)));
    let error = newer.resolve("toy:f16").unwrap_err();
    assert!(matches!(error, ModelsError::NotInstalled { .. }), "{error}");
}

#[test]
fn removing_one_quantization_leaves_the_others() {
    let case = Case::new();
    let store = case.pinned();
    store.pull("toy", &NoProgress).unwrap();
    store.pull("toy:f16", &NoProgress).unwrap();
    store.remove("toy:f16").unwrap();
    assert!(store.resolve("toy:f16").is_err());
    store.resolve("toy").unwrap();
    store.remove("toy").unwrap();
    assert!(!case.models().join("toy").exists());
    let error = store.remove("toy").unwrap_err();
    assert!(matches!(error, ModelsError::NotInstalled { .. }), "{error}");
}

#[test]
fn removing_leaves_what_no_record_names() {
    let case = Case::new();
    let store = case.pinned();
    store.pull("toy", &NoProgress).unwrap();
    let note = case.models().join("toy/note.txt");
    std::fs::write(&note, "mine").unwrap();
    store.remove("toy").unwrap();
    assert!(note.exists());
}

#[test]
fn imported_weights_are_listed_resolved_and_removed() {
    let case = Case::new();
    let store = case.pinned();
    let path = case.file(&case.weights);
    let quantize = Some(Quantization::Q8_0);
    let imported = store.import(&path, "mine", quantize, None).unwrap();
    assert_eq!(imported.reference, "mine:q8_0");
    assert_eq!(store.resolve("mine").unwrap().sha256, imported.sha256);
    let listed = store.list();
    let mine = listed.iter().find(|model| model.name == "mine").unwrap();
    assert!(mine.imported && !mine.languages.is_multilingual());
    assert!(mine.description.contains("brought.bin"));
    store.remove("mine").unwrap();
    assert!(store.resolve("mine").is_err());
    assert!(store.list().iter().all(|model| model.name != "mine"));
}

#[test]
fn importing_again_replaces_the_earlier_import() {
    let case = Case::new();
    let store = case.pinned();
    let path = case.file(&case.weights);
    store
        .import(&path, "mine", Some(Quantization::Q5_1), None)
        .unwrap();
    let again = store.import(&path, "mine", None, None).unwrap();
    assert_eq!(again.reference, "mine:f16");
    assert_eq!(store.resolve("mine").unwrap().reference, "mine:f16");
    assert_eq!(
        names(&case.models().join("mine")),
        ["ggml-mine-f16.bin", "ggml-mine-f16.json"]
    );
}

#[test]
fn unusable_weights_are_refused_and_leave_nothing() {
    let case = Case::new();
    let store = case.pinned();
    let cut = case.file(&case.weights[..case.weights.len() - 7]);
    let error = store.import(&cut, "mine", None, None).unwrap_err();
    assert!(matches!(error, ModelsError::Convert { .. }), "{error}");
    assert!(store.resolve("mine").is_err());
    assert!(names(&case.models().join("mine")).is_empty());
}

#[test]
fn an_import_cannot_take_a_listed_or_an_unsafe_name() {
    let case = Case::new();
    let store = case.pinned();
    let path = case.file(&case.weights);
    let error = store.import(&path, "toy", None, None).unwrap_err();
    assert!(matches!(error, ModelsError::NameTaken { .. }), "{error}");
    for name in ["../mine", "/mine", ".mine", "", "a/b"] {
        let error = store.import(&path, name, None, None).unwrap_err();
        assert!(
            matches!(error, ModelsError::BadName { .. }),
            "{name}: {error}"
        );
        assert!(store.resolve(name).is_err() && store.remove(name).is_err());
    }
    assert!(
        names(case.dir.path())
            .iter()
            .all(|name| name == "brought.bin")
    );
}

#[test]
fn a_record_cannot_point_out_of_its_directory() {
    let case = Case::new();
    let store = case.pinned();
    let path = case.file(&case.weights);
    store.import(&path, "mine", None, None).unwrap();
    let record = case.models().join("mine/ggml-mine-f16.json");
    let text = std::fs::read_to_string(&record).unwrap();
    std::fs::write(
        &record,
        text.replace("ggml-mine-f16.bin", "../../brought.bin"),
    )
    .unwrap();
    assert!(store.resolve("mine").is_err());
    assert!(store.remove("mine").is_err());
    assert!(path.exists());
}
