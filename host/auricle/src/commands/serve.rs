//! `auricle serve`.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::assemble::Server;
use crate::config::Config;

/// Serves until SIGTERM or SIGINT, then drains; a second signal ends the process at once.
pub(super) async fn run(config: Config) -> Result<ExitCode> {
    let began = Instant::now();
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let server = Server::start(config).await?;
    for address in server.addrs() {
        // Scripts read these lines: they tell the port that 0 became.
        println!("listening on http://{address}");
    }
    tracing::info!(ready_ms = began.elapsed().as_millis() as u64, "ready");
    let shutdown = CancellationToken::new();
    let signalled = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        tracing::info!("draining; a second signal stops at once");
        signalled.cancel();
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        std::process::exit(1);
    });
    let report = server.serve(shutdown).await;
    tracing::info!(
        in_flight = report.in_flight,
        cut_off = report.cut_off,
        "drained"
    );
    Ok(ExitCode::SUCCESS)
}
