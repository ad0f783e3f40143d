//! A server inside this process: for what only its insides show, and for swaps.

use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;

use auricle::assemble::Server;
use auricle::config::{Config, FileConfig};
use auricle_capability::ChunkerComponent;
use auricle_deployment::{Plan, Preparer, TenantDeployments};
use auricle_models::StoreDirs;
use auricle_runtime::{RevisionParts, RuntimeError};
use auricle_speech::TenantId;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::program::scratch;

/// A running server; it stops when this is dropped.
pub struct Inside {
    /// Where it listens.
    pub address: String,
    pub node: InsideNode,
    _stop: DropGuard,
}

/// The parts of the server that tests look at.
pub struct InsideNode {
    pub pipeline: auricle_pipeline::Pipeline,
    pub scheduler: Arc<auricle_inference::Scheduler>,
    pub preparer: Arc<Preparer>,
}

impl Inside {
    /// Starts a server with this configuration file and the model `tiny.en`.
    pub async fn start(toml: &str) -> Self {
        let server = Server::start(config(toml))
            .await
            .expect("`make setup` has been run");
        let address = server.addrs()[0].to_string();
        let node = InsideNode {
            pipeline: server.node.pipeline.clone(),
            scheduler: Arc::clone(&server.node.scheduler),
            preparer: Arc::clone(&server.node.preparer),
        };
        let stop = CancellationToken::new();
        tokio::spawn(server.serve(stop.clone()));
        Self {
            address,
            node,
            _stop: stop.drop_guard(),
        }
    }

    /// What serves a tenant that has deployed nothing.
    pub fn deployments(&self, tenant: &str) -> &TenantDeployments {
        let tenant = TenantId::new(tenant).unwrap();
        self.node.pipeline.deployments().base(&tenant)
    }

    /// Makes a chunker ready, beside the executor as a server would.
    pub async fn chunker(
        &self,
        bytes: &'static [u8],
        configuration: &[(&str, &str)],
    ) -> Result<RevisionParts<ChunkerComponent>, RuntimeError> {
        let pairs = configuration.iter();
        let plan = Plan {
            component: Some(bytes),
            configuration: pairs
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
            ..Plan::default()
        };
        let preparer = Arc::clone(&self.node.preparer);
        let parts = tokio::task::spawn_blocking(move || preparer.parts(plan));
        parts.await.unwrap()
    }
}

/// A configuration file, resolved: `tiny.en`, a free port, the suite's own component cache.
pub fn config(toml: &str) -> Config {
    config_with_cache(toml, &scratch().join("inside"))
}

/// As [`config`], with compiled components in `dir`.
pub fn config_with_cache(toml: &str, dir: &Path) -> Config {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .unwrap();
    let mut file: FileConfig = toml::from_str(toml).unwrap();
    file.runtime.cache_dir = Some(dir.to_owned());
    file.runtime.max_requests = 32;
    file.server.listen = vec!["127.0.0.1:0".parse().unwrap()];
    Config {
        file,
        data_dir: dir.to_owned(),
        store: StoreDirs::from_env().unwrap(),
        default_model: "tiny.en".to_owned(),
        workers: 2,
        graph_workers: 2,
        traces: None,
    }
}
