//! What a tenant may use at most.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Longest list of models or graphs.
const MAX_NAMES: usize = 1_000;

/// Longest name of a model or graph, in bytes.
const MAX_NAME_BYTES: usize = 200;

/// What a tenant may use at most. A field that is not set means the server's default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quotas {
    /// Requests begun within a minute, WebSockets included.
    pub requests_per_minute: Option<u32>,
    /// Seconds of audio given to the models within a minute. A longer file is taken when nothing
    /// has been used, and paid for in the minutes after it.
    pub audio_secs_per_minute: Option<u32>,
    /// Seconds of measured device time within a minute, over all devices. Work that has begun may
    /// overdraw it, which is paid for in the minutes after it.
    pub device_secs_per_minute: Option<u32>,
    /// Requests at once, WebSockets included.
    pub max_requests: Option<u32>,
    /// WebSockets at once.
    pub max_sessions: Option<u32>,
    /// Seconds of audio that wait for the device.
    pub max_queued_audio_secs: Option<u32>,
    /// Bytes of clips, recordings, tensors and spooled uploads that the host holds, over all running
    /// requests.
    pub max_host_bytes: Option<u64>,
    /// Seconds of processor time of its components within a minute, of all roles. What has begun may
    /// overdraw it by another minute's worth, which is paid for in the minutes after it.
    pub guest_cpu_secs_per_minute: Option<u32>,
    /// Bytes of linear memory of its components, over all running instances of all roles.
    pub max_guest_memory_bytes: Option<u64>,
    /// Bytes of all components that it keeps on the server.
    pub max_stored_component_bytes: Option<u64>,
    /// Revisions that are kept of each role; older ones that nothing refers to are removed.
    pub max_revisions: Option<u32>,
    /// Changes of its components and deployments that it may begin within a minute.
    pub deploy_acts_per_minute: Option<u32>,
    /// Seconds of processor time for compiling its components within a minute. A compilation that has
    /// begun may overdraw it, which is paid for in the minutes after it.
    pub compile_secs_per_minute: Option<u32>,
    /// Models, as `NAME` (with every quantization) or `NAME:QUANTIZATION`. An empty list: none.
    pub models: Option<BTreeSet<String>>,
    /// Graphs that components may use through `wasi:nn`, of those that their deployments are
    /// granted. An empty list: none.
    pub graphs: Option<BTreeSet<String>>,
}

/// A quota that cannot be meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{field}' {advice}")]
pub struct InvalidQuota {
    /// The field.
    pub field: &'static str,
    /// What to write instead.
    pub advice: &'static str,
}

impl Quotas {
    /// Refuses numbers of 0 (a tenant that may do nothing has no key) and names without end.
    ///
    /// # Errors
    /// [`InvalidQuota`] names the first field that cannot be meant.
    pub fn check(&self) -> Result<(), InvalidQuota> {
        let numbers = [
            (
                "requests_per_minute",
                self.requests_per_minute.map(u64::from),
            ),
            (
                "audio_secs_per_minute",
                self.audio_secs_per_minute.map(u64::from),
            ),
            (
                "device_secs_per_minute",
                self.device_secs_per_minute.map(u64::from),
            ),
            ("max_requests", self.max_requests.map(u64::from)),
            ("max_sessions", self.max_sessions.map(u64::from)),
            (
                "max_queued_audio_secs",
                self.max_queued_audio_secs.map(u64::from),
            ),
            ("max_host_bytes", self.max_host_bytes),
            (
                "guest_cpu_secs_per_minute",
                self.guest_cpu_secs_per_minute.map(u64::from),
            ),
            ("max_guest_memory_bytes", self.max_guest_memory_bytes),
            (
                "max_stored_component_bytes",
                self.max_stored_component_bytes,
            ),
            ("max_revisions", self.max_revisions.map(u64::from)),
            (
                "deploy_acts_per_minute",
                self.deploy_acts_per_minute.map(u64::from),
            ),
            (
                "compile_secs_per_minute",
                self.compile_secs_per_minute.map(u64::from),
            ),
        ];
        if let Some((field, _)) = numbers.into_iter().find(|(_, value)| *value == Some(0)) {
            let advice = "must be at least 1; to shut a tenant out, revoke its keys";
            return Err(InvalidQuota { field, advice });
        }
        for (field, names) in [("models", &self.models), ("graphs", &self.graphs)] {
            let fits = |name: &String| !name.is_empty() && name.len() <= MAX_NAME_BYTES;
            let sound =
                |names: &BTreeSet<String>| names.len() <= MAX_NAMES && names.iter().all(fits);
            if !names.as_ref().is_none_or(sound) {
                let advice = "must be at most 1000 names of 1 to 200 bytes";
                return Err(InvalidQuota { field, advice });
            }
        }
        Ok(())
    }

