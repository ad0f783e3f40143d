//! Subtitles and the other forms of a transcript: what is written can be read, whatever a component
//! says. Cues are in order and do not overlap, and nothing in a text ends its cue.

use auricle_formats::{
    Billing, Plain, SubtitleOptions, Verbose, diarized_json, json, rttm, srt, text, verbose_json,
    vtt,
};
use auricle_speech::{Task, Transcript, Turn};
use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use crate::input::Input;
use crate::transcript::transcript;

/// What subtitles look like, then a transcript.
pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let options = SubtitleOptions {
        max_line_width: usize::from(input.byte()),
        max_line_count: usize::from(input.byte()),
        max_words_per_line: Some(usize::from(input.byte())).filter(|words| *words > 0),
        ..SubtitleOptions::default()
    };
    let Ok(options) = options.checked() else {
        return;
    };
    let transcript = transcript(&mut input);
    check_srt(&srt(&transcript, &options), &options);
    check_vtt(&vtt(&transcript, &options), &options);
    check_json(&transcript);
    check_rttm(&transcript);
}

/// Milliseconds of `HH:MM:SS`, the separator and three digits.
fn millis(time: &str, separator: char) -> u64 {
    let (whole, ms) = time.split_once(separator).expect("a fraction");
    let numbers: Vec<u64> = whole
        .split(':')
        .map(|it| it.parse().expect("digits"))
        .collect();
    let [hours, minutes, secs] = numbers[..] else {
        panic!("{time}")
    };
    assert!(minutes < 60 && secs < 60 && ms.len() == 3, "{time}");
    ((hours * 60 + minutes) * 60 + secs) * 1000 + ms.parse::<u64>().expect("digits")
}

/// Checks the times of a cue that begins at `free` at the earliest, and gives its end.
fn check_times(line: &str, separator: char, free: u64) -> u64 {
    let (start, end) = line.split_once(" --> ").expect("an arrow");
    let (start, end) = (millis(start, separator), millis(end, separator));
    assert!(free <= start && start < end, "{line} after {free}");
    end
}

fn check_lines<'a>(lines: impl Iterator<Item = &'a str>, options: &SubtitleOptions) {
    let mut count = 0;
    for line in lines {
        count += 1;
        assert!(!line.trim().is_empty(), "a line is empty");
        assert!(!line.contains('\r'), "{line}");
        assert!(line.width() <= options.max_line_width, "{line}");
    }
    assert!(
        (1..=options.max_line_count).contains(&count),
        "{count} lines"
    );
}

fn check_srt(srt: &str, options: &SubtitleOptions) {
    let mut free = 0;
    for (number, cue) in srt.split_terminator("\n\n").enumerate() {
        let mut lines = cue.split('\n');
        assert_eq!(lines.next(), Some((number + 1).to_string().as_str()));
        free = check_times(lines.next().expect("times"), ',', free);
        let lines: Vec<&str> = lines.collect();
        assert!(lines.iter().all(|line| !line.contains("-->")), "{cue}");
        check_lines(lines.into_iter(), options);
    }
}

fn check_vtt(vtt: &str, options: &SubtitleOptions) {
    let cues = vtt.strip_prefix("WEBVTT\n\n").expect("the magic");
    let mut free = 0;
    for cue in cues.split_terminator("\n\n") {
        let (times, text) = cue.split_once('\n').expect("text");
        free = check_times(times, '.', free);
        let text = match text.strip_prefix("<v ") {
            Some(voiced) => voiced.split_once('>').expect("the tag ends").1,
            None => text,
        };
        assert!(!text.contains(['<', '>']), "{text}");
        let read = text
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&");
        check_lines(read.split('\n'), options);
    }
}

fn check_json(transcript: &Transcript) {
    let parse = |text: String| serde_json::from_str::<Value>(&text).expect("JSON");
    let parts = Plain {
        billing: Billing::Tokens,
        languages: true,
        logprobs: true,
    };
    assert_eq!(parse(json(transcript, parts))["text"], transcript.text());
    let verbose = parse(verbose_json(
        transcript,
        Verbose::all_of(transcript, Task::Transcribe),
    ));
    let diarized = parse(diarized_json(transcript, Billing::Duration));
    for segments in [&verbose["segments"], &diarized["segments"]] {
        let segments = segments.as_array().expect("segments");
        assert_eq!(segments.len(), transcript.segments.len());
        assert!(
            segments
                .iter()
                .all(|it| it["start"].is_number() && it["end"].is_number())
        );
    }
    let _ = text(transcript);
}

fn check_rttm(transcript: &Transcript) {
    let turns: Vec<Turn> = transcript
        .segments
        .iter()
        .map(|segment| Turn {
            speaker: segment.speaker.clone().unwrap_or_default(),
            start: segment.start,
            end: segment.end,
        })
        .collect();
    let rttm = rttm("a file", &turns);
    assert_eq!(rttm.lines().count(), turns.len());
    assert!(
        rttm.lines().all(|line| line.split(' ').count() == 10),
        "{rttm}"
    );
}
