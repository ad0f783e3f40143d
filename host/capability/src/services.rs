//! What the pipeline gives to guests, as traits.
//!
//! The handler guest drives the pipeline, and the pipeline calls the other guests: a circle that
//! these traits cut. The pipeline implements [`Services`]; the assembly plugs it in.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use auricle_speech::{
    Clip, DroppedSegment, Language, LanguageScore, RequestClass, Segment, Silence, SpeakerOptions,
    TenantId, TranscribeOptions, Turn, VoiceOptions, VoiceStream,
};
use auricle_tenancy::Account;
use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::sync::mpsc;

use crate::decoding::{Channels, Media, MediaError, MediaHint};

/// Whose request a guest works on, and until when.
#[derive(Clone, Debug)]
pub struct RequestScope {
    /// The tenant.
    pub tenant: TenantId,
    /// What that tenant may use and uses.
    pub account: Arc<Account>,
    /// The request's id, as in the log and the `x-request-id` header.
    pub request_id: Arc<str>,
    /// How urgent it is.
    pub class: RequestClass,
    /// When the host stops working on the request.
    pub deadline: Instant,
}

/// Voice activity, as guests may ask for it.
pub trait Voices: Send + Sync + 'static {
    /// The probability of speech in each frame of a clip
    /// ([`VOICE_FRAME_SAMPLES`](auricle_speech::VOICE_FRAME_SAMPLES)). Dropping the future cancels
    /// the work.
    fn probabilities(
        &self,
        scope: &RequestScope,
        clip: Clip,
    ) -> BoxFuture<'static, Result<Arc<[f32]>, SpeechError>>;

    /// Goes on with a live sound: where it stands then, and the probabilities of the frames that
    /// became whole. `samples` are at most 60 s; `ends` fills the last frame up with silence.
    fn listen(
        &self,
        scope: &RequestScope,
        stream: VoiceStream,
        samples: Vec<f32>,
        ends: bool,
    ) -> BoxFuture<'static, Result<(VoiceStream, Vec<f32>), SpeechError>>;
}

/// What a chunker cuts a clip by.
#[derive(Clone, Default)]
pub struct Listening {
    /// Voice activity; without it the answer to the chunker is that there is none.
    pub voices: Option<Arc<dyn Voices>>,
    /// How the client wants the clip to be cut.
    pub options: Option<VoiceOptions>,
}

/// What a handler guest may ask of the host beside plain HTTP.
pub trait Services: Voices {
    /// Starts to transcribe a clip; the events arrive as the work goes on. Dropping the events
    /// cancels it.
    ///
    /// # Errors
    /// [`SpeechError`] for what can be refused at once: an option outside its range, a model that is
    /// not there.
    fn transcribe(
        &self,
        scope: &RequestScope,
        clip: Clip,
        options: TranscribeOptions,
    ) -> Result<Events, SpeechError>;

    /// Finds out who speaks when, in order of start. Dropping the future cancels the work.
    fn diarize(
        &self,
        scope: &RequestScope,
        clip: Clip,
        options: SpeakerOptions,
    ) -> BoxFuture<'static, Result<Vec<Turn>, SpeechError>>;

    /// Scores all languages on the first 30 s of a clip, best first.
    fn detect_language(
        &self,
        scope: &RequestScope,
        clip: Clip,
        model: Option<String>,
    ) -> BoxFuture<'static, Result<Vec<LanguageScore>, SpeechError>>;

    /// The models that are installed, then their other names.
    fn models(&self) -> BoxFuture<'static, Vec<ServedModel>>;

    /// The model of this name or other name, when it is installed.
    fn model(&self, name: String) -> BoxFuture<'static, Option<ServedModel>>;

    /// Decodes a file with the tenant's decoder into one clip, or one of each channel; all together
    /// are no longer than `max_duration`. Dropping the future cancels the work.
    fn decode(
        &self,
        scope: &RequestScope,
        media: Media,
        hint: MediaHint,
        channels: Channels,
        max_duration: Duration,
    ) -> BoxFuture<'static, Result<Vec<Clip>, MediaError>>;

    /// The bounds on audio that is decoded.
    fn decode_limits(&self) -> auricle_audio::DecodeLimits;
}

