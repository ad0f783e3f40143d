//! The server put together: the only wiring there is.

mod catalog;
mod graphs;
mod nn;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use auricle_backend_whisper::WhisperLoader;
use auricle_capability::{ComponentFile, Guests, Roles};
use auricle_gateway::{Bound, DrainReport, Gateway};
use auricle_inference::{
    DeviceConfig, Lease, ModelSource, ModelSourceError, Registry, RegistryConfig, Scheduler,
};
use auricle_models::{ModelsError, Store};
use auricle_pipeline::{Deployments, ModelNames, Pipeline, PipelineParts, TenantDeployments};
use auricle_runtime::deployment::RevisionParts;
use auricle_runtime::{Deployment, InstanceLimits, Runtime, RuntimeError};
use auricle_speech::{ModelFiles, TenantId};
use auricle_tenancy::{SqliteStore, Tenancy, Upkeep};
use tokio_util::sync::CancellationToken;

use crate::app::HandlerApp;
use crate::config::{ComponentConfig, Config, RoleLimits, TenantConfig};

/// The node without its listeners: what `serve` and `transcribe` share.
pub struct Node {
    /// The pipeline, ready to be called.
    pub pipeline: Pipeline,
    /// Loaded models.
    pub registry: Arc<Registry>,
    /// The device's queue.
    pub scheduler: Arc<Scheduler>,
    /// Compiles and links components; what a new revision needs.
    pub components: Arc<Components>,
}

