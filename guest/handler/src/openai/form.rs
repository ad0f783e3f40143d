//! The form of a request: one file, decoded as it arrives, and fields before or after it.

use auricle_guest::audio::Clip;
use auricle_guest::http::Request;
use auricle_guest::speakers::KnownSpeaker;
use auricle_guest::speech::{Model, Task};

use crate::failure::Failure;
use crate::form::{File, text};
use crate::openai::asked::Asked;
use crate::openai::models;
use crate::openai::references::{Known, NAMES, VOICES};
use crate::options::Asked as Common;

/// What a client sent.
pub struct Sent {
    /// The decoded file: one clip, or one of each channel.
    pub clips: Vec<Clip>,
    /// What it asks for.
    pub asked: Asked,
    /// The model that it names.
    pub model: Model,
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
        let of_name = self.iter().filter(move |(n, _)| *n == name);
        of_name.map(|(_, value)| value)
    }

    /// All fields, without surrounding spaces.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.trim()))
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
    let (mut file, mut known) = (None, Known::default());
    let form = request.form()?;
    while let Some(part) = form.next_part()? {
        let Some(name) = part.name() else { continue };
        match bare(&name) {
            "file" if file.is_some() => {
                let text = "there are two files: send one per request";
                return Err(Failure::new(400, text).about("file"));
            }
            "file" => {
                let asked = Asked::read(&fields, task)?;
                if !asked.model.is_empty() {
                    models::find(&asked.model)?;
                }
                let decoded = File::decode(&part, asked.multichannel);
                file = Some(decoded.map_err(|failure| failure.about("file"))?);
            }
            NAMES => known.name(&part)?,
            VOICES => known.voice(&part)?,
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
    let model = models::find(&asked.model)?;
    asked.options(&model)?;
    let Some(file) = file else {
        let text = "there is no file: add the audio as form field 'file'";
        return Err(Failure::new(400, text).about("file"));
    };
    Ok(Sent {
        clips: file.clips(asked.multichannel)?,
        asked,
        model,
        known: known.pair()?,
    })
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
