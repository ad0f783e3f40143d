//! The configuration file, and what it and the command line resolve to.
//!
//! A key that is not known is an error: a typing mistake must not be a limit that is not there.
//! Flags win over variables, those over the file, the file over the defaults.

mod fairness;
mod memory;
mod models;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use auricle_audio::DecodeLimits;
use auricle_capability::{Converter, ConverterConfig, ConverterError};
use auricle_deployment::{DeploymentConfig, RoleLimits};
use auricle_gateway::{AdminConfig, GatewayConfig};
use auricle_models::StoreDirs;
use auricle_runtime::{InstanceLimits, RuntimeConfig};
use auricle_telemetry::traces::TraceConfig;
use auricle_tenancy::{CredentialConfig, Quotas};
use etcetera::BaseStrategy;
use serde::Deserialize;

use crate::args::{Common, ServeArgs};

pub use fairness::FairnessConfig;
pub use memory::{MemoryConfig, NodeStorage};
pub use models::{GraphConfig, IdleUnload, ModelsConfig};

/// The model of requests that name none, when nobody says otherwise.
pub const DEFAULT_MODEL: &str = "base";

/// The configuration file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FileConfig {
    /// Listening, connections, requests, WebSockets, CORS.
    pub server: GatewayConfig,
    /// Where operators look.
    pub admin: AdminConfig,
    /// Who may come in.
    pub credentials: CredentialConfig,
    /// What a tenant may use that has no quota of its own.
    pub quotas: Quotas,
    /// Models and the device.
    pub models: ModelsConfig,
    /// Bounds on audio.
    pub audio: AudioConfig,
    /// What the host may hold for tenants.
    pub memory: MemoryConfig,
    /// The WebAssembly runtime.
    pub runtime: RuntimeConfig,
    /// Limits of the first-party components, and of tenants' that name none.
    pub limits: RoleLimits,
    /// Tenants' own components and how they come to serve.
    pub deployments: DeploymentConfig,
    /// Traces of requests.
    pub telemetry: TelemetryConfig,
    /// The operator's log.
    pub log: LogConfig,
    /// Components of tenants, by the tenant's name.
    pub tenants: BTreeMap<String, TenantConfig>,
}

/// The operator's log.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// Bytes of log lines that the components of one tenant may write in a minute, labels included.
    /// Default 1,048,576.
    pub guest_bytes_per_minute: u64,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            guest_bytes_per_minute: 1 << 20,
        }
    }
}

/// Traces of requests.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// Base URL of the collector (OTLP over HTTP). Default: none, and no traces.
    pub otlp_endpoint: Option<String>,
    /// Share of requests that is traced, 0.0..=1.0. Default 1.
    pub sample_ratio: f64,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            otlp_endpoint: None,
            sample_ratio: 1.0,
        }
    }
}

/// Bounds on audio.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AudioConfig {
    /// Minutes of audio in one file, of all its channels where they are transcribed apart. Default
    /// 240.
    pub max_minutes: u64,
    /// ffmpeg, for files that no decoder knows.
    pub ffmpeg: FfmpegConfig,
}

/// ffmpeg, for files that no decoder knows.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FfmpegConfig {
    /// Whether it is used at all. Default: no.
    pub enabled: bool,
    /// The program. Default: `ffmpeg`, found on the path.
    pub program: PathBuf,
    /// Seconds that one file may take. Default 900.
    pub max_secs: u64,
    /// Seconds that one file may wait for its turn, before the client is told to come back. Default 60.
    pub max_wait_secs: u64,
    /// Seconds of CPU time that one file may take. Default 600.
    pub cpu_secs: u64,
    /// Mebibytes of address space of one process. Default 1024.
    pub memory_mb: u64,
}

impl Default for FfmpegConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            program: "ffmpeg".into(),
            max_secs: 900,
            max_wait_secs: 60,
            cpu_secs: 600,
            memory_mb: 1024,
        }
    }
}

impl FfmpegConfig {
    /// What converts files, where it is enabled.
    ///
    /// # Errors
    /// When a program is missing or does not run.
    pub fn converter(&self) -> Result<Option<Converter>, ConverterError> {
        let config = ConverterConfig {
            launcher: std::env::current_exe().unwrap_or_default(),
            program: self.program.clone(),
            max_time: Duration::from_secs(self.max_secs),
            max_wait: Duration::from_secs(self.max_wait_secs),
            max_cpu: Duration::from_secs(self.cpu_secs),
            max_memory_bytes: self.memory_mb.saturating_mul(1 << 20),
        };
        self.enabled.then(|| Converter::new(&config)).transpose()
    }
}

impl Default for AudioConfig {
    fn default() -> Self {
        Self {
            max_minutes: 240,
            ffmpeg: FfmpegConfig::default(),
        }
    }
}

impl AudioConfig {
    /// As the decoder takes it.
    #[must_use]
    pub fn decode_limits(&self) -> DecodeLimits {
        DecodeLimits {
            max_duration: Duration::from_secs(self.max_minutes.saturating_mul(60)),
            ..DecodeLimits::default()
        }
    }
}

/// A tenant's components; a role without one is served by the first-party component.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TenantConfig {
    /// Answers requests.
    pub handler: Option<ComponentConfig>,
    /// Turns files into clips.
    pub decoder: Option<ComponentConfig>,
    /// Cuts clips.
    pub chunker: Option<ComponentConfig>,
    /// Gives segments their speakers.
    pub speaker_assigner: Option<ComponentConfig>,
}

