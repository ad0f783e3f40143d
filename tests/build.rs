//! Builds the guests that the tests need: those that misbehave, and the example chunker.

use std::process::ExitCode;

use auricle_guest_builder::{finish_script, test_guests};

fn main() -> ExitCode {
    finish_script(test_guests::build_all("../guest"))
}
