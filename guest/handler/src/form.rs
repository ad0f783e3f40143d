//! The form of an upload: one file, decoded as it arrives, and options before or after it.

use auricle_guest::audio::{Clip, Hint, decode, decode_channels};
use auricle_guest::http::{FormError, InputStream, Part, Request};
use auricle_guest::speakers::KnownSpeaker;

use crate::failure::Failure;
use crate::options::Asked;

/// What a client sent.
pub struct Upload {
    /// The decoded file: one clip, or one of each channel.
    pub clips: Vec<Clip>,
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
pub const MAX_KNOWN: usize = 16;
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

/// What becomes of a file's channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channels {
    /// They are mixed, whatever is asked for.
    Mixed,
    /// As the field `multichannel` says.
    AsAsked,
}

impl Channels {
    fn apart(self, asked: &Asked) -> Result<bool, Failure> {
        Ok(asked.multichannel()? && self == Self::AsAsked)
    }
}

/// Reads the whole form.
///
/// Options that are known to be wrong before the file comes are refused before it is decoded.
pub fn read(request: &Request, channels: Channels) -> Result<Upload, Failure> {
    let mut asked = Asked::in_query(request.query());
    let (mut file, mut known) = (None, Known::default());
    let form = request.form()?;
    while let Some(part) = form.next_part()? {
        match part.name() {
            Some(name) if name == "file" => {
                if file.is_some() {
                    return Err(Failure::new(
                        400,
                        "there are two files: send one per request",
                    ));
                }
                asked.resolve()?;
                file = Some(File::decode(&part, channels.apart(&asked)?)?);
            }
            Some(name) if name.trim_end_matches("[]") == "known_speaker_names" => {
                known.room()?;
                known.names.push(text(&part, &name, MAX_NAME_BYTES, 413)?);
            }
            Some(name) if name.trim_end_matches("[]") == "known_speaker_references" => {
                known.room()?;
                known.voices.push(decode_part(&part)?);
            }
            Some(name) if Asked::knows(&name) => {
                asked.set(&name, text(&part, &name, Asked::max_bytes(&name), 413)?);
            }
            _ => {}
        }
    }
    match file {
        Some(file) => Ok(Upload {
            clips: file.clips(channels.apart(&asked)?)?,
            asked,
            known: known.pair()?,
        }),
        None => Err(Failure::new(
            400,
            "there is no file: add the audio as form field 'file'",
        )),
    }
}

/// A file that was decoded when it came, as the fields before it asked.
pub struct File {
    clips: Vec<Clip>,
    apart: bool,
}

impl File {
    /// Decodes a part, its channels apart or mixed.
    pub fn decode(part: &Part, apart: bool) -> Result<Self, Failure> {
        let (content, hint) = content(part)?;
        let clips = match apart {
            true => decode_channels(content, &hint)?,
            false => vec![decode(content, &hint)?],
        };
        Ok(Self { clips, apart })
    }

    /// Its clips, unless the fields behind it ask for something else.
    pub fn clips(self, apart: bool) -> Result<Vec<Clip>, Failure> {
        if self.apart == apart {
            return Ok(self.clips);
        }
        let text = "'multichannel' comes after the file, which is decoded as it arrives: send it before \
                    'file'";
        Err(Failure::new(400, text).about("multichannel"))
    }
}

/// The text of the field `name`, which may have `max_bytes` bytes; a longer one is refused with
/// `status`.
pub fn text(part: &Part, name: &str, max_bytes: u32, status: u16) -> Result<String, Failure> {
    part.text(max_bytes).map_err(|error| match error {
        FormError::TooLarge => {
            Failure::new(status, format!("'{name}' is longer than {max_bytes} bytes")).about(name)
        }
        error => error.into(),
    })
}

/// The audio of a part.
pub fn decode_part(part: &Part) -> Result<Clip, Failure> {
    let (content, hint) = content(part)?;
    Ok(decode(content, &hint)?)
}

/// The bytes of a part that may be audio.
fn content(part: &Part) -> Result<(InputStream, Hint), Failure> {
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
    Ok((content, hint))
}

/// Whether a part of this media type may hold audio. The bytes decide what it is: clients send what
/// their system calls the file, `application/mp4` or `binary/octet-stream`. Only types that say that
/// it is something else are refused unseen.
fn may_be_audio(content_type: Option<&str>) -> bool {
    const OTHER_KINDS: [&str; 6] = ["text", "image", "font", "message", "model", "multipart"];
    const OTHER_FORMATS: [&str; 6] = [
        "json",
        "xml",
        "html",
        "pdf",
        "javascript",
        "x-www-form-urlencoded",
    ];
    let essence = content_type.and_then(|it| it.split(';').next());
    let essence = essence.unwrap_or_default().trim().to_ascii_lowercase();
    let (kind, format) = essence.split_once('/').unwrap_or((&essence, ""));
    let syntax = format.rsplit('+').next().unwrap_or_default();
    !OTHER_KINDS.contains(&kind) && !OTHER_FORMATS.contains(&syntax)
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
            Some("binary/octet-stream"),
            Some("application/mp4"),
            Some("application/x-matroska"),
            Some("application/vnd.apple.caf"),
            Some("audio"),
        ] {
            assert!(may_be_audio(yes), "{yes:?}");
        }
        for no in [
            "text/plain",
            "Text/CSV; charset=utf-8",
            "image/png",
            "application/json",
            "application/problem+json",
        ] {
            assert!(!may_be_audio(Some(no)), "{no}");
        }
    }
}
