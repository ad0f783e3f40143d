//! Builds the handler whose requests are counted.

use std::process::ExitCode;

use auricle_guest_builder::{BuildError, GuestBuild, build};

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
    let packages = ["auricle-greeting-handler"];
    build(&GuestBuild::for_build_script("../guest", &packages)?).map(drop)
}
