//! `auricle models`.

use std::process::ExitCode;

use anyhow::{Context, Result};
use auricle_models::progress;
use auricle_models::store::{PullOptions, Store};

use crate::args::ModelsCommand;
use crate::config::Config;

/// Lists, pulls, imports or removes models.
pub(super) fn run(mut config: Config, command: ModelsCommand) -> Result<ExitCode> {
    match command {
        ModelsCommand::List { json } => list(&Store::open(config.store)?, json)?,
        ModelsCommand::Pull {
            names,
            sha256,
            hub_url,
        } => {
            if hub_url.is_some() {
                config.store.hub_url = hub_url;
            }
            let store = Store::open(config.store)?;
            let progress = progress::to_stderr();
            let options = PullOptions {
                sha256: sha256.as_deref(),
            };
            for name in &names {
                let model = store.pull_with(name, options, progress.as_ref())?;
                println!(
                    "{} {} {}",
                    model.reference,
                    model.sha256,
                    model.path.display()
                );
            }
        }
        ModelsCommand::Import {
            path,
            name,
            quantize,
            vocabulary,
        } => {
            let quantize = quantize
                .map(|text| text.parse())
                .transpose()
                .context("--quantize")?;
            let store = Store::open(config.store)?;
            let model = store.import(&path, &name, quantize, vocabulary.as_deref())?;
            println!(
                "{} {} {}",
                model.reference,
                model.sha256,
                model.path.display()
            );
        }
        ModelsCommand::Remove { name } => {
            Store::open(config.store)?.remove(&name)?;
            println!("removed {name}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(store: &Store, json: bool) -> Result<()> {
    let models = store.list();
    if json {
        println!("{}", serde_json::to_string_pretty(&models)?);
        return Ok(());
    }
    println!(
        "{:<20} {:<30} {:<10} LICENCE",
        "NAME", "INSTALLED", "DEFAULT"
    );
    for model in models {
        let installed: Vec<String> = model
            .installed
            .iter()
            .map(|variant| {
                let megabytes = variant.bytes.div_ceil(1_000_000);
                format!("{} {megabytes} MB", variant.quantization)
                    .trim()
                    .to_owned()
            })
            .collect();
        let installed = if installed.is_empty() {
            "-".to_owned()
        } else {
            installed.join(", ")
        };
        let default = &model.default_quantization;
        println!(
            "{:<20} {installed:<30} {default:<10} {}",
            model.name, model.license
        );
    }
    Ok(())
}
