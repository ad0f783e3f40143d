//! Graphs through `wasi:nn`: who may compute on what, and what it costs others.
//!
//! One server, the lab, has a tenant for each example and one whose handler tries everything.

pub(crate) mod graph;

use std::sync::OnceLock;

use auricle::assemble::Node;
use auricle::config::FileConfig;
use reqwest::multipart::{Form, Part};

use crate::guests::{Tenants, beside, get, key, send, transcribe_at, wasm};
use crate::inside::config;
use crate::support::Server;
use crate::support::audio::{silence, speech, wav};
use crate::support::upload::client;
use graph::File;

/// Grants of the tenant whose handler tries everything: what is there, and what cannot be loaded.
/// 32 MB of tensors and other things may be held.
const INFERS: &str = "nn = ['silero-vad', 'pyannote-segmentation-3.0', 'campplus', 'tiny.en', 'product', 'forged', 'garbage', 'gone']\n\
                      limits = { host_bytes = 33554432 }";

/// Which tables there are of `[models.graphs]`: `y = x W + b`, three numbers to two.
fn settings() -> String {
    let product = File::new(
        "product",
        &graph::linear(&[&[1.0, 0.0], &[0.0, 1.0], &[1.0, 1.0]], &[0.5, 0.0]),
    );
    // From start and length in seconds: what is later than the twelfth second scores higher.
    let late = File::new(
        "late",
        &graph::linear(&[&[1.0, 0.0], &[0.0, 0.0]], &[0.0, 12.0]),
    );
    let mut forged = File::new("forged", &graph::linear(&[&[1.0]], &[0.0]));
    forged.sha256.clone_from(&product.sha256);
    let garbage = File::new("garbage", b"no graph at all");
    let mut gone = File::new("gone", b"");
    gone.path.set_file_name("not-there.onnx");
    let lines = [
        product.line("product"),
        late.line("late"),
        forged.line("forged"),
        garbage.line("garbage"),
        gone.line("gone"),
    ];
    format!("[models.graphs]\n{}", lines.concat())
}

fn lab() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        Tenants::new(&settings())
            .with("infers", "handler", wasm::HANDLER_INFERS, INFERS)
            .with(
                "hears",
                "chunker",
                wasm::AURICLE_NN_VOICE_CHUNKER,
                "nn = ['silero-vad']",
            )
            .with(
                "labels",
                "speaker_assigner",
                wasm::AURICLE_NN_LABEL_ASSIGNER,
                "nn = ['late']\nconfiguration = { graph = 'late', labels = 'later,earlier' }",
            )
            .with(
                "misled",
                "chunker",
                wasm::AURICLE_NN_VOICE_CHUNKER,
                "nn = ['silero-vad']\nconfiguration = { graph = 'product' }",
            )
            .server()
            .start()
    })
}

