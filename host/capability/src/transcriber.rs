//! `auricle:pipeline/transcriber`: a transcription under way, behind a handle.

use auricle_speech::{Clip, DecodeOptions, SpeakerOptions, TranscribeOptions};
use wasmtime::component::Resource;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

use crate::bindings::imports::auricle::pipeline::transcriber::{
    Event as WitEvent, Host, HostTranscription, Options, Summary as WitSummary,
};
use crate::bindings::imports::auricle::speech::types::SpeechError as WitSpeechError;
use crate::convert::{
    dropped_to_wit, error_to_wit, language_from_wit, segment_to_wit, silence_to_wit, task_from_wit,
    voice_options_from_wit,
};
use crate::services::{Event, Events, SpeechError};
use crate::state::GuestState;

/// Candidate languages of one request: Whisper knows a hundred.
const MAX_LANGUAGES: usize = 100;

/// Keywords of one request: a hundred tokens of them count.
const MAX_KEYWORDS: usize = 100;

/// The events of a transcription, with one looked at ahead so that waiting and taking can be two
/// calls.
pub struct Transcription {
    events: Events,
    ahead: Option<Option<Result<Event, SpeechError>>>,
    /// Whether the component's contract lacks [`Event::Silence`].
    skips_silence: bool,
}

impl Transcription {
    async fn next(&mut self) -> Option<Result<Event, SpeechError>> {
        match self.ahead.take() {
            Some(event) => event,
            None => self.receive().await,
        }
    }

    async fn receive(&mut self) -> Option<Result<Event, SpeechError>> {
        loop {
            match self.events.next().await {
                Some(Ok(Event::Silence(_))) if self.skips_silence => {}
                event => return event,
            }
        }
    }

    /// Leaves [`Event::Silence`] out from here on.
    pub(crate) fn skip_silence(&mut self) {
        self.skips_silence = true;
    }
}

#[async_trait::async_trait]
impl Pollable for Transcription {
    async fn ready(&mut self) {
        if self.ahead.is_none() {
            self.ahead = Some(self.receive().await);
        }
    }
}

impl Host for GuestState {
    fn start(
        &mut self,
        clip: Resource<Clip>,
        mut options: Options,
    ) -> wasmtime::Result<Result<Resource<Transcription>, WitSpeechError>> {
        let clip = self.table.get(&clip)?.clone();
        let services = self.services()?;
        let speakers = match options.diarize.take() {
            Some(speakers) => match self.speaker_options(speakers)? {
                Ok(speakers) => Some(speakers),
                Err(error) => return Ok(Err(error_to_wit(error))),
            },
            None => None,
        };
        let started = options_from_wit(options, speakers)
            .and_then(|options| services.transcribe(&self.scope, clip.clone(), options));
        match started {
            Ok(events) => {
                let handle = self.table.push(Transcription {
                    events,
                    ahead: None,
                    skips_silence: false,
                })?;
                self.held.hold_clip(handle.rep(), &clip)?;
                Ok(Ok(handle))
            }
            Err(error) => Ok(Err(error_to_wit(error))),
        }
    }
}

impl HostTranscription for GuestState {
    async fn next(
        &mut self,
        transcription: Resource<Transcription>,
    ) -> wasmtime::Result<Result<Option<WitEvent>, WitSpeechError>> {
        let event = self.table.get_mut(&transcription)?.next().await;
        Ok(event
            .transpose()
            .map(|event| event.map(event_to_wit))
            .map_err(error_to_wit))
    }

    fn subscribe(
        &mut self,
        transcription: Resource<Transcription>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(&mut self.table, transcription)
    }

    fn drop(&mut self, transcription: Resource<Transcription>) -> wasmtime::Result<()> {
        self.held.release(transcription.rep());
        self.table.delete(transcription)?;
        Ok(())
    }
}

fn options_from_wit(
    options: Options,
    diarize: Option<SpeakerOptions>,
) -> Result<TranscribeOptions, SpeechError> {
    if !(0.0..=1.0).contains(&options.temperature) {
        return Err(SpeechError::InvalidOption(
            "'temperature' must be from 0 to 1".into(),
        ));
    }
    if !(1..=8).contains(&options.beam_size) {
        return Err(SpeechError::InvalidOption(
            "'beam_size' must be from 1 to 8".into(),
        ));
    }
    if options.languages.len() > MAX_LANGUAGES || options.keywords.len() > MAX_KEYWORDS {
        return Err(SpeechError::InvalidOption(format!(
            "too many 'languages' or 'keywords': name at most {MAX_LANGUAGES} and {MAX_KEYWORDS}"
        )));
    }
    let language = options.language.as_deref().map(language_from_wit);
    let language = language.transpose()?;
    let languages = options.languages.iter().map(|code| language_from_wit(code));
    let languages = languages.collect::<Result<Vec<_>, _>>()?;
    let scripts = language.iter().chain(&languages).map(|tag| tag.script);
    Ok(TranscribeOptions {
        model: options.model,
        language: language.map(|tag| tag.language),
        script: scripts.flatten().next(),
        languages: languages.iter().map(|tag| tag.language).collect(),
        chunking: options.chunking.map(voice_options_from_wit).transpose()?,
        decode: DecodeOptions {
            task: task_from_wit(options.task),
            prompt: options.prompt,
            keywords: options.keywords,
            temperature: options.temperature,
            beam_size: options.beam_size,
            word_timestamps: options.word_timestamps,
            logprobs: options.logprobs,
            ..DecodeOptions::default()
        },
        diarize,
    })
}

fn event_to_wit(event: Event) -> WitEvent {
    match event {
        Event::Language(language) => WitEvent::Language(language.code().to_owned()),
        Event::Segments(segments) => {
            WitEvent::Segments(segments.into_iter().map(segment_to_wit).collect())
        }
        Event::Dropped(dropped) => {
            WitEvent::Dropped(dropped.into_iter().map(dropped_to_wit).collect())
        }
        Event::Silence(silence) => {
            WitEvent::Silence(silence.into_iter().map(silence_to_wit).collect())
        }
        Event::Progress(share) => WitEvent::Progress(share),
        Event::Finished(summary) => WitEvent::Finished(WitSummary {
            language: summary.language.code().to_owned(),
            languages: summary.languages.into_iter().map(String::from).collect(),
            speakers: summary.speakers,
            duration: summary.duration_secs,
        }),
    }
}
