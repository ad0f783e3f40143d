//! All formats of the same weights become the same ggml file, and files that are not what they
//! should be are refused with a reason.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod formats;
mod model;
mod refusals;

use std::fs;
use std::path::{Path, PathBuf};

use auricle_models::convert::{
    ConvertError, Converted, OwnedSource, Quantization, Source, detect, to_ggml,
};
use formats::Kind;
use model::Model;
use tempfile::TempDir;

/// A directory, and a model in it as f16 CTranslate2.
struct Bench {
    dir: TempDir,
    model: Model,
}

impl Bench {
    fn new(model: Model) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { dir, model }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    fn ct2(&self, kind: Kind) -> OwnedSource {
        OwnedSource::CTranslate2 {
            model_parts: vec![self.file("model.bin", &formats::ct2(&self.model, kind))],
            vocabulary: formats::vocabulary_json(self.dir.path(), &self.model),
        }
    }

    /// Converts to f16 and returns what was written.
    fn ggml(&self, source: &Source<'_>) -> Vec<u8> {
        self.convert(source, None).1
    }

    fn convert(&self, source: &Source<'_>, quantize: Option<Quantization>) -> (Converted, Vec<u8>) {
        let out = self.path("out.bin");
        let converted = to_ggml(source, quantize, &out).unwrap();
        let bytes = fs::read(&out).unwrap();
        assert_eq!(converted.bytes, bytes.len() as u64);
        fs::remove_file(&out).unwrap();
        (converted, bytes)
    }

    /// The reason for which a source is refused. Nothing may be left of the attempt.
    fn refusal(&self, source: &Source<'_>) -> String {
        self.refusal_to(source, None).to_string()
    }

    fn refusal_to(&self, source: &Source<'_>, quantize: Option<Quantization>) -> ConvertError {
        let dir = self.path("refused");
        fs::create_dir_all(&dir).unwrap();
        let error = to_ggml(source, quantize, &dir.join("out.bin")).unwrap_err();
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
        error
    }

    fn ggml_file(&self) -> PathBuf {
        let bytes = self.ggml(&self.ct2(Kind::F16).as_source());
        self.file("ggml.bin", &bytes)
    }
}

#[test]
fn ctranslate2_becomes_the_expected_file_whatever_its_weights_are_stored_as() {
    let bench = Bench::new(Model::multilingual());
    for kind in [Kind::F16, Kind::F32, Kind::Bf16, Kind::I8, Kind::I16] {
        let (converted, bytes) = bench.convert(&bench.ct2(kind).as_source(), None);
        assert!(bytes == bench.model.expected(&bytes), "{kind:?}");
        assert!(converted.multilingual);
        assert_eq!((converted.n_audio_layer, converted.n_text_layer), (1, 2));
        assert_eq!((converted.n_mels, converted.quantization), (80, None));
    }
}

#[test]
fn the_vocabulary_of_an_english_model_ends_with_end_of_text() {
    let bench = Bench::new(Model::english());
    let (converted, bytes) = bench.convert(&bench.ct2(Kind::F16).as_source(), None);
    assert!(bytes == bench.model.expected(&bytes));
    assert!(!converted.multilingual);
}

#[test]
fn a_named_vocabulary_serves_weights_that_lie_alone() {
    let bench = Bench::new(Model::multilingual());
    let whole = bench.ggml(&bench.ct2(Kind::F16).as_source());
    let elsewhere = tempfile::tempdir().unwrap();
    let vocabulary = elsewhere.path().join("tokens.json");
    fs::rename(bench.path("vocabulary.json"), &vocabulary).unwrap();
    let alone = detect(bench.dir.path(), None).unwrap_err().to_string();
    assert!(alone.contains("--vocabulary"), "{alone}");
    let source = detect(bench.dir.path(), Some(&vocabulary)).unwrap();
    assert!(bench.ggml(&source.as_source()) == whole);
}

#[test]
fn part_files_and_a_vocabulary_txt_are_the_same_model() {
    let bench = Bench::new(Model::multilingual());
    let whole = bench.ggml(&bench.ct2(Kind::F16).as_source());
    let bytes = fs::read(bench.path("model.bin")).unwrap();
    fs::remove_file(bench.path("model.bin")).unwrap();
    fs::remove_file(bench.path("vocabulary.json")).unwrap();
    formats::vocabulary_txt(bench.dir.path(), &bench.model);
    for (index, part) in bytes.chunks(bytes.len() / 11 + 1).enumerate() {
        bench.file(&format!("model.bin.part{}", index + 1), part);
    }
    let source = detect(bench.dir.path(), None).unwrap();
    assert!(bench.ggml(&source.as_source()) == whole);

    fs::remove_file(bench.path("model.bin.part10")).unwrap();
    let message = detect(bench.dir.path(), None).unwrap_err().to_string();
    assert!(
        message.contains("part 10 of model.bin is missing"),
        "{message}"
    );
}

