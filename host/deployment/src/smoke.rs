//! The first call of a component, before it serves anybody.
//!
//! It works on silence and on nothing of a tenant's, and is charged to the account of the tenant that
//! deploys. What it answers does not matter as long as it
//! keeps its contract: a handler may say 404, a decoder that it knows no WAV.

use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use auricle_audio::DecodeLimits;
use auricle_capability::{
    AssignerComponent, Channels, ChunkerComponent, DecoderComponent, Decoding, Events, Guests,
    HandlerComponent, Listening, Media, MediaError, MediaHint, RequestScope, ServedModel, Services,
    SpeechError, Voices,
};
use auricle_runtime::{GuestFailure, Revision};
use auricle_speech::{
    Clip, LanguageScore, Segment, SpeakerOptions, TranscribeOptions, Turn, VOICE_FRAME_SAMPLES,
    VoiceStream,
};
use auricle_tenancy::OverQuota;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::Request;
use http_body_util::{BodyExt, Empty};

/// Length of the silence, in samples: 2 s.
const SILENCE_SAMPLES: usize = 32_000;

/// Why a first call did not succeed.
#[derive(Debug)]
pub enum SmokeFailure {
    /// The tenant has used up a quota: nothing is known of the component.
    OverQuota(OverQuota),
    /// The node has no instance for it now.
    Busy,
    /// The component failed; the text says how.
    Failed(String),
}

impl From<GuestFailure> for SmokeFailure {
    fn from(failure: GuestFailure) -> Self {
        match failure {
            GuestFailure::OverQuota(over) => Self::OverQuota(over),
            GuestFailure::PoolExhausted => Self::Busy,
            failure => Self::Failed(failure.to_string()),
        }
    }
}

pub(crate) async fn handler(
    guests: &Guests,
    revision: Arc<Revision<HandlerComponent>>,
    scope: RequestScope,
) -> Result<(), SmokeFailure> {
    let request = Request::get("/")
        .header("host", "localhost")
        .body(Empty::new().map_err(|never| match never {}).boxed_unsync())
        .map_err(|error| SmokeFailure::Failed(error.to_string()))?;
    let answer = guests
        .http(revision, scope, Arc::new(Nothing), request)
        .await;
    Ok(answer.map(drop)?)
}

pub(crate) async fn decoder(
    guests: &Guests,
    revision: Arc<Revision<DecoderComponent>>,
    scope: RequestScope,
) -> Result<(), SmokeFailure> {
    let media = Media::reader(Cursor::new(wav()));
    let tally = Arc::clone(&revision.tally);
    let decoding = Decoding {
        decoder: revision,
        hint: MediaHint::default(),
        limits: DecodeLimits::default(),
        channels: Channels::Mixed,
    };
    // That it cannot decode this file is an answer; the tally tells that from a failure.
    let answer = guests.decode(&scope, media, decoding).await;
    match (answer, tally.counts().failed) {
        (Err(MediaError::OverQuota(over)), _) => Err(SmokeFailure::OverQuota(over)),
        (Err(MediaError::Overloaded { .. }), _) => Err(SmokeFailure::Busy),
        (_, 0) => Ok(()),
        (Err(error), _) => Err(SmokeFailure::Failed(error.to_string())),
        (Ok(_), _) => {
            let reason = "the component ended with a failure";
            Err(SmokeFailure::Failed(reason.to_owned()))
        }
    }
}

pub(crate) async fn chunker(
    guests: &Guests,
    revision: Arc<Revision<ChunkerComponent>>,
    scope: RequestScope,
) -> Result<(), SmokeFailure> {
    let clip = Clip::new(vec![0.0; SILENCE_SAMPLES]);
    let listening = Listening {
        voices: Some(Arc::new(Nothing)),
        ..Listening::default()
    };
    let spans = guests
        .split_heard(&revision, &scope, listening, &clip)
        .await;
    Ok(spans.map(drop)?)
}