/// A model that requests may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedModel {
    /// Its name, as a request gives it.
    pub name: String,
    /// When it was installed, in seconds since 1970; 0 where that is not known.
    pub installed_unix_secs: u64,
    /// The model that it is another name of; `None` for a model itself.
    pub alias_of: Option<String>,
    /// Whether who names it wants to know who spoke.
    pub diarizes: bool,
}

/// Something that happened to a transcription.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The language of the first speech is known; comes once, before the first segments.
    Language(Language),
    /// The stretches that are not recognised, in order of time; comes once, before the first segments,
    /// where there are some.
    Silence(Vec<Silence>),
    /// Further segments, in order of time.
    Segments(Vec<Segment>),
    /// Segments that are left out of the transcript, in order of time.
    Dropped(Vec<DroppedSegment>),
    /// The share of the clip that is done, 0.0..=1.0, never falling.
    Progress(f32),
    /// The end; nothing follows.
    Finished(Summary),
}

/// What a finished transcription is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The spoken language, the one with the most speech.
    pub language: Language,
    /// All spoken languages, the one with the most speech first; empty without speech.
    pub languages: Vec<Language>,
    /// Speakers in order of first appearance.
    pub speakers: Vec<String>,
    /// Length of the clip in seconds.
    pub duration_secs: f64,
}

/// The events of one transcription. Dropping them cancels the work.
pub struct Events {
    receiver: mpsc::Receiver<Result<Event, SpeechError>>,
    task: tokio::task::JoinHandle<()>,
}

impl Events {
    /// Events that `task` sends through the other end of `receiver`.
    #[must_use]
    pub fn new(
        receiver: mpsc::Receiver<Result<Event, SpeechError>>,
        task: tokio::task::JoinHandle<()>,
    ) -> Self {
        Self { receiver, task }
    }

    /// The next event; `None` after the end. Cancel-safe.
    pub async fn next(&mut self) -> Option<Result<Event, SpeechError>> {
        self.receiver.recv().await
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Why the models did not do their work. The texts are fit to be shown to the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpeechError {
    /// There is no such model.
    #[error("unknown model '{0}': see the list of models")]
    UnknownModel(String),
    /// There is no such language, or the model does not have it.
    #[error(
        "unsupported language '{0}': use a code such as 'en', or a model that has the language"
    )]
    UnknownLanguage(String),
    /// An option is outside its range.
    #[error("{0}")]
    InvalidOption(String),
    /// What was asked for is not to be had on this server.
    #[error("{0}")]
    Unavailable(String),
    /// The device's queue is full.
    #[error("the server is busy: try again in {retry_after_secs} s")]
    Overloaded {
        /// When to try again.
        retry_after_secs: u32,
    },
    /// The tenant has more queued than it may.
    #[error("too much is queued already: try again in {retry_after_secs} s")]
    OverLimit {
        /// When to try again.
        retry_after_secs: u32,
    },
    /// The request took longer than it may.
    #[error("the request took too long")]
    DeadlineExceeded,
    /// The chunker or the speaker-assigner failed; the log says how.
    #[error("a component of this deployment failed")]
    ComponentFailed,
    /// The host failed; the log says how.
    #[error("the server failed")]
    Internal,
}

/// One WebSocket message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// UTF-8 text.
    Text(String),
    /// Bytes.
    Binary(Bytes),
}

/// Why a WebSocket cannot be used any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SocketError {
    /// The client closed it, or it broke.
    #[error("the connection is closed")]
    Closed,
    /// The message is larger than a client may be sent.
    #[error("the message is too large")]
    TooLarge,
}

/// The two ends of an open WebSocket, as the gateway gives them.
pub struct Socket {
    /// Messages from the client; must be cancel-safe.
    pub receiver: Box<dyn SocketReceiver>,
    /// Messages to the client.
    pub sender: Box<dyn SocketSender>,
}

/// Receives messages.
pub trait SocketReceiver: Send {
    /// The next message; `None` when the client will send no more. Cancel-safe.
    fn receive(&mut self) -> BoxFuture<'_, Result<Option<Message>, SocketError>>;
}

/// Sends messages.
pub trait SocketSender: Send {
    /// Sends a message; waits while the client is slow.
    fn send(&mut self, message: Message) -> BoxFuture<'_, Result<(), SocketError>>;
}

/// A deployment's settings.
pub type Configuration = Arc<BTreeMap<String, String>>;
