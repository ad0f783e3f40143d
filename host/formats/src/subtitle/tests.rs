#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
use auricle_speech::{Language, Segment, Word};
use proptest::prelude::*;

use super::cue::{Cue, cues};
use super::unit::width;
use super::*;

fn segment(start: f64, end: f64, text: &str, speaker: Option<&str>) -> Segment {
    Segment {
        id: 0,
        start,
        end,
        text: text.to_owned(),
        tokens: Vec::new(),
        logprobs: Vec::new(),
        temperature: 0.0,
        avg_logprob: 0.0,
        compression_ratio: 1.0,
        no_speech_prob: 0.0,
        words: Vec::new(),
        speaker: speaker.map(str::to_owned),
        channel: None,
        language: None,
    }
}

/// A segment of which every word has the time given for it.
fn timed(words: &[(&str, f64, f64)]) -> Segment {
    let text: Vec<&str> = words.iter().map(|w| w.0).collect();
    let word = |&(word, start, end): &(&str, f64, f64)| Word {
        word: word.to_owned(),
        start,
        end,
        probability: 1.0,
        speaker: None,
    };
    Segment {
        words: words.iter().map(word).collect(),
        ..segment(words[0].1, words.last().unwrap().2, &text.join(" "), None)
    }
}

fn transcript(segments: Vec<Segment>) -> Transcript {
    Transcript {
        language: Language::ENGLISH,
        languages: Vec::new(),
        segments,
        dropped: Vec::new(),
        silence: Vec::new(),
        speakers: Vec::new(),
        channels: Vec::new(),
        duration_secs: 10.0,
    }
}

fn usual(segments: Vec<Segment>) -> Vec<Cue> {
    cues(&transcript(segments), &SubtitleOptions::default(), true)
}

fn texts(cues: &[Cue]) -> Vec<String> {
    cues.iter().map(|cue| cue.lines.join(" | ")).collect()
}

#[test]
fn srt_counts_its_cues_and_names_speakers() {
    let transcript = transcript(vec![
        segment(0.0, 1.5, "Hello.", Some("SPEAKER_00")),
        segment(1.5, 2.0, " ", None),
        segment(3661.0005, 3662.5, "A --> B & <i>", None),
    ]);
    assert_eq!(
        srt(&transcript, &SubtitleOptions::default()),
        "1\n00:00:00,000 --> 00:00:01,500\nSPEAKER_00: Hello.\n\n\
         2\n01:01:01,001 --> 01:01:02,500\nA → B & <i>\n\n"
    );
}

#[test]
fn vtt_escapes_and_names_voices() {
    let said = segment(0.0, 1.5, "a < b --> c & d", Some("Ann\n\nBo>"));
    assert_eq!(
        vtt(&transcript(vec![said]), &SubtitleOptions::default()),
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\n\
         <v Ann Bo&gt;>a &lt; b --&gt; c &amp; d\n\n"
    );
}

#[test]
fn a_transcript_without_text_has_no_cues() {
    let options = SubtitleOptions::default();
    assert_eq!(srt(&transcript(Vec::new()), &options), "");
    let empty = transcript(vec![segment(0.0, 1.0, "", None)]);
    assert_eq!(vtt(&empty, &options), "WEBVTT\n\n");
}

#[test]
fn long_speech_is_cut_where_clauses_and_sentences_end() {
    let said = "And so, my fellow Americans, ask not what your country can do for you, \
                ask what you can do for your country.";
    assert_eq!(
        texts(&usual(vec![segment(0.0, 10.0, said, None)])),
        [
            "And so, my fellow Americans, | ask not what your country can do for you,",
            "ask what you can do for your country."
        ]
    );
}

#[test]
fn cuts_are_timed_by_the_words_that_stand_there() {
    let words = [("One", 0.0, 0.4), ("two,", 0.4, 0.9), ("three.", 4.0, 4.6)];
    let cues = usual(vec![timed(&words)]);
    assert_eq!(texts(&cues), ["One two,", "three."]);
    assert_eq!((cues[0].start_ms, cues[0].end_ms), (0, 1000));
    assert_eq!((cues[1].start_ms, cues[1].end_ms), (4000, 5000));
}

