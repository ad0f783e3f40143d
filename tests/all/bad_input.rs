//! Requests that are wrong, one by one: status, JSON error, nothing leaked, server alive.
//!
//! [`Answer::detail`] checks the shape of every error and that it names nothing of the machine.

use reqwest::multipart::Part;

use crate::support::audio::{noise, silence, speech, wav, wav_header, wav_of};
use crate::support::raw::{BOUNDARY, Raw, form, form_start};
use crate::support::upload::{client, get};
use crate::support::{Answer, Server, Upload, shared};

/// A second of silence.
fn short() -> Vec<u8> {
    wav(&silence(1.0))
}

async fn refused(form: Upload, status: u16) -> String {
    let detail = form.transcribe(shared()).await.detail(status);
    assert_eq!(
        get(shared(), "/health").await.status,
        200,
        "the server is alive"
    );
    detail
}

/// Posts a body that is no form of `reqwest`'s.
async fn post(content_type: Option<&str>, body: impl Into<reqwest::Body>) -> Answer {
    let mut request = client().post(shared().url("/transcribe")).body(body);
    if let Some(content_type) = content_type {
        request = request.header("content-type", content_type);
    }
    Answer::of(request.send().await.unwrap()).await
}

#[tokio::test]
async fn a_form_without_a_file_is_told_how_to_send_one() {
    let detail = refused(Upload::empty().field("language", "en"), 400).await;
    assert!(detail.contains("'file'"), "{detail}");
    let detail = refused(Upload::wav(&short()).field("file", "a text"), 400).await;
    assert!(detail.contains("two files"), "{detail}");
}

#[tokio::test]
async fn what_is_no_form_is_told_to_be_one() {
    let multipart = format!("multipart/form-data; boundary={BOUNDARY}");
    for (content_type, body) in [
        (None, ""),
        (None, "RIFF"),
        (Some("application/json"), "{}"),
        (Some("multipart/form-data"), "no boundary"),
        (Some(multipart.as_str()), ""),
        (Some(multipart.as_str()), "no boundary in here"),
    ] {
        let detail = post(content_type, body).await.detail(400);
        assert!(
            detail.contains("multipart/form-data"),
            "{content_type:?}: {detail}"
        );
    }
    assert_eq!(get(shared(), "/health").await.status, 200);
}

#[tokio::test]
async fn a_form_that_ends_early_is_400() {
    let mut body = form_start("audio/wav");
    body.extend_from_slice(&short()[..5000]);
    let multipart = format!("multipart/form-data; boundary={BOUNDARY}");
    post(Some(&multipart), body).await.detail(400);
}

#[tokio::test]
async fn an_empty_file_is_400() {
    let detail = refused(Upload::wav(b""), 400).await;
    assert!(detail.contains("empty"), "{detail}");
}

#[tokio::test]
async fn a_content_type_that_is_not_audio_is_400() {
    for content_type in [
        "text/plain",
        "image/png",
        "application/json",
        "application/pdf",
    ] {
        let detail = refused(Upload::file_as(content_type, "a.wav", &short()), 400).await;
        assert_eq!(detail, "File must be an audio file", "{content_type}");
    }
}

