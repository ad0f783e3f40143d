//! What a request asks for, field by field.
//!
//! Names that are no fields are ignored; values that cannot be understood are refused and named.
//! What OpenAI refuses only because its own models cannot do it together is allowed.

use auricle_formats::SubtitleOptions;
use auricle_guest::speakers::SpeakerOptions;
use auricle_guest::speech::Task;
use auricle_guest::transcriber::Options;

use crate::failure::Failure;
use crate::openai::form::Fields;
use crate::options::{Asked as Common, shortened};

/// The fields that are read, beside those of speakers and the file.
pub const FIELDS: [&str; 16] = [
    "model",
    "language",
    "prompt",
    "response_format",
    "temperature",
    "timestamp_granularities",
    "stream",
    "beam_size",
    "diarize",
    "num_speakers",
    "min_speakers",
    "max_speakers",
    "known_speaker_names",
    "max_line_width",
    "max_line_count",
    "max_words_per_line",
];

/// Fields that mean the same in the tutorial API.
const COMMON: [&str; 8] = [
    "language",
    "prompt",
    "temperature",
    "beam_size",
    "diarize",
    "num_speakers",
    "min_speakers",
    "max_speakers",
];

/// The shape of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Json,
    Text,
    Srt,
    VerboseJson,
    Vtt,
    DiarizedJson,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The model as the client names it; empty when it names none.
    pub model: String,
    /// Transcribe or translate.
    pub task: Task,
    /// The shape of the answer.
    pub format: Format,
    /// Whether `verbose_json` has words.
    pub words: bool,
    /// Whether `verbose_json` has segments.
    pub segments: bool,
    /// Whether the answer is a stream of events.
    pub streams: bool,
    /// What subtitles look like.
    pub subtitles: SubtitleOptions,
    common: Common,
}

impl Asked {
    /// Whether a field is read here.
    pub fn knows(field: &str) -> bool {
        FIELDS.contains(&field)
    }

    /// Reads the fields.
    pub fn read(fields: &Fields, task: Task) -> Result<Self, Failure> {
        let mut common = Common::default();
        for name in COMMON {
            // A translation's language is found out, as OpenAI does it, unless it is said.
            if let Some(value) = fields.get(name) {
                common.set(name, value.to_owned());
            }
        }
        let format = format(fields, task)?;
        let (segments, words) = granularities(fields)?;
        let streams = flag(fields, "stream")?;
        if streams && matches!(format, Format::Srt | Format::Vtt | Format::VerboseJson) {
            let text = "'stream' sends events of text: use it with response_format 'json', 'text' \
                        or 'diarized_json', or leave it out";
            return Err(Failure::new(400, text).about("stream"));
        }
        let asked = Self {
            model: fields.get("model").unwrap_or_default().to_owned(),
            task,
            format,
            words,
            segments,
            streams,
            subtitles: subtitles(fields)?,
            common,
        };
        asked.options()?;
        Ok(asked)
    }

    /// The options for the transcriber; known speakers are left to the caller.
    pub fn options(&self) -> Result<Options, Failure> {
        let mut options = self.common.resolve()?;
        options.model = served(&self.model);
        options.task = self.task;
        options.word_timestamps = match self.format {
            Format::VerboseJson => self.words,
            // Subtitles are cut between words.
            Format::Srt | Format::Vtt => true,
            Format::Json | Format::Text | Format::DiarizedJson => false,
        };
        if self.format == Format::DiarizedJson || self.model.ends_with("-diarize") {
            options.diarize.get_or_insert_with(SpeakerOptions::default);
        }
        Ok(options)
    }
}

/// OpenAI's names mean the server's default model.
fn served(model: &str) -> Option<String> {
    let of_openai = matches!(model, "whisper-1" | "gpt-transcribe")
        || (model.starts_with("gpt-4o-") && model.contains("transcribe"));
    (!of_openai && !model.is_empty()).then(|| model.to_owned())
}

fn format(fields: &Fields, task: Task) -> Result<Format, Failure> {
    let format = match fields.get("response_format") {
        None | Some("json") => Format::Json,
        Some("text") => Format::Text,
        Some("srt") => Format::Srt,
        Some("verbose_json") => Format::VerboseJson,
        Some("vtt") => Format::Vtt,
        Some("diarized_json") if matches!(task, Task::Transcribe) => Format::DiarizedJson,
        Some(other) => {
            let diarized = match task {
                Task::Transcribe => ", 'diarized_json'",
                Task::Translate => "",
            };
            let text = format!(
                "response_format is '{}': use 'json', 'text', 'srt', 'verbose_json', 'vtt'{diarized}",
                shortened(other)
            );
            return Err(Failure::new(400, text).about("response_format"));
        }
    };
    Ok(format)
}

