//! Known speakers of a form: names, and for each some seconds of their voice.
//!
//! OpenAI's client libraries send a voice as a data URL in a text field, curl's users send a file: both
//! are taken. A data URL's base64 is decoded in the host, on its way to the decoder; only its head
//! comes here.

use auricle_guest::audio::{Clip, Hint, SAMPLE_RATE, decode};
use auricle_guest::http::{Part, base64};
use auricle_guest::speakers::KnownSpeaker;

use crate::failure::Failure;
use crate::form::{MAX_NAME_BYTES, decode_part, text};

/// The names.
pub const NAMES: &str = "known_speaker_names";

/// The voices.
pub const VOICES: &str = "known_speaker_references";

/// Known speakers of one request, as OpenAI has it.
pub const MAX_KNOWN: usize = 4;

/// Seconds of a voice, as OpenAI has it.
const MIN_SECS: f64 = 2.0;
const MAX_SECS: f64 = 10.0;

/// What a voice may be off by, in seconds: encoders add some silence.
const SLACK_SECS: f64 = 0.1;

/// Bytes before the comma of a data URL.
const MAX_HEAD_BYTES: usize = 256;

/// Names and voices as the form has them: in the same order.
#[derive(Default)]
pub struct Known {
    names: Vec<String>,
    voices: Vec<Clip>,
}

impl Known {
    /// Takes a part that is a name.
    pub fn name(&mut self, part: &Part) -> Result<(), Failure> {
        room(self.names.len(), NAMES)?;
        self.names.push(text(part, NAMES, MAX_NAME_BYTES, 400)?);
        Ok(())
    }

    /// Takes a part that is a voice.
    pub fn voice(&mut self, part: &Part) -> Result<(), Failure> {
        room(self.voices.len(), VOICES)?;
        let voice = match part.file_name() {
            Some(_) => decode_part(part),
            None => of_data_url(part),
        };
        let voice = voice.map_err(|failure| failure.about(VOICES))?;
        let secs = voice.length() as f64 / f64::from(SAMPLE_RATE);
        if !(MIN_SECS - SLACK_SECS..=MAX_SECS + SLACK_SECS).contains(&secs) {
            let text = format!(
                "one of {VOICES} lasts {secs:.1} s: send {MIN_SECS} to {MAX_SECS} s of the speaker alone"
            );
            return Err(Failure::new(400, text).about(VOICES));
        }
        self.voices.push(voice);
        Ok(())
    }

    /// The speakers.
    pub fn pair(self) -> Result<Vec<KnownSpeaker>, Failure> {
        if self.names.len() != self.voices.len() {
            let text = format!(
                "there are {} {NAMES} and {} {VOICES}: send one reference for each name, in the same \
                 order",
                self.names.len(),
                self.voices.len()
            );
            return Err(Failure::new(400, text).about(NAMES));
        }
        let pairs = self.names.into_iter().zip(self.voices);
        Ok(pairs
            .map(|(name, voice)| KnownSpeaker { name, voice })
            .collect())
    }
}

fn room(count: usize, field: &str) -> Result<(), Failure> {
    if count < MAX_KNOWN {
        return Ok(());
    }
    let text = format!("there are too many known speakers: send at most {MAX_KNOWN}");
    Err(Failure::new(400, text).about(field))
}

fn of_data_url(part: &Part) -> Result<Clip, Failure> {
    let Some(content) = part.content() else {
        return Err(Failure::internal(Some(
            "the content was taken before".to_owned(),
        )));
    };
    let mut head = Vec::new();
    loop {
        match content.blocking_read(1).unwrap_or_default().as_slice() {
            [b','] => break,
            [byte] if head.len() < MAX_HEAD_BYTES => head.push(*byte),
            // Nothing more, or too much of it.
            _ => return Err(no_data_url()),
        }
    }
    let content_type = media_type(&head).ok_or_else(no_data_url)?;
    let hint = Hint {
        file_name: None,
        content_type: Some(content_type),
    };
    Ok(decode(base64(content), &hint)?)
}

/// The media type in `data:audio/wav;base64`, what stands before a data URL's comma.
fn media_type(head: &[u8]) -> Option<String> {
    let head = std::str::from_utf8(head).ok()?.trim_start();
    let (scheme, rest) = head.split_at_checked("data:".len())?;
    let (media, encoding) = rest.rsplit_once(';')?;
    let fits = scheme.eq_ignore_ascii_case("data:") && encoding.eq_ignore_ascii_case("base64");
    fits.then(|| media.to_owned())
}

fn no_data_url() -> Failure {
    let text = format!(
        "one of {VOICES} is no data URL: send data:audio/wav;base64,… with the whole file in base64, \
         or the file itself"
    );
    Failure::new(400, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_a_data_url_names_its_media_type() {
        let media = |head: &str| media_type(head.as_bytes());
        assert_eq!(media("data:audio/wav;base64").as_deref(), Some("audio/wav"));
        assert_eq!(
            media("DATA:audio/ogg;codecs=opus;BASE64").as_deref(),
            Some("audio/ogg;codecs=opus")
        );
        assert_eq!(media("data:;base64").as_deref(), Some(""));
        for wrong in [
            "",
            "data:audio/wav",
            "audio/wav;base64",
            "data",
            "https://a.b/c;base64",
        ] {
            assert_eq!(media(wrong), None, "{wrong}");
        }
    }
}
