//! The language of each chunk: as requested, or as detected in it.
//!
//! Chunks are recognised side by side, each in the language that is likeliest in it. Where that is not
//! certain (a short chunk, an accent) a chunk follows the speech before it, and the first ones follow the
//! first certain one: a chunk that was recognised in another language is then recognised again. So the
//! outcome does not depend on which chunk was done first.

use auricle_capability::SpeechError;
use auricle_inference::Lease;
use auricle_speech::{
    Detected, DetectedSegments, Detection, Language, Segment, Span, TranscribeOptions,
};

/// Uncertain chunks at the start that wait for a certain one.
const MAX_HELD: usize = 3;

/// How the language of a request's chunks is found.
#[derive(Clone, Debug)]
pub(crate) enum Spoken {
    /// All are in this language.
    Known(Language),
    /// Each is in the language that is detected in it.
    Detected(Detection),
}

impl Spoken {
    /// What the options ask for: one language, or detection among those that the model has.
    ///
    /// # Errors
    /// [`SpeechError::UnknownLanguage`] when the model has none of the requested languages.
    pub(crate) fn requested(
        options: &TranscribeOptions,
        lease: &Lease,
    ) -> Result<Self, SpeechError> {
        let requested = match &options.language {
            Some(one) => std::slice::from_ref(one),
            None => options.languages.as_slice(),
        };
        let engine = lease.engine();
        let mut candidates = requested.to_vec();
        candidates.retain(|language| engine.knows(*language));
        match (candidates.as_slice(), requested.first()) {
            ([only], _) => Ok(Self::Known(*only)),
            ([], Some(unknown)) => Err(SpeechError::UnknownLanguage(unknown.code().into())),
            ([], None) if !engine.is_multilingual() => Ok(Self::Known(Language::ENGLISH)),
            _ => Ok(Self::Detected(Detection { candidates })),
        }
    }

    /// The language of a clip without speech.
    pub(crate) fn of_silence(&self) -> Language {
        match self {
            Self::Known(language) => *language,
            Self::Detected(detection) => {
                let first = detection.candidates.first();
                first.copied().unwrap_or(Language::ENGLISH)
            }
        }
    }
}

/// A chunk that was recognised.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    pub(crate) span: Span,
    pub(crate) found: DetectedSegments,
}

impl Chunk {
    /// A chunk in a language that was given.
    pub(crate) fn known(span: Span, language: Language, segments: Vec<Segment>) -> Self {
        let detected = Detected {
            language,
            is_certain: true,
            other: None,
        };
        Self {
            span,
            found: DetectedSegments { detected, segments },
        }
    }

    pub(crate) fn language(&self) -> Language {
        self.found.detected.language
    }

    fn is_certain(&self) -> bool {
        self.found.detected.is_certain
    }
}

/// A chunk whose language is settled.
#[derive(Debug)]
pub(crate) enum Settled {
    /// It was recognised in its language.
    Done(Chunk),
    /// It is to be recognised again, in this language.
    Again(Span, Language),
}

/// Settles the languages of a request's chunks, which come in order of time.
#[derive(Debug, Default)]
pub(crate) struct Languages {
    /// That of the chunk before.
    current: Option<Language>,
    /// Uncertain chunks at the start.
    held: Vec<Chunk>,
}

impl Languages {
    /// The language of the chunk before; `None` until it is known.
    pub(crate) fn current(&self) -> Option<Language> {
        self.current
    }

    /// The next chunk; the chunks whose language is known with it.
    pub(crate) fn push(&mut self, chunk: Chunk) -> Vec<Settled> {
        if self.current.is_none() && !chunk.is_certain() && self.held.len() < MAX_HELD {
            self.held.push(chunk);
            return Vec::new();
        }
        if chunk.is_certain() {
            self.current.get_or_insert(chunk.language());
        }
        let mut settled = self.release();
        settled.push(self.settle(chunk));
        settled
    }

    /// The chunks that still wait, when there are no more.
    pub(crate) fn release(&mut self) -> Vec<Settled> {
        let held = std::mem::take(&mut self.held);
        if self.current.is_none() {
            // The one with the most audio is heard best.
            let longest = held.iter().max_by_key(|chunk| chunk.span.len_samples());
            self.current = longest.map(Chunk::language);
        }
        held.into_iter().map(|chunk| self.settle(chunk)).collect()
    }

