//! ffmpeg for what no decoder knows: only where the operator wants it, within limits, and gone with its
//! request.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::audio::speech;
use crate::support::raw::{Raw, form};
use crate::support::{SOON, Server, Upload, shared};

/// The speech as a file that ffmpeg makes; says so where there is no ffmpeg.
fn made(name: &str, arguments: &[&str]) -> Option<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("speech.wav"), folder.path().join(name));
    std::fs::write(&input, speech().wav()).unwrap();
    let mut command = Command::new("ffmpeg");
    command
        .args(["-v", "error", "-i"])
        .arg(input)
        .args(arguments)
        .arg(&output);
    match command.stdin(Stdio::null()).status() {
        Ok(status) if status.success() => Some(std::fs::read(output).unwrap()),
        Ok(_) => panic!("ffmpeg does not make {name}"),
        Err(_) => {
            eprintln!("skipped: no ffmpeg on the path, which makes {name}");
            None
        }
    }
}

fn server() -> Server {
    Server::builder().arg("--ffmpeg").start()
}

const VIDEO: [&str; 6] = [
    "-f",
    "lavfi",
    "-i",
    "testsrc=size=64x64:rate=5",
    "-shortest",
    "-c:v",
];

#[tokio::test]
async fn files_that_no_decoder_knows_are_heard_through_ffmpeg() {
    let video = |codec: &'static str, audio: &'static str| {
        let rest = [codec, "-ar", "48000", "-c:a", audio];
        [VIDEO.as_slice(), &rest].concat()
    };
    let files = [
        ("voice.ac3", vec!["-ar", "48000", "-c:a", "ac3"]),
        ("voice.wma", vec!["-ar", "44100", "-c:a", "wmav2"]),
        ("film.avi", video("mpeg4", "ac3")),
        ("film.mkv", video("mpeg4", "ac3")),
        ("film.ts", video("mpeg2video", "mp2")),
    ];
    let mut server = None;
    for (name, arguments) in files {
        let Some(file) = made(name, &arguments) else {
            return;
        };
        let server = server.get_or_insert_with(self::server);
        let heard = Upload::file(name, file.clone()).transcribe(server).await;
        speech().must_nearly_be(&heard.transcript(), 0.05);
        // Nobody asked this one to.
        let detail = Upload::file(name, file)
            .transcribe(shared())
            .await
            .detail(422);
        assert!(detail.contains("not supported"), "{detail}");
    }
    let server = server.unwrap();
    // What ffmpeg does not know either is refused as ever, and what the decoder knows is its own.
    let noise = Upload::file_as("audio/mpeg", "a.mp3", &[0x5A; 5_000]);
    let detail = noise.transcribe(&server).await.detail(422);
    assert!(detail.contains("not audio of a known kind"), "{detail}");
    // A playlist would have it read other files.
    let list = b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n/etc/passwd\n#EXT-X-ENDLIST\n";
    let list = Upload::file_as("application/octet-stream", "a.m3u8", list);
    list.transcribe(&server).await.detail(422);
}

#[tokio::test]
async fn a_conversion_that_goes_over_the_audios_limit_is_413() {
    let seconds = [
        "-af",
        "aloop=loop=-1:size=160000,atrim=duration=90",
        "-ar",
        "48000",
        "-c:a",
        "ac3",
    ];
    let Some(file) = made("long.ac3", &seconds) else {
        return;
    };
    let server = Server::builder()
        .config("[audio]\nmax_minutes = 1\n[audio.ffmpeg]\nenabled = true\n")
        .start();
    let detail = Upload::file("long.ac3", file)
        .transcribe(&server)
        .await
        .detail(413);
    assert!(detail.contains("60 s"), "{detail}");
    children_end(&server);
}

/// The processes that the server has started.
fn children(server: &Server) -> Vec<u32> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let numbers = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parent = format!("PPid:\t{}", server.pid());
    let of_server = |pid: &u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.lines().any(|line| line == parent)
    };
    numbers.filter(of_server).collect()
}

