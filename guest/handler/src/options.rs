//! What the client asks for, as it writes it and as the transcriber wants it.
//!
//! Both the query and the form may set an option; the form wins. Names that are not options are
//! ignored, as form libraries do; values that cannot be understood are refused.

use auricle_guest::http::Query;
use auricle_guest::speakers::SpeakerOptions;
use auricle_guest::speech::Task;
use auricle_guest::transcriber::Options;

use crate::failure::Failure;

/// Options as the client wrote them.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    values: [Option<String>; NAMES.len()],
}

/// The fields that are read, beside the file and known speakers.
pub const NAMES: [&str; 13] = [
    "language",
    "task",
    "word_timestamps",
    "subtitles",
    "diarize",
    "model",
    "prompt",
    "temperature",
    "beam_size",
    "num_speakers",
    "min_speakers",
    "max_speakers",
    "multichannel",
];

impl Asked {
    /// The options in a query.
    pub fn in_query(query: &Query) -> Self {
        let mut asked = Self::default();
        for (name, value) in query.iter() {
            asked.set(name, value.to_owned());
        }
        asked
    }

    /// Whether `name` is an option.
    pub fn knows(name: &str) -> bool {
        NAMES.contains(&name)
    }

    /// Longest value of the option `name`, in bytes. A prompt's tokens beyond the model's window are
    /// left out anyway.
    pub fn max_bytes(name: &str) -> u32 {
        if name == "prompt" { 65_536 } else { 1024 }
    }

    /// Sets an option; does nothing with other names. An empty value means "not set", because
    /// browsers send empty fields.
    pub fn set(&mut self, name: &str, value: String) {
        if let Some(index) = NAMES.iter().position(|n| *n == name)
            && let Some(slot) = self.values.get_mut(index)
        {
            *slot = Some(value).filter(|v| !v.trim().is_empty());
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        let index = NAMES.iter().position(|n| *n == name)?;
        self.values.get(index)?.as_deref()
    }

    /// The model, when one is named.
    pub fn model(&self) -> Option<String> {
        self.get("model").map(|m| m.trim().to_owned())
    }

    /// Whether the transcript is to show its words.
    pub fn words(&self) -> Result<bool, Failure> {
        self.flag("word_timestamps")
    }

    /// Whether subtitles are to come with the transcript.
    pub fn subtitles(&self) -> Result<bool, Failure> {
        self.flag("subtitles")
    }

    /// Whether each channel is to be transcribed for itself.
    pub fn multichannel(&self) -> Result<bool, Failure> {
        self.flag("multichannel")
    }

    /// Refuses to tell both speakers and channels: who sits on a channel is known.
    pub fn channels_or_speakers() -> Failure {
        let text = "'multichannel' tells who speaks by the channels: use it with one speaker a channel, \
                    without 'diarize', 'diarized_json' and models that tell speakers apart";
        Failure::new(400, text)
    }

    /// The options for the transcriber.
    pub fn resolve(&self) -> Result<Options, Failure> {
        Ok(Options {
            model: self.model(),
            language: self.language()?,
            languages: Vec::new(),
            task: self.task()?,
            prompt: self.get("prompt").map(str::to_owned),
            keywords: Vec::new(),
            temperature: self.number("temperature", 0.0, 0.0..=1.0)?,
            beam_size: self.number("beam_size", 1, 1..=8)?,
            // Subtitles are cut between words.
            word_timestamps: self.words()? || self.subtitles()?,
            logprobs: false,
            chunking: None,
            diarize: self.speakers()?,
        })
    }

    /// Who may be speaking; nothing unless speakers are asked for.
    fn speakers(&self) -> Result<Option<SpeakerOptions>, Failure> {
        let speakers = SpeakerOptions {
            num_speakers: self.speaker_number("num_speakers")?,
            min_speakers: self.speaker_number("min_speakers")?,
            max_speakers: self.speaker_number("max_speakers")?,
            known: Vec::new(),
        };
        let diarize = self.flag("diarize")?;
        if self.multichannel()? && diarize {
            return Err(Self::channels_or_speakers().about("multichannel"));
        }
        Ok(diarize.then_some(speakers))
    }

    fn speaker_number(&self, name: &str) -> Result<Option<u32>, Failure> {
        let number = self.number(name, 0, 1..=1000)?;
        Ok((number > 0).then_some(number))
    }

    fn language(&self) -> Result<Option<String>, Failure> {
        match self.get("language").map(str::trim) {
            None => Ok(None),
            Some(auto) if auto.eq_ignore_ascii_case("auto") => Ok(None),
            Some(language) if knows_language(language) => Ok(Some(language.to_owned())),
            Some(other) => Err(Failure::new(
                400,
                format!(
                    "unknown language '{}': use a code such as 'en' or 'pt-BR', or leave 'language' out",
                    shortened(other)
                ),
            )
            .about("language")),
        }
    }

    fn task(&self) -> Result<Task, Failure> {
        match self.get("task").map(str::trim) {
            None | Some("transcribe") => Ok(Task::Transcribe),
            Some("translate") => Ok(Task::Translate),
            Some(other) => Err(Failure::new(
                400,
                format!(
                    "unknown task '{}': use 'transcribe' or 'translate'",
                    shortened(other)
                ),
            )),
        }
    }

    fn flag(&self, name: &str) -> Result<bool, Failure> {
        let Some(value) = self.get(name).map(str::trim) else {
            return Ok(false);
        };
        match value.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err(Failure::new(
                400,
                format!("{name} is '{}': use 'true' or 'false'", shortened(value)),
            )
            .about(name)),
        }
    }

