//! Damaged, foreign and hostile files.

use std::fs;

use auricle_models::convert::{Quantization, Source};

use crate::Bench;
use crate::formats::{self, Kind};
use crate::model::Model;

/// Offset of the first tensor's description in a ggml file of the test model.
fn first_tensor(bytes: &[u8]) -> usize {
    let name = b"decoder.positional_embedding";
    let at = bytes
        .windows(name.len())
        .position(|window| window == name)
        .unwrap();
    at - 2 * 4 - 3 * 4
}

#[test]
fn a_ggml_file_cut_anywhere_is_refused() {
    let bench = Bench::new(Model::english());
    let bytes = fs::read(bench.ggml_file()).unwrap();
    let tensors = first_tensor(&bytes);
    let cuts = [
        0,
        3,
        4,
        40,
        60,
        30_000,
        70_000,
        tensors - 1,
        tensors,
        tensors + 7,
        tensors + 25,
    ];
    let more = (1..20)
        .map(|i| bytes.len() * i / 20)
        .chain([bytes.len() - 1]);
    for cut in cuts.into_iter().chain(more) {
        let path = bench.file("cut.bin", &bytes[..cut]);
        let message = bench.refusal(&Source::Ggml(&path));
        assert!(message.contains("truncated"), "{cut}: {message}");
    }
}

