//! `[models.fairness]` of the configuration: how the devices' time is shared.

use std::time::Duration;

use anyhow::{Result, bail};
use auricle_inference::Fairness;
use serde::Deserialize;

/// How the devices' time is shared between tenants, and between live, interactive and batch work.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FairnessConfig {
    /// Seconds of device time of one tenant's jobs before another tenant has its turn, 0.001 to 600.
    /// Default 0.5.
    pub quantum_secs: f64,
    /// Percent of the device time that interactive work gets at least while it waits. Default 20.
    pub min_interactive_percent: u32,
    /// Percent of the device time that batch work gets at least while it waits. Default 10.
    pub min_batch_percent: u32,
    /// Seconds of audio; what is longer is batch. Default 120.
    pub batch_over_secs: u64,
}

impl Default for FairnessConfig {
    fn default() -> Self {
        let shares = Fairness::default();
        Self {
            quantum_secs: shares.quantum.as_secs_f64(),
            min_interactive_percent: shares.interactive_percent,
            min_batch_percent: shares.batch_percent,
            batch_over_secs: 120,
        }
    }
}

impl FairnessConfig {
    /// As a device takes it.
    ///
    /// # Errors
    /// When a number is out of range.
    pub fn shares(&self) -> Result<Fairness> {
        if !(0.001..=600.0).contains(&self.quantum_secs) {
            bail!("quantum_secs of [models.fairness] must be from 0.001 to 600");
        }
        let most = Fairness::MAX_PERCENT;
        for (key, percent) in [
            ("min_interactive_percent", self.min_interactive_percent),
            ("min_batch_percent", self.min_batch_percent),
        ] {
            if !(1..=most).contains(&percent) {
                bail!("{key} of [models.fairness] must be from 1 to {most}");
            }
        }
        Ok(Fairness {
            quantum: Duration::from_secs_f64(self.quantum_secs),
            interactive_percent: self.min_interactive_percent,
            batch_percent: self.min_batch_percent,
        })
    }

    /// Longest audio that anybody waits for.
    #[must_use]
    pub fn batch_over(&self) -> Duration {
        Duration::from_secs(self.batch_over_secs)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn shares(text: &str) -> Result<Fairness> {
        let config: FairnessConfig = toml::from_str(text)?;
        config.shares()
    }

    #[test]
    fn a_share_that_would_starve_somebody_is_refused_by_name() {
        assert_eq!(shares("").unwrap(), Fairness::default());
        for (text, key) in [
            ("quantum_secs = 0", "quantum_secs"),
            ("quantum_secs = nan", "quantum_secs"),
            ("min_batch_percent = 0", "min_batch_percent"),
            ("min_batch_percent = 46", "min_batch_percent"),
            ("min_interactive_percent = 0", "min_interactive_percent"),
        ] {
            let error = shares(text).unwrap_err().to_string();
            assert!(error.contains(key), "{error}");
        }
        assert!(shares("batch_percent = 5").is_err());
    }
}
