//! What a request asks for, field by field.
//!
//! Names that are no fields are ignored; values that cannot be understood are refused and named.
//! What OpenAI refuses only because its own models cannot do it together is allowed.

use auricle_formats::{Billing, SubtitleOptions};
use auricle_guest::speakers::SpeakerOptions;
use auricle_guest::speech::{Model, Task, VoiceOptions};
use auricle_guest::transcriber::Options;

use crate::failure::Failure;
use crate::openai::chunking;
use crate::openai::form::Fields;
use crate::options::{Asked as Common, knows_language, shortened};

/// The fields that are read, beside those of speakers and the file.
pub const FIELDS: [&str; 20] = [
    "model",
    "language",
    "languages",
    "keywords",
    "include",
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
    "multichannel",
];

/// Longest keyword, in characters: more than any name has.
pub const MAX_KEYWORD_CHARS: usize = 100;

/// Fields that mean the same in the tutorial API.
const COMMON: [&str; 9] = [
    "multichannel",
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
    /// Whether tokens are told with their probabilities.
    pub logprobs: bool,
    /// Whether each channel is transcribed for itself.
    pub multichannel: bool,
    languages: Vec<String>,
    keywords: Vec<String>,
    chunking: Option<VoiceOptions>,
    common: Common,
}

impl Asked {
    /// Whether a field is read here.
    pub fn knows(field: &str) -> bool {
        FIELDS.contains(&field) || chunking::owns(field)
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
        common.resolve()?;
        let multichannel = common.multichannel()?;
        if multichannel && format == Format::DiarizedJson {
            return Err(Common::channels_or_speakers().about("response_format"));
        }
        Ok(Self {
            model: fields.get("model").unwrap_or_default().to_owned(),
            task,
            format,
            words,
            segments,
            streams,
            subtitles: subtitles(fields)?,
            logprobs: logprobs(fields, format, task)?,
            multichannel,
            languages: languages(fields)?,
            keywords: keywords(fields)?,
            chunking: chunking::read(fields)?,
            common,
        })
    }

    /// The options for the transcriber; known speakers are left to the caller.
    pub fn options(&self, model: &Model) -> Result<Options, Failure> {
        let mut options = self.common.resolve()?;
        options.model = Some(model.name.clone());
        options.task = self.task;
        options.languages.clone_from(&self.languages);
        options.keywords.clone_from(&self.keywords);
        options.chunking = self.chunking;
        options.logprobs = self.logprobs;
        options.word_timestamps = match self.format {
            Format::VerboseJson => self.words,
            // Subtitles are cut between words.
            Format::Srt | Format::Vtt => true,
            Format::Json | Format::Text | Format::DiarizedJson => false,
        };
        if self.format == Format::DiarizedJson || model.diarizes {
            options.diarize.get_or_insert_with(SpeakerOptions::default);
        }
        if self.multichannel && options.diarize.is_some() {
            return Err(Common::channels_or_speakers().about("model"));
        }
        Ok(options)
    }

    /// What is counted as the cost: OpenAI bills its newer models by the token.
    pub fn billing(&self) -> Billing {
        match self.model.starts_with("gpt-") {
            true => Billing::Tokens,
            false => Billing::Duration,
        }
    }

    /// Whether the answer has the language: where the client named several, and of the model of
    /// OpenAI's that always tells.
    pub fn tells_languages(&self) -> bool {
        !self.languages.is_empty() || self.model.starts_with("gpt-transcribe")
    }
}

/// Whether tokens are told with their probabilities.
fn logprobs(fields: &Fields, format: Format, task: Task) -> Result<bool, Failure> {
    let mut any = false;
    for one in fields.all("include") {
        any = true;
        if one != "logprobs" {
            let text = format!("include has '{}': use 'logprobs'", shortened(one));
            return Err(Failure::new(400, text).about("include"));
        }
    }
    if any && (format != Format::Json || matches!(task, Task::Translate)) {
        let text = "'include' has logprobs, which transcriptions with response_format 'json' have";
        return Err(Failure::new(400, text).about("include"));
    }
    Ok(any)
}

