//! The same components on bare wasmtime: what any embedding costs.
//!
//! Same compiler settings, pooling allocator and asynchronous calls, but no epoch checks, no limits
//! on memory, tables, handles or bytes, no CPU meter, no deadline, and answers are not checked. The
//! handler is polled beside whoever reads its answer, as ours, and not as a task of its own, as
//! `wasmtime serve` does; imports that a 404 does not touch are traps.

mod bindings;
mod host;

use anyhow::{Context, Result};
use auricle_first_party::{CHUNKER, HANDLER, SPEAKER_ASSIGNER};
use auricle_speech::{Clip, MAX_CHUNK_SAMPLES, Segment, Span, Turn};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, HasSelf, Linker, Resource, ResourceType, Val};
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, Store,
};
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;

use crate::inputs;
use bindings::assigner::SpeakerAssignerRolePre;
use bindings::assigner::auricle::speech::types;
use bindings::chunker::ChunkerRolePre;
use bindings::imports::auricle;
use host::{BareState, segments_to_wit, turns_to_wit};

/// The roles' components, compiled and linked.
pub(crate) struct Bare {
    engine: Engine,
    handler: ProxyPre<BareState>,
    chunker: ChunkerRolePre<BareState>,
    assigner: SpeakerAssignerRolePre<BareState>,
}

impl Bare {
    pub(crate) fn start() -> Result<Self> {
        let engine = Engine::new(&config())?;
        let compile = |bytes: &[u8]| Component::from_binary(&engine, bytes);
        let chunker = plain_linker(&engine)?.instantiate_pre(&compile(CHUNKER)?)?;
        let assigner = plain_linker(&engine)?.instantiate_pre(&compile(SPEAKER_ASSIGNER)?)?;
        let handler = compile(HANDLER)?;
        let mut linker = Linker::<BareState>::new(&engine);
        wasmtime_wasi_http::p2::add_to_linker_async(&mut linker)?;
        link_common(&mut linker)?;
        link_traps(&mut linker, &handler)?;
        let handler = ProxyPre::new(linker.instantiate_pre(&handler)?)?;
        Ok(Self {
            handler,
            chunker: ChunkerRolePre::new(chunker)?,
            assigner: SpeakerAssignerRolePre::new(assigner)?,
            engine,
        })
    }

    /// Has the handler answer a path that it does not know; gives the status.
    pub(crate) async fn not_found(&self) -> Result<u16> {
        let (sender, response) = tokio::sync::oneshot::channel();
        let request = inputs::request().body(Empty::<Bytes>::new())?;
        let mut store = Store::new(&self.engine, BareState::new());
        let guest = async {
            let mut view = store.data_mut().http();
            let request = view.new_incoming_request(Scheme::Http, request)?;
            let response = view.new_response_outparam(sender)?;
            let guest = self.handler.instantiate_async(&mut store).await?;
            let handler = guest.wasi_http_incoming_handler();
            let handled = handler.call_handle(&mut store, request, response).await;
            drop(store);
            anyhow::Ok(handled?)
        };
        // The guest goes on to write the body after it has set the response.
        let answer = async {
            let response = response.await.context("ended without a response")??;
            let status = response.status().as_u16();
            let body = response.into_body().collect().await;
            body.context("the body broke off")?;
            Ok(status)
        };
        let ((), status) = tokio::try_join!(guest, answer)?;
        Ok(status)
    }

    /// Has the chunker cut a clip.
    pub(crate) async fn split(&self, clip: &Clip) -> Result<Vec<Span>> {
        let mut store = Store::new(&self.engine, BareState::new());
        let handle = store.data_mut().table.push(clip.clone())?;
        let guest = self.chunker.instantiate_async(&mut store).await?;
        let clip = Resource::new_borrow(handle.rep());
        let chunker = guest.auricle_pipeline_chunker();
        let spans = chunker
            .call_split(&mut store, clip, MAX_CHUNK_SAMPLES)
            .await?;
        let spans = spans.map_err(|error| anyhow::anyhow!("refused the clip: {error:?}"))?;
        Ok(spans
            .into_iter()
            .map(|span| Span {
                start: span.start,
                end: span.end,
            })
            .collect())
    }

