//! The right words: known texts, languages, long files, and nothing where nothing is said.

use serde_json::Value;

use crate::support::audio::{chord, evaluation_or_say, noise, silence, speech, two_speakers, wav};
use crate::support::server::shared_multilingual;
use crate::support::text::{repeated_runs, word_error_rate, words};
use crate::support::upload::get;
use crate::support::{Server, Upload, shared};

/// Fails unless times rise and stay within the audio.
fn assert_times(body: &Value) {
    let mut last = 0.0;
    let duration = body["audio_duration"].as_f64().unwrap();
    for segment in body["segments"].as_array().unwrap() {
        let (start, end) = (
            segment["start"].as_f64().unwrap(),
            segment["end"].as_f64().unwrap(),
        );
        assert!(
            last <= start && start <= end && end <= duration + 0.05,
            "{segment} after {last}"
        );
        last = end;
    }
}

#[tokio::test]
async fn a_clear_speaker_is_understood_without_an_error() {
    let text = Upload::wav(&speech().wav())
        .transcribe(shared())
        .await
        .transcript();
    speech().must_be(&text);
    let text = Upload::wav(&speech().wav())
        .transcribe(shared_multilingual())
        .await
        .transcript();
    speech().must_be(&text);
}

#[tokio::test]
async fn the_same_audio_gives_the_same_transcript() {
    let file = wav(&two_speakers());
    let first = Upload::wav(&file).transcribe(shared()).await.ok();
    let second = Upload::wav(&file).transcribe(shared()).await.ok();
    assert_eq!(first["segments"], second["segments"]);
}

#[tokio::test]
async fn a_telephone_call_is_understood() {
    let body = Upload::wav(&wav(&two_speakers()))
        .transcribe(shared())
        .await
        .ok();
    assert_times(&body);
    let text = body["text"].as_str().unwrap();
    let known = "Hello? Hello? Oh, hello. I didn't know you were there. Neither did I. Okay, then \
                 I thought you know, I heard a beep. This is Diane in New Jersey. And I'm Sheila in \
                 Texas, originally from Chicago. Oh, I'm originally from Chicago also. I'm in New \
                 Jersey now though. Well, there isn't that much difference. At least you know, they \
                 all call me a Yankee down here, so what can I say? Oh, I don't hear that in New \
                 Jersey now.";
    let rate = word_error_rate(known, text);
    assert!(rate < 0.3, "word error rate {rate}: {text}");
}

#[tokio::test]
async fn no_passage_is_lost_or_heard_twice_where_chunks_meet() {
    if speech().max_error_rate > 0.0 {
        eprintln!("skipped: `tiny.en` stammers when a telephone call is said over and over");
        return;
    }
    let times = 8;
    let passage = [speech().samples.clone(), silence(1.5)].concat();
    let body = Upload::wav(&wav(&passage.repeat(times)))
        .transcribe(shared())
        .await
        .ok();
    assert_times(&body);
    let heard = words(body["text"].as_str().unwrap());
    let rate = word_error_rate(&[speech().text].repeat(times).join(" "), &heard.join(" "));
    assert!(
        rate <= speech().max_error_rate + 0.02,
        "word error rate {rate}: {heard:?}"
    );
}

#[tokio::test]
async fn a_long_recording_is_complete_and_takes_no_more_memory_than_its_samples() {
    let Some(path) = evaluation_or_say("derived/long_shared.ogg") else {
        return;
    };
    let server = Server::builder().start();
    // Every worker has its state after this, two minutes of several spans.
    let several = wav(&speech().samples.repeat(12));
    Upload::wav(&several).transcribe(&server).await.ok();
    let before = server.peak_bytes();
    let reference = std::fs::read_to_string(path.with_extension("txt")).unwrap();
    let body = Upload::file("long.ogg", std::fs::read(path).unwrap());
    let body = body.transcribe(&server).await.ok();
    let grown = server.peak_bytes() - before;
    assert_times(&body);
    let duration = body["audio_duration"].as_f64().unwrap();
    let end = body["segments"].as_array().unwrap().last().unwrap()["end"]
        .as_f64()
        .unwrap();
    assert!(
        end > duration - 15.0,
        "the last segment ends at {end} of {duration} s"
    );
    let text = body["text"].as_str().unwrap();
    let rate = word_error_rate(&reference, text);
    assert!(rate < 0.2, "word error rate {rate}");
    let repeated = repeated_runs(&reference, text, 8);
    assert!(repeated.is_empty(), "{repeated:?}");
    println!("memory grew by {} MB", grown >> 20);
    // 64 kB for a second, twice while it grows, and what the allocator holds back.
    let allowed = 2 * (duration as u64 * 64_000) + (60 << 20);
    assert!(grown < allowed, "memory grew by {} MB", grown >> 20);
}