#[tokio::test]
async fn content_types_of_audio_video_and_bytes_are_read() {
    for content_type in [
        "audio/x-wav",
        "video/mp4",
        "application/octet-stream",
        "binary/octet-stream",
        "application/mp4",
        "application/x-matroska",
    ] {
        let form = Upload::file_as(content_type, "a.wav", &short());
        assert_eq!(
            form.transcribe(shared()).await.status,
            200,
            "{content_type}"
        );
    }
    let junk = Upload::file_as("application/mp4", "a", &[0x55; 5_000]);
    let detail = junk.transcribe(shared()).await.detail(422);
    assert!(detail.contains("not audio of a known kind"), "{detail}");
    // `Part::bytes` sets none.
    assert_eq!(
        Upload::file("a.wav", short())
            .transcribe(shared())
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn what_cannot_be_decoded_is_422_with_the_reason() {
    let random: Vec<u8> = noise(0.5, i16::MAX)
        .iter()
        .flat_map(|s| s.to_be_bytes())
        .collect();
    let junk = |magic: &[u8]| [magic, &random].concat();
    for (name, bytes) in [
        (
            "text",
            b"once upon a time, there was no audio in here at all".repeat(20),
        ),
        ("random", random.clone()),
        ("zeros", vec![0; 4096]),
        ("one byte", vec![1]),
        ("RIFF alone", b"RIFF".to_vec()),
        (
            "a WAV head without fmt",
            junk(b"RIFF\xff\xff\xff\xffWAVEjunk"),
        ),
        ("FLAC", junk(b"fLaC")),
        ("Ogg", junk(b"OggS")),
        ("MP4", junk(b"\0\0\0\x18ftypM4A ")),
        ("MP3 tag", junk(b"ID3\x04\0\0\0\0\0\0")),
        ("AAC", junk(b"\xff\xf1\x50\x80")),
        ("PNG", junk(b"\x89PNG\r\n\x1a\n")),
    ] {
        let detail = refused(Upload::wav(&bytes), 422).await;
        assert!(detail.len() > 30, "{name}: {detail}");
    }
}

#[tokio::test]
async fn a_wav_head_that_makes_no_sense_is_422() {
    let data = [0; 4000];
    for (what, tag, channels, rate, bits) in [
        ("no channels", 1, 0, 16_000, 16),
        ("65,535 channels", 1, u16::MAX, 16_000, 1),
        ("no rate", 1, 1, 0, 16),
        ("a rate of 1 Hz", 1, 1, 1, 16),
        ("a rate of 4 GHz", 1, 1, 2_000_000_000, 8),
        ("0 bits", 1, 1, 16_000, 0),
        ("7,000 bits", 1, 1, 16_000, 7_000),
        ("an unknown codec", 0x4242, 1, 16_000, 16),
    ] {
        let detail = refused(Upload::wav(&wav_of(tag, channels, rate, bits, &data)), 422).await;
        assert!(!detail.is_empty(), "{what}");
    }
}

#[tokio::test]
async fn a_wav_that_promises_gigabytes_gives_what_it_holds() {
    let mut file = wav_header(1, 1, 16_000, 16, u32::MAX);
    file.extend_from_slice(&short()[44..]);
    let body = Upload::wav(&file).transcribe(shared()).await.ok();
    assert_eq!(body["audio_duration"], 1.0);
}

#[tokio::test]
async fn a_file_without_samples_has_an_empty_transcript() {
    for samples in [&[][..], &[1][..], &[-5; 3][..]] {
        let body = Upload::wav(&wav(samples)).transcribe(shared()).await.ok();
        assert_eq!(body["text"], "", "{body}");
        assert_eq!(body["segments"].as_array().map(Vec::len), Some(0), "{body}");
    }
}

#[tokio::test]
async fn nan_and_infinite_samples_do_no_harm() {
    for bad in [
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::MAX,
        f32::MIN_POSITIVE,
    ] {
        let data = bad.to_le_bytes().repeat(16_000);
        let body = Upload::wav(&wav_of(3, 1, 16_000, 32, &data))
            .transcribe(shared())
            .await
            .ok();
        assert_eq!(body["audio_duration"], 1.0, "{bad}: {body}");
    }
    // One bad sample spoils nothing else.
    let mut samples: Vec<f32> = speech()
        .samples
        .iter()
        .map(|s| f32::from(*s) / 32768.0)
        .collect();
    samples[1000] = f32::NAN;
    samples[2000] = f32::INFINITY;
    let data: Vec<u8> = samples.iter().flat_map(|s| s.to_le_bytes()).collect();
    let answer = Upload::wav(&wav_of(3, 1, 16_000, 32, &data))
        .transcribe(shared())
        .await;
    speech().must_nearly_be(&answer.transcript(), 0.1);
}

#[tokio::test]
async fn an_unknown_option_value_is_400_and_named() {
    for (field, value) in [
        ("language", "klingon"),
        ("language", "xx"),
        ("task", "sing"),
        ("word_timestamps", "perhaps"),
        ("diarize", "2"),
        ("temperature", "hot"),
        ("temperature", "1.5"),
        ("temperature", "NaN"),
        ("beam_size", "0"),
        ("beam_size", "1000000"),
        ("model", "enormous"),
        ("model", "../../etc/passwd"),
    ] {
        let detail = refused(Upload::wav(&short()).field(field, value), 400).await;
        assert!(
            detail.contains(field) || detail.contains(value),
            "{field}={value}: {detail}"
        );
        refused(
            Upload::empty()
                .field(field, value)
                .part("file", Part::bytes(short())),
            400,
        )
        .await;
    }
}

#[tokio::test]
async fn a_language_that_the_model_does_not_know_is_400() {
    let detail = refused(Upload::wav(&short()).field("language", "de"), 400).await;
    assert!(detail.contains("de"), "{detail}");
}

#[tokio::test]
async fn a_model_that_is_not_installed_is_refused_without_its_path() {
    let answer = Upload::wav(&short())
        .field("model", "large-v2")
        .transcribe(shared())
        .await;
    let status = answer.status;
    assert!((400..500).contains(&status), "{status}");
    answer.detail(status);
}

#[tokio::test]
async fn fields_and_parts_beyond_reason_are_refused() {
    refused(
        Upload::wav(&short()).field("language", &"e".repeat(100_000)),
        413,
    )
    .await;
    let bytes = Part::bytes(vec![0xff, 0xfe]);
    refused(Upload::wav(&short()).part("language", bytes), 400).await;
    let mut many = Upload::empty();
    for number in 0..100 {
        many = many.field(&format!("field-{number}"), "x");
    }
    refused(many.part("file", Part::bytes(short())), 413).await;
}

#[tokio::test]
async fn a_files_name_is_only_a_name() {
    for name in [
        "../../../etc/passwd",
        "a\"b.wav",
        "ä\u{202e}ö.mp3",
        "",
        &"n".repeat(4000),
    ] {
        let form = Upload::file(name, short());
        assert_eq!(form.transcribe(shared()).await.status, 200, "{name}");
        let detail = refused(Upload::file(name, b"not audio".to_vec()), 422).await;
        assert!(!detail.contains("etc") && detail.len() < 500, "{detail}");
    }
}

/// A server that takes a body of 100 kB at most.
fn narrow() -> Server {
    Server::builder()
        .config("[server.limits]\nmax_body_bytes = 100000\n")
        .start()
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_before_and_while_it_streams() {
    let server = narrow();
    // With its length announced: refused at once, before the body has come.
    let mut raw = Raw::connect(&server).await;
    raw.begin_form("/transcribe", "announced", 200_000).await;
    let answer = raw.answer().await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    // Without: refused when the limit is passed, although the rest is yet to come.
    let mut raw = Raw::connect(&server).await;
    let head = format!(
        "POST /transcribe HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\
         content-type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n"
    );
    assert!(raw.send(head.as_bytes()).await);
    let file = form("audio/wav", &wav(&silence(4.0)));
    for chunk in file[..120_000].chunks(1000) {
        let chunk = [b"3e8\r\n", chunk, b"\r\n"].concat();
        if !raw.send(&chunk).await {
            break;
        }
    }
    let answer = raw.answer().await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert!(
        body["detail"].as_str().unwrap().contains("100000"),
        "{body}"
    );
    // And a smaller one is served.
    assert_eq!(Upload::wav(&short()).transcribe(&server).await.status, 200);
}

#[tokio::test]
async fn paths_under_v1_take_less_than_the_others() {
    for (path, length, expected) in [
        ("/v1/audio/transcriptions", 26_214_401, true),
        ("/v1/audio/transcriptions", 26_214_400, false),
        ("/transcribe", 26_214_401, false),
    ] {
        let mut raw = Raw::connect(shared()).await;
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\n\
             content-type: multipart/form-data; boundary={BOUNDARY}\r\n\
             content-length: {length}\r\n\r\n"
        );
        assert!(raw.send(head.as_bytes()).await);
        let answer = raw.beginning().await;
        assert_eq!(answer.starts_with("HTTP/1.1 413 "), expected, "{answer}");
    }
}

#[tokio::test]
async fn audio_longer_than_allowed_is_413_while_it_is_decoded() {
    let server = Server::builder()
        .config("[audio]\nmax_minutes = 1\n")
        .start();
    let detail = Upload::wav(&wav(&silence(61.0)))
        .transcribe(&server)
        .await
        .detail(413);
    assert!(detail.contains("60 s"), "{detail}");
    assert_eq!(Upload::wav(&short()).transcribe(&server).await.status, 200);
}

#[tokio::test]
async fn a_client_that_stalls_is_let_go() {
    let config = "[server.limits]\nheader_read_timeout_ms = 400\nbody_idle_timeout_ms = 400\n";
    let server = Server::builder().config(config).start();
    let mut head = Raw::connect(&server).await;
    assert!(head.send(b"POST /transcribe HTTP/1.1\r\nhost:").await);
    let mut body = Raw::connect(&server).await;
    body.begin_form("/transcribe", "stalls", 100_000).await;
    assert!(body.send(&form("audio/wav", &short())[..10_000]).await);
    assert!(body.answer().await.starts_with("HTTP/1.1 408 "));
    let answer = head.answer().await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 408 "),
        "{answer}"
    );
}
