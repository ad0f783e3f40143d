//! The form of an upload: one file, decoded as it arrives, and options before or after it.

use auricle_guest::audio::{Clip, Hint, decode};
use auricle_guest::http::{Part, Request};
use auricle_guest::speakers::KnownSpeaker;

use crate::failure::Failure;
use crate::options::Asked;

/// What a client sent.
pub struct Upload {
    /// The decoded file.
    pub clip: Clip,
    /// The options of query and form.
    pub asked: Asked,
    /// Speakers by name and by how they sound.
    pub known: Vec<KnownSpeaker>,
}

/// Names of known speakers, and the audio of each, as the form has them: in the same order.
#[derive(Default)]
struct Known {
    names: Vec<String>,
    voices: Vec<Clip>,
}

/// Known speakers of one request, and bytes of a name: what the host takes.
const MAX_KNOWN: usize = 16;
pub const MAX_NAME_BYTES: u32 = 256;

impl Known {
    fn pair(self) -> Result<Vec<KnownSpeaker>, Failure> {
        let (names, voices) = (self.names.len(), self.voices.len());
        if names != voices {
            return Err(Failure::new(
                400,
                format!(
                    "there are {names} known_speaker_names and {voices} known_speaker_references: \
                     send one audio file for each name, in the same order"
                ),
            ));
        }
        let pairs = self.names.into_iter().zip(self.voices);
        Ok(pairs
            .map(|(name, voice)| KnownSpeaker { name, voice })
            .collect())
    }

    fn room(&self) -> Result<(), Failure> {
        if self.names.len().max(self.voices.len()) < MAX_KNOWN {
            return Ok(());
        }
        let text = format!("there are too many known speakers: send at most {MAX_KNOWN}");
        Err(Failure::new(400, text))
    }
}

/// Reads the whole form.
///
/// Options that are known to be wrong before the file comes are refused before it is decoded.
pub fn read(request: &Request) -> Result<Upload, Failure> {
    let mut asked = Asked::in_query(request.query());
    let (mut clip, mut known) = (None, Known::default());
    let form = request.form()?;
    while let Some(part) = form.next_part()? {
        match part.name() {
            Some(name) if name == "file" => {
                if clip.is_some() {
                    return Err(Failure::new(
                        400,
                        "there are two files: send one per request",
                    ));
                }
                asked.resolve()?;
                clip = Some(decode_part(&part)?);
            }
            Some(name) if name.trim_end_matches("[]") == "known_speaker_names" => {
                known.room()?;
                known.names.push(part.text(MAX_NAME_BYTES)?);
            }
            Some(name) if name.trim_end_matches("[]") == "known_speaker_references" => {
                known.room()?;
                known.voices.push(decode_part(&part)?);
            }
            Some(name) if Asked::knows(&name) => {
                asked.set(&name, part.text(Asked::max_bytes(&name))?);
            }
            _ => {}
        }
    }
    match clip {
        Some(clip) => Ok(Upload {
            clip,
            asked,
            known: known.pair()?,
        }),
        None => Err(Failure::new(
            400,
            "there is no file: add the audio as form field 'file'",
        )),
    }
}

/// The audio of a part.
pub fn decode_part(part: &Part) -> Result<Clip, Failure> {
    let content_type = part.content_type();
    if !may_be_audio(content_type.as_deref()) {
        return Err(Failure::new(400, "File must be an audio file"));
    }
    let Some(content) = part.content() else {
        return Err(Failure::internal(Some(
            "the part's content was taken before".to_owned(),
        )));
    };
    let hint = Hint {
        file_name: part.file_name(),
        content_type,
    };
    Ok(decode(content, &hint)?)
}

/// Whether a part of this media type may hold audio. Clients that do not know the type send none, or
/// `application/octet-stream`.
fn may_be_audio(content_type: Option<&str>) -> bool {
    let Some(content_type) = content_type else {
        return true;
    };
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    essence.is_empty()
        || essence.starts_with("audio/")
        || essence.starts_with("video/")
        || essence == "application/octet-stream"
        || essence == "application/ogg"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_pictures_are_not_audio() {
        for yes in [
            None,
            Some(""),
            Some("audio/x-wav"),
            Some("Video/MP4"),
            Some("audio/webm; codecs=opus"),
            Some("application/octet-stream"),
            Some("application/ogg"),
        ] {
            assert!(may_be_audio(yes), "{yes:?}");
        }
        for no in ["text/plain", "image/png", "application/json", "audio"] {
            assert!(!may_be_audio(Some(no)), "{no}");
        }
    }
}
