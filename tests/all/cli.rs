//! `auricle transcribe` and the other verbs: output, exit codes, standard input.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

use crate::support::audio::{silence, speech, two_speakers, wav};
use crate::support::program::{auricle, command, scratch};
use crate::support::text::words;
use crate::support::{Upload, shared};

/// Runs `auricle transcribe` with `tiny.en`.
fn transcribe(args: &[&str]) -> Output {
    transcriber(args).output().unwrap()
}

fn transcriber(args: &[&str]) -> Command {
    let mut command = command();
    command
        .args(["transcribe", "--model", "tiny.en", "--data-dir"])
        .arg(scratch().join("data"));
    command.args(args);
    command
}

/// A file with the speech, under a name of its own.
fn speech_file() -> &'static str {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| write("speech.wav", &speech().wav()))
        .to_str()
        .unwrap()
}

fn write(name: &str, bytes: &[u8]) -> PathBuf {
    let dir = scratch().join("cli");
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn stdout(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn the_text_is_printed_and_nothing_else() {
    let output = transcribe(&[speech_file()]);
    let text = stdout(&output);
    speech().must_be(&text);
    assert!(text.ends_with('\n') && text.lines().count() == 1, "{text}");
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "",
        "no progress without a terminal"
    );
}

#[tokio::test]
async fn the_command_hears_what_the_server_hears() {
    let file = wav(&two_speakers());
    let path = write("call.wav", &file);
    let printed = stdout(&transcribe(&[path.to_str().unwrap()]));
    let served = Upload::wav(&file).transcribe(shared()).await.transcript();
    assert_eq!(words(&printed), words(&served));
}

#[test]
fn standard_input_is_read_for_a_dash() {
    let mut command = transcriber(&["-"]);
    let output = command
        .stdin(File::open(speech_file()).unwrap())
        .output()
        .unwrap();
    speech().must_be(&stdout(&output));
}

#[test]
fn json_has_the_text_and_verbose_json_the_times() {
    let json: Value =
        serde_json::from_str(&stdout(&transcribe(&["--format", "json", speech_file()]))).unwrap();
    speech().must_be(json["text"].as_str().unwrap());
    let args = [
        "--format",
        "verbose_json",
        "--word-timestamps",
        speech_file(),
    ];
    let json: Value = serde_json::from_str(&stdout(&transcribe(&args))).unwrap();
    speech().must_be(json["text"].as_str().unwrap());
    assert!(json["segments"][0]["end"].as_f64().unwrap() > 1.0, "{json}");
    assert!(
        json["words"]
            .as_array()
            .is_some_and(|words| words.len() > 10),
        "{json}"
    );
}

/// Milliseconds of `00:00:01,500` or `00:00:01.500`.
fn millis(time: &str) -> u64 {
    let numbers: Vec<u64> = time
        .split([':', ',', '.'])
        .map(|number| number.parse().unwrap())
        .collect();
    ((numbers[0] * 60 + numbers[1]) * 60 + numbers[2]) * 1000 + numbers[3]
}

fn assert_cues(text: &str, separator: char) {
    let mut last = 0;
    let cues: Vec<_> = text.lines().filter(|line| line.contains(" --> ")).collect();
    assert!(!cues.is_empty(), "{text}");
    for cue in cues {
        let (start, end) = cue.split_once(" --> ").unwrap();
        assert_eq!(start.matches(separator).count(), 1, "{cue}");
        assert!(
            last <= millis(start) && millis(start) < millis(end),
            "{cue}"
        );
        last = millis(end);
    }
    let spoken = |line: &&str| !line.contains("-->") && !line.trim().is_empty();
    let lines: Vec<_> = text
        .lines()
        .filter(spoken)
        .filter(|l| l.parse::<u32>().is_err())
        .collect();
    speech().must_be(&lines.join(" ").replace("WEBVTT", ""));
}

#[test]
fn subtitles_have_rising_times_in_both_forms() {
    let srt = stdout(&transcribe(&["--format", "srt", speech_file()]));
    assert!(srt.starts_with("1\n00:00:00,"), "{srt}");
    assert_cues(&srt, ',');
    let vtt = stdout(&transcribe(&["--format", "vtt", speech_file()]));
    assert!(vtt.starts_with("WEBVTT\n\n"), "{vtt}");
    assert_cues(&vtt, '.');
}

#[test]
fn a_bad_file_among_good_ones_is_named_and_costs_only_itself() {
    let bad = write("bad.wav", b"this is no audio");
    let missing = "/does/not/exist.wav";
    let short = write("short.wav", &wav(&silence(0.5)));
    let (bad, short) = (bad.to_str().unwrap(), short.to_str().unwrap());
    let output = transcribe(&[bad, missing, short, speech_file()]);
    assert_eq!(output.status.code(), Some(3));
    speech().must_be(&String::from_utf8(output.stdout).unwrap());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains(bad) && said.contains(missing) && !said.contains(short),
        "{said}"
    );
    assert_eq!(
        transcribe(&[bad, missing]).status.code(),
        Some(1),
        "all failed"
    );
}

