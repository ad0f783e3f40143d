//! The form of a request: one file, decoded as it arrives, and fields before or after it.

use auricle_guest::audio::Clip;
use auricle_guest::http::{Part, Request};
use auricle_guest::speakers::KnownSpeaker;
use auricle_guest::speech::Task;

use crate::failure::Failure;
use crate::form::{MAX_KNOWN, MAX_NAME_BYTES, decode_part, text};
use crate::openai::asked::Asked;
use crate::options::Asked as Common;

const NAMES: &str = "known_speaker_names";
const REFERENCES: &str = "known_speaker_references";

/// What a client sent.
pub struct Sent {
    /// The decoded file.
    pub clip: Clip,
    /// What it asks for.
    pub asked: Asked,
    /// Speakers by name and by how they sound.
    pub known: Vec<KnownSpeaker>,
}

/// The fields of a form, arrays as often as they were sent.
#[derive(Clone, Debug, Default)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// Adds a field; one without content counts as not sent.
    pub fn add(&mut self, name: &str, value: String) {
        if !value.trim().is_empty() {
            self.0.push((bare(name).to_owned(), value));
        }
    }

    /// The last value of a field, without surrounding spaces.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).last()
    }

    /// All values of a field.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let of_name = self.0.iter().filter(move |(n, _)| n == name);
        of_name.map(|(_, value)| value.trim())
    }
}

/// A field's name without what marks it as an array: `include[]` and `include[0]` are `include`.
fn bare(name: &str) -> &str {
    match name.strip_suffix(']').and_then(|n| n.rsplit_once('[')) {
        Some((array, index)) if index.bytes().all(|b| b.is_ascii_digit()) => array,
        _ => name,
    }
}

/// Reads the whole form. Fields that are known to be wrong before the file comes are refused before
/// it is decoded.
pub fn read(request: &Request, task: Task) -> Result<Sent, Failure> {
    let mut fields = Fields::default();
    let (mut clip, mut names, mut voices) = (None, Vec::new(), Vec::new());
    let form = request.form()?;
    while let Some(part) = form.next_part()? {
        let Some(name) = part.name() else { continue };
        match bare(&name) {
            "file" if clip.is_some() => {
                let text = "there are two files: send one per request";
                return Err(Failure::new(400, text).about("file"));
            }
            "file" => {
                Asked::read(&fields, task)?;
                clip = Some(decode_part(&part).map_err(|failure| failure.about("file"))?);
            }
            NAMES => {
                room(names.len(), NAMES)?;
                names.push(text(&part, NAMES, MAX_NAME_BYTES, 400)?);
            }
            REFERENCES => {
                room(voices.len(), REFERENCES)?;
                voices.push(voice(&part)?);
            }
            field if Asked::knows(field) => {
                fields.add(&name, text(&part, field, Common::max_bytes(field), 400)?);
            }
            _ => {}
        }
    }
    let asked = Asked::read(&fields, task)?;
    if asked.model.is_empty() {
        let text = "you must provide a model parameter: name one of GET /v1/models";
        return Err(Failure::new(400, text).about("model"));
    }
    let Some(clip) = clip else {
        let text = "there is no file: add the audio as form field 'file'";
        return Err(Failure::new(400, text).about("file"));
    };
    Ok(Sent {
        clip,
        asked,
        known: pair(names, voices)?,
    })
}

fn voice(part: &Part) -> Result<Clip, Failure> {
    if part.file_name().is_none() {
        let text = "send each of known_speaker_references as a file: data URLs are not read";
        return Err(Failure::new(400, text).about(REFERENCES));
    }
    decode_part(part).map_err(|failure| failure.about(REFERENCES))
}

fn room(count: usize, field: &str) -> Result<(), Failure> {
    if count < MAX_KNOWN {
        return Ok(());
    }
    let text = format!("there are too many known speakers: send at most {MAX_KNOWN}");
    Err(Failure::new(400, text).about(field))
}

fn pair(names: Vec<String>, voices: Vec<Clip>) -> Result<Vec<KnownSpeaker>, Failure> {
    if names.len() != voices.len() {
        let text = format!(
            "there are {} known_speaker_names and {} known_speaker_references: send one \
             reference for each name, in the same order",
            names.len(),
            voices.len()
        );
        return Err(Failure::new(400, text).about(NAMES));
    }
    let pairs = names.into_iter().zip(voices);
    Ok(pairs
        .map(|(name, voice)| KnownSpeaker { name, voice })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_read_with_and_without_their_mark() {
        for name in ["include", "include[]", "include[0]", "include[12]"] {
            assert_eq!(bare(name), "include", "{name}");
        }
        assert_eq!(bare("chunking_strategy[type]"), "chunking_strategy[type]");
    }

    #[test]
    fn the_last_of_a_field_counts_and_an_empty_one_does_not() {
        let mut fields = Fields::default();
        for value in [" json ", "text", " "] {
            fields.add("response_format", value.to_owned());
        }
        assert_eq!(fields.get("response_format"), Some("text"));
        assert_eq!(fields.all("response_format").count(), 2);
    }
}
