//! Instantiate + call + drop of each role: as the server does it, and on bare wasmtime.
//!
//! `role-speed [CASE]` prints `CASE SIDE CALLS P50 P99` for both sides of every case, or of those whose
//! names begin so, times in nanoseconds.
//! The sides take turns in blocks of calls; every call is timed on its own, from before its instance
//! is made to after it is dropped.

mod bare;
mod inputs;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use auricle_benches::{FirstParty, scope};
use auricle_capability::{
    Channels, Events, Media, MediaError, MediaHint, RequestBody, RequestScope, ServedModel,
    Services, SpeechError, Voices,
};
use auricle_speech::{
    Clip, LanguageScore, Segment, SpeakerOptions, TranscribeOptions, Turn, VoiceStream,
};
use futures::future::BoxFuture;
use http_body_util::{BodyExt, Empty};

use crate::bare::Bare;

/// Calls of one side before the other one's turn.
const BLOCK_CALLS: usize = 50;

/// Each case is gone on with until it has taken so long, and each side has had the calls that a 99th
/// percentile needs.
const CASE_TIME: Duration = Duration::from_secs(10);
const LEAST_CALLS: usize = 500;

fn main() -> Result<()> {
    tokio::runtime::Runtime::new()?.block_on(async {
        let served = FirstParty::start()?;
        let bare = Bare::start()?;
        // Neither side is measured before both have shown that they do the work.
        check(&served, &bare).await?;
        measure_all(&served, &bare).await
    })
}

async fn check(served: &FirstParty, bare: &Bare) -> Result<()> {
    let (ours, theirs) = (not_found(served).await?, bare.not_found().await?);
    anyhow::ensure!(
        ours == 404 && theirs == 404,
        "answered {ours} and {theirs}, not 404"
    );
    let clip = inputs::clip(30);
    let spans = served
        .guests
        .split(&served.chunker, &scope(), &clip)
        .await?;
    let bare_spans = bare.split(&clip).await?;
    anyhow::ensure!(
        !spans.is_empty() && spans == bare_spans,
        "the chunkers differ"
    );
    let turns = inputs::turns(100);
    let segments = assign(served, inputs::segments(100), &turns).await?;
    let bare_segments = bare.assign(inputs::segments(100), &turns).await?;
    anyhow::ensure!(
        segments == bare_segments && segments >= 100,
        "the assigners differ"
    );
    Ok(())
}

async fn measure_all(served: &FirstParty, bare: &Bare) -> Result<()> {
    let ours = async |()| not_found(served).await.map(drop);
    let theirs = async |()| bare.not_found().await.map(drop);
    measure("handler", || (), ours, theirs).await?;
    for secs in [30, 3600] {
        let clip = inputs::clip(secs);
        let ours = async |()| {
            let scope = scope();
            let split = served.guests.split(&served.chunker, &scope, &clip);
            split.await.map(drop).map_err(Into::into)
        };
        let theirs = async |()| bare.split(&clip).await.map(drop);
        measure(&format!("chunker-{secs}"), || (), ours, theirs).await?;
    }
    for count in [1, 100] {
        let (segments, turns) = (inputs::segments(count), inputs::turns(count));
        let ours = async |given| assign(served, given, &turns).await.map(drop);
        let theirs = async |given| bare.assign(given, &turns).await.map(drop);
        measure(
            &format!("speaker-assigner-{count}"),
            || segments.clone(),
            ours,
            theirs,
        )
        .await?;
    }
    Ok(())
}