/// Candidate languages, by code or English name.
fn languages(fields: &Fields) -> Result<Vec<String>, Failure> {
    let all = fields.all("languages").flat_map(|value| value.split(','));
    let all: Vec<String> = all.map(|one| one.trim().to_owned()).collect();
    match all.iter().find(|one| !knows_language(one)) {
        None => Ok(all),
        Some(other) => {
            let text = format!(
                "languages has '{}': use codes such as 'en', or leave it out",
                shortened(other)
            );
            Err(Failure::new(400, text).about("languages"))
        }
    }
}

/// Words and phrases that are likely to be said.
fn keywords(fields: &Fields) -> Result<Vec<String>, Failure> {
    let all: Vec<String> = fields.all("keywords").map(str::to_owned).collect();
    match all
        .iter()
        .find(|one| one.chars().count() > MAX_KEYWORD_CHARS)
    {
        None => Ok(all),
        Some(long) => {
            let text = format!(
                "keywords has '{}', longer than {MAX_KEYWORD_CHARS} characters: send each word or \
                 phrase as a field of its own, and sentences as 'prompt'",
                shortened(long)
            );
            Err(Failure::new(400, text).about("keywords"))
        }
    }
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

    fn model(diarizes: bool) -> Model {
        Model {
            name: "base".to_owned(),
            installed: 0,
            alias_of: None,
            diarizes,
        }
    }

    #[test]
    fn a_diarizing_model_or_format_asks_who_spoke() {
        for (pair, diarizes, asks) in [
            (("model", "any"), true, true),
            (("response_format", "diarized_json"), false, true),
            (("diarize", "true"), false, true),
            (("response_format", "json"), false, false),
        ] {
            let asked = read(&[pair], Task::Transcribe).unwrap();
            let options = asked.options(&model(diarizes)).unwrap();
            assert_eq!(options.diarize.is_some(), asks, "{pair:?}");
        }
    }

    #[test]
    fn probabilities_go_with_json_alone() {
        let include = ("include[]", "logprobs");
        let asked = read(&[include], Task::Transcribe).unwrap();
        assert!(asked.options(&model(false)).unwrap().logprobs);
        assert!(asked.options(&model(true)).unwrap().logprobs);
        assert_eq!(param(&[("include[]", "all")]), "include");
        for format in ["text", "verbose_json", "diarized_json", "srt"] {
            assert_eq!(param(&[include, ("response_format", format)]), "include");
        }
        assert!(read(&[include], Task::Translate).is_err());
    }

    #[test]
    fn channels_are_told_or_speakers_and_not_both() {
        let multichannel = ("multichannel", "true");
        let asked = read(&[multichannel], Task::Transcribe).unwrap();
        assert!(asked.multichannel && asked.options(&model(false)).is_ok());
        let failure = asked.options(&model(true)).unwrap_err();
        assert_eq!(failure.openai_body()["error"]["param"], "model");
        assert_eq!(param(&[multichannel, ("diarize", "true")]), "multichannel");
        let format = ("response_format", "diarized_json");
        assert_eq!(param(&[multichannel, format]), "response_format");
    }

    #[test]
    fn keywords_are_taken_as_they_are_and_sentences_refused() {
        let two = [("keywords[]", "Ann, of course"), ("keywords[]", "Auricle")];
        let asked = read(&two, Task::Transcribe).unwrap();
        let options = asked.options(&model(false)).unwrap();
        assert_eq!(options.keywords, ["Ann, of course", "Auricle"]);
        assert_eq!(param(&[("keywords", &"long ".repeat(30))]), "keywords");
    }

    #[test]
    fn the_cost_is_told_as_of_the_model_that_was_named() {
        let billing = |model| {
            read(&[("model", model)], Task::Transcribe)
                .unwrap()
                .billing()
        };
        for model in ["whisper-1", "base", "large-v3:q5_1"] {
            assert_eq!(billing(model), Billing::Duration, "{model}");
        }
        for model in ["gpt-4o-transcribe", "gpt-4o-mini-transcribe-2025-12-15"] {
            assert_eq!(billing(model), Billing::Tokens, "{model}");
        }
    }
}
