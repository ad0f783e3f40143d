//! The second device put together: the library, its models, the threads that run them.
//!
//! A server without them serves all the same: clips are then cut by their energy, nobody is told who
//! spoke, and what is missing is said once, at the start.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use auricle_backend_onnx::{OnnxLoader, OnnxRuntime};
use auricle_inference::{
    DeviceConfig, GraphRegistry, GraphScheduler, ModelSource, ModelSourceError, RegistryConfig,
};
use auricle_models::{ModelsError, Store};
use auricle_pipeline::{GraphParts, SpeakerModels};
use auricle_speech::ModelFiles;

use crate::config::Config;

/// The set of the voice activity model, and the files of it that can be used, the fastest first.
const VOICE: &str = "silero-vad";
const VOICE_FILES: [&str; 3] = [
    "silero_vad_16k_products.onnx",
    "silero_vad_16k_sequence.onnx",
    "silero_vad_op18_ifless.onnx",
];

/// The sets of the speaker models.
const SEGMENTATION: &str = "pyannote-segmentation-3.0";
const EMBEDDING: &str = "campplus";

/// How long a thread without work keeps its graphs, some 5 MB each; the speaker models 40 MB.
const SESSION_IDLE: Duration = Duration::from_secs(60);

/// Graphs that a thread keeps: voice activity, segmentation, embeddings, and one of a tenant's.
const SESSIONS_PER_WORKER: usize = 4;

/// What is to be had here; of the rest it says what to do.
pub(super) fn parts(config: &Config, store: &Arc<Store>) -> Option<GraphParts> {
    let parts = assemble(config, store);
    let missing = match &parts {
        Ok(parts) => {
            let found = |name| StoreGraphs::of(store).find(name);
            let voice = parts.voice.is_none().then(|| found(VOICE).err()).flatten();
            let speakers = || found(SEGMENTATION).err().or_else(|| found(EMBEDDING).err());
            if let Some(reason) = parts.speakers.is_none().then(speakers).flatten() {
                tracing::warn!(%reason, "no diarization: run `make setup`; until then 'diarize' is refused");
            }
            voice.map(|error| format!("the voice activity model: {error}"))
        }
        Err(error) => Some(format!("{error:#}")),
    };
    if let Some(reason) = missing {
        tracing::warn!(
            reason,
            "no voice activity: run `make setup`; until then clips are cut by their energy, \
             and silence and noise may yield invented words"
        );
    }
    parts.ok()
}

fn assemble(config: &Config, store: &Arc<Store>) -> Result<GraphParts> {
    let library = match &config.file.models.onnxruntime {
        Some(own) => own.clone(),
        None => store.library("onnxruntime").context("ONNX Runtime")?.path,
    };
    let source = StoreGraphs::of(store);
    let has = |name: &str| source.find(name).is_ok();
    let (voice, speakers) = (has(VOICE), has(SEGMENTATION) && has(EMBEDDING));
    let runtime = OnnxRuntime::load(&library)?;
    let registry = GraphRegistry::of_graphs(
        Arc::new(super::nn::OwnGraphs::before(config, source)),
        Arc::new(OnnxLoader::new(runtime)),
        RegistryConfig {
            idle: config.file.models.idle_unload.idle(),
            memory_budget_bytes: None,
        },
    );
    let scheduler = GraphScheduler::start(DeviceConfig {
        workers: config.graph_workers,
        session_idle: SESSION_IDLE,
        sessions_per_worker: SESSIONS_PER_WORKER,
        thread_name: "auricle-graph",
        fairness: config.file.models.fairness.shares()?,
        ..DeviceConfig::default()
    })?;
    Ok(GraphParts {
        registry,
        scheduler: Arc::new(scheduler),
        voice: voice.then(|| VOICE.to_owned()),
        speakers: speakers.then(|| SpeakerModels {
            segmentation: SEGMENTATION.to_owned(),
            embedding: EMBEDDING.to_owned(),
        }),
    })
}

/// The store's sets of files as the registry asks for graphs.
struct StoreGraphs {
    store: Arc<Store>,
}

impl StoreGraphs {
    fn of(store: &Arc<Store>) -> Self {
        Self {
            store: Arc::clone(store),
        }
    }
}

impl ModelSource for StoreGraphs {
    fn find(&self, name: &str) -> Result<ModelFiles, ModelSourceError> {
        let missing = |reason: String| ModelSourceError::Missing { reason };
        let set = self.store.file(name).map_err(|error| match error {
            ModelsError::Unknown { .. } => ModelSourceError::Unknown,
            error => missing(error.to_string()),
        })?;
        // Of other sets: the one graph that was made from a checkpoint.
        let own_graph = format!("{name}.onnx");
        let names = VOICE_FILES.into_iter().chain([own_graph.as_str()]);
        let file = names.into_iter().find_map(|file| set.get(file));
        let file = file.ok_or_else(|| missing(format!("{name} has no graph")))?;
        Ok(ModelFiles {
            name: name.to_owned(),
            path: file.path.clone(),
            sha256: file.sha256.clone(),
            word_timestamps: false,
        })
    }
}