    /// Has the speaker-assigner assign segments; gives the number that come back.
    pub(crate) async fn assign(&self, segments: Vec<Segment>, turns: &[Turn]) -> Result<usize> {
        let mut store = Store::new(&self.engine, BareState::new());
        let guest = self.assigner.instantiate_async(&mut store).await?;
        let segments = segments_to_wit(segments);
        let turns = turns_to_wit(turns);
        let assigner = guest.auricle_pipeline_speaker_assigner();
        let assigned = assigner.call_assign(&mut store, &segments, &turns).await?;
        Ok(assigned
            .map_err(|error| anyhow::anyhow!("refused segments: {error:?}"))?
            .len())
    }
}

fn plain_linker(engine: &Engine) -> wasmtime::Result<Linker<BareState>> {
    let mut linker = Linker::new(engine);
    link_common(&mut linker)?;
    auricle::audio::types::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    auricle::audio::clips::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    types::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    auricle::pipeline::chunking::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    // There is no device on either side: the chunker is told so and cuts by energy.
    let mut voices = linker.instance("auricle:speech/voice-activity@0.2.0")?;
    voices.func_new_async("probabilities", |mut store, _, params, results| {
        Box::new(async move {
            // A borrowed handle that arrives as a value is given back by hand.
            if let Some(Val::Resource(clip)) = params.first() {
                clip.resource_drop_async(&mut store).await?;
            }
            let why = Some(Box::new(Val::String("not here".into())));
            let error = Val::Variant("unavailable".into(), why);
            if let Some(result) = results.first_mut() {
                *result = Val::Result(Err(Some(Box::new(error))));
            }
            Ok(())
        })
    })?;
    Ok(linker)
}

fn link_common(linker: &mut Linker<BareState>) -> wasmtime::Result<()> {
    auricle::runtime::log::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    auricle::runtime::configuration::add_to_linker::<_, HasSelf<_>>(linker, |state| state)
}

/// Resources that the host would own in the interfaces that are traps.
const RESOURCES: [(&str, &str); 6] = [
    ("auricle:audio/clips@", "clip"),
    ("auricle:audio/recording@", "recorder"),
    ("auricle:http/multipart@", "form"),
    ("auricle:http/multipart@", "part"),
    ("auricle:http/websocket@", "socket"),
    ("auricle:pipeline/transcriber@", "transcription"),
];

/// Every other function of ours that the handler imports is a trap.
/// (`Linker::define_unknown_imports_as_traps` gives each alias of a resource a type of its own,
/// which then matches none.)
fn link_traps(linker: &mut Linker<BareState>, handler: &Component) -> wasmtime::Result<()> {
    let engine = linker.engine().clone();
    for (interface, import) in handler.component_type().imports(&engine) {
        let is_ours = interface.starts_with("auricle:");
        let ComponentItem::ComponentInstance(instance) = import.ty else {
            continue;
        };
        if !is_ours || interface.starts_with("auricle:runtime/") {
            continue;
        }
        let mut traps = linker.instance(interface)?;
        for (name, export) in instance.exports(&engine) {
            let owned = RESOURCES
                .iter()
                .any(|(i, n)| interface.starts_with(i) && *n == name);
            match export.ty {
                ComponentItem::ComponentFunc(_) => traps.func_new(name, |_, _, _, _| {
                    Err(wasmtime::Error::msg("this is not there on bare wasmtime"))
                })?,
                ComponentItem::Resource(_) if owned => {
                    traps.resource(name, ResourceType::host::<()>(), |_, _| Ok(()))?;
                }
                _ => {}
            }
        }
    }
    Ok(())
}

fn config() -> Config {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(1024)
        .total_core_instances(4096)
        .total_memories(2048)
        .total_tables(2048)
        .total_stacks(1024)
        .max_memory_size(256 << 20)
        .max_unused_warm_slots(32)
        .linear_memory_keep_resident(32 << 10)
        .pagemap_scan(Enabled::Auto)
        .table_keep_resident(4 << 10);
    let mut config = Config::new();
    config
        .cranelift_opt_level(OptLevel::Speed)
        .concurrency_support(false)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}