    /// These quotas, and `defaults` for what they leave open.
    #[must_use]
    pub fn or(self, defaults: &Self) -> Self {
        Self {
            requests_per_minute: self.requests_per_minute.or(defaults.requests_per_minute),
            audio_secs_per_minute: self
                .audio_secs_per_minute
                .or(defaults.audio_secs_per_minute),
            device_secs_per_minute: self
                .device_secs_per_minute
                .or(defaults.device_secs_per_minute),
            max_requests: self.max_requests.or(defaults.max_requests),
            max_sessions: self.max_sessions.or(defaults.max_sessions),
            max_queued_audio_secs: self
                .max_queued_audio_secs
                .or(defaults.max_queued_audio_secs),
            max_host_bytes: self.max_host_bytes.or(defaults.max_host_bytes),
            guest_cpu_secs_per_minute: self
                .guest_cpu_secs_per_minute
                .or(defaults.guest_cpu_secs_per_minute),
            max_guest_memory_bytes: self
                .max_guest_memory_bytes
                .or(defaults.max_guest_memory_bytes),
            max_stored_component_bytes: self
                .max_stored_component_bytes
                .or(defaults.max_stored_component_bytes),
            max_revisions: self.max_revisions.or(defaults.max_revisions),
            deploy_acts_per_minute: self
                .deploy_acts_per_minute
                .or(defaults.deploy_acts_per_minute),
            compile_secs_per_minute: self
                .compile_secs_per_minute
                .or(defaults.compile_secs_per_minute),
            models: self.models.or_else(|| defaults.models.clone()),
            graphs: self.graphs.or_else(|| defaults.graphs.clone()),
        }
    }

    /// What holds where neither a tenant nor the configuration says otherwise: of deploying, which fills
    /// disks and processors without a limit.
    #[must_use]
    pub fn built_in() -> Self {
        Self {
            max_stored_component_bytes: Some(1 << 30),
            max_revisions: Some(50),
            deploy_acts_per_minute: Some(60),
            compile_secs_per_minute: Some(120),
            ..Self::default()
        }
    }

    /// Whether the model `name`, with or without a quantization, may be used.
    #[must_use]
    pub fn allows_model(&self, name: &str) -> bool {
        let base = name.split_once(':').map_or(name, |(base, _)| base);
        self.models
            .as_ref()
            .is_none_or(|names| names.contains(name) || names.contains(base))
    }

    /// Whether the graph `name` may be used.
    #[must_use]
    pub fn allows_graph(&self, name: &str) -> bool {
        self.graphs
            .as_ref()
            .is_none_or(|names| names.contains(name))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn names(list: &[&str]) -> Option<BTreeSet<String>> {
        Some(list.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn a_list_allows_what_it_names_and_an_empty_one_nothing() {
        let all = Quotas::default();
        assert!(all.allows_model("base") && all.allows_graph("silero-vad"));
        let some = Quotas {
            models: names(&["base", "tiny:q5_1"]),
            graphs: names(&[]),
            ..Quotas::default()
        };
        assert!(some.allows_model("base") && some.allows_model("base:q8_0"));
        assert!(some.allows_model("tiny:q5_1") && !some.allows_model("tiny"));
        assert!(!some.allows_model("large") && !some.allows_graph("silero-vad"));
    }

    #[test]
    fn own_numbers_win_over_defaults() {
        let own = Quotas {
            max_requests: Some(2),
            ..Quotas::default()
        };
        let defaults = Quotas {
            max_requests: Some(9),
            max_sessions: Some(3),
            ..Quotas::default()
        };
        let both = own.or(&defaults);
        assert_eq!((both.max_requests, both.max_sessions), (Some(2), Some(3)));
    }

    #[test]
    fn a_quota_of_nothing_is_refused_by_name() {
        let zero = Quotas {
            max_sessions: Some(0),
            ..Quotas::default()
        };
        assert_eq!(zero.check().unwrap_err().field, "max_sessions");
        let empty = Quotas {
            models: names(&[""]),
            ..Quotas::default()
        };
        assert_eq!(empty.check().unwrap_err().field, "models");
        Quotas::default().check().unwrap();
    }
}
