//! The server put together: the only wiring there is.

mod catalog;
mod components;
mod graphs;
mod nn;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use auricle_backend_whisper::WhisperLoader;
use auricle_capability::Guests;
use auricle_deployment::{ControlPlane, ControlPlaneParts, Preparer, RolloutMonitor};
use auricle_gateway::{Bound, DrainReport, Gateway};
use auricle_inference::{
    DeviceConfig, Lease, ModelSource, ModelSourceError, Registry, RegistryConfig, Scheduler,
};
use auricle_models::{ModelsError, Store};
use auricle_pipeline::{ModelNames, Pipeline, PipelineParts};
use auricle_runtime::Runtime;
use auricle_speech::ModelFiles;
use auricle_tenancy::{DeploymentStore, NodeMemory, SqliteStore, Tenancy, Upkeep};
use tokio_util::sync::CancellationToken;

use crate::app::HandlerApp;
use crate::config::{Config, NodeStorage};

/// The node without its listeners: what `serve` and `transcribe` share.
pub struct Node {
    /// The pipeline, ready to be called.
    pub pipeline: Pipeline,
    /// Loaded models.
    pub registry: Arc<Registry>,
    /// The device's queue.
    pub scheduler: Arc<Scheduler>,
    /// Makes components ready.
    pub preparer: Arc<Preparer>,
    /// Calls guests.
    guests: Guests,
    /// The names of graphs.
    store: Arc<Store>,
}

impl Node {
    /// Puts a node together that works for its own user. Loads no model yet.
    ///
    /// # Errors
    /// When a component cannot be used or the runtime does not start.
    pub fn assemble(config: &Config) -> Result<Self> {
        Self::assemble_on(config, NodeStorage::unlimited())
    }

    /// As [`Node::assemble`], for tenants, for whom the host holds what `storage` has room for.
    fn assemble_on(config: &Config, storage: NodeStorage) -> Result<Self> {
        let models = &config.file.models;
        let store = Arc::new(Store::open(config.store.clone())?);
        let registry = Arc::new(Registry::new(
            Arc::new(StoreModels {
                store: Arc::clone(&store),
            }),
            Arc::new(WhisperLoader),
            RegistryConfig {
                idle: models.idle_unload.idle(),
                memory_budget_bytes: Some(models.memory_mb.saturating_mul(1 << 20)),
            },
        ));
        let minutes = |minutes: u64| Duration::from_secs(minutes.saturating_mul(60));
        let scheduler = Arc::new(Scheduler::start(DeviceConfig {
            workers: config.workers,
            max_queued: minutes(models.max_queued_minutes),
            max_tenant_queued: minutes(models.max_tenant_queued_minutes),
            session_idle: Duration::from_secs(models.idle_state_secs),
            fairness: models.fairness.shares()?,
            ..DeviceConfig::default()
        })?);
        let runtime = Runtime::start(config.file.runtime.clone())?;
        let limits = config.file.limits.clone();
        let preparer = Arc::new(Preparer::new(runtime, components::FIRST_PARTY, limits)?);
        nn::check(config, &store)?;
        let deployments = Arc::new(components::fleet(&preparer, config)?);
        let names = ModelNames {
            default: config.default_model.clone(),
            aliases: models.aliases()?,
            catalog: Arc::new(catalog::StoreCatalog::of(&store)),
        };
        let graphs = graphs::parts(config, &store);
        let batch_over = models.fairness.batch_over();
        let granted = nn::graphs(graphs.as_ref(), &registry, &scheduler, batch_over);
        let guests = Guests::new(preparer.runtime())
            .with_graphs(granted)
            .with_spool_dir(storage.spool_dir)
            .with_converter(config.file.audio.ffmpeg.converter()?)
            .with_log_budget(config.file.log.guest_bytes_per_minute);
        let pipeline = Pipeline::new(PipelineParts {
            guests: guests.clone(),
            deployments,
            registry: Arc::clone(&registry),
            scheduler: Arc::clone(&scheduler),
            graphs,
            names,
            decode_limits: config.file.audio.decode_limits(),
            memory: storage.memory,
            batch_over,
        });
        Ok(Self {
            pipeline,
            registry,
            scheduler,
            preparer,
            guests,
            store,
        })
    }