#[test]
fn sentences_of_one_speaker_share_a_cue_and_speakers_never_do() {
    let cues = usual(vec![
        segment(0.0, 0.6, "Yes.", Some("A")),
        segment(0.6, 1.6, "I know.", Some("A")),
        segment(1.7, 3.0, "You do?", Some("B")),
    ]);
    assert_eq!(texts(&cues), ["Yes. I know.", "You do?"]);
    assert_eq!(cues[1].speaker.as_deref(), Some("B"));
}

#[test]
fn a_cue_too_short_to_read_holds_the_next_one_up() {
    let cues = usual(vec![
        segment(0.0, 0.3, "No!", Some("A")),
        segment(0.3, 2.5, "But why?", Some("B")),
    ]);
    let times: Vec<_> = cues.iter().map(|c| (c.start_ms, c.end_ms)).collect();
    assert_eq!(times, [(0, 1000), (1000, 2500)]);
}

#[test]
fn text_that_is_read_slowly_stays_into_the_pause() {
    let said = "Fifty columns of text in a second and a half, no less.";
    let cues = usual(vec![segment(0.0, 1.5, said, None)]);
    assert_eq!(cues[0].end_ms, 1000 * width(said) as u64 / 20 - 50);
}

#[test]
fn chinese_breaks_without_spaces_and_counts_two_columns() {
    let said = "我认为跑步最重要的就是给我带来了身体健康，而且可以让我每天都保持良好的心情和状态。";
    let cues = usual(vec![segment(0.0, 7.0, said, None)]);
    assert!(cues.iter().flat_map(|c| &c.lines).all(|l| width(l) <= 42));
    let all: String = cues.iter().flat_map(|c| c.lines.clone()).collect();
    assert_eq!(all, said);
}

#[test]
fn a_word_wider_than_a_line_and_a_label_wider_than_half_are_cut() {
    let cues = usual(vec![segment(
        0.0,
        3.0,
        &"x".repeat(100),
        Some(&"Y".repeat(90)),
    )]);
    for cue in &cues {
        let label = width(cue.speaker.as_deref().unwrap()) + 2;
        assert!(label <= 21 && label + width(&cue.lines[0]) <= 42, "{cue:?}");
    }
    let all: String = cues.iter().flat_map(|c| c.lines.clone()).collect();
    assert_eq!(all, "x".repeat(100));
}

#[test]
fn words_of_a_line_can_be_limited() {
    let options = SubtitleOptions {
        max_words_per_line: Some(2),
        max_line_count: 1,
        ..SubtitleOptions::default()
    };
    let said = transcript(vec![segment(0.0, 5.0, "One two three four.", None)]);
    assert_eq!(
        texts(&cues(&said, &options, true)),
        ["One two", "three four."]
    );
}

#[test]
fn options_out_of_range_are_named_with_their_range() {
    let of = |change: fn(&mut SubtitleOptions)| {
        let mut options = SubtitleOptions::default();
        change(&mut options);
        options.checked().map_err(|e| e.to_string())
    };
    assert!(of(|_| ()).is_ok());
    assert_eq!(
        of(|o| o.max_line_width = 9),
        Err("max_line_width must be 10 to 200".to_owned())
    );
    assert!(of(|o| o.max_line_count = 0).is_err());
    assert!(of(|o| o.max_words_per_line = Some(0)).is_err());
    assert!(of(|o| o.max_ms = 999).is_err());
}

