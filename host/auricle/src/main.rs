//! The `auricle` program.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = auricle::args::Cli::parse();
    match auricle::commands::run(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("auricle: {error:#}");
            ExitCode::FAILURE
        }
    }
}
