//! Where log lines go (standard error, as text or JSON), and traces, where a collector is configured.

mod text;

use std::io::IsTerminal;

use anyhow::{Context, Result};
use auricle_telemetry::traces::{TraceConfig, Traces};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::args::{Common, LogFormat};

/// Sends the last traces when it is dropped.
#[derive(Debug)]
pub struct Telemetry(Option<Traces>);

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(traces) = &self.0 {
            traces.stop();
        }
    }
}

/// Starts logging, and tracing where `traces` says where to. `default` holds when the command line
/// names no filter.
///
/// # Errors
/// When the filter cannot be read or the collector's address cannot be used.
pub fn start(common: &Common, default: &str, traces: Option<&TraceConfig>) -> Result<Telemetry> {
    let filter = common.log.as_deref().unwrap_or(default);
    let filter = EnvFilter::try_new(filter).context("the log filter cannot be read")?;
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let lines = match common.log_json || common.log_format == LogFormat::Json {
        true => lines.json().with_filter(filter).boxed(),
        false => lines
            .fmt_fields(text::EscapedFields)
            .with_filter(filter)
            .boxed(),
    };
    let traces = traces.map(Traces::start).transpose()?;
    tracing_subscriber::registry()
        .with(lines)
        .with(traces.as_ref().map(Traces::layer))
        .try_init()
        .context("logging cannot be started")?;
    Ok(Telemetry(traces))
}