    fn settle(&mut self, chunk: Chunk) -> Settled {
        let current = self.current.unwrap_or(chunk.language());
        if chunk.language() == current || chunk.found.segments.is_empty() {
            return Settled::Done(chunk);
        }
        if chunk.is_certain() {
            self.current = Some(chunk.language());
            return Settled::Done(chunk);
        }
        Settled::Again(chunk.span, current)
    }
}

/// Seconds of speech in each language.
#[derive(Debug, Default)]
pub(crate) struct SpeechTimes(Vec<(Language, f64)>);

impl SpeechTimes {
    /// Adds the segments that have text.
    pub(crate) fn add(&mut self, segments: &[Segment]) {
        for segment in segments.iter().filter(|segment| !segment.text.is_empty()) {
            let Some(language) = segment.language else {
                continue;
            };
            let secs = segment.end - segment.start;
            match self.0.iter_mut().find(|(one, _)| *one == language) {
                Some((_, sum)) => *sum += secs,
                None => self.0.push((language, secs)),
            }
        }
    }

    /// The languages, the one with the most speech first.
    pub(crate) fn languages(mut self) -> Vec<Language> {
        self.0.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        self.0.into_iter().map(|(language, _)| language).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEC: u64 = 16_000;

    fn chunk(number: u64, code: &str, is_certain: bool) -> Chunk {
        let language = code.parse().unwrap_or(Language::ENGLISH);
        let segment = Segment {
            id: 0,
            start: 0.0,
            end: 1.0,
            text: "said".to_owned(),
            tokens: Vec::new(),
            temperature: 0.0,
            logprobs: Vec::new(),
            avg_logprob: -0.1,
            compression_ratio: 1.0,
            no_speech_prob: 0.0,
            words: Vec::new(),
            speaker: None,
            channel: None,
            language: Some(language),
        };
        let detected = Detected {
            language,
            is_certain,
            other: None,
        };
        Chunk {
            span: Span {
                start: number * 10 * SEC,
                end: (number * 10 + 1 + number) * SEC,
            },
            found: DetectedSegments {
                detected,
                segments: vec![segment],
            },
        }
    }

    /// The languages in which chunks end up, `*` after those that are recognised again.
    fn settled(chunks: &[(&str, bool)]) -> String {
        let mut languages = Languages::default();
        let mut all = Vec::new();
        for (number, (code, certain)) in (0..).zip(chunks) {
            all.extend(languages.push(chunk(number, code, *certain)));
        }
        all.extend(languages.release());
        let names = all.iter().map(|settled| match settled {
            Settled::Done(chunk) => chunk.language().to_string(),
            Settled::Again(_, language) => format!("{language}*"),
        });
        names.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn certain_chunks_keep_their_language_and_others_follow_the_speech_before_them() {
        let all = [
            ("en", true),
            ("cy", false),
            ("es", true),
            ("pt", false),
            ("es", false),
        ];
        assert_eq!(settled(&all), "en en* es es* es");
    }

    #[test]
    fn uncertain_chunks_at_the_start_follow_the_first_certain_one() {
        assert_eq!(
            settled(&[("la", false), ("en", false), ("en", true)]),
            "en* en en"
        );
        let never = [("la", false), ("en", false)];
        assert_eq!(settled(&never), "en* en", "the longest of them tells");
        let long = [
            ("la", false),
            ("en", false),
            ("de", false),
            ("fr", false),
            ("en", true),
        ];
        assert_eq!(settled(&long), "de* de* de de* en");
    }

    #[test]
    fn the_language_with_the_most_speech_comes_first() {
        let mut times = SpeechTimes::default();
        let said = |code: &str, secs: f64| Segment {
            end: secs,
            ..chunk(0, code, true).found.segments.remove(0)
        };
        times.add(&[said("en", 2.0), said("es", 3.0)]);
        times.add(&[said("en", 2.0)]);
        let codes: Vec<_> = times.languages().iter().map(|l| l.code()).collect();
        assert_eq!(codes, ["en", "es"]);
    }
}