#[test]
fn bytes_after_the_end_are_refused() {
    let bench = Bench::new(Model::english());
    let mut bytes = fs::read(bench.ggml_file()).unwrap();
    bytes.push(0);
    let message = bench.refusal(&Source::Ggml(&bench.file("long.bin", &bytes)));
    assert!(
        message.contains("1 bytes follow its last tensor"),
        "{message}"
    );

    let mut bytes = formats::ct2(&bench.model, Kind::F16);
    bytes.extend([0; 5]);
    let parts = [bench.file("model.bin", &bytes)];
    let vocabulary = bench.path("vocabulary.json");
    let source = Source::CTranslate2 {
        model_parts: &parts,
        vocabulary: &vocabulary,
    };
    let message = bench.refusal(&source);
    assert!(message.contains("5 bytes follow its end"), "{message}");

    formats::hugging_face(bench.dir.path(), &bench.model, Kind::F16, 1);
    let path = bench.path("model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    bytes.push(0);
    fs::write(&path, bytes).unwrap();
    let message = bench.refusal(&Source::SafetensorsDir(bench.dir.path()));
    assert!(message.contains("1 bytes follow its end"), "{message}");
}

#[test]
fn absurd_numbers_in_a_ggml_file_are_refused_before_memory_is_taken() {
    let bench = Bench::new(Model::english());
    let bytes = fs::read(bench.ggml_file()).unwrap();
    let tensors = first_tensor(&bytes);
    let cases = [
        (4, u32::MAX, "its vocabulary has 4294967295 entries"),
        (8, u32::MAX, "n_audio_ctx is 4294967295"),
        (16, 0, "n_audio_head is 0"),
        (16, 5, "cannot be divided among 5 heads"),
        (36, 40_000, "n_text_layer is 40000"),
        (40, 79, "it wants 79 mel bands"),
        (44, 2012, "its type is 2012"),
        (44, 1009, "its type is 1009"),
        (52, u32::MAX, "mel filters of 4294967295 weights"),
        (
            56,
            f32::NAN.to_bits(),
            "a mel filter holds a number that is not finite",
        ),
        (56 + 80 * 201 * 4, u32::MAX, "it lists 4294967295 tokens"),
        (
            60 + 80 * 201 * 4,
            1 << 30,
            "token 0 claims 1073741824 bytes",
        ),
        // whisper.cpp up to 1.8.3 writes behind its array for this one.
        (tensors, 5, "a tensor claims 5 dimensions"),
        (tensors, u32::MAX, "a tensor claims 4294967295 dimensions"),
        (tensors + 4, u32::MAX, "a name of 4294967295 bytes"),
        (tensors + 8, 1, "has type 1 where 0 belongs"),
        (tensors + 8, 99, "has type 99 where 0 belongs"),
        (tensors + 12, u32::MAX, "has shape [6, 4294967295]"),
        (
            tensors + 20,
            u32::from_le_bytes(*b"evil"),
            "is not part of Whisper",
        ),
        (
            tensors + 48,
            f32::INFINITY.to_bits(),
            "a number that is not finite",
        ),
    ];
    for (at, number, reason) in cases {
        let mut bytes = bytes.clone();
        bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
        let message = bench.refusal(&Source::Ggml(&bench.file("bad.bin", &bytes)));
        assert!(message.contains(reason), "{at}: {message}");
    }
}

#[test]
fn a_tensor_that_occurs_twice_is_refused() {
    let bench = Bench::new(Model::english());
    let bytes = fs::read(bench.ggml_file()).unwrap();
    let start = first_tensor(&bytes);
    let len = 20 + 28 + 6 * 32 * 4;
    let twice = [
        &bytes[..start + len],
        &bytes[start..start + len],
        &bytes[start + len..],
    ]
    .concat();
    let message = bench.refusal(&Source::Ggml(&bench.file("twice.bin", &twice)));
    assert!(message.contains("or occurs twice"), "{message}");
}

#[test]
fn a_ctranslate2_file_cut_anywhere_names_the_variable() {
    let bench = Bench::new(Model::english());
    let bytes = formats::ct2(&bench.model, Kind::F16);
    let vocabulary = formats::vocabulary_json(bench.dir.path(), &bench.model);
    for cut in (0..16)
        .map(|i| bytes.len() * i / 16)
        .chain([bytes.len() - 1])
    {
        let parts = [bench.file("model.bin", &bytes[..cut])];
        let source = Source::CTranslate2 {
            model_parts: &parts,
            vocabulary: &vocabulary,
        };
        let message = bench.refusal(&source);
        assert!(message.contains("it is truncated"), "{cut}: {message}");
    }
    let source = Source::CTranslate2 {
        model_parts: &[],
        vocabulary: &vocabulary,
    };
    assert!(bench.refusal(&source).contains("truncated"));
}

#[test]
fn weights_that_whisper_does_not_have_are_refused() {
    let mut bench = Bench::new(Model::english());
    let weight = "decoder.blocks.1.attn.key.weight";
    bench.model.tensor_mut(weight).values[5] = f32::NAN;
    let message = bench.refusal(&bench.ct2(Kind::F16).as_source());
    assert!(
        message.contains(&format!(
            "tensor {weight} holds a number that is not finite"
        )),
        "{message}"
    );
    // Finite as f32, infinite as f16.
    bench.model.tensor_mut(weight).values[5] = 1e6;
    let message = bench.refusal(&bench.ct2(Kind::F32).as_source());
    assert!(
        message.contains("a usable CTranslate2 Whisper model: tensor"),
        "{message}"
    );
    assert!(message.contains("not finite in its type"), "{message}");

    let mut bench = Bench::new(Model::english());
    bench.model.tensor_mut("encoder.ln_post.bias").name = "encoder.lora".to_owned();
    let file = bench.file("a.pt", &formats::openai(&bench.model, Kind::F16, false));
    let vocabulary = formats::vocabulary_json(bench.dir.path(), &bench.model);
    let vocabulary = Some(vocabulary.as_path());
    let message = bench.refusal(&Source::OpenAiPt {
        file: &file,
        vocabulary,
    });
    assert!(
        message.contains("encoder.ln_post.bias is missing"),
        "{message}"
    );
}

#[test]
fn a_vocabulary_of_another_model_is_refused() {
    let bench = Bench::new(Model::english());
    let file = bench.file("a.pt", &formats::openai(&bench.model, Kind::F16, false));
    let other = Bench::new(Model::multilingual());
    for vocabulary in [other.ggml_file(), other.path("vocabulary.json")] {
        let vocabulary = Some(vocabulary.as_path());
        let message = bench.refusal(&Source::OpenAiPt {
            file: &file,
            vocabulary,
        });
        assert!(
            message.contains("is not number 50256 of them, as in English-only"),
            "{message}"
        );
    }
}

#[test]
fn a_checkpoint_that_calls_functions_calls_none() {
    let bench = Bench::new(Model::english());
    let victim = bench.path("victim");
    let command = format!("touch {}", victim.display());
    let mut pickle = b"\x80\x02cposix\nsystem\nX".to_vec();
    pickle.extend((command.len() as u32).to_le_bytes());
    pickle.extend(command.as_bytes());
    pickle.extend(b"\x85R.");
    let file = bench.file("evil.pt", &formats::archive(&pickle, &[]));
    let message = bench.refusal(&Source::OpenAiPt {
        file: &file,
        vocabulary: None,
    });
    assert!(message.contains("it has no dims"), "{message}");
    assert!(!victim.exists());
}

#[test]
fn a_checkpoint_cut_anywhere_is_refused() {
    let bench = Bench::new(Model::english());
    let bytes = formats::openai(&bench.model, Kind::F16, false);
    let vocabulary = formats::vocabulary_json(bench.dir.path(), &bench.model);
    for cut in (0..10)
        .map(|i| bytes.len() * i / 10)
        .chain([bytes.len() - 1])
    {
        let file = bench.file("cut.pt", &bytes[..cut]);
        let vocabulary = Some(vocabulary.as_path());
        bench.refusal(&Source::OpenAiPt {
            file: &file,
            vocabulary,
        });
    }
}

#[test]
fn an_index_may_not_name_files_elsewhere() {
    let bench = Bench::new(Model::english());
    formats::hugging_face(bench.dir.path(), &bench.model, Kind::F16, 2);
    for name in ["../secret", "/etc/passwd", "a/b", "..", ""] {
        let index = serde_json::json!({ "weight_map": { "x": name } }).to_string();
        fs::write(bench.path("model.safetensors.index.json"), index).unwrap();
        let message = bench.refusal(&Source::SafetensorsDir(bench.dir.path()));
        assert!(
            message.contains("is not a plain file name"),
            "{name}: {message}"
        );
    }
}

#[test]
fn a_configuration_of_another_architecture_is_refused() {
    let bench = Bench::new(Model::english());
    formats::hugging_face(bench.dir.path(), &bench.model, Kind::F16, 1);
    let path = bench.path("config.json");
    let config = fs::read_to_string(&path).unwrap();
    fs::write(&path, config.replace("\"whisper\"", "\"wav2vec2\"")).unwrap();
    let message = bench.refusal(&Source::SafetensorsDir(bench.dir.path()));
    assert!(message.contains("model_type is \"wav2vec2\""), "{message}");
}

#[test]
fn an_existing_file_survives_a_failed_conversion() {
    let bench = Bench::new(Model::english());
    let out = bench.file("kept.bin", b"the model in use");
    let bad = bench.file("bad.bin", b"lmgg");
    let result =
        auricle_models::convert::to_ggml(&Source::Ggml(&bad), Some(Quantization::Q8_0), &out);
    assert!(result.is_err());
    assert_eq!(fs::read(&out).unwrap(), b"the model in use");
}
