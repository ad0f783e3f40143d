//! Guests for the tests: misbehaving ones, ones built for older contracts, and the examples.
//!
//! A test crate has this build script:
//! ```no_run
//! # fn main() -> Result<(), auricle_guest_builder::BuildError> {
//! auricle_guest_builder::test_guests::build_all("../guest")
//! # }
//! ```
//! and includes `concat!(env!("OUT_DIR"), "/guests.rs")`, which has a constant with the bytes of
//! each component: `AURICLE_FIXED_CHUNKER` and the other examples, `WRONG_WORLD`, those of
//! `guest/hostile/wat` (`CHUNKER_TABLE`, …) and one for each file of `guest/hostile/misdeeds`
//! (`CHUNKER_SPINS`, `HANDLER_WAITS`, …), and `V0_1_HANDLER` and the others of `guest/v0_1`. What each does, and which configuration it reads, stands at
//! its head.

use std::path::Path;

use crate::{
    BuildError, BuiltComponent, Examples, GuestBuild, build, encode_wat, finish, write_constants,
};

/// The packages of the examples.
const EXAMPLES: &[&str] = &[
    "auricle-fixed-chunker",
    "auricle-glossary-assigner",
    "auricle-greeting-handler",
    "auricle-nn-label-assigner",
    "auricle-nn-voice-chunker",
    "auricle-redacting-handler",
];

/// Components built from version 0.1.0 of the contracts, one of each role: `guest/v0_1`.
const V0_1: [&str; 4] = [
    "v0-1-handler",
    "v0-1-chunker",
    "v0-1-assigner",
    "v0-1-decoder",
];

/// Builds all test guests and writes `guests.rs`. `workspace` is the guest workspace, relative to the
/// folder of the package whose build script calls this.
///
/// # Errors
/// [`BuildError`], whose text says what to do.
pub fn build_all(workspace: impl AsRef<Path>) -> Result<(), BuildError> {
    let mut plan = GuestBuild::for_build_script(workspace, EXAMPLES)?;
    let hostile = Examples {
        package: "auricle-hostile".to_owned(),
        names: misdeeds(&plan.workspace)?,
    };
    let old = Examples {
        package: "auricle-v0-1".to_owned(),
        names: V0_1.map(str::to_owned).to_vec(),
    };
    plan.examples = vec![hostile, old];
    let mut components = build(&plan)?;
    components.extend(written_by_hand(&plan)?);
    write_constants(&components, "guests.rs")
}

/// The names of the misdeeds, in order.
fn misdeeds(workspace: &Path) -> Result<Vec<String>, BuildError> {
    let folder = workspace.join("hostile/misdeeds");
    let failed = |source| BuildError::File {
        path: folder.clone(),
        source,
    };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if let Some(name) = path.file_stem().and_then(|n| n.to_str()) {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn written_by_hand(plan: &GuestBuild) -> Result<Vec<BuiltComponent>, BuildError> {
    let text = |name: &str| {
        let path = plan.workspace.join("hostile/wat").join(name);
        std::fs::read_to_string(&path).map_err(|source| BuildError::File { path, source })
    };
    let contracts = plan.workspace.join("../wit");
    let packages = PACKAGES.map(|package| contracts.join(package));
    let mut components = Vec::new();
    for name in CHUNKERS {
        let chunker = text(&format!("{name}.wat"))?;
        let chunker = encode_wat(name, &chunker, &packages, "auricle:pipeline/chunker-role")?;
        components.push(finish(plan, name, &chunker)?);
    }
    for (name, world) in OTHERS {
        let own = plan.workspace.join(format!("hostile/wat/{name}.wit"));
        let packages: Vec<_> = packages.iter().cloned().chain([own]).collect();
        let other = encode_wat(name, &text(&format!("{name}.wat"))?, &packages, world)?;
        components.push(finish(plan, name, &other)?);
    }
    Ok(components)
}

/// Chunkers that only WebAssembly text can express.
const CHUNKERS: [&str; 5] = [
    "chunker-after",
    "chunker-dives",
    "chunker-lowers",
    "chunker-starts",
    "chunker-table",
];

/// Components of worlds of their own, and the worlds.
const OTHERS: [(&str, &str); 2] = [
    ("chunker-exits", "hostile:exits/exits"),
    ("wrong-world", "hostile:other/other"),
];

/// Auricle's contracts in `wit/`, each after those that it depends on.
pub const PACKAGES: [&str; 12] = [
    "deps/io.wit",
    "deps/clocks.wit",
    "deps/random.wit",
    "deps/filesystem.wit",
    "deps/sockets.wit",
    "deps/cli.wit",
    "deps/http.wit",
    "auricle-runtime",
    "auricle-audio",
    "auricle-speech",
    "auricle-http",
    "auricle-pipeline",
];
