//! Where log lines go: standard error, as text or JSON.

use std::io::IsTerminal;

use anyhow::{Context, Result};
use tracing_subscriber::EnvFilter;

use crate::args::{Common, LogFormat};

/// Starts logging; `default` holds when the command line names no filter.
///
/// # Errors
/// When the filter cannot be read.
pub fn start(common: &Common, default: &str) -> Result<()> {
    let filter = common.log.as_deref().unwrap_or(default);
    let filter = EnvFilter::try_new(filter).context("the log filter cannot be read")?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let started = if common.log_json || common.log_format == LogFormat::Json {
        lines.json().try_init()
    } else {
        lines.try_init()
    };
    started.map_err(|error| anyhow::anyhow!("logging cannot be started: {error}"))
}