/// What the handler that tries everything says.
async fn infers(query: &str) -> String {
    let answer = send(get(lab(), "infers", &format!("/infer?{query}"))).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

fn refusal(toml: &str) -> String {
    let node = Node::assemble(&config(toml));
    format!("{:#}", node.err().expect("a refusal"))
}

#[test]
fn a_component_without_a_grant_is_refused_in_every_role_with_the_key_to_set() {
    let cases: [(&str, &[u8]); 3] = [
        ("handler", wasm::HANDLER_INFERS),
        ("chunker", wasm::AURICLE_NN_VOICE_CHUNKER),
        ("speaker_assigner", wasm::AURICLE_NN_LABEL_ASSIGNER),
    ];
    for (role, component) in cases {
        for rest in ["", "nn = []"] {
            let tenants = Tenants::new("").with("acme", role, component, rest);
            let error = refusal(tenants.toml());
            for part in [
                "tenant 'acme'",
                "wasi:nn/",
                "not granted",
                "`nn = [...]`",
                &format!("[tenants.NAME.{role}]"),
            ] {
                assert!(error.contains(part), "{part} is not in: {error}");
            }
        }
    }
}

#[test]
fn a_grant_or_a_graph_that_is_a_mistake_ends_the_start() {
    let granted = |grant: &str| {
        let tenants = Tenants::new("").with("acme", "chunker", wasm::CHUNKER_LIES, grant);
        refusal(tenants.toml())
    };
    let error = granted("nn = ['silero-vda']");
    assert!(error.contains("'silero-vda'"), "{error}");
    assert!(error.contains("[tenants.acme.chunker]"), "{error}");
    let own = |name: &str, sha256: &str| {
        refusal(&format!(
            "[models.graphs]\n{name} = {{ path = 'x.onnx', sha256 = '{sha256}' }}"
        ))
    };
    let digest = "0".repeat(64);
    for name in ["silero-vad", "base", "onnxruntime"] {
        let error = own(name, &digest);
        assert!(error.contains("which is a model's name"), "{error}");
    }
    for sha256 in ["", "00", &"g".repeat(64)] {
        assert!(own("mine", sha256).contains("64 hexadecimal digits"));
    }
    for unknown in [
        "[models.graphs]\nmine = { path = 'x', sha256 = '', sha512 = '' }",
        "[models.graphs]\nmine = { path = 'x' }",
        "[tenants.acme.chunker]\nnns = ['silero-vad']",
    ] {
        assert!(toml::from_str::<FileConfig>(unknown).is_err(), "{unknown}");
    }
}

#[tokio::test]
async fn a_chunker_runs_voice_activity_itself_and_cuts_at_the_pauses() {
    let sound = [
        silence(3.0),
        speech().samples.clone(),
        silence(25.0),
        speech().samples.clone(),
    ];
    let answer = transcribe_at(&lab().address, "hears", wav(&sound.concat())).await;
    let body = answer.ok();
    let segments = body["segments"].as_array().unwrap();
    let (first, second): (Vec<_>, Vec<_>) = segments
        .iter()
        .partition(|segment| segment["start"].as_f64().unwrap() < 25.0);
    for half in [first, second] {
        let texts = half.iter().map(|segment| segment["text"].as_str().unwrap());
        speech().must_nearly_be(&texts.collect::<Vec<_>>().join(" "), 0.1);
    }
    let quiet = transcribe_at(&lab().address, "hears", wav(&silence(8.0))).await;
    assert_eq!(quiet.transcript(), "");
}

#[tokio::test]
async fn a_component_computes_on_a_graph_of_the_operators_own() {
    let sound = [
        speech().samples.clone(),
        silence(4.0),
        speech().samples.clone(),
    ];
    let answer = transcribe_at(&lab().address, "labels", wav(&sound.concat())).await;
    let body = answer.ok();
    let segments = body["segments"].as_array().unwrap();
    assert!(segments.len() >= 2, "{body}");
    for segment in segments {
        let later = segment["start"].as_f64().unwrap() > 12.0;
        let expected = if later { "later" } else { "earlier" };
        assert_eq!(segment["speaker"], expected, "{body}");
    }
}

#[tokio::test]
async fn a_component_that_names_a_graph_it_may_not_use_fails_its_request_alone() {
    let answer = transcribe_at(&lab().address, "misled", speech().wav()).await;
    answer.detail(502);
}

/// Ten seconds are 589 frames of seven classes; a second of features is a voice of 192 numbers.
#[tokio::test]
async fn the_speaker_models_are_graphs_too() {
    for (graph, shape, numbers) in [
        ("pyannote-segmentation-3.0", "1,1,160000", 589 * 7),
        ("campplus", "1,100,80", 192),
    ] {
        let said = infers(&format!("case=zeros&graph={graph}&shape={shape}")).await;
        assert_eq!(said, numbers.to_string(), "{graph}");
    }
}

#[tokio::test]
async fn the_bytes_of_a_graph_are_refused_with_what_to_do() {
    let said = infers("case=bytes").await;
    assert!(said.starts_with("unsupported-operation: "), "{said}");
    assert!(said.contains("load-by-name"), "{said}");
}

#[tokio::test]
async fn a_name_that_is_not_granted_and_one_that_is_nowhere_have_one_answer() {
    let nowhere = infers("case=name&graph=no-such-graph").await;
    assert!(nowhere.starts_with("not-found: "), "{nowhere}");
    // Another tenant's own graph, a speech model, and what may be mistaken for one that is granted.
    for name in [
        "late",
        "base",
        "",
        "product.onnx",
        "../product",
        "PRODUCT",
        "onnxruntime",
        &"x".repeat(2_000),
    ] {
        assert_eq!(infers(&format!("case=name&graph={name}")).await, nowhere);
    }
    for name in ["silero-vad", "product", "tiny.en"] {
        assert_eq!(infers(&format!("case=name&graph={name}")).await, "ok");
    }
}

#[tokio::test]
async fn a_graph_that_is_not_what_was_pinned_is_never_run_and_its_path_not_told() {
    for name in ["forged", "gone"] {
        let said = infers(&format!("case=name&graph={name}")).await;
        assert!(said.starts_with("runtime-error: "), "{name}: {said}");
        assert!(!said.contains('/') && !said.contains(".onnx"), "{said}");
    }
    // Its digest is right, and the engine does not take it.
    let said = infers("case=tensors&graph=garbage").await;
    assert!(said.contains("runtime-error"), "{said}");
    assert!(!said.contains('/') && !said.contains(".onnx"), "{said}");
}

#[tokio::test]
async fn what_is_wrong_with_tensors_is_told_by_kind_and_the_graph_goes_on() {
    let said = infers("case=tensors&graph=product").await;
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines.len(), 28, "{said}");
    for line in lines {
        let (case, kind) = line.split_once(": ").unwrap();
        match case {
            "halves" | "brain floats" => assert_eq!(kind, "unsupported-operation", "{line}"),
            "as many bytes as a call takes" | "too large" => {
                assert_eq!(kind, "too-large", "{line}")
            }
            "not numbers" => assert_eq!(kind, "ok [NaN, NaN]", "{line}"),
            "sound" => assert_eq!(kind, "ok [4.5, 5.0]", "{line}"),
            _ => assert_eq!(kind, "invalid-argument", "{line}"),
        }
    }
}