#[tokio::test]
async fn silence_has_no_words() {
    for secs in [0.2, 3.0, 45.0] {
        let body = Upload::wav(&wav(&silence(secs)))
            .transcribe(shared())
            .await
            .ok();
        assert_eq!(body["text"], "", "{secs} s");
    }
}

#[tokio::test]
async fn noise_and_tones_do_no_harm() {
    for samples in [
        noise(12.0, 300),
        noise(12.0, i16::MAX),
        chord(12.0),
        vec![i16::MIN; 50_000],
    ] {
        let body = Upload::wav(&wav(&samples)).transcribe(shared()).await.ok();
        assert_times(&body);
        assert!(words(body["text"].as_str().unwrap()).len() < 20, "{body}");
    }
    assert_eq!(get(shared(), "/health").await.status, 200);
}

#[tokio::test]
async fn birds_music_and_engines_do_no_harm() {
    for name in [
        "nonspeech/456440__inspectorj__bird-whistling-robin-single-13.ogg",
        "nonspeech/Kevin_MacLeod_-_Vibe_Ace.ogg",
        "nonspeech/noise1.wav",
        "nonspeech/noise3.wav",
        "nonspeech/empty.wav",
    ] {
        let Some(path) = evaluation_or_say(name) else {
            continue;
        };
        let form = Upload::file(name, std::fs::read(path).unwrap());
        let body = form.transcribe(shared()).await.ok();
        assert_times(&body);
        println!("{name}: {}", body["text"]);
        assert!(
            words(body["text"].as_str().unwrap()).len() < 40,
            "{name}: {body}"
        );
    }
}

/// Short recordings of people, with their language.
const LANGUAGES: [(&str, &str); 7] = [
    ("de", "de/cheetah_test_de.wav"),
    ("es", "es/cheetah_test_es.wav"),
    ("fr", "fr/cheetah_test_fr.wav"),
    ("it", "it/cheetah_test_it.wav"),
    ("pt", "pt/cheetah_test_pt.wav"),
    ("ja", "ja/common_voice_ja_24511055.mp3"),
    ("zh", "zh/aishell-BAC009S0724W0121.wav"),
];

#[tokio::test]
async fn languages_are_told_apart_and_understood() {
    let mut rates = Vec::new();
    for (language, name) in LANGUAGES {
        let Some(path) = evaluation_or_say(name) else {
            continue;
        };
        let bytes = std::fs::read(&path).unwrap();
        let detected = Upload::file(name, bytes.clone());
        let detected = detected
            .send(shared_multilingual(), "/detect-language")
            .await
            .ok();
        assert_eq!(
            detected["detected_language"], language,
            "{name}: {detected}"
        );
        let body = Upload::file(name, bytes)
            .transcribe(shared_multilingual())
            .await
            .ok();
        assert_eq!(body["language"], language, "{name}: {body}");
        let text = body["text"].as_str().unwrap();
        // Words of the last two are not separated.
        if !["ja", "zh"].contains(&language) {
            let reference = std::fs::read_to_string(path.with_extension("txt")).unwrap();
            rates.push(word_error_rate(&reference, text));
        }
        assert!(!text.is_empty(), "{name}");
    }
    if !rates.is_empty() {
        let mean = rates.iter().sum::<f64>() / rates.len() as f64;
        assert!(mean < 0.25, "word error rates {rates:?}");
    }
}