/// Whether segments, and whether words, are asked for; segments without a word about it.
fn granularities(fields: &Fields) -> Result<(bool, bool), Failure> {
    let (mut segments, mut words, mut any) = (false, false, false);
    let all = fields.all("timestamp_granularities");
    for one in all.flat_map(|value| value.split(',')).map(str::trim) {
        any = true;
        match one {
            "segment" => segments = true,
            "word" => words = true,
            other => {
                let text = format!(
                    "timestamp_granularities has '{}': use 'word', 'segment' or both",
                    shortened(other)
                );
                return Err(Failure::new(400, text).about("timestamp_granularities"));
            }
        }
    }
    Ok((segments || !any, words))
}

fn subtitles(fields: &Fields) -> Result<SubtitleOptions, Failure> {
    let count = |name: &'static str| match fields.get(name) {
        None => Ok(None),
        Some(value) => match value.trim().parse::<usize>() {
            Ok(count) => Ok(Some(count)),
            Err(_) => {
                let text = format!("{name} is '{}': use a whole number", shortened(value));
                Err(Failure::new(400, text).about(name))
            }
        },
    };
    let usual = SubtitleOptions::default();
    let options = SubtitleOptions {
        max_line_width: count("max_line_width")?.unwrap_or(usual.max_line_width),
        max_line_count: count("max_line_count")?.unwrap_or(usual.max_line_count),
        max_words_per_line: count("max_words_per_line")?,
        ..usual
    };
    options
        .checked()
        .map_err(|error| Failure::new(400, error.to_string()).about(error.option))
}

fn flag(fields: &Fields, name: &str) -> Result<bool, Failure> {
    let value = fields.get(name).map(str::to_ascii_lowercase);
    match value.as_deref() {
        None | Some("false" | "0" | "no" | "off") => Ok(false),
        Some("true" | "1" | "yes" | "on") => Ok(true),
        Some(other) => {
            let text = format!("{name} is '{}': use 'true' or 'false'", shortened(other));
            Err(Failure::new(400, text).about(name))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn read(pairs: &[(&str, &str)], task: Task) -> Result<Asked, Failure> {
        let mut fields = Fields::default();
        for (name, value) in pairs {
            fields.add(name, (*value).to_owned());
        }
        Asked::read(&fields, task)
    }

    fn param(pairs: &[(&str, &str)]) -> serde_json::Value {
        let failure = read(pairs, Task::Transcribe).unwrap_err();
        assert_eq!(failure.status(), 400);
        failure.openai_body()["error"]["param"].clone()
    }

    #[test]
    fn wrong_values_are_refused_and_named() {
        for (name, value, param_name) in [
            ("response_format", "xml", "response_format"),
            ("stream", "maybe", "stream"),
            ("temperature", "2", "temperature"),
            ("max_line_width", "wide", "max_line_width"),
            ("max_line_count", "0", "max_line_count"),
            (
                "timestamp_granularities[]",
                "char",
                "timestamp_granularities",
            ),
        ] {
            assert_eq!(param(&[(name, value)]), param_name);
        }
        assert_eq!(
            param(&[("stream", "true"), ("response_format", "srt")]),
            "stream"
        );
        assert!(read(&[("response_format", "diarized_json")], Task::Translate).is_err());
    }

    #[test]
    fn granularities_say_what_verbose_json_shows() {
        let shown = |pairs: &[(&str, &str)]| {
            let asked = read(pairs, Task::Transcribe).unwrap();
            (asked.segments, asked.words)
        };
        let name = "timestamp_granularities[]";
        assert_eq!(shown(&[]), (true, false));
        assert_eq!(shown(&[(name, "word")]), (false, true));
        assert_eq!(shown(&[(name, "word"), (name, "segment")]), (true, true));
    }

    #[test]
    fn openais_names_mean_the_servers_model_and_others_are_taken_as_they_are() {
        for model in ["whisper-1", "gpt-4o-mini-transcribe", "gpt-transcribe"] {
            assert_eq!(served(model), None, "{model}");
        }
        assert_eq!(served("base").as_deref(), Some("base"));
        assert_eq!(served("gpt-4").as_deref(), Some("gpt-4"));
    }

    #[test]
    fn a_diarizing_model_or_format_asks_who_spoke() {
        for pair in [
            ("model", "gpt-4o-transcribe-diarize"),
            ("response_format", "diarized_json"),
            ("diarize", "true"),
        ] {
            let asked = read(&[pair], Task::Transcribe).unwrap();
            assert!(asked.options().unwrap().diarize.is_some(), "{pair:?}");
        }
    }
}