#[tokio::test]
async fn tensors_count_among_what_the_host_holds_and_one_too_many_is_too_large() {
    assert_eq!(infers("case=many&graph=product").await, "5 too-large");
}

/// What the speech model makes of a sound, as a graph.
async fn transcript_through_nn(sound: Vec<u8>) -> String {
    let file = Part::bytes(sound).file_name("speech.wav");
    let request = client()
        .post(lab().url("/infer?case=speech&graph=tiny.en"))
        .multipart(Form::new().part("file", file))
        .bearer_auth(key("infers"));
    let answer = send(request).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

#[tokio::test]
async fn a_speech_model_is_a_graph_of_samples_to_text() {
    let text = transcript_through_nn(speech().wav()).await;
    speech().must_be(&text);
}

#[tokio::test]
async fn a_sound_longer_than_the_models_window_is_heard_to_its_end() {
    let secs = 33.0 - speech().secs();
    let sound = [
        speech().samples.clone(),
        silence(secs),
        speech().samples.clone(),
    ];
    let text = transcript_through_nn(wav(&sound.concat())).await;
    let half = text.split_at(text.floor_char_boundary(text.len() / 2));
    speech().must_nearly_be(half.0, 0.1);
    speech().must_nearly_be(half.1, 0.1);
}

#[tokio::test]
async fn another_tenant_is_served_while_components_compute_in_a_loop() {
    let one = || infers("case=loop&graph=silero-vad&times=15");
    let misdeed = async { tokio::join!(one(), one(), one(), one()) };
    let (a, b, c, d) = beside(lab(), misdeed).await;
    assert_eq!([a, b, c, d], ["ok"; 4]);
}
