//! Files that wait for ffmpeg: slow uploads hold no converter, and waiting is bounded.

use std::process::{Command, Stdio};

use futures::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::guests::{Tenants, VICTIM, key, send};
use crate::support::audio::speech;
use crate::support::raw::{BOUNDARY, form};
use crate::support::{Server, Upload};

/// More than there are converters: one for each core, at least two.
fn uploads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get) + 3
}

/// An AC-3 file that ffmpeg makes of this input; says so where there is no ffmpeg.
fn ac3(input: &[&str]) -> Option<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let (wav, output) = (
        folder.path().join("speech.wav"),
        folder.path().join("a.ac3"),
    );
    std::fs::write(&wav, speech().wav()).unwrap();
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error"]).current_dir(folder.path());
    command
        .args(input)
        .args(["-ar", "48000", "-b:a", "64k"])
        .arg(&output);
    match command.stdin(Stdio::null()).status() {
        Ok(status) if status.success() => Some(std::fs::read(output).unwrap()),
        Ok(_) => panic!("ffmpeg does not make AC-3"),
        Err(_) => {
            eprintln!("skipped: no ffmpeg on the path");
            None
        }
    }
}

/// An upload of which the last bytes are still to come.
struct Slow {
    stream: TcpStream,
    rest: Vec<u8>,
}

impl Slow {
    async fn begin(server: &Server, tenant: &str, file: &[u8]) -> Self {
        let form = form("audio/ac3", file);
        let (front, rest) = form.split_at(form.len() - 1_000);
        let head = format!(
            "POST /transcribe HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\
             authorization: Bearer {}\r\ncontent-length: {}\r\n\
             content-type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n",
            key(tenant),
            form.len()
        );
        let mut stream = TcpStream::connect(&server.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(front).await.unwrap();
        let rest = rest.to_vec();
        Self { stream, rest }
    }

    /// Sends the rest; the answer.
    async fn end(mut self) -> String {
        self.stream.write_all(&self.rest).await.unwrap();
        let mut answer = String::new();
        let reading = self.stream.read_to_string(&mut answer);
        let within = std::time::Duration::from_secs(300);
        timeout(within, reading).await.expect("an answer").unwrap();
        answer
    }
}

#[tokio::test]
async fn uploads_that_have_not_arrived_take_ffmpeg_from_nobody() {
    let Some(file) = ac3(&["-i", "speech.wav"]) else {
        return;
    };
    let tenants = Tenants::new("[audio.ffmpeg]\nenabled = true").with_key("slow");
    let server = tenants.server().start();
    let slow = (0..uploads()).map(|_| Slow::begin(&server, "slow", &file));
    let slow = join_all(slow).await;
    let request = Upload::file("a.ac3", file).request(&server, "/transcribe");
    let answer = send(request.bearer_auth(key(VICTIM))).await;
    speech().must_nearly_be(&answer.transcript(), 0.05);
    // Their own turn comes once they have arrived.
    for answer in join_all(slow.into_iter().map(Slow::end)).await {
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
}

#[tokio::test]
async fn a_file_that_gets_no_turn_in_time_is_503_with_a_time_to_come_back() {
    let silence = [
        "-f",
        "lavfi",
        "-i",
        "anullsrc=r=48000:cl=mono",
        "-t",
        "1200",
    ];
    let Some(file) = ac3(&silence) else {
        return;
    };
    let tenants = Tenants::new("[audio.ffmpeg]\nenabled = true\nmax_wait_secs = 0");
    let server = tenants.server().start();
    let answers = (0..uploads()).map(|_| {
        let request = Upload::file("a.ac3", file.clone()).request(&server, "/transcribe");
        send(request.bearer_auth(key(VICTIM)))
    });
    let mut refused = 0;
    for answer in join_all(answers).await {
        if answer.status != 200 {
            assert!(answer.detail(503).contains("again"), "{}", answer.body);
            assert_eq!(answer.header("retry-after"), "10");
            refused += 1;
        }
    }
    assert!((1..uploads()).contains(&refused), "{refused}");
}