fn any_segment() -> impl Strategy<Value = Segment> {
    let time = || prop_oneof![-10.0..1e6_f64, 0.0..60.0_f64, any::<f64>()];
    let text = || {
        prop_oneof![
            "[a\n\r\t >&<-]{0,12}",
            "([a-z]{1,9}[,.]? ){0,40}",
            any::<String>()
        ]
    };
    let words = prop::collection::vec((text(), time(), time()), 0..4);
    (time(), time(), text(), proptest::option::of(text()), words).prop_map(
        |(start, end, text, speaker, words)| {
            let word = |(word, start, end)| Word {
                word,
                start,
                end,
                probability: 0.5,
                speaker: None,
            };
            Segment {
                words: words.into_iter().map(word).collect(),
                ..segment(start, end, &text, speaker.as_deref())
            }
        },
    )
}

fn any_options() -> impl Strategy<Value = SubtitleOptions> {
    let words = proptest::option::of(1_usize..6);
    (10_usize..90, 1_usize..4, words, 1_u64..2000, 0_u64..9000).prop_map(
        |(max_line_width, max_line_count, max_words_per_line, min_ms, more_ms)| SubtitleOptions {
            max_line_width,
            max_line_count,
            max_words_per_line,
            min_ms,
            max_ms: min_ms + more_ms,
        },
    )
}

/// The cues of a file as a player reads it: blocks between blank lines, and in each the line with the
/// arrow and the lines after it.
fn read(file: &str) -> Vec<(String, String, Vec<String>)> {
    let blocks = file.split("\n\n").filter(|b| b.contains("-->"));
    blocks
        .map(|block| {
            let mut lines = block.lines().skip_while(|l| !l.contains("-->"));
            let (start, end) = lines.next().unwrap().split_once(" --> ").unwrap();
            let text = lines.map(str::to_owned).collect();
            (start.to_owned(), end.to_owned(), text)
        })
        .collect()
}

proptest! {
    #[test]
    fn every_cue_keeps_the_limits_and_no_character_is_lost(
        segments in prop::collection::vec(any_segment(), 0..6),
        options in any_options(),
    ) {
        let transcript = transcript(segments);
        let cues = cues(&transcript, &options, true);
        let mut last_ms = 0;
        for cue in &cues {
            let label = cue.speaker.as_ref().map_or(0, |s| width(s) + 2);
            prop_assert!(cue.start_ms >= last_ms);
            let lasts = cue.end_ms - cue.start_ms;
            prop_assert!((options.min_ms..=options.max_ms).contains(&lasts), "{cue:?}");
            prop_assert!((1..=options.max_line_count).contains(&cue.lines.len()), "{cue:?}");
            for (index, line) in cue.lines.iter().enumerate() {
                let indent = if index == 0 { label } else { 0 };
                // A character of two columns may not fit beside a label; it stands there alone.
                let alone = line.chars().filter(|c| width(&c.to_string()) > 0).count() == 1;
                prop_assert!(indent + width(line) <= options.max_line_width || alone, "{cue:?}");
            }
            last_ms = cue.end_ms;
        }
        let squeezed = |text: &str| -> String {
            text.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect()
        };
        let shown: String = cues.iter().flat_map(|c| c.lines.clone()).collect();
        let said: String = transcript.segments.iter().map(|s| s.text.as_str()).collect();
        prop_assert_eq!(squeezed(&shown), squeezed(&said));
    }

    #[test]
    fn what_is_written_can_be_read_back(segments in prop::collection::vec(any_segment(), 0..8)) {
        let (transcript, options) = (transcript(segments), SubtitleOptions::default());
        for (file, labelled) in [(srt(&transcript, &options), true), (vtt(&transcript, &options), false)] {
            let read = read(&file);
            prop_assert_eq!(read.len(), cues(&transcript, &options, labelled).len());
            let mut last = String::new();
            for (start, end, text) in &read {
                // Longer numbers are later ones: hours may have more than two digits.
                let key = |t: &String| (t.len(), t.clone());
                prop_assert!(key(&last) <= key(start) && key(start) < key(end));
                prop_assert!(!text.is_empty());
                prop_assert!(text.iter().all(|l| !l.trim().is_empty() && !l.contains("-->")));
                last.clone_from(end);
            }
            prop_assert_eq!(file.matches("-->").count(), read.len());
        }
    }
}