#[test]
fn safetensors_become_the_expected_file_in_one_file_or_several() {
    let bench = Bench::new(Model::multilingual());
    for (kind, shards) in [(Kind::F32, 1), (Kind::F16, 3), (Kind::Bf16, 2)] {
        let dir = bench.path(&format!("hf{shards}"));
        formats::hugging_face(&dir, &bench.model, kind, shards);
        let source = detect(&dir, None).unwrap();
        assert_eq!(source, OwnedSource::SafetensorsDir(dir));
        let bytes = bench.ggml(&source.as_source());
        assert!(bytes == bench.model.expected(&bytes), "{kind:?}");
    }
}

#[test]
fn a_tokenizer_json_replaces_vocab_json() {
    let bench = Bench::new(Model::english());
    formats::hugging_face(bench.dir.path(), &bench.model, Kind::F16, 1);
    formats::tokenizer_json(bench.dir.path(), &bench.model);
    fs::remove_file(bench.path("vocab.json")).unwrap();
    fs::remove_file(bench.path("added_tokens.json")).unwrap();
    let bytes = bench.ggml(&Source::SafetensorsDir(bench.dir.path()));
    assert!(bytes == bench.model.expected(&bytes));
}

#[test]
fn openai_checkpoints_take_their_vocabulary_from_another_model() {
    let bench = Bench::new(Model::multilingual());
    let ggml = bench.ggml_file();
    let json = bench.path("vocabulary.json");
    let txt = formats::vocabulary_txt(bench.dir.path(), &bench.model);
    let variants = [
        (Kind::F16, false, &ggml),
        (Kind::F32, true, &txt),
        (Kind::Bf16, false, &json),
    ];
    for (kind, shared, vocabulary) in variants {
        let file = bench.file("tiny.pt", &formats::openai(&bench.model, kind, shared));
        let vocabulary = Some(vocabulary.as_path());
        let bytes = bench.ggml(&Source::OpenAiPt {
            file: &file,
            vocabulary,
        });
        assert!(bytes == bench.model.expected(&bytes), "{kind:?}");
    }
    let message = bench.refusal(&Source::OpenAiPt {
        file: &bench.path("tiny.pt"),
        vocabulary: None,
    });
    assert!(message.contains("pass the vocabulary.txt"), "{message}");
}

#[test]
fn a_ggml_file_is_copied_byte_for_byte() {
    let bench = Bench::new(Model::multilingual());
    let path = bench.ggml_file();
    let source = detect(&path, None).unwrap();
    assert_eq!(source, OwnedSource::Ggml(path.clone()));
    assert!(bench.ggml(&source.as_source()) == fs::read(&path).unwrap());
}

#[test]
fn every_route_to_a_quantization_gives_the_same_bytes() {
    let bench = Bench::new(Model::multilingual());
    let ggml = bench.ggml_file();
    for quantization in Quantization::ALL {
        let wanted = Some(quantization);
        let (converted, direct) = bench.convert(&bench.ct2(Kind::F32).as_source(), wanted);
        let (_, later) = bench.convert(&Source::Ggml(&ggml), wanted);
        assert!(direct == later, "{quantization}");
        assert_eq!(converted.quantization, wanted);
        let quantized = bench.file("quantized.bin", &direct);
        let (copied, again) = bench.convert(&Source::Ggml(&quantized), None);
        assert!(again == direct);
        assert_eq!(copied, converted);
        assert!(bench.convert(&Source::Ggml(&quantized), wanted).1 == direct);
    }
    let other = bench.refusal_to(
        &Source::Ggml(&bench.path("quantized.bin")),
        Some(Quantization::Q5_1),
    );
    let message = other.to_string();
    assert!(
        message.contains("it is q8_0 already: start from the f16 file"),
        "{message}"
    );
}

#[test]
fn formats_are_told_apart_by_what_they_hold() {
    let bench = Bench::new(Model::english());
    let pt = bench.file("a", b"PK\x03\x04rest");
    assert_eq!(
        detect(&pt, None).unwrap(),
        OwnedSource::OpenAiPt {
            file: pt,
            vocabulary: None
        }
    );
    let message = |bytes: &[u8]| {
        detect(&bench.file("b", bytes), None)
            .unwrap_err()
            .to_string()
    };
    assert!(message(b"GGUF\x03").contains("use the ggml file"));
    assert!(message(b"RIFF").contains("neither a ggml model"));
    assert!(message(b"").contains("neither a ggml model"));
    let empty = detect(bench.dir.path(), None).unwrap_err().to_string();
    assert!(
        empty.contains("a directory without model.safetensors"),
        "{empty}"
    );
    assert!(detect(Path::new("does/not/exist"), None).is_err());

    let source = bench.ct2(Kind::F16);
    assert_eq!(detect(&bench.path("model.bin"), None).unwrap(), source);
    fs::remove_file(bench.path("vocabulary.json")).unwrap();
    let message = detect(bench.dir.path(), None).unwrap_err().to_string();
    assert!(
        message.contains("put the one that came with the model there"),
        "{message}"
    );
}