    /// What changes this node's deployments, and the thread that watches them.
    fn control_plane(
        &self,
        config: &Config,
        store: Arc<dyn DeploymentStore>,
        tenancy: Arc<Tenancy>,
    ) -> Result<(Arc<ControlPlane>, RolloutMonitor)> {
        let own: BTreeSet<String> = config.file.models.graphs.keys().cloned().collect();
        let models = Arc::clone(&self.store);
        let parts = ControlPlaneParts {
            store,
            preparer: Arc::clone(&self.preparer),
            fleet: Arc::clone(self.pipeline.deployments()),
            guests: self.guests.clone(),
            knows_graph: Box::new(move |name| own.contains(name) || nn::is_known(&models, name)),
            account: Box::new(move |tenant| tenancy.ledger().account(tenant)),
            config: config.file.deployments.clone(),
        };
        let components = config.data_dir.join(SqliteStore::COMPONENTS_DIR);
        let control_plane = ControlPlane::open(parts, &components)?;
        let rollouts = RolloutMonitor::start(Arc::clone(&control_plane))?;
        Ok((control_plane, rollouts))
    }
}

/// A server whose addresses are taken and whose model is loaded.
pub struct Server {
    /// What answers.
    pub node: Node,
    bound: Bound,
    model: String,
    /// Keeps the default model loaded.
    _default_model: Lease,
    /// Keeps keys and quotas up to date.
    _upkeep: Upkeep,
    /// Promotes and rolls back.
    _rollouts: RolloutMonitor,
}

impl Server {
    /// Puts the node together, loads the default model and takes the addresses.
    ///
    /// # Errors
    /// When any of it fails; nothing listens then.
    pub async fn start(config: Config) -> Result<Self> {
        let (tenancy, upkeep, node, control_plane, rollouts) = {
            let config = config.clone();
            let assemble = move || -> Result<_> {
                let store = Arc::new(SqliteStore::open(&config.data_dir)?);
                let storage = config.file.memory.open(&config.data_dir)?;
                let memory = Arc::clone(&storage.memory);
                let (tenancy, upkeep) = tenancy(&config, Arc::clone(&store), memory)?;
                let node = Node::assemble_on(&config, storage)?;
                let (control_plane, rollouts) =
                    node.control_plane(&config, store, Arc::clone(&tenancy))?;
                Ok((tenancy, upkeep, node, control_plane, rollouts))
            };
            tokio::task::spawn_blocking(assemble).await??
        };
        let limits = node.pipeline.memory_limits();
        tracing::info!(
            max_held_bytes = limits.memory_bytes,
            max_spool_bytes = limits.spool_bytes,
            spool_in_memory = limits.is_spool_in_memory,
            "memory limits"
        );
        let model = config.default_model;
        let lease = node.registry.lease(&model, false).await?;
        lease.pin();
        let bound = Gateway::bind(config.file.server, tenancy).await?;
        let bound = bound.with_control_plane(control_plane);
        Ok(Self {
            node,
            bound,
            model,
            _default_model: lease,
            _upkeep: upkeep,
            _rollouts: rollouts,
        })
    }

    /// The addresses that are listened on.
    #[must_use]
    pub fn addrs(&self) -> &[SocketAddr] {
        self.bound.addrs()
    }

    /// The admin address, where there is one.
    #[must_use]
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.bound.admin_addr()
    }

    /// Serves until `shutdown`, then drains.
    pub async fn serve(self, shutdown: CancellationToken) -> DrainReport {
        let app = HandlerApp::new(self.node.pipeline.clone(), self.model);
        self.bound.serve(app, shutdown).await
    }
}

/// Tenants, keys and accounts, from the data directory and the configuration.
fn tenancy(
    config: &Config,
    store: Arc<SqliteStore>,
    memory: Arc<NodeMemory>,
) -> Result<(Arc<Tenancy>, Upkeep)> {
    let tenancy = Tenancy::on_node(
        &config.file.credentials,
        Some(store),
        config.file.quotas.clone(),
        memory,
    )?;
    let upkeep = Upkeep::start(&tenancy)?;
    Ok((tenancy, upkeep))
}

/// The models store as the registry asks it.
struct StoreModels {
    store: Arc<Store>,
}

impl ModelSource for StoreModels {
    fn find(&self, name: &str) -> Result<ModelFiles, ModelSourceError> {
        let model = self.store.resolve(name).map_err(|error| match error {
            ModelsError::Unknown { .. } | ModelsError::BadName { .. } => ModelSourceError::Unknown,
            error => ModelSourceError::Missing {
                reason: error.to_string(),
            },
        })?;
        Ok(ModelFiles {
            name: model.reference,
            path: model.path,
            sha256: model.sha256,
            word_timestamps: false,
        })
    }
}
