//! `auricle-setup`: fetches what building, testing and serving need, before the server is built.
//!
//! A small binary of its own, so that a fresh machine has its models while the large one is still
//! to be compiled. It does what `auricle models` does and nothing else.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use auricle_models::store::PullOptions;
use auricle_models::{ModelsError, Progress, Store, StoreDirs, progress};
use clap::{Parser, Subcommand};

/// Fetches Auricle's models and libraries.
#[derive(Debug, Parser)]
#[command(name = "auricle-setup", version)]
struct Arguments {
    /// Where models are kept [default: the user's data directory]
    #[arg(long, env = "AURICLE_MODELS_DIR")]
    models_dir: Option<PathBuf>,
    /// Where downloads are kept [default: the user's cache directory]
    #[arg(long, env = "AURICLE_CACHE_DIR")]
    cache_dir: Option<PathBuf>,
    /// A mirror of the model hub
    #[arg(long, env = "AURICLE_HUB_URL")]
    hub_url: Option<String>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Fetch, verify and convert models and files; what is there is left alone
    Pull {
        /// What to pull, as NAME or NAME:QUANTIZATION
        #[arg(required_unless_present = "for_setup")]
        names: Vec<String>,
        /// All that building, testing and serving need
        #[arg(long)]
        for_setup: bool,
        /// The SHA-256 that a hub's file must have
        #[arg(long)]
        sha256: Option<String>,
    },
    /// List what can be pulled and what is installed
    List,
    /// Print where an installed model or file lies
    Path {
        /// Its name
        name: String,
    },
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell when standard error is closed.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let store = Store::open(dirs(arguments)?)?;
    match &arguments.verb {
        Verb::Pull {
            names,
            for_setup,
            sha256,
        } => {
            let progress = progress::to_stderr();
            let options = PullOptions {
                sha256: sha256.as_deref(),
            };
            for name in names {
                pull(&store, name, options, progress.as_ref())?;
            }
            if *for_setup {
                pull_for_setup(&store, progress.as_ref())?;
            }
            Ok(())
        }
        Verb::List => list(&store),
        Verb::Path { name } => {
            let model = store.resolve(name)?;
            let mut out = std::io::stdout().lock();
            writeln!(out, "{}", model.path.display()).context("cannot write to standard output")
        }
    }
}

fn dirs(arguments: &Arguments) -> Result<StoreDirs> {
    let (models, cache) = (arguments.models_dir.clone(), arguments.cache_dir.clone());
    let mut dirs = match (models, cache) {
        (Some(models), Some(cache)) => StoreDirs {
            models,
            cache,
            hub_url: None,
        },
        (models, cache) => {
            let found = StoreDirs::from_env()?;
            StoreDirs {
                models: models.unwrap_or(found.models),
                cache: cache.unwrap_or(found.cache),
                hub_url: found.hub_url,
            }
        }
    };
    dirs.hub_url = arguments.hub_url.clone().or(dirs.hub_url);
    Ok(dirs)
}

fn pull_for_setup(store: &Store, progress: &dyn Progress) -> Result<()> {
    let wanted = store.manifest().for_setup();
    for (name, optional) in wanted {
        match store.pull(name, progress) {
            Ok(_) => {}
            Err(error @ ModelsError::NoClient { .. }) if optional => {
                progress.note(&format!("left out: {error}"));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn pull(
    store: &Store,
    name: &str,
    options: PullOptions<'_>,
    progress: &dyn Progress,
) -> Result<()> {
    let model = store.pull_with(name, options, progress)?;
    progress.note(&format!(
        "{} is installed: {}",
        model.reference,
        model.path.display()
    ));
    Ok(())
}

fn list(store: &Store) -> Result<()> {
    let mut out = std::io::stdout().lock();
    for model in store.list() {
        let variants = model.installed.iter().map(|variant| {
            let megabytes = variant.bytes / 1_000_000;
            format!("{} {megabytes} MB", variant.quantization)
                .trim()
                .to_owned()
        });
        let variants: Vec<_> = variants.collect();
        let installed = if variants.is_empty() {
            "-".to_owned()
        } else {
            variants.join(", ")
        };
        writeln!(
            out,
            "{:26} {:11} {:24} {}",
            model.name, model.kind, installed, model.description
        )
        .context("cannot write to standard output")?;
    }
    Ok(())
}
