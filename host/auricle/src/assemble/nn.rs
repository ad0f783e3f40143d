//! Graphs for components put together: which there are, and that every grant names one.
//!
//! A grant that names no graph ends the start: it would else be found out by the component, and only
//! as the answer that it also gets for what it may not use. A graph that is known and not installed
//! is no error here, as with every other model.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Result, bail};
use auricle_capability::Graphs;
use auricle_inference::{ModelSource, ModelSourceError, Registry, Scheduler};
use auricle_models::{ModelsError, Store};
use auricle_pipeline::{GraphParts, NnGraphs};
use auricle_speech::ModelFiles;

use crate::config::{ComponentConfig, Config, GraphConfig};

/// The graphs of this node.
pub(super) fn graphs(
    parts: Option<&GraphParts>,
    models: &Arc<Registry>,
    model_device: &Arc<Scheduler>,
) -> Arc<dyn Graphs> {
    Arc::new(NnGraphs {
        models: Arc::clone(models),
        model_device: Arc::clone(model_device),
        graphs: parts.map(|parts| (parts.registry.clone(), Arc::clone(&parts.scheduler))),
    })
}

/// Refuses a graph of the configuration that has an installed model's name, and a grant of a graph
/// that nobody knows.
pub(super) fn check(config: &Config, store: &Store) -> Result<()> {
    let own = &config.file.models.graphs;
    for (name, graph) in own {
        if is_known(store, name) {
            bail!("[models.graphs] has '{name}', which is a model's name: use another");
        }
        if graph.sha256.len() != 64 || !graph.sha256.bytes().all(|b| b.is_ascii_hexdigit()) {
            bail!("the sha256 of [models.graphs] '{name}' must have 64 hexadecimal digits");
        }
    }
    for (tenant, components) in &config.file.tenants {
        let roles = [
            ("handler", &components.handler),
            ("chunker", &components.chunker),
            ("speaker_assigner", &components.speaker_assigner),
        ];
        for (role, component) in roles {
            for name in component.iter().flat_map(granted) {
                if !own.contains_key(name) && !is_known(store, name) {
                    bail!(
                        "`nn` in [tenants.{tenant}.{role}] names '{name}', and there is no such \
                         graph: name a model or add it to [models.graphs]"
                    );
                }
            }
        }
    }
    Ok(())
}

fn granted(component: &ComponentConfig) -> impl Iterator<Item = &String> {
    component.nn.iter()
}

/// Whether the store knows a graph or model of this name, installed or not.
pub(super) fn is_known(store: &Store, name: &str) -> bool {
    let unknown = |error: &ModelsError| {
        matches!(
            error,
            ModelsError::Unknown { .. } | ModelsError::BadName { .. }
        )
    };
    !(store.file(name).is_err_and(|error| unknown(&error))
        && store.resolve(name).is_err_and(|error| unknown(&error)))
}

/// The operator's own graphs, and the store's for every other name.
pub(super) struct OwnGraphs<S> {
    own: BTreeMap<String, GraphConfig>,
    store: S,
}

impl<S: ModelSource> OwnGraphs<S> {
    /// The graphs of the configuration before those of `store`.
    pub(super) fn before(config: &Config, store: S) -> Self {
        Self {
            own: config.file.models.graphs.clone(),
            store,
        }
    }
}

impl<S: ModelSource> ModelSource for OwnGraphs<S> {
    fn find(&self, name: &str) -> Result<ModelFiles, ModelSourceError> {
        let Some(graph) = self.own.get(name) else {
            return self.store.find(name);
        };
        Ok(ModelFiles {
            name: name.to_owned(),
            path: graph.path.clone(),
            sha256: graph.sha256.to_ascii_lowercase(),
            word_timestamps: false,
        })
    }
}
