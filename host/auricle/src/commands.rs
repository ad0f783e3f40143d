//! What each verb does.

mod admin;
mod audio;
mod audit;
mod component;
mod deploy;
mod diarize;
mod key;
mod models;
mod serve;
mod tenant;
mod transcribe;

use std::process::ExitCode;

use anyhow::Result;

use crate::args::{Cli, Command};
use crate::config::Config;
use crate::logging;

/// Runs what the command line says.
///
/// # Errors
/// What `main` prints before it exits with code 1.
pub fn run(cli: Cli) -> Result<ExitCode> {
    let default_log = match &cli.command {
        Command::Serve(_) => "info,symphonia=warn",
        _ => "warn",
    };
    let mut common = cli.common.clone();
    if matches!(cli.command, Command::Component(_) | Command::Deploy(_)) {
        // A running server has the configuration; what is called --config here is something else.
        common.config = None;
    }
    let mut config = Config::resolve(&common)?;
    if let Command::Serve(args) = &cli.command {
        config = config.serve(args)?;
    }
    let _telemetry = logging::start(&cli.common, default_log, config.traces.as_ref())?;
    match cli.command {
        Command::Serve(_) => {
            let runtime = runtime()?;
            let outcome = runtime.block_on(serve::run(config));
            // What a disk or a process still holds up on a blocking thread is not waited for.
            runtime.shutdown_background();
            outcome
        }
        Command::Transcribe(args) => runtime()?.block_on(transcribe::run(config, args)),
        Command::Diarize(args) => runtime()?.block_on(diarize::run(config, args)),
        Command::Models(command) => models::run(config, command),
        Command::Tenant(args) => tenant::run(&config, &args),
        Command::Key(args) => key::run(&config, &args),
        Command::Audit(args) => audit::run(&config, &args),
        Command::Component(args) => component::run(&args),
        Command::Deploy(args) => deploy::run(&args),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?)
}
