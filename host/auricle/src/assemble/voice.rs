//! Voice activity put together: the library, the model, the threads that run it.
//!
//! A server without them serves all the same: clips are then cut by their energy, and what is
//! missing is said once, at the start.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use auricle_backend_onnx::{OnnxLoader, OnnxRuntime};
use auricle_inference::{
    DeviceConfig, GraphRegistry, GraphScheduler, ModelSource, ModelSourceError, RegistryConfig,
};
use auricle_models::{ModelsError, Store};
use auricle_pipeline::VoiceParts;
use auricle_speech::ModelFiles;

use crate::config::Config;

/// The set of the voice activity model, and the files of it that can be used, the fastest first.
const MODEL: &str = "silero-vad";
const MODEL_FILES: [&str; 2] = [
    "silero_vad_16k_sequence.onnx",
    "silero_vad_op18_ifless.onnx",
];

/// How long a thread without work keeps its graphs, some 5 MB each.
const SESSION_IDLE: Duration = Duration::from_secs(60);

/// Graphs that a thread keeps: voice activity, segmentation, embeddings, and one of a tenant's.
const SESSIONS_PER_WORKER: usize = 4;

/// Voice activity, if it is to be had here; else says what to do.
pub(super) fn parts(config: &Config, store: &Arc<Store>) -> Option<VoiceParts> {
    match assemble(config, store) {
        Ok(parts) => Some(parts),
        Err(error) => {
            let reason = format!("{error:#}");
            tracing::warn!(
                reason,
                "no voice activity: run `make setup`; until then clips are cut by their energy, \
                 and silence and noise may yield invented words"
            );
            None
        }
    }
}

fn assemble(config: &Config, store: &Arc<Store>) -> Result<VoiceParts> {
    let library = store.library("onnxruntime").context("ONNX Runtime")?;
    let source = StoreGraphs {
        store: Arc::clone(store),
    };
    source.find(MODEL).context("the voice activity model")?;
    let runtime = OnnxRuntime::load(&library.path)?;
    let registry = GraphRegistry::of_graphs(
        Arc::new(super::nn::OwnGraphs::before(config, source)),
        Arc::new(OnnxLoader::new(runtime)),
        RegistryConfig {
            idle: Some(Duration::from_secs(config.file.models.idle_unload_secs)),
            memory_budget_bytes: None,
        },
    );
    let scheduler = GraphScheduler::start(DeviceConfig {
        workers: config.graph_workers,
        session_idle: SESSION_IDLE,
        sessions_per_worker: SESSIONS_PER_WORKER,
        thread_name: "auricle-graph",
        ..DeviceConfig::default()
    })?;
    Ok(VoiceParts {
        registry,
        scheduler: Arc::new(scheduler),
        model: MODEL.to_owned(),
    })
}

/// The store's sets of files as the registry asks for graphs.
struct StoreGraphs {
    store: Arc<Store>,
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
        let names = MODEL_FILES.into_iter().chain([own_graph.as_str()]);
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
