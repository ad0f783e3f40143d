//! Builds the first-party components from `guest/`.

use std::process::ExitCode;

use auricle_guest_builder::{BuildError, GuestBuild, build, write_constants};

const PACKAGES: [&str; 4] = [
    "auricle-handler",
    "auricle-decoder",
    "auricle-chunker",
    "auricle-speaker-assigner",
];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("cargo:error={error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), BuildError> {
    let components = build(&GuestBuild::for_build_script("../../guest", &PACKAGES)?)?;
    write_constants(&components, "components.rs")
}
