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
    if let Some(address) = server.admin_addr() {
        println!("admin on http://{address}");
    }
    tracing::info!(ready_ms = began.elapsed().as_millis() as u64, "ready");
    let shutdown = CancellationToken::new();
    let signalled = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        tracing::info!("draining; a second signal stops at once");
        signalled.cancel();
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        end_at_once(1);
    });
    let report = server.serve(shutdown).await;
    tracing::info!(
        in_flight = report.in_flight,
        cut_off = report.cut_off,
        "drained"
    );
    if report.cut_off > 0 {
        end_at_once(0);
    }
    Ok(ExitCode::SUCCESS)
}

/// Ends the process with `status`, running nothing of what `exit` runs first.
///
/// The destructors of the C libraries would wait for, or pull the memory from under, a device that
/// still computes: OpenBLAS's hung there now and then.
#[allow(
    unsafe_code,
    reason = "the standard library only ends with destructors"
)]
fn end_at_once(status: libc::c_int) -> ! {
    // SAFETY: it takes a number and does not return.
    unsafe { libc::_exit(status) }
}
