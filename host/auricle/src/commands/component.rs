//! `auricle component`: for authors of components.
//!
//! Both verbs work on files alone; neither asks a server or reads its state.

mod project;
mod template;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use auricle_guest_builder::encode_module;

use crate::args::{ComponentCommand, EncodeArgs, NewArgs};

/// Begins a component's project, or makes a component of a module.
pub(super) fn run(command: &ComponentCommand) -> Result<ExitCode> {
    match command {
        ComponentCommand::New(args) => new(args)?,
        ComponentCommand::Encode(args) => encode(args)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn new(args: &NewArgs) -> Result<()> {
    let files = template::files(args.lang, args.role, &args.name)?;
    project::write(Path::new(&args.name), &files)?;
    println!("wrote {name}/: read {name}/README.md", name = args.name);
    println!("build it: {}/build.sh", args.name);
    Ok(())
}

fn encode(args: &EncodeArgs) -> Result<()> {
    let module = std::fs::read(&args.module)
        .with_context(|| format!("{} cannot be read", args.module.display()))?;
    let component = encode_module(&args.module.display().to_string(), &module)?;
    std::fs::write(&args.output, component)
        .with_context(|| format!("{} cannot be written", args.output.display()))
}
