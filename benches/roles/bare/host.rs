//! What the components import, as plainly as can be.

use auricle_speech::{Clip, Segment, Turn};
use http_body_util::combinators::UnsyncBoxBody;
use wasmtime::component::{Resource, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};

use super::bindings::assigner::auricle::speech::types as wit;
use super::bindings::imports::auricle;
use auricle::audio::clips::{ClipError, Host, HostClip};
use auricle::audio::types::Span;
use auricle::pipeline::chunking::VoiceOptions;
use auricle::runtime::log::Level;

/// The data of a store.
pub(crate) struct BareState {
    pub(crate) table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: NoOutgoingRequests,
}

impl BareState {
    pub(crate) fn new() -> Self {
        Self {
            table: ResourceTable::new(),
            wasi: WasiCtx::builder().build(),
            http: WasiHttpCtx::new(),
            hooks: NoOutgoingRequests,
        }
    }
}

impl WasiView for BareState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for BareState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            ctx: &mut self.http,
            table: &mut self.table,
            hooks: &mut self.hooks,
        }
    }
}

struct NoOutgoingRequests;

type OutgoingBody = UnsyncBoxBody<bytes::Bytes, wasmtime_wasi_http::Error>;
type Sent = Box<dyn Future<Output = Result<(), wasmtime_wasi_http::Error>> + Send>;
type Answered = Result<(http::Response<OutgoingBody>, Sent), wasmtime_wasi_http::Error>;

impl WasiHttpHooks for NoOutgoingRequests {
    fn send_request(
        &mut self,
        _: http::Request<OutgoingBody>,
        _: Option<wasmtime_wasi_http::RequestOptions>,
        _: Sent,
    ) -> Box<dyn Future<Output = Answered> + Send> {
        Box::new(async { Err(wasmtime_wasi_http::Error::HttpRequestDenied) })
    }
}

impl auricle::runtime::log::Host for BareState {
    fn write(&mut self, _: Level, _: String) -> wasmtime::Result<()> {
        Ok(())
    }
}

impl auricle::runtime::configuration::Host for BareState {
    fn get(&mut self, _: String) -> wasmtime::Result<Option<String>> {
        Ok(None)
    }
}

impl auricle::pipeline::chunking::Host for BareState {
    fn requested(&mut self) -> wasmtime::Result<Option<VoiceOptions>> {
        Ok(None)
    }
}

impl auricle::audio::types::Host for BareState {}

impl wit::Host for BareState {}

impl Host for BareState {}

impl HostClip for BareState {
    fn length(&mut self, clip: Resource<Clip>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&clip)?.len_samples())
    }

    fn samples(
        &mut self,
        _: Resource<Clip>,
        _: Span,
    ) -> wasmtime::Result<Result<Vec<f32>, ClipError>> {
        Err(wasmtime::Error::msg("the chunker asks for no samples"))
    }

    fn levels(
        &mut self,
        clip: Resource<Clip>,
        span: Span,
        frame_samples: u32,
    ) -> wasmtime::Result<Result<Vec<f32>, ClipError>> {
        let clip = self.table.get(&clip)?;
        let span = auricle_speech::Span {
            start: span.start,
            end: span.end,
        };
        let level = |frame: &[f32]| {
            let energy: f32 = frame.iter().map(|sample| sample * sample).sum();
            (energy / frame.len() as f32).sqrt()
        };
        Ok(Ok(clip
            .slice(span)
            .chunks(frame_samples.max(1) as usize)
            .map(level)
            .collect()))
    }

    fn slice(
        &mut self,
        _: Resource<Clip>,
        _: Span,
    ) -> wasmtime::Result<Result<Resource<Clip>, ClipError>> {
        Err(wasmtime::Error::msg("the chunker takes no slices"))
    }

    fn drop(&mut self, clip: Resource<Clip>) -> wasmtime::Result<()> {
        self.table.delete(clip)?;
        Ok(())
    }
}

pub(crate) fn segments_to_wit(segments: Vec<Segment>) -> Vec<wit::Segment> {
    segments.into_iter().map(segment_to_wit).collect()
}

fn segment_to_wit(segment: Segment) -> wit::Segment {
    let words = segment.words.into_iter().map(|word| wit::Word {
        word: word.word,
        start: word.start,
        end: word.end,
        probability: word.probability,
        speaker: word.speaker,
    });
    wit::Segment {
        id: segment.id,
        start: segment.start,
        end: segment.end,
        text: segment.text,
        tokens: segment.tokens,
        logprobs: Vec::new(),
        temperature: segment.temperature,
        avg_logprob: segment.avg_logprob,
        compression_ratio: segment.compression_ratio,
        no_speech_prob: segment.no_speech_prob,
        words: words.collect(),
        speaker: segment.speaker,
        language: segment.language.map(String::from),
    }
}

pub(crate) fn turns_to_wit(turns: &[Turn]) -> Vec<wit::Turn> {
    let turn = |turn: &Turn| wit::Turn {
        speaker: turn.speaker.clone(),
        start: turn.start,
        end: turn.end,
    };
    turns.iter().map(turn).collect()
}