fn children_end(server: &Server) {
    let since = Instant::now();
    while !children(server).is_empty() {
        assert!(since.elapsed() < SOON, "{:?} live on", children(server));
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// An hour of AC-3 takes ffmpeg long enough to be looked at.
#[tokio::test]
async fn ffmpeg_runs_without_rights_and_ends_with_its_request() {
    let Some(file) = made("voice.ac3", &["-ar", "48000", "-c:a", "ac3"]) else {
        return;
    };
    let long = "aloop=loop=-1:size=160000,atrim=duration=3600";
    let long = ["-af", long, "-ar", "48000", "-b:a", "64k", "-c:a", "ac3"];
    let Some(long) = made("long.ac3", &long) else {
        return;
    };
    let server = server();
    let mut client = Raw::connect(&server).await;
    let form = form("audio/ac3", &long);
    client.begin_form("/transcribe", "held", form.len()).await;
    client.send(&form).await;
    let since = Instant::now();
    let ffmpeg = loop {
        let named = |pid: &u32| {
            let name = std::fs::read_to_string(format!("/proc/{pid}/comm"));
            name.is_ok_and(|name| name.trim() == "ffmpeg")
        };
        if let Some(pid) = children(&server).into_iter().find(named) {
            break pid;
        }
        assert!(since.elapsed() < SOON, "ffmpeg does not run");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    let read = |name: &str| std::fs::read(format!("/proc/{ffmpeg}/{name}")).unwrap();
    let status = String::from_utf8(read("status")).unwrap();
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    assert!(status.contains("Seccomp:\t2"), "{status}");
    for capabilities in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        let none = format!("{capabilities}:\t0000000000000000");
        assert!(status.contains(&none), "{status}");
    }
    if rustix::process::geteuid().is_root() {
        assert!(status.contains("Uid:\t65534\t65534"), "{status}");
    }
    assert_eq!(String::from_utf8(read("environ")).unwrap(), "");
    let limits = String::from_utf8(read("limits")).unwrap();
    for (limit, number) in [
        ("Max address space", "1073741824"),
        ("Max cpu time", "600"),
        ("Max file size", "0"),
        ("Max core file size", "0"),
        ("Max open files", "64"),
    ] {
        let line = limits.lines().find(|line| line.starts_with(limit)).unwrap();
        assert!(line.contains(&format!(" {number} ")), "{line}");
    }
    let arguments = String::from_utf8(read("cmdline")).unwrap();
    assert!(
        arguments.contains("-protocol_whitelist\0pipe\0"),
        "{arguments}"
    );
    // The client goes away.
    drop(client);
    children_end(&server);
    let text = Upload::file("voice.ac3", file).transcribe(&server).await;
    speech().must_nearly_be(&text.transcript(), 0.05);
}

/// What a converter that was taken over could try, each of it with a status of its own for success.
const MISDEEDS: [(i32, &str); 8] = [
    (1, "socket(my $s, AF_INET, SOCK_STREAM, 0)"),
    (2, "socket(my $s, AF_UNIX, SOCK_STREAM, 0)"),
    (3, "open(my $f, '>', '/dev/null')"),
    (4, "mkdir($ARGV[0]) && rmdir($ARGV[0])"),
    (5, "kill(0, $$)"),
    (6, "defined(my $child = fork)"),
    // Those that Landlock keeps it from.
    (7, "open(my $f, '<', '/etc/passwd')"),
    (8, "open(my $f, '<', '/proc/self/status')"),
];

#[test]
fn a_converter_that_was_taken_over_has_no_network_no_processes_and_writes_no_file() {
    let script = |misdeed: &str, status: i32| {
        format!(
            "use Socket; open(my $readable, '<', '/usr/bin/perl') or exit 99; \
             exit({misdeed} ? {status} : 0)"
        )
    };
    let perl = "/usr/bin/perl";
    if !std::path::Path::new(perl).exists() {
        eprintln!("skipped: no {perl}, which plays a converter that was taken over");
        return;
    }
    // Where everybody may write.
    let folder = tempfile::tempdir().unwrap();
    let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(folder.path(), everybody).unwrap();
    let made = folder.path().join("made");
    for (status, misdeed) in MISDEEDS {
        let script = script(misdeed, status);
        let confined = crate::support::program::command()
            .args(["confine-converter", "1073741824", "10", perl, "-e"])
            .arg(&script)
            .arg(&made)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&confined.stderr);
        if status >= 7 && stderr.contains("no Landlock") {
            eprintln!("skipped: no Landlock here, which keeps it from `{misdeed}`");
            continue;
        }
        assert_eq!(confined.status.code(), Some(0), "{misdeed}: {stderr}");
        // Others can, or this would show nothing.
        let free = Command::new(perl)
            .arg("-e")
            .arg(&script)
            .arg(&made)
            .status();
        assert_eq!(free.unwrap().code(), Some(status), "{misdeed}");
    }
}

#[test]
fn a_server_that_cannot_run_ffmpeg_does_not_start() {
    let config = "[audio.ffmpeg]\nenabled = true\nprogram = \"no-such-ffmpeg\"\n";
    let refused = Server::builder().config(config).try_start().err().unwrap();
    assert!(
        refused.stderr.contains("'no-such-ffmpeg' is not installed"),
        "{}",
        refused.stderr
    );
    let config = "[audio.ffmpeg]\nenabled = true\nmemory_mb = 16\n";
    if Command::new("ffmpeg").arg("-version").output().is_ok() {
        let refused = Server::builder().config(config).try_start().err().unwrap();
        assert!(refused.stderr.contains("memory_mb"), "{}", refused.stderr);
    }
}
