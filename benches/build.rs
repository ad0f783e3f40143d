//! Builds the handler whose requests are counted.

use std::process::ExitCode;

use auricle_guest_builder::{BuildError, GuestBuild, build, finish_script};

fn main() -> ExitCode {
    finish_script(run())
}

fn run() -> Result<(), BuildError> {
    let packages = ["auricle-greeting-handler"];
    build(&GuestBuild::for_build_script("../guest", &packages)?).map(drop)
}