#[test]
fn arguments_that_make_no_sense_are_code_2_and_unknown_names_code_1() {
    for args in [
        &[][..],
        &["--format", "pdf", "a"],
        &["--beam-size", "9", "a"],
        &["--nonsense"],
    ] {
        assert_eq!(transcribe(args).status.code(), Some(2), "{args:?}");
    }
    for args in [
        ["--language", "klingon"],
        ["--task", "sing"],
        ["--model", "enormous"],
    ] {
        let mut command = command();
        let output = command
            .arg("transcribe")
            .args(args)
            .arg(speech_file())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(
            String::from_utf8_lossy(&output.stderr).contains(args[1]),
            "{args:?}"
        );
    }
}

#[test]
fn the_exit_codes_stand_in_the_help() {
    let mut command = command();
    let help = stdout(&command.arg("--help").output().unwrap());
    assert!(
        help.contains("Exit codes: 0 ") && help.contains("3 some"),
        "{help}"
    );
}

#[test]
fn an_output_directory_gets_one_file_for_each_input() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("made/here");
    let args = [
        "--format",
        "srt",
        "--output-dir",
        out.to_str().unwrap(),
        speech_file(),
        "-",
    ];
    let mut command = transcriber(&args);
    let output = command
        .stdin(File::open(speech_file()).unwrap())
        .output()
        .unwrap();
    assert_eq!(stdout(&output), "");
    for name in ["speech.srt", "stdin.srt"] {
        let written = std::fs::read_to_string(out.join(name)).unwrap();
        assert!(written.starts_with("1\n00:00:00,"), "{name}: {written}");
    }
}

#[test]
fn a_terminal_sees_real_progress() {
    if !Path::new("/usr/bin/script").exists() {
        eprintln!("skipped: no `script` to make a terminal with");
        return;
    }
    let passage = [speech().samples.clone(), silence(1.0)].concat();
    let file = write("long.wav", &wav(&passage.repeat(12)));
    let (program, data) = (auricle().display(), scratch().join("data"));
    let line = format!(
        "{program} transcribe --model tiny.en --data-dir {} --workers 1 {} >/dev/null",
        data.display(),
        file.display()
    );
    let mut script = Command::new("script");
    script
        .args(["-qec", &line, "/dev/null"])
        .stdin(Stdio::null())
        .env("TERM", "xterm");
    let output = script.output().unwrap();
    let seen = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{seen}");
    let percent = |part: &str| part.trim_end().rsplit(' ').next()?.parse::<u32>().ok();
    let steps: Vec<u32> = seen.split(" %").filter_map(percent).collect();
    let between: std::collections::BTreeSet<_> =
        steps.iter().filter(|p| (1..100).contains(*p)).collect();
    assert!(between.len() >= 2, "{steps:?}: {seen}");
    assert!(steps.is_sorted(), "{steps:?}");
}

#[test]
fn models_are_listed_with_what_is_installed() {
    let run = |args: &[&str]| {
        stdout(
            &command()
                .args(["models", "list"])
                .args(args)
                .output()
                .unwrap(),
        )
    };
    let table = run(&[]);
    assert!(
        table
            .lines()
            .any(|line| line.starts_with("tiny.en ") && line.contains("q8_0")),
        "{table}"
    );
    let list: Value = serde_json::from_str(&run(&["--json"])).unwrap();
    let named = |name: &str| {
        list.as_array()
            .unwrap()
            .iter()
            .any(|model| model["name"] == name)
    };
    assert!(named("tiny.en") && named("large-v3"), "{list}");
}