/// Times both sides of a case and prints what it took. What `prepare` does is not counted.
async fn measure<I>(
    case: &str,
    prepare: impl Fn() -> I,
    ours: impl AsyncFn(I) -> Result<()>,
    theirs: impl AsyncFn(I) -> Result<()>,
) -> Result<()> {
    if std::env::args()
        .nth(1)
        .is_some_and(|only| !case.starts_with(&only))
    {
        return Ok(());
    }
    let (mut took_ours, mut took_theirs) = (Vec::new(), Vec::new());
    let began = Instant::now();
    while began.elapsed() < CASE_TIME || took_theirs.len() < LEAST_CALLS {
        block(&prepare, &ours, &mut took_ours).await?;
        block(&prepare, &theirs, &mut took_theirs).await?;
    }
    for (side, mut took) in [("auricle", took_ours), ("bare", took_theirs)] {
        took.sort_unstable();
        let at = |share: usize| {
            took.get(took.len() * share / 100)
                .map_or(0, Duration::as_nanos)
        };
        println!("{case} {side} {} {} {}", took.len(), at(50), at(99));
    }
    Ok(())
}

async fn block<I>(
    prepare: &impl Fn() -> I,
    call: &impl AsyncFn(I) -> Result<()>,
    took: &mut Vec<Duration>,
) -> Result<()> {
    for _ in 0..BLOCK_CALLS {
        let input = prepare();
        let began = Instant::now();
        call(input).await?;
        took.push(began.elapsed());
    }
    Ok(())
}

/// Has the handler answer a path that it does not know; gives the status.
async fn not_found(served: &FirstParty) -> Result<u16> {
    let body: RequestBody = Empty::new().map_err(|never| match never {}).boxed_unsync();
    let request = inputs::request().body(body)?;
    let revision = Arc::clone(&served.handler);
    let response = served
        .guests
        .http(revision, scope(), Arc::new(NoServices), request)
        .await?;
    let status = response.status().as_u16();
    response
        .into_body()
        .collect()
        .await
        .context("the body broke off")?;
    Ok(status)
}

/// Gives the number of segments that come back.
async fn assign(served: &FirstParty, segments: Vec<Segment>, turns: &[Turn]) -> Result<usize> {
    let mut assigner = served.guests.assigner(&served.assigner, &scope()).await?;
    Ok(assigner.assign(segments, turns).await?.len())
}

/// For a handler that is asked for nothing of it.
struct NoServices;

impl Voices for NoServices {
    fn probabilities(
        &self,
        _: &RequestScope,
        _: Clip,
    ) -> BoxFuture<'static, Result<Arc<[f32]>, SpeechError>> {
        Box::pin(async { Err(SpeechError::Internal) })
    }

    fn listen(
        &self,
        _: &RequestScope,
        _: VoiceStream,
        _: Vec<f32>,
        _: bool,
    ) -> BoxFuture<'static, Result<(VoiceStream, Vec<f32>), SpeechError>> {
        Box::pin(async { Err(SpeechError::Internal) })
    }
}

impl Services for NoServices {
    fn transcribe(
        &self,
        _: &RequestScope,
        _: Clip,
        _: TranscribeOptions,
    ) -> Result<Events, SpeechError> {
        Err(SpeechError::Internal)
    }

    fn diarize(
        &self,
        _: &RequestScope,
        _: Clip,
        _: SpeakerOptions,
    ) -> BoxFuture<'static, Result<Vec<Turn>, SpeechError>> {
        Box::pin(async { Err(SpeechError::Internal) })
    }

    fn detect_language(
        &self,
        _: &RequestScope,
        _: Clip,
        _: Option<String>,
    ) -> BoxFuture<'static, Result<Vec<LanguageScore>, SpeechError>> {
        Box::pin(async { Err(SpeechError::Internal) })
    }

    fn models(&self) -> BoxFuture<'static, Vec<ServedModel>> {
        Box::pin(async { Vec::new() })
    }

    fn model(&self, _: String) -> BoxFuture<'static, Option<ServedModel>> {
        Box::pin(async { None })
    }

    fn decode(
        &self,
        _: &RequestScope,
        _: Media,
        _: MediaHint,
        _: Channels,
        _: Duration,
    ) -> BoxFuture<'static, Result<Vec<Clip>, MediaError>> {
        Box::pin(async { Err(MediaError::Internal) })
    }

    fn decode_limits(&self) -> auricle_audio::DecodeLimits {
        auricle_audio::DecodeLimits::default()
    }
}
