//! Streams of events: every event is one line of JSON, and the deltas together are the text of the
//! last one, whatever the segments hold.

use auricle_guest::speech::{Segment, TokenLogprob};
use auricle_handler::native::events;
use serde_json::Value;

use crate::input::Input;
use crate::parameters::fields;
use crate::transcript::transcript;

/// Fields of a request, then a transcript; a stream is asked for in any case.
pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let mut fields = fields(&mut input);
    fields.push(("stream".to_owned(), "true".to_owned()));
    let transcript = transcript(&mut input);
    let secs = transcript.duration_secs;
    let segments = transcript.segments.into_iter().map(of_a_guest).collect();
    let sent = events(&fields, segments, secs);
    let (mut text, mut done) = (String::new(), None);
    for line in sent.iter().flat_map(|text| parsed(text)) {
        assert!(done.is_none(), "something follows the end");
        match line["type"].as_str() {
            Some("transcript.text.delta") => {
                text.push_str(line["delta"].as_str().expect("a delta"))
            }
            Some("transcript.text.segment") => assert!(line["start"].is_number()),
            Some("transcript.text.done") => done = line["text"].as_str().map(str::to_owned),
            other => panic!("an event of type {other:?}"),
        }
    }
    // Options that are refused have no events.
    assert!(sent.is_empty() || done == Some(text));
}

/// The events of a text, but the mark of their end.
fn parsed(text: &str) -> Vec<Value> {
    let events = text.split_inclusive("\n\n");
    let data = events.map(|event| {
        let line = event
            .strip_suffix("\n\n")
            .expect("an empty line ends an event");
        assert!(!line.contains(['\n', '\r']), "one line: {line:?}");
        line.strip_prefix("data: ").expect("nothing but data")
    });
    let data = data.filter(|data| *data != "[DONE]");
    data.map(|data| serde_json::from_str(data).expect("JSON"))
        .collect()
}

fn of_a_guest(segment: auricle_speech::Segment) -> Segment {
    let token = |token: auricle_speech::TokenLogprob| TokenLogprob {
        token: token.token,
        logprob: token.logprob,
    };
    Segment {
        id: segment.id,
        start: segment.start,
        end: segment.end,
        text: segment.text,
        tokens: segment.tokens,
        temperature: segment.temperature,
        logprobs: segment.logprobs.into_iter().map(token).collect(),
        avg_logprob: segment.avg_logprob,
        compression_ratio: segment.compression_ratio,
        no_speech_prob: segment.no_speech_prob,
        words: Vec::new(),
        speaker: segment.speaker,
        language: segment.language.map(String::from),
    }
}
