//! Instantiate + call + drop of each role: as the server does it, and on bare wasmtime.

mod bare;
mod inputs;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use auricle_benches::{FirstParty, scope};
use auricle_capability::{
    Channels, Events, Media, MediaError, MediaHint, RequestBody, RequestScope, ServedModel,
    Services, SpeechError, Voices,
};
use auricle_speech::{Clip, LanguageScore, SpeakerOptions, TranscribeOptions, Turn, VoiceStream};
use criterion::{BenchmarkId, Criterion};
use futures::future::BoxFuture;
use http_body_util::{BodyExt, Empty};
use tokio::runtime::Runtime;

use crate::bare::Bare;

fn main() -> Result<()> {
    let tokio = Runtime::new()?;
    let served = FirstParty::start()?;
    let bare = Bare::start()?;
    // Neither side is measured before both have shown that they do the work.
    tokio.block_on(check(&served, &bare))?;
    let mut criterion = Criterion::default().configure_from_args();
    handler(&mut criterion, &tokio, &served, &bare);
    chunker(&mut criterion, &tokio, &served, &bare);
    assigner(&mut criterion, &tokio, &served, &bare);
    criterion.final_summary();
    Ok(())
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
    let segments = assign(served, 100).await?;
    anyhow::ensure!(
        segments == bare.assign(100).await? && segments >= 100,
        "the assigners differ"
    );
    Ok(())
}

fn handler(criterion: &mut Criterion, tokio: &Runtime, served: &FirstParty, bare: &Bare) {
    let mut group = criterion.benchmark_group("handler");
    group.bench_function("auricle/404", |bencher| {
        bencher.to_async(tokio).iter(|| not_found(served));
    });
    group.bench_function("bare/404", |bencher| {
        bencher.to_async(tokio).iter(|| bare.not_found());
    });
}

fn chunker(criterion: &mut Criterion, tokio: &Runtime, served: &FirstParty, bare: &Bare) {
    let mut group = criterion.benchmark_group("chunker");
    for secs in [30, 3600] {
        let clip = inputs::clip(secs);
        group.bench_function(BenchmarkId::new("auricle", format!("{secs}s")), |bencher| {
            bencher
                .to_async(tokio)
                .iter(|| async { served.guests.split(&served.chunker, &scope(), &clip).await });
        });
        group.bench_function(BenchmarkId::new("bare", format!("{secs}s")), |bencher| {
            bencher.to_async(tokio).iter(|| bare.split(&clip));
        });
    }
}

fn assigner(criterion: &mut Criterion, tokio: &Runtime, served: &FirstParty, bare: &Bare) {
    let mut group = criterion.benchmark_group("speaker-assigner");
    for segments in [1, 100] {
        group.bench_function(BenchmarkId::new("auricle", segments), |bencher| {
            bencher.to_async(tokio).iter(|| assign(served, segments));
        });
        group.bench_function(BenchmarkId::new("bare", segments), |bencher| {
            bencher.to_async(tokio).iter(|| bare.assign(segments));
        });
    }
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
async fn assign(served: &FirstParty, segments: u32) -> Result<usize> {
    let mut assigner = served.guests.assigner(&served.assigner, &scope()).await?;
    let assigned = assigner
        .assign(inputs::segments(segments), &inputs::turns(segments))
        .await?;
    Ok(assigned.len())
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
