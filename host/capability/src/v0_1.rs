//! Version 0.1.0 of `auricle:speech` and `auricle:pipeline`, answered by the current version.
//!
//! Owns nothing: every function calls its successor. What version 0.1.0 has no word for is left out:
//! the languages of segments, and stretches that were not recognised. Its WIT is in `wit/v0.1.0` and
//! never changes.

use auricle_speech::Clip;
use wasmtime::component::{HasSelf, Linker, Resource};
use wasmtime_wasi::p2::DynPollable;

use crate::bindings::imports::auricle::{pipeline::transcriber as new, speech};
use crate::bindings::v0_1::imports::auricle::pipeline::transcriber as old;
use crate::bindings::v0_1::imports::auricle::speech as old_speech;
use crate::bindings::{chunker, v0_1};
use crate::state::GuestState;
use crate::transcriber::Transcription;
use crate::voice_activity::Detector;

use old_speech::{
    diarization as old_diarization, recognition as old_recognition, types as old_types,
};
use speech::{diarization, recognition, types};

use crate::bindings::decoder::exports::auricle::pipeline::decoder;
use crate::bindings::v0_1::decoder::exports::auricle::pipeline::decoder as old_decoder;

/// Defines the interfaces that every role but the handler imports of the old packages.
pub(crate) fn link_types(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    old_types::add_to_linker::<_, HasSelf<_>>(linker, |state| state)
}

/// Defines voice activity.
pub(crate) fn link_voice(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    old_speech::voice_activity::add_to_linker::<_, HasSelf<_>>(linker, |state| state)
}

/// Defines what a chunker may ask for.
pub(crate) fn link_chunking(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    v0_1::chunker::auricle::pipeline::chunking::add_to_linker::<_, HasSelf<_>>(linker, |s| s)
}

/// Defines what only a handler imports.
pub(crate) fn link_handler(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    old_speech::recognition::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    old_speech::diarization::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    old::add_to_linker::<_, HasSelf<_>>(linker, |state| state)
}

/// Converts a record whose `fields` have one type each in both versions, and whose `lists` have
/// elements that convert.
macro_rules! record {
    ($from:ty => $to:ty { $($field:ident),* ; $($list:ident),* $(; $extra:ident: $value:expr)? }) => {
        impl From<$from> for $to {
            fn from(from: $from) -> Self {
                Self {
                    $($field: from.$field,)*
                    $($list: from.$list.into_iter().map(Into::into).collect(),)*
                    $($extra: $value,)?
                }
            }
        }
    };
}

/// Converts an enum or a variant.
macro_rules! variant {
    ($from_module:ident => $to_module:ident, $name:ident { $($case:ident $(($value:ident))?),* }) => {
        impl From<$from_module::$name> for $to_module::$name {
            fn from(from: $from_module::$name) -> Self {
                match from {
                    $($from_module::$name::$case $(($value))? => Self::$case $(($value))?,)*
                }
            }
        }
    };
}

record!(types::Word => old_types::Word { word, start, end, probability, speaker; });
record!(old_types::Word => types::Word { word, start, end, probability, speaker; });
record!(types::TokenLogprob => old_types::TokenLogprob { token, logprob; });
record!(old_types::TokenLogprob => types::TokenLogprob { token, logprob; });
record!(types::Segment => old_types::Segment {
    id, start, end, text, tokens, temperature, avg_logprob, compression_ratio, no_speech_prob, speaker;
    logprobs, words
});
record!(old_types::Segment => types::Segment {
    id, start, end, text, tokens, temperature, avg_logprob, compression_ratio, no_speech_prob, speaker;
    logprobs, words; language: None
});
record!(types::Turn => old_types::Turn { speaker, start, end; });
record!(types::LanguageScore => old_types::LanguageScore { language, probability; });
record!(types::VoiceOptions => old_types::VoiceOptions {
    threshold, prefix_padding_ms, silence_duration_ms;
});
record!(old_types::VoiceOptions => types::VoiceOptions {
    threshold, prefix_padding_ms, silence_duration_ms;
});
variant!(types => old_types, DropReason { Repetition, NoSpeech, NoVoice });
variant!(old_types => types, Task { Transcribe, Translate });
variant!(types => old_types, SpeechError {
    UnknownModel(name), UnknownLanguage(code), InvalidOption(text), Unavailable(text),
    Overloaded(secs), OverLimit(secs), DeadlineExceeded, ComponentFailed, Other(text)
});

variant!(old_decoder => decoder, DecodeFailure {
    Empty, Unsupported(text), Undecodable(text), Other(text)
});
record!(recognition::Model => old_recognition::Model { name, installed, alias_of, diarizes; });
record!(old_diarization::KnownSpeaker => diarization::KnownSpeaker { name, voice; });
record!(old_diarization::SpeakerOptions => diarization::SpeakerOptions {
    num_speakers, min_speakers, max_speakers; known
});
record!(new::Summary => old::Summary { language, speakers, duration; });

impl From<types::DroppedSegment> for old_types::DroppedSegment {
    fn from(dropped: types::DroppedSegment) -> Self {
        Self {
            segment: dropped.segment.into(),
            reason: dropped.reason.into(),
            score: dropped.score,
        }
    }
}