pub(crate) async fn assigner(
    guests: &Guests,
    revision: Arc<Revision<AssignerComponent>>,
    scope: RequestScope,
) -> Result<(), SmokeFailure> {
    let mut assigner = guests.assigner(&revision, &scope).await?;
    let segment = Segment {
        start: 0.0,
        end: 1.0,
        text: "Hello.".to_owned(),
        id: 0,
        tokens: vec![15_947],
        temperature: 0.0,
        logprobs: Vec::new(),
        avg_logprob: -0.1,
        compression_ratio: 0.5,
        no_speech_prob: 0.0,
        words: Vec::new(),
        speaker: None,
        channel: None,
        language: None,
    };
    let turn = Turn {
        start: 0.0,
        end: 1.0,
        speaker: "SPEAKER_00".to_owned(),
    };
    assigner.assign(vec![segment.clone()], &[]).await?;
    assigner.assign(vec![segment], &[turn]).await?;
    Ok(())
}

/// A tenth of a second of silence as WAV: 16-bit PCM, mono, 16 kHz.
fn wav() -> Vec<u8> {
    const DATA_BYTES: u32 = 3_200;
    let mut bytes = Vec::with_capacity(44 + DATA_BYTES as usize);
    bytes.extend(b"RIFF");
    bytes.extend((36 + DATA_BYTES).to_le_bytes());
    bytes.extend(b"WAVEfmt ");
    bytes.extend(16_u32.to_le_bytes());
    bytes.extend(1_u16.to_le_bytes());
    bytes.extend(1_u16.to_le_bytes());
    bytes.extend(16_000_u32.to_le_bytes());
    bytes.extend(32_000_u32.to_le_bytes());
    bytes.extend(2_u16.to_le_bytes());
    bytes.extend(16_u16.to_le_bytes());
    bytes.extend(b"data");
    bytes.extend(DATA_BYTES.to_le_bytes());
    bytes.resize(bytes.len() + DATA_BYTES as usize, 0);
    bytes
}

/// What a component may ask for in its first call: a server without models, on which nobody speaks.
struct Nothing;

fn unavailable<T: Send + 'static>() -> BoxFuture<'static, Result<T, SpeechError>> {
    let error = SpeechError::Unavailable("nothing is recognised while a component is tried".into());
    async { Err(error) }.boxed()
}

impl Voices for Nothing {
    fn probabilities(
        &self,
        _scope: &RequestScope,
        clip: Clip,
    ) -> BoxFuture<'static, Result<Arc<[f32]>, SpeechError>> {
        let frames = (clip.len_samples() as usize).div_ceil(VOICE_FRAME_SAMPLES as usize);
        async move { Ok(vec![0.0; frames].into()) }.boxed()
    }

    fn listen(
        &self,
        _scope: &RequestScope,
        _stream: VoiceStream,
        _samples: Vec<f32>,
        _ends: bool,
    ) -> BoxFuture<'static, Result<(VoiceStream, Vec<f32>), SpeechError>> {
        unavailable()
    }
}

impl Services for Nothing {
    fn transcribe(
        &self,
        _scope: &RequestScope,
        _clip: Clip,
        _options: TranscribeOptions,
    ) -> Result<Events, SpeechError> {
        Err(SpeechError::Unavailable(
            "nothing is recognised while a component is tried".into(),
        ))
    }

    fn diarize(
        &self,
        _scope: &RequestScope,
        _clip: Clip,
        _options: SpeakerOptions,
    ) -> BoxFuture<'static, Result<Vec<Turn>, SpeechError>> {
        unavailable()
    }

    fn detect_language(
        &self,
        _scope: &RequestScope,
        _clip: Clip,
        _model: Option<String>,
    ) -> BoxFuture<'static, Result<Vec<LanguageScore>, SpeechError>> {
        unavailable()
    }

    fn models(&self) -> BoxFuture<'static, Vec<ServedModel>> {
        async { Vec::new() }.boxed()
    }

    fn model(&self, _name: String) -> BoxFuture<'static, Option<ServedModel>> {
        async { None }.boxed()
    }

    fn decode(
        &self,
        _scope: &RequestScope,
        _media: Media,
        _hint: MediaHint,
        _channels: Channels,
        _max_duration: Duration,
    ) -> BoxFuture<'static, Result<Vec<Clip>, MediaError>> {
        async { Err(MediaError::Internal) }.boxed()
    }

    fn decode_limits(&self) -> DecodeLimits {
        DecodeLimits::default()
    }
}
