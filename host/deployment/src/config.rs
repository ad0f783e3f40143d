//! Numbers of the configuration.

use auricle_runtime::InstanceLimits;
use serde::Deserialize;

/// Limits of an instance, by role.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RoleLimits {
    /// Of a handler.
    pub handler: InstanceLimits,
    /// Of a decoder.
    pub decoder: InstanceLimits,
    /// Of a chunker.
    pub chunker: InstanceLimits,
    /// Of a speaker-assigner.
    pub speaker_assigner: InstanceLimits,
}

/// Tenants' components and how they come to serve.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeploymentConfig {
    /// Components that a tenant may have. Default 100.
    pub max_components_per_tenant: usize,
    /// Seconds without a request after which a tenant's own components leave memory. Default 300.
    pub idle_secs: u64,
    /// Seconds that a revision is watched after it came to serve, and taken back by itself if it
    /// fails. Default 600; 0: never.
    pub watch_secs: u64,
    /// Calls whose outcome must be known before a small difference counts. Default 20.
    pub judge_calls: u64,
    /// How much larger its share of failures may be than that of what it is compared with, 0.0 to
    /// 1.0. Default 0.05.
    pub max_failure_excess: f64,
    /// How many times slower its 95th percentile may be, in successful calls. Default 4.
    pub max_slowdown: f64,
}

impl Default for DeploymentConfig {
    fn default() -> Self {
        Self {
            max_components_per_tenant: 100,
            idle_secs: 300,
            watch_secs: 600,
            judge_calls: 20,
            max_failure_excess: 0.05,
            max_slowdown: 4.0,
        }
    }
}
