//! A file's clips on their way to a transcript: one, or one of each channel, side by side.
//!
//! The host computes on all of them at once; they are heard one after the other for a whole answer,
//! and together, in order of time, for a stream.

use std::collections::VecDeque;

use auricle_guest::audio::{Clip, SAMPLE_RATE};
use auricle_guest::speech::{Segment, SpeechError};
use auricle_guest::transcriber::{self, Event, Options, Transcription};
use auricle_speech::{Language, Transcript};

use crate::failure::Failure;
use crate::openai::reply::{Labels, transcript};

/// Transcriptions under way.
pub struct Channels {
    lines: Vec<Line>,
    /// Whether they are a file's channels; else it is one clip of all of them.
    apart: bool,
    /// Seconds of audio, of all channels together.
    pub secs: f64,
}

/// One transcription, with what it has said and nobody has taken.
struct Line {
    transcription: Transcription,
    waiting: VecDeque<Segment>,
    /// Once it has ended, the one with the most speech first.
    languages: Vec<String>,
    ended: bool,
}

impl Channels {
    /// Starts to transcribe every clip with its own `options`; `apart` are the channels of a file.
    pub fn start(
        clips: Vec<Clip>,
        apart: bool,
        mut options: impl FnMut() -> Result<Options, Failure>,
    ) -> Result<Self, Failure> {
        let samples: u64 = clips.iter().map(Clip::length).sum();
        let mut lines = Vec::with_capacity(clips.len());
        // The host counts a clip against the tenant for as long as there is a handle.
        for clip in clips {
            lines.push(Line {
                transcription: transcriber::start(&clip, options()?)?,
                waiting: VecDeque::new(),
                languages: Vec::new(),
                ended: false,
            });
        }
        Ok(Self {
            lines,
            apart,
            secs: samples as f64 / f64::from(SAMPLE_RATE),
        })
    }

    /// Waits for the end of all.
    pub fn collect(self, mut labels: Labels) -> Result<Transcript, Failure> {
        let mut all = Vec::with_capacity(self.lines.len());
        for line in self.lines {
            let collected = transcriber::collect_all(&line.transcription)?;
            all.push(transcript(collected, &mut labels));
        }
        match (self.apart, all.pop()) {
            (false, Some(only)) => Ok(only),
            (_, last) => {
                all.extend(last);
                Ok(Transcript::of_channels(all))
            }
        }
    }

    /// Waits until something is known, or has failed.
    pub fn begin(&mut self) -> Result<(), SpeechError> {
        self.lines.first_mut().map_or(Ok(()), Line::step)
    }

    /// The languages that were spoken, those of the first clip first; known at the end.
    pub fn languages(&self) -> Vec<Language> {
        let mut all: Vec<Language> = Vec::new();
        for code in self.lines.iter().flat_map(|line| &line.languages) {
            let new = code.parse().ok().filter(|language| !all.contains(language));
            all.extend(new);
        }
        all
    }

    /// The next segment in order of time, with its channel where they are apart; nothing at the end.
    pub fn next(&mut self) -> Result<Option<(Segment, Option<u32>)>, SpeechError> {
        for line in &mut self.lines {
            while line.waiting.is_empty() && !line.ended {
                line.step()?;
            }
        }
        let start = |line: &Line| line.waiting.front().map(|segment| segment.start);
        let starts = (0..)
            .zip(&self.lines)
            .filter_map(|(n, line)| Some((n, start(line)?)));
        let first = starts.min_by(|(_, a), (_, b)| a.total_cmp(b));
        let Some((number, _)) = first else {
            return Ok(None);
        };
        let line = self.lines.get_mut(number as usize);
        let segment = line.and_then(|line| line.waiting.pop_front());
        Ok(segment.map(|segment| (segment, self.apart.then_some(number))))
    }
}

impl Line {
    /// Takes what happens next.
    fn step(&mut self) -> Result<(), SpeechError> {
        match self.transcription.next()? {
            Some(Event::Segments(segments)) => self.waiting.extend(segments),
            Some(Event::Finished(summary)) => {
                self.languages = summary.languages;
                self.ended = true;
            }
            Some(
                Event::Language(_) | Event::Dropped(_) | Event::Silence(_) | Event::Progress(_),
            ) => {}
            None => {
                let text = "the transcription ended without a summary".to_owned();
                return Err(SpeechError::Other(Some(text)));
            }
        }
        Ok(())
    }
}
