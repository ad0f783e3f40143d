//! Languages: how requests spell them, and which one a transcript is in.

use serde_json::Value;

use crate::support::audio::{evaluation, evaluation_or_say, noise, samples, silence, speech, wav};
use crate::support::program::{command, scratch};
use crate::support::server::shared_multilingual;
use crate::support::socket::{Live, joined as pieces};
use crate::support::text::word_error_rate;
use crate::support::upload::Answer;
use crate::support::{Upload, shared};

const OPENAI: &str = "/v1/audio/transcriptions";

/// One second of speech: enough for a request to be read and its language checked.
fn short() -> Vec<u8> {
    wav(&speech().samples[..16_000])
}

fn error_of(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).unwrap()
}

#[tokio::test]
async fn every_spelling_of_a_language_is_accepted_by_both_apis() {
    for spelling in ["en-US", "en_GB", "EN", "eng", "english", "auto"] {
        let tutorial = Upload::wav(&short()).field("language", spelling);
        let answer = tutorial.transcribe(shared()).await;
        assert_eq!(answer.status, 200, "{spelling}: {}", answer.body);
        let openai = Upload::wav(&short())
            .field("model", "whisper-1")
            .field("language", spelling)
            .field("languages[]", spelling)
            .send(shared(), OPENAI)
            .await;
        let accepted = openai.status == 200;
        // `auto` is no candidate.
        assert_eq!(accepted, spelling != "auto", "{spelling}: {}", openai.body);
    }
}

#[tokio::test]
async fn a_language_that_the_model_lacks_is_the_clients_error() {
    let server = shared_multilingual();
    for language in ["yue", "Cantonese", "zh-yue", "xx"] {
        for stream in ["false", "true"] {
            let answer = Upload::wav(&short())
                .field("model", "base")
                .field("language", language)
                .field("stream", stream)
                .send(server, OPENAI)
                .await;
            assert_eq!(answer.status, 400, "{language}: {}", answer.body);
            assert_eq!(
                error_of(&answer)["error"]["param"],
                "language",
                "{}",
                answer.body
            );
        }
        let answer = Upload::wav(&short())
            .field("language", language)
            .transcribe(server)
            .await;
        assert_eq!(answer.status, 400, "{language}: {}", answer.body);
        assert!(
            error_of(&answer)["detail"]
                .as_str()
                .unwrap()
                .contains("language")
        );
        let mut live = Live::open(server, &format!("?language={language}")).await;
        live.speak(&speech().samples[..16_000]).await;
        live.flush().await;
        let answer = live.next().await.unwrap();
        let detail = answer["detail"].as_str().unwrap();
        assert!(detail.contains("language"), "{answer}");
        assert_eq!(live.next().await, None);
    }
}

#[test]
fn the_command_line_reads_languages_as_the_apis_do() {
    let dir = scratch().join("spoken");
    std::fs::create_dir_all(&dir).unwrap();
    let file = dir.join("short.wav");
    std::fs::write(&file, short()).unwrap();
    let run = |language: &str| {
        let mut command = command();
        command.args(["transcribe", "--model", "base", "--data-dir"]);
        command.arg(scratch().join("data"));
        command.args(["--language", language]).arg(&file);
        command.output().unwrap()
    };
    for language in ["auto", "en-US", "eng"] {
        let output = run(language);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{language}: {stderr}");
    }
    for language in ["yue", "xx"] {
        let output = run(language);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_ne!(output.status.code(), Some(0), "{language}");
        assert!(stderr.contains("language"), "{stderr}");
    }
}

/// The samples of several recordings of the evaluation data, one after the other, half a second apart.
fn joined(names: &[&str]) -> Option<Vec<i16>> {
    let mut all = Vec::new();
    for name in names {
        let file = std::fs::read(evaluation_or_say(name)?).unwrap();
        all.extend(samples(&file));
        all.extend(silence(0.5));
    }
    Some(all)
}

fn text_of(name: &str) -> String {
    let path = evaluation(&name.replace(".wav", ".txt")).unwrap();
    std::fs::read_to_string(path).unwrap()
}

#[tokio::test]
async fn each_chunk_is_in_the_language_that_was_spoken() {
    let names = ["en/azure_en-US_training.wav", "es/azure_es-ES_training.wav"];
    for names in [names, [names[1], names[0]]] {
        let Some(both) = joined(&names) else { return };
        let body = Upload::wav(&wav(&both))
            .field("model", "base")
            .field("response_format", "verbose_json")
            .send(shared_multilingual(), OPENAI)
            .await
            .ok();
        let segments = body["segments"].as_array().unwrap();
        for name in names {
            let language = match name.starts_with("en") {
                true => "english",
                false => "spanish",
            };
            let own = segments
                .iter()
                .filter(|segment| segment["language"] == language);
            let heard: Vec<_> = own
                .map(|segment| segment["text"].as_str().unwrap())
                .collect();
            let rate = word_error_rate(&text_of(name), &heard.join(" "));
            assert!(rate < 0.3, "{language}: {rate}: {body}");
        }
        assert_eq!(body["language"], "spanish", "more of it is spoken: {body}");
    }
}

