//! Builds the guests that the tests need: those that misbehave, and the example chunker.

use std::process::ExitCode;

fn main() -> ExitCode {
    match auricle_guest_builder::test_guests::build_all("../guest") {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("cargo:error={error}");
            ExitCode::FAILURE
        }
    }
}
