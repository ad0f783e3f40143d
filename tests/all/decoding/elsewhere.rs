//! The faults in media that were found in another server's speech endpoint, vLLM's, each run against
//! this one. Two more stand among the bombs: CVE-2026-54233 and CVE-2026-109311.

use std::time::Duration;

use reqwest::multipart::Part;

use crate::support::audio::{speech, wav_header};
use crate::support::files::flac_of_silence;
use crate::support::raw::{BOUNDARY, Raw, form_start};
use crate::support::{Server, Upload};

/// CVE-2026-55646: the whole form was in memory before its size was looked at. Here: a body without a
/// length is refused as soon as it is over the limit, and takes no memory until then.
#[tokio::test]
async fn a_form_is_measured_while_it_arrives() {
    let server = Server::builder().start();
    let warm = Upload::wav(&speech().wav()).field("model", "whisper-1");
    assert_eq!(
        warm.send(&server, "/v1/audio/transcriptions").await.status,
        200
    );
    let before = server.peak_bytes();
    let mut client = Raw::connect(&server).await;
    let head = format!(
        "POST /v1/audio/transcriptions HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\
         content-type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n"
    );
    client.send(head.as_bytes()).await;
    let chunk =
        |bytes: &[u8]| [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
    let mut file = form_start("audio/wav");
    file.extend(wav_header(1, 1, 16_000, 16, u32::MAX));
    client.send(&chunk(&file)).await;
    // The limit is 25 MiB; what comes behind these 32 is never sent.
    for _ in 0..32 {
        client.send(&chunk(&[0; 1 << 20])).await;
    }
    let answer = client.answer().await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    // The clip of what came is 50 MiB; a form that is held would come on top.
    let grown = server.peak_bytes().saturating_sub(before) >> 20;
    assert!(grown < 160, "{grown} MiB");
}

/// CVE-2026-100650: limits were looked at when all of the audio was in memory. Here: they are counted
/// as samples come, each clip of a form for itself and all of them together.
#[tokio::test]
async fn limits_are_counted_before_audio_is_held() {
    let server = Server::builder()
        .config("[audio]\nmax_minutes = 30\n[limits.handler]\nhost_bytes = 33554432\n")
        .start();
    let small = Upload::file("a.flac", flac_of_silence(1, 65_535));
    small.transcribe(&server).await.ok();
    let before = server.peak_bytes();
    // Nine hours in 60 kB, 16 times: each would be 2 GB.
    let bomb = || Part::bytes(flac_of_silence(4_000, 1)).file_name("a.flac");
    let mut form = Upload::empty();
    for _ in 0..16 {
        form = form.field("known_speaker_names", "Ann");
        form = form.part("known_speaker_references", bomb());
    }
    let answer = form.part("file", bomb()).transcribe(&server).await;
    answer.detail(413);
    // What a handler may have held is 32 MiB.
    let grown = server.peak_bytes().saturating_sub(before) >> 20;
    assert!(grown < 128, "{grown} MiB");
}

/// CVE-2026-34753: the server fetched what a request named. Here nothing does: neither a file nor a
/// speaker's voice nor any field is an address, and nobody is asked.
#[tokio::test]
async fn no_request_has_the_server_fetch_anything() {
    let bait = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/secret.wav", bait.local_addr().unwrap());
    let server = crate::support::shared();
    let v1 = "/v1/audio/transcriptions";
    let speech = || Part::bytes(speech().wav()).file_name("a.wav");
    let forms = [
        (
            Upload::empty()
                .field("model", "whisper-1")
                .field("file", &url),
            v1,
            400,
        ),
        (
            Upload::empty().field("model", &url).part("file", speech()),
            v1,
            404,
        ),
        (
            Upload::empty()
                .field("model", "whisper-1")
                .field("diarize", "true")
                .field("known_speaker_names[]", "Ann")
                .field("known_speaker_references[]", &url)
                .part("file", speech()),
            v1,
            400,
        ),
        (Upload::empty().field("file", &url), "/transcribe", 422),
        // Fields that other servers know; here they mean nothing.
        (
            Upload::empty()
                .field("url", &url)
                .field("file_url", &url)
                .field("audio_url", &url)
                .field("callback_url", &url)
                .part("file", speech()),
            "/transcribe",
            200,
        ),
    ];
    for (form, path, status) in forms {
        let answer = form.send(server, path).await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
    let asked = tokio::time::timeout(Duration::from_millis(200), bait.accept()).await;
    assert!(asked.is_err(), "the server asked for {url}");
}