#[tokio::test]
async fn candidates_restrict_the_languages() {
    let names = ["en/azure_en-US_training.wav", "es/azure_es-ES_training.wav"];
    let Some(both) = joined(&names) else { return };
    let answer = Upload::wav(&wav(&both))
        .field("model", "base")
        .field("languages[]", "es-MX")
        .field("languages[]", "eng")
        .send(shared_multilingual(), OPENAI)
        .await
        .ok();
    let expected = serde_json::json!([{ "code": "es" }, { "code": "en" }]);
    assert_eq!(answer["languages"], expected, "{answer}");
}

#[tokio::test]
async fn segments_of_the_tutorials_answer_tell_their_language_where_there_are_several() {
    let names = ["en/azure_en-US_training.wav", "es/azure_es-ES_training.wav"];
    let Some(both) = joined(&names) else { return };
    let answer = Upload::wav(&wav(&both))
        .field("model", "base")
        .transcribe(shared_multilingual())
        .await
        .ok();
    let segments = answer["segments"].as_array().unwrap().iter();
    let languages: std::collections::BTreeSet<_> =
        segments.map(|it| it["language"].as_str()).collect();
    assert_eq!(languages, [Some("en"), Some("es")].into(), "{answer}");
}

#[tokio::test]
async fn chinese_is_in_one_script() {
    let names = [
        "zh/azure_zh-CN_training.wav",
        "zh/aishell-BAC009S0724W0121.wav",
    ];
    let Some(all) = joined(&[names[0], names[1], names[0], names[1]]) else {
        return;
    };
    let only = |language: &'static str| {
        let file = wav(&all);
        async move {
            let upload = Upload::wav(&file).field("model", "base");
            let upload = upload.field("language", language);
            let answer = upload.send(shared_multilingual(), OPENAI).await;
            answer.ok()["text"].as_str().unwrap().to_owned()
        }
    };
    // Characters of one script alone, all of which the recordings have.
    let (simplified, traditional) = (['数', '据', '语', '质'], ['數', '據', '語', '質']);
    for (language, wanted, other) in [
        ("zh-CN", Some(simplified), Some(traditional)),
        ("zh-TW", Some(traditional), Some(simplified)),
        ("zh", None, None),
    ] {
        let text = only(language).await;
        if let (Some(wanted), Some(other)) = (wanted, other) {
            assert!(
                text.contains(wanted) && !text.contains(other),
                "{language}: {text}"
            );
        } else {
            assert_ne!(
                text.contains(simplified),
                text.contains(traditional),
                "{text}"
            );
        }
    }
}

#[tokio::test]
async fn a_soft_recording_is_heard_as_a_loud_one() {
    for level in [0.01, 0.003] {
        let soft: Vec<i16> = speech()
            .samples
            .iter()
            .map(|sample| (f64::from(*sample) * level).round() as i16)
            .collect();
        let body = Upload::wav(&wav(&soft)).transcribe(shared()).await.ok();
        speech().must_nearly_be(body["text"].as_str().unwrap(), 0.1);
        let mut live = Live::open(shared(), "?language=en").await;
        live.speak(&soft).await;
        live.end().await;
        let answers = live.rest().await;
        assert!(
            word_error_rate(speech().text, &pieces(&answers)) < 0.5,
            "{answers:?}"
        );
    }
    // Faint noise stays noise.
    let noise = wav(&noise(10.0, 30));
    let body = Upload::wav(&noise).transcribe(shared()).await.ok();
    assert_eq!(body["text"], "", "{body}");
}

#[tokio::test]
async fn a_language_that_changes_within_a_chunk_is_not_translated() {
    // Both fit into one chunk.
    for names in [
        ["fr/cheetah_test_fr.wav", "de/cheetah_test_de.wav"],
        ["en/cheetah_test_en.wav", "fr/cheetah_test_fr.wav"],
        ["en/cheetah_test_en_norm.wav", "it/cheetah_test_it.wav"],
    ] {
        let Some(both) = joined(&names) else { return };
        let answer = Upload::wav(&wav(&both))
            .field("model", "base")
            .field("response_format", "verbose_json")
            .send(shared_multilingual(), OPENAI)
            .await
            .ok();
        let said = names.map(text_of).join(" ");
        let rate = word_error_rate(&said, answer["text"].as_str().unwrap());
        // Numbers are written in digits.
        assert!(rate < 0.6, "{names:?}: {rate}: {answer}");
        let segments = answer["segments"].as_array().unwrap();
        let first = segments.first().unwrap()["language"].as_str();
        assert_ne!(
            first,
            segments.last().unwrap()["language"].as_str(),
            "{answer}"
        );
    }
}
