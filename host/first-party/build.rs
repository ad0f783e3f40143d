//! Builds the first-party components from `guest/`.

use std::process::ExitCode;

use auricle_guest_builder::{BuildError, GuestBuild, build, finish_script, write_constants};

const PACKAGES: [&str; 4] = [
    "auricle-handler",
    "auricle-decoder",
    "auricle-chunker",
    "auricle-speaker-assigner",
];

fn main() -> ExitCode {
    finish_script(run())
}

fn run() -> Result<(), BuildError> {
    let components = build(&GuestBuild::for_build_script("../../guest", &PACKAGES)?)?;
    write_constants(&components, "components.rs")
}
