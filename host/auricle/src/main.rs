//! The `auricle` program.

use std::process::ExitCode;

use auricle_capability::confine;
use auricle_runtime::compile;
use clap::Parser;

fn main() -> ExitCode {
    #[cfg(target_env = "gnu")]
    keep_large_blocks_apart();
    // Neither verbs for people nor ones that read the configuration: see the modules.
    let mut typed = std::env::args_os().skip(1);
    match typed
        .next()
        .and_then(|verb| verb.into_string().ok())
        .as_deref()
    {
        Some(compile::VERB) => {
            let order = typed.next().and_then(|order| order.into_string().ok());
            let order = order.unwrap_or_default();
            std::process::exit(compile::run_compiler(&order, confine::confine_compiler));
        }
        Some(confine::VERB) => std::process::exit(confine::run(typed)),
        _ => {}
    }
    let cli = auricle::args::Cli::parse();
    match auricle::commands::run(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("auricle: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Has the allocator give back what requests held.
///
/// glibc gives large blocks mappings of their own, but counts as large only what is larger than any
/// such block that was freed before. So whisper's working memory comes to lie in heaps that never
/// shrink: 213 MB stayed after 300 requests of `tiny.en`, where 69 MB stay now. Setting the
/// threshold, even to its default, keeps it where it is.
#[cfg(target_env = "gnu")]
#[allow(unsafe_code, reason = "a C function that sets a number")]
fn keep_large_blocks_apart() {
    const LARGE_BYTES: libc::c_int = 128 << 10;
    // SAFETY: it may be called at any time; there is only this thread yet.
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_BYTES) };
}