    fn number<T>(
        &self,
        name: &str,
        default: T,
        range: std::ops::RangeInclusive<T>,
    ) -> Result<T, Failure>
    where
        T: std::str::FromStr + PartialOrd + std::fmt::Display,
    {
        let Some(value) = self.get(name).map(str::trim) else {
            return Ok(default);
        };
        match value.parse() {
            Ok(number) if range.contains(&number) => Ok(number),
            _ => Err(Failure::new(
                400,
                format!(
                    "{name} is '{}': use {} to {}",
                    shortened(value),
                    range.start(),
                    range.end()
                ),
            )
            .about(name)),
        }
    }
}

/// Whether `code` is a spelling of a language of Whisper's, as the host reads it.
pub fn knows_language(code: &str) -> bool {
    code.parse::<auricle_speech::Language>().is_ok()
}

/// A value as an error repeats it: not longer than a line.
pub fn shortened(value: &str) -> String {
    const MAX_CHARS: usize = 60;
    match value.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", value.get(..end).unwrap_or_default()),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn resolve(query: &str) -> Result<Options, Failure> {
        Asked::in_query(&Query::parse(query)).resolve()
    }

    #[test]
    fn nothing_asked_means_the_defaults() {
        let options = resolve("").unwrap();
        assert!(options.language.is_none() && options.model.is_none());
        assert!(!options.word_timestamps && options.diarize.is_none());
        assert_eq!((options.temperature, options.beam_size), (0.0, 1));
    }

    #[test]
    fn booleans_are_read_in_every_usual_spelling() {
        for yes in ["true", "True", "1", "yes", "ON"] {
            let options = resolve(&format!("diarize={yes}")).unwrap();
            assert!(options.diarize.is_some(), "{yes}");
        }
        for no in ["false", "0", "No", "off", ""] {
            let options = resolve(&format!("diarize={no}")).unwrap();
            assert!(options.diarize.is_none(), "{no}");
        }
    }

    #[test]
    fn unknown_names_are_ignored_and_unknown_values_refused() {
        assert!(resolve("colour=red").is_ok());
        for bad in [
            "task=sing",
            "language=klingon",
            "diarize=maybe",
            "num_speakers=0",
            "max_speakers=two",
            "temperature=2",
            "temperature=NaN",
            "beam_size=0",
            "beam_size=9",
            "beam_size=x",
        ] {
            assert_eq!(resolve(bad).unwrap_err().status(), 400, "{bad}");
        }
    }

    #[test]
    fn a_language_that_is_empty_or_auto_is_detected() {
        assert_eq!(resolve("language=").unwrap().language, None);
        assert_eq!(resolve("language=auto").unwrap().language, None);
        for spelling in ["de", "de-AT", "deu", "German", "zh-TW"] {
            let options = resolve(&format!("language={spelling}")).unwrap();
            assert_eq!(options.language.as_deref(), Some(spelling));
        }
    }

    #[test]
    fn the_form_wins_over_the_query() {
        let mut asked = Asked::in_query(&Query::parse("task=translate"));
        asked.set("task", "transcribe".to_owned());
        let options = asked.resolve().unwrap();
        assert!(matches!(options.task, Task::Transcribe));
    }

    #[test]
    fn a_long_bad_value_is_not_repeated_in_full() {
        let failure = resolve(&format!("task={}", "ä".repeat(1000))).unwrap_err();
        assert!(failure.detail().len() < 250, "{}", failure.detail());
    }
}