impl Node {
    /// Puts the node together. Loads no model yet.
    ///
    /// # Errors
    /// When a component cannot be used or the runtime does not start.
    pub fn assemble(config: &Config) -> Result<Self> {
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
        let components = Arc::new(Components {
            roles: Roles::new(&runtime)?,
            runtime,
        });
        nn::check(config, &store)?;
        let deployments = Arc::new(components.deployments(config)?);
        let names = ModelNames {
            default: config.default_model.clone(),
            aliases: models.aliases()?,
            catalog: Arc::new(catalog::StoreCatalog::of(&store)),
        };
        let graphs = graphs::parts(config, &store);
        let batch_over = models.fairness.batch_over();
        let granted = nn::graphs(graphs.as_ref(), &registry, &scheduler, batch_over);
        let pipeline = Pipeline::new(PipelineParts {
            guests: Guests::new(&components.runtime).with_graphs(granted),
            deployments,
            registry: Arc::clone(&registry),
            scheduler: Arc::clone(&scheduler),
            graphs,
            names,
            decode_limits: config.file.audio.decode_limits(),
            batch_over,
        });
        Ok(Self {
            pipeline,
            registry,
            scheduler,
            components,
        })
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
}

impl Server {
    /// Puts the node together, loads the default model and takes the addresses.
    ///
    /// # Errors
    /// When any of it fails; nothing listens then.
    pub async fn start(config: Config) -> Result<Self> {
        let (tenancy, upkeep, node) = {
            let config = config.clone();
            let assemble = move || -> Result<_> {
                let (tenancy, upkeep) = tenancy(&config)?;
                Ok((tenancy, upkeep, Node::assemble(&config)?))
            };
            tokio::task::spawn_blocking(assemble).await??
        };
        let model = config.default_model;
        let lease = node.registry.lease(&model, false).await?;
        lease.pin();
        let bound = Gateway::bind(config.file.server, tenancy).await?;
        Ok(Self {
            node,
            bound,
            model,
            _default_model: lease,
            _upkeep: upkeep,
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
fn tenancy(config: &Config) -> Result<(Arc<Tenancy>, Upkeep)> {
    let store = Arc::new(SqliteStore::open(&config.data_dir)?);
    let tenancy = Tenancy::new(
        &config.file.credentials,
        Some(store),
        config.file.quotas.clone(),
    )?;
    let upkeep = Upkeep::start(&tenancy)?;
    Ok((tenancy, upkeep))
}

/// Makes components ready for their roles.
pub struct Components {
    roles: Roles,
    runtime: Runtime,
}

impl Components {
    fn deployments(&self, config: &Config) -> Result<Deployments> {
        let limits = &config.file.limits;
        let first_party = self.tenant(&TenantConfig::default(), limits, None)?;
        let mut tenants = HashMap::new();
        for (name, tenant) in &config.file.tenants {
            let id = TenantId::new(name)?;
            let deployments = self
                .tenant(tenant, limits, Some(&first_party))
                .with_context(|| format!("tenant '{name}'"))?;
            tenants.insert(id, deployments);
        }
        Ok(Deployments::new(first_party, tenants))
    }

    /// A tenant's deployments; roles that it does not set are shared with `base`.
    fn tenant(
        &self,
        tenant: &TenantConfig,
        limits: &RoleLimits,
        base: Option<&TenantDeployments>,
    ) -> Result<TenantDeployments> {
        Ok(TenantDeployments {
            handler: role(&tenant.handler, base.map(|b| &b.handler), || {
                Source::new(
                    &tenant.handler,
                    auricle_first_party::HANDLER,
                    &limits.handler,
                )
                .parts(|file| self.roles.handler(&self.runtime, file))
            })?,
            decoder: role(&tenant.decoder, base.map(|b| &b.decoder), || {
                let limits = &limits.decoder;
                Source::new(&tenant.decoder, auricle_first_party::DECODER, limits)
                    .parts(|file| self.roles.decoder(&self.runtime, file))
            })?,
            chunker: role(&tenant.chunker, base.map(|b| &b.chunker), || {
                self.chunker(tenant.chunker.as_ref(), &limits.chunker)
            })?,
            assigner: role(&tenant.speaker_assigner, base.map(|b| &b.assigner), || {
                let limits = &limits.speaker_assigner;
                let component = &tenant.speaker_assigner;
                Source::new(component, auricle_first_party::SPEAKER_ASSIGNER, limits)
                    .parts(|file| self.roles.assigner(&self.runtime, file))
            })?,
        })
    }

    /// The parts of a chunker's revision, for a deployment or a swap.
    ///
    /// # Errors
    /// When the component cannot be read or does not fit its role.
    pub fn chunker(
        &self,
        component: Option<&ComponentConfig>,
        limits: &InstanceLimits,
    ) -> Result<RevisionParts<auricle_capability::ChunkerComponent>> {
        Source::new(&component.cloned(), auricle_first_party::CHUNKER, limits)
            .parts(|file| self.roles.chunker(&self.runtime, file))
    }
}

fn role<P>(
    component: &Option<ComponentConfig>,
    base: Option<&Arc<Deployment<P>>>,
    parts: impl FnOnce() -> Result<RevisionParts<P>>,
) -> Result<Arc<Deployment<P>>> {
    match base {
        Some(base) if component.is_none() => Ok(Arc::clone(base)),
        _ => Ok(Arc::new(Deployment::new(parts()?))),
    }
}

/// Where a component, its settings and its limits come from.
struct Source<'a> {
    path: Option<&'a Path>,
    first_party: &'static [u8],
    configuration: BTreeMap<String, String>,
    graphs: BTreeSet<String>,
    limits: InstanceLimits,
}

impl<'a> Source<'a> {
    fn new(
        component: &'a Option<ComponentConfig>,
        first_party: &'static [u8],
        limits: &InstanceLimits,
    ) -> Self {
        let own_limits = component
            .as_ref()
            .and_then(|component| component.limits.clone());
        Self {
            path: component
                .as_ref()
                .and_then(|component| component.path.as_deref()),
            first_party,
            configuration: component
                .as_ref()
                .map(|c| c.configuration.clone())
                .unwrap_or_default(),
            graphs: component.as_ref().map(|c| c.nn.clone()).unwrap_or_default(),
            limits: own_limits.unwrap_or_else(|| limits.clone()),
        }
    }

    fn parts<P>(
        self,
        link: impl FnOnce(&ComponentFile<'_>) -> Result<P, RuntimeError>,
    ) -> Result<RevisionParts<P>> {
        let read;
        let bytes = match self.path {
            Some(path) => {
                read = std::fs::read(path)
                    .with_context(|| format!("the component {} cannot be read", path.display()))?;
                read.as_slice()
            }
            None => self.first_party,
        };
        let file = ComponentFile::new(bytes).with_graphs(!self.graphs.is_empty());
        let component = link(&file).with_context(|| match self.path {
            Some(path) => format!("the component {} cannot be used", path.display()),
            None => "a first-party component cannot be used".to_owned(),
        })?;
        Ok(RevisionParts {
            digest: file.digest(),
            configuration: self.configuration,
            graphs: self.graphs,
            limits: self.limits,
            component,
        })
    }
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
