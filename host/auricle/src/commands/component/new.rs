//! The verbs of `auricle component` that work on files alone, before there is anything to deploy.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use auricle_guest_builder::encode_module;

use super::{project, template};
use crate::args::{EncodeArgs, NewArgs};

/// Writes a component's project.
pub(super) fn begin(args: &NewArgs) -> Result<ExitCode> {
    let files = template::files(args.lang, args.role, &args.name)?;
    project::write(Path::new(&args.name), &files)?;
    println!("wrote {name}/: read {name}/README.md", name = args.name);
    println!("build it: {}/build.sh", args.name);
    Ok(ExitCode::SUCCESS)
}

/// Makes a component of a core module.
pub(super) fn encode(args: &EncodeArgs) -> Result<ExitCode> {
    let module = std::fs::read(&args.module)
        .with_context(|| format!("{} cannot be read", args.module.display()))?;
    let component = encode_module(&args.module.display().to_string(), &module)?;
    std::fs::write(&args.output, component)
        .with_context(|| format!("{} cannot be written", args.output.display()))?;
    Ok(ExitCode::SUCCESS)
}
