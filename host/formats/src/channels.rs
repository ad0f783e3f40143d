//! The channels of a file, where each was transcribed for itself: the field `channels`.

use auricle_speech::Transcript;
use serde::Serialize;

/// One channel.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChannelBody {
    /// Its number in the file, from 0.
    pub channel: u32,
    /// The code of the language that is spoken on it.
    pub language: &'static str,
    /// What is said on it.
    pub text: String,
}

/// All channels of a file; none where they were mixed.
#[must_use]
pub fn channels(transcript: &Transcript) -> Vec<ChannelBody> {
    (0..)
        .zip(&transcript.channels)
        .map(|(channel, language)| ChannelBody {
            channel,
            language: language.code(),
            text: transcript.channel_text(channel),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "tests")]
    use auricle_speech::{Language, Segment};

    use super::*;
    use crate::{Plain, SubtitleOptions, json, srt, text};

    fn said(start: f64, text: &str) -> Segment {
        Segment {
            id: 7,
            start,
            end: start + 1.0,
            text: text.to_owned(),
            tokens: Vec::new(),
            logprobs: Vec::new(),
            temperature: 0.0,
            avg_logprob: -0.1,
            compression_ratio: 1.0,
            no_speech_prob: 0.0,
            words: Vec::new(),
            speaker: None,
            channel: None,
            language: None,
        }
    }

    fn call() -> Transcript {
        let channel = |segments| Transcript {
            language: Language::ENGLISH,
            languages: Vec::new(),
            segments,
            dropped: Vec::new(),
            silence: Vec::new(),
            speakers: Vec::new(),
            channels: Vec::new(),
            duration_secs: 6.0,
        };
        Transcript::of_channels(vec![
            channel(vec![said(0.0, "Hello?"), said(4.0, "Bye.")]),
            channel(vec![said(2.0, "Yes, hello."), said(4.0, "Bye!")]),
        ])
    }

    #[test]
    fn segments_of_all_channels_come_in_order_of_time_and_are_numbered_anew() {
        let call = call();
        let order: Vec<_> = call.segments.iter().map(|it| (it.id, it.channel)).collect();
        assert_eq!(
            order,
            [(0, Some(0)), (1, Some(1)), (2, Some(0)), (3, Some(1))]
        );
        assert_eq!(call.text(), "Hello? Yes, hello. Bye. Bye!");
        let channels = channels(&call);
        assert_eq!(
            (channels[1].channel, channels[1].text.as_str()),
            (1, "Yes, hello. Bye!")
        );
    }

    #[test]
    fn text_and_subtitles_name_the_channel() {
        let call = call();
        assert_eq!(
            text(&call),
            "Channel 0: Hello?\nChannel 1: Yes, hello.\nChannel 0: Bye.\nChannel 1: Bye!"
        );
        let subtitles = srt(&call, &SubtitleOptions::default());
        assert!(subtitles.contains("Channel 1: Yes, hello."), "{subtitles}");
    }

    #[test]
    fn every_channel_costs_its_own_seconds() {
        let body = json(&call(), Plain::default());
        assert!(
            body.contains(r#""usage":{"type":"duration","seconds":12}"#),
            "{body}"
        );
        assert!(body.contains(r#""channels":[{"channel":0,"language":"en","text":"Hello? Bye."}"#));
    }
}
