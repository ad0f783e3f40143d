//! The verbs of operators, as typed: tenants, keys and the audit log.

use std::time::Duration;

use auricle_tenancy::Scope;
use clap::{Args, Subcommand, ValueEnum};

/// Where the verbs of operators work.
#[derive(Clone, Debug, Args)]
pub struct ClientArgs {
    /// Admin API of a running server, as http://127.0.0.1:8001; a key with scope `admin` is read
    /// from the variable AURICLE_ADMIN_KEY. Default: none, the store in the data directory is read
    /// and written directly, which a server that runs on it notices within a second.
    #[arg(long, global = true, env = "AURICLE_ADMIN_URL", value_name = "URL")]
    pub admin_url: Option<String>,
    /// Print JSON.
    #[arg(long, global = true)]
    pub json: bool,
}

/// `auricle tenant`.
#[derive(Debug, Args)]
pub struct TenantArgs {
    /// Where it works.
    #[command(flatten)]
    pub client: ClientArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: TenantCommand,
}

/// What to do with tenants.
#[derive(Debug, Subcommand)]
pub enum TenantCommand {
    /// Create a tenant.
    Create {
        /// Its name: 1 to 64 of a-z, 0-9, '-' and '_'.
        tenant: String,
        /// What it may use.
        #[command(flatten)]
        quotas: QuotaArgs,
    },
    /// List tenants.
    List,
    /// Show a tenant and its quotas.
    Show {
        /// Its name.
        tenant: String,
    },
    /// Change quotas of a tenant; those that are not named stay.
    Set {
        /// Its name.
        tenant: String,
        /// What it may use.
        #[command(flatten)]
        quotas: QuotaArgs,
    },
    /// Remove a tenant and revoke its keys.
    Remove {
        /// Its name.
        tenant: String,
    },
}

/// Quotas; the word `default` stands for the server's default.
#[derive(Clone, Debug, Args)]
pub struct QuotaArgs {
    /// Requests begun within a minute.
    #[arg(long, value_name = "N")]
    pub requests_per_minute: Option<String>,
    /// Seconds of audio within a minute.
    #[arg(long, value_name = "SECONDS")]
    pub audio_secs_per_minute: Option<String>,
    /// Seconds of measured device time within a minute.
    #[arg(long, value_name = "SECONDS")]
    pub device_secs_per_minute: Option<String>,
    /// Requests at once, WebSockets included.
    #[arg(long, value_name = "N")]
    pub max_requests: Option<String>,
    /// WebSockets at once.
    #[arg(long, value_name = "N")]
    pub max_sessions: Option<String>,
    /// Seconds of audio that wait for the device.
    #[arg(long, value_name = "SECONDS")]
    pub max_queued_audio_secs: Option<String>,
    /// Bytes of audio, tensors and spooled uploads that the host holds.
    #[arg(long, value_name = "BYTES")]
    pub max_host_bytes: Option<String>,
    /// Seconds of processor time of components within a minute.
    #[arg(long, value_name = "SECONDS")]
    pub guest_cpu_secs_per_minute: Option<String>,
    /// Bytes of memory of components.
    #[arg(long, value_name = "BYTES")]
    pub max_guest_memory_bytes: Option<String>,
    /// Bytes of all components that the tenant keeps on the server.
    #[arg(long, value_name = "BYTES")]
    pub max_stored_component_bytes: Option<String>,
    /// Revisions that are kept of each role.
    #[arg(long, value_name = "N")]
    pub max_revisions: Option<String>,
    /// Changes of components and deployments within a minute.
    #[arg(long, value_name = "N")]
    pub deploy_acts_per_minute: Option<String>,
    /// Seconds of processor time for compiling components within a minute.
    #[arg(long, value_name = "SECONDS")]
    pub compile_secs_per_minute: Option<String>,
    /// Models, with commas between them; an empty text allows none.
    #[arg(long, value_name = "NAMES")]
    pub models: Option<String>,
    /// Graphs for components, with commas between them; an empty text allows none.
    #[arg(long, value_name = "NAMES")]
    pub graphs: Option<String>,
}

/// `auricle key`.
#[derive(Debug, Args)]
pub struct KeyArgs {
    /// Where it works.
    #[command(flatten)]
    pub client: ClientArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: KeyCommand,
}

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Create a key and print it; it is not shown again. From the first key on a server asks for
    /// keys.
    Create {
        /// Who holds it. Default: `default`; nobody with scope `admin`.
        #[arg(long, value_name = "TENANT")]
        tenant: Option<String>,
        /// What people call it.
        #[arg(long, default_value = "")]
        name: String,
        /// What it may do; may be given several times.
        #[arg(long = "scope", value_enum, default_value = "transcribe")]
        scopes: Vec<ScopeArg>,
        /// When it ends, as 90d, 12h, 30m or 45s from now. Default: never.
        #[arg(long, value_name = "TIME", value_parser = time)]
        expires: Option<Duration>,
    },
    /// List keys.
    List {
        /// Of one tenant.
        #[arg(long, value_name = "TENANT")]
        tenant: Option<String>,
    },
    /// Revoke a key.
    Revoke {
        /// Its id: what stands between sk- and the next '-'.
        id: String,
    },
    /// Create a key like another one and have that one end.
    Rotate {
        /// Id of the key that is replaced.
        id: String,
        /// How long both are good, as 24h or 7d; 0s ends the old one at once.
        #[arg(long, value_name = "TIME", value_parser = time, default_value = "24h")]
        overlap: Duration,
        /// When the new one ends. Default: after as long a life as the old one was given.
        #[arg(long, value_name = "TIME", value_parser = time)]
        expires: Option<Duration>,
    },
}

/// `auricle audit`.
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// Where it works.
    #[command(flatten)]
    pub client: ClientArgs,
    /// What is about one tenant.
    #[arg(long, value_name = "TENANT")]
    pub tenant: Option<String>,
    /// Acts at most.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
}

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ScopeArg {
    /// Use the API.
    Transcribe,
    /// Change the tenant's own deployments.
    Deploy,
    /// Administer the server; stands alone.
    Admin,
}

impl From<ScopeArg> for Scope {
    fn from(scope: ScopeArg) -> Self {
        match scope {
            ScopeArg::Transcribe => Self::Transcribe,
            ScopeArg::Deploy => Self::Deploy,
            ScopeArg::Admin => Self::Admin,
        }
    }
}

fn time(text: &str) -> Result<Duration, String> {
    let advice = || "must be a number and s, m, h or d, as in 24h".to_owned();
    let unit_secs = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3600,
        Some('d') => 24 * 3600,
        _ => return Err(advice()),
    };
    let count: u64 = text
        .get(..text.len() - 1)
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(advice)?;
    let secs = count.checked_mul(unit_secs).ok_or_else(advice)?;
    Ok(Duration::from_secs(secs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit() {
        assert_eq!(time("24h"), Ok(Duration::from_secs(86_400)));
        assert_eq!(time("90d"), Ok(Duration::from_secs(90 * 86_400)));
        assert_eq!(time("0s"), Ok(Duration::ZERO));
        for text in [
            "",
            "h",
            "24",
            "-1h",
            "1.5h",
            "1w",
            "99999999999999999999d",
            "1ü",
        ] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