impl From<old::Options> for new::Options {
    fn from(options: old::Options) -> Self {
        Self {
            model: options.model,
            language: options.language,
            languages: options.languages,
            task: options.task.into(),
            prompt: options.prompt,
            keywords: options.keywords,
            temperature: options.temperature,
            beam_size: options.beam_size,
            word_timestamps: options.word_timestamps,
            logprobs: options.logprobs,
            chunking: options.chunking.map(Into::into),
            diarize: options.diarize.map(Into::into),
        }
    }
}

/// The event in the words of version 0.1.0; nothing for one that it does not have.
fn event(event: new::Event) -> Option<old::Event> {
    Some(match event {
        new::Event::Language(language) => old::Event::Language(language),
        new::Event::Segments(segments) => old::Event::Segments(each(segments)),
        new::Event::Dropped(dropped) => old::Event::Dropped(each(dropped)),
        new::Event::Progress(share) => old::Event::Progress(share),
        new::Event::Finished(summary) => old::Event::Finished(summary.into()),
        new::Event::Silence(_) => return None,
    })
}

fn each<T, U: From<T>>(list: Vec<T>) -> Vec<U> {
    list.into_iter().map(Into::into).collect()
}

type Answer<T> = wasmtime::Result<Result<T, old_types::SpeechError>>;

impl old_types::Host for GuestState {}

impl old_recognition::Host for GuestState {
    async fn detect_language(
        &mut self,
        clip: Resource<Clip>,
        model: Option<String>,
    ) -> Answer<Vec<old_types::LanguageScore>> {
        let scores = recognition::Host::detect_language(self, clip, model).await?;
        Ok(scores.map(each).map_err(Into::into))
    }

    async fn list_models(&mut self) -> wasmtime::Result<Vec<old_recognition::Model>> {
        recognition::Host::list_models(self).await.map(each)
    }

    async fn find_model(
        &mut self,
        name: String,
    ) -> wasmtime::Result<Option<old_recognition::Model>> {
        let found = recognition::Host::find_model(self, name).await?;
        Ok(found.map(Into::into))
    }

    fn knows_language(&mut self, code: String) -> wasmtime::Result<bool> {
        recognition::Host::knows_language(self, code)
    }
}

impl old_diarization::Host for GuestState {
    async fn diarize(
        &mut self,
        clip: Resource<Clip>,
        options: old_diarization::SpeakerOptions,
    ) -> Answer<Vec<old_types::Turn>> {
        let turns = diarization::Host::diarize(self, clip, options.into()).await?;
        Ok(turns.map(each).map_err(Into::into))
    }
}

impl old_speech::voice_activity::Host for GuestState {
    fn frame_samples(&mut self) -> wasmtime::Result<u32> {
        speech::voice_activity::Host::frame_samples(self)
    }

    async fn probabilities(&mut self, clip: Resource<Clip>) -> Answer<Vec<f32>> {
        let found = speech::voice_activity::Host::probabilities(self, clip).await?;
        Ok(found.map_err(Into::into))
    }
}

impl old_speech::voice_activity::HostDetector for GuestState {
    fn new(&mut self) -> wasmtime::Result<Resource<Detector>> {
        speech::voice_activity::HostDetector::new(self)
    }

    async fn push(&mut self, detector: Resource<Detector>, pcm: Vec<u8>) -> Answer<Vec<f32>> {
        let found = speech::voice_activity::HostDetector::push(self, detector, pcm).await?;
        Ok(found.map_err(Into::into))
    }

    async fn finish(&mut self, detector: Resource<Detector>) -> Answer<Option<f32>> {
        let found = speech::voice_activity::HostDetector::finish(self, detector).await?;
        Ok(found.map_err(Into::into))
    }

    fn drop(&mut self, detector: Resource<Detector>) -> wasmtime::Result<()> {
        speech::voice_activity::HostDetector::drop(self, detector)
    }
}

impl v0_1::chunker::auricle::pipeline::chunking::Host for GuestState {
    fn requested(&mut self) -> wasmtime::Result<Option<old_types::VoiceOptions>> {
        let requested = chunker::auricle::pipeline::chunking::Host::requested(self)?;
        Ok(requested.map(Into::into))
    }
}

impl old::Host for GuestState {
    fn start(
        &mut self,
        clip: Resource<Clip>,
        options: old::Options,
    ) -> Answer<Resource<Transcription>> {
        let started = new::Host::start(self, clip, options.into())?;
        if let Ok(handle) = &started {
            self.table.get_mut(handle)?.skip_silence();
        }
        Ok(started.map_err(Into::into))
    }
}

impl old::HostTranscription for GuestState {
    async fn next(&mut self, transcription: Resource<Transcription>) -> Answer<Option<old::Event>> {
        let next = new::HostTranscription::next(self, transcription).await?;
        Ok(next.map(|next| next.and_then(event)).map_err(Into::into))
    }

    fn subscribe(
        &mut self,
        transcription: Resource<Transcription>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        new::HostTranscription::subscribe(self, transcription)
    }

    fn drop(&mut self, transcription: Resource<Transcription>) -> wasmtime::Result<()> {
        new::HostTranscription::drop(self, transcription)
    }
}