/// A component and its settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComponentConfig {
    /// The `.wasm` file; the first-party component without one.
    #[serde(default)]
    pub path: Option<PathBuf>,
    /// What the component reads through `auricle:runtime/configuration`.
    #[serde(default)]
    pub configuration: BTreeMap<String, String>,
    /// Names of the graphs that it may use through `wasi:nn`: installed models, and those of
    /// `[models.graphs]`. Without any, a component that imports `wasi:nn` is refused.
    #[serde(default)]
    pub nn: BTreeSet<String>,
    /// What one instance may use; those of the role without them.
    #[serde(default)]
    pub limits: Option<InstanceLimits>,
}

/// Everything, resolved.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file, with what flags and variables put in its place.
    pub file: FileConfig,
    /// Where the server keeps its state.
    pub data_dir: PathBuf,
    /// Directories of the models store.
    pub store: StoreDirs,
    /// The model of requests that name none.
    pub default_model: String,
    /// Threads that compute.
    pub workers: usize,
    /// Threads that compute voice activity and the like.
    pub graph_workers: usize,
    /// Where `serve` sends traces.
    pub traces: Option<TraceConfig>,
}

impl Config {
    /// Reads the file and puts flags and variables over it.
    ///
    /// # Errors
    /// When the file cannot be read, has an unknown key or a value out of range.
    pub fn resolve(common: &Common) -> Result<Self> {
        let mut file = match &common.config {
            Some(path) => read(path)?,
            None => FileConfig::default(),
        };
        let data_dir = match &common.data_dir {
            Some(dir) => dir.clone(),
            None => etcetera::choose_base_strategy()
                .context("no home directory: give --data-dir")?
                .data_dir()
                .join("auricle"),
        };
        file.runtime.cache_dir = Some(data_dir.join("components"));
        // This program compiles in a process of its own what tenants send.
        file.runtime.compiler = std::env::current_exe().ok();
        let mut store = StoreDirs::from_env().context("give --models-dir and AURICLE_CACHE_DIR")?;
        if let Some(dir) = common
            .models_dir
            .clone()
            .or_else(|| file.models.dir.clone())
        {
            store.models = dir;
        }
        if store.hub_url.is_none() {
            store.hub_url.clone_from(&file.models.hub_url);
        }
        let default_model = file.models.default.clone();
        let (workers, graph) = (file.models.workers, file.models.graph_workers);
        let mut config = Self {
            file,
            data_dir,
            store,
            default_model: DEFAULT_MODEL.into(),
            workers: 1,
            graph_workers: graph_workers(graph)?,
            traces: None,
        };
        config.set_model(default_model);
        config.set_workers(workers)?;
        Ok(config)
    }

    /// Puts the flags of `serve` over the file.
    ///
    /// # Errors
    /// When a value is out of range.
    pub fn serve(mut self, args: &ServeArgs) -> Result<Self> {
        if !args.listen.is_empty() {
            self.file.server.listen.clone_from(&args.listen);
        }
        self.file.server.admin = self.file.admin.clone();
        if args.admin_listen.is_some() {
            self.file.server.admin.listen = args.admin_listen;
        }
        self.file.server.insecure |= args.insecure;
        self.file.audio.ffmpeg.enabled |= args.ffmpeg;
        self.traces = self.trace_config(args.otlp_endpoint.clone());
        if args.model.is_some() {
            self.set_model(args.model.clone());
        }
        if args.workers.is_some() {
            self.set_workers(args.workers)?;
        }
        Ok(self)
    }

    /// Where traces go: `endpoint`, else the file, else the variable that every exporter knows.
    fn trace_config(&self, endpoint: Option<String>) -> Option<TraceConfig> {
        let telemetry = &self.file.telemetry;
        let endpoint = endpoint
            .or_else(|| telemetry.otlp_endpoint.clone())
            .or_else(|| std::env::var("OTEL_EXPORTER_OTLP_ENDPOINT").ok())
            .filter(|endpoint| !endpoint.is_empty())?;
        Some(TraceConfig {
            endpoint,
            sample_ratio: telemetry.sample_ratio,
        })
    }

    /// Sets the default model: `name`, else `WHISPER_MODEL`, else [`DEFAULT_MODEL`].
    pub fn set_model(&mut self, name: Option<String>) {
        let alias = || {
            std::env::var("WHISPER_MODEL")
                .ok()
                .filter(|name| !name.is_empty())
        };
        self.default_model = name
            .or_else(alias)
            .unwrap_or_else(|| DEFAULT_MODEL.to_owned());
    }

    /// Sets the number of workers; one per core without a number.
    ///
    /// # Errors
    /// When the number is 0 or over 256.
    pub fn set_workers(&mut self, workers: Option<usize>) -> Result<()> {
        let workers = workers.unwrap_or_else(cores);
        if !(1..=256).contains(&workers) {
            bail!("workers must be from 1 to 256");
        }
        self.workers = workers;
        Ok(())
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Threads for graphs: a second of audio costs them about 0.6 ms, so that a few serve any machine.
fn graph_workers(asked: Option<usize>) -> Result<usize> {
    match asked {
        None => Ok(cores().min(16)),
        Some(count) if (1..=64).contains(&count) => Ok(count),
        Some(_) => bail!("graph_workers must be from 1 to 64"),
    }
}

fn read(path: &Path) -> Result<FileConfig> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("the configuration {} cannot be read", path.display()))?;
    toml::from_str(&text)
        .with_context(|| format!("the configuration {} has an error", path.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn an_unknown_key_is_an_error_that_names_it() {
        let error =
            toml::from_str::<FileConfig>("[server.limits]\nmax_boddy_bytes = 1").unwrap_err();
        assert!(error.to_string().contains("max_boddy_bytes"), "{error}");
    }

    #[test]
    fn every_table_of_the_documented_example_is_read() {
        let text = include_str!("../../../docs/auricle.example.toml");
        let config: FileConfig = toml::from_str(text).unwrap();
        assert!(config.tenants.contains_key("acme"));
    }
}
