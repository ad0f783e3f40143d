//! Runs cargo on the guest workspace, apart from the build that called.
//!
//! The inner cargo must not see the outer one's variables: flags meant for the host would reach the
//! guests, and clippy's wrapper would check them instead of building them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::toolchain::{TARGET, Toolchain};
use crate::{BuildError, GuestBuild};

/// Settings of the user's that stay, by the beginning of their names.
const KEPT: [&str; 6] = [
    "CARGO_HOME",
    "CARGO_HTTP_",
    "CARGO_NET_",
    "CARGO_REGISTRIES_",
    "CARGO_REGISTRY_",
    "CARGO_SOURCE_",
];

/// Vector instructions are part of what every host of ours runs. A heap that is there from the
/// beginning spares the host two changes of memory protection in each short call; the pages that a
/// guest does not touch cost nothing.
const FLAGS: &str = "-C target-feature=+simd128 -C link-arg=--initial-heap=262144";

/// Variables without the prefix `CARGO` or `RUSTC` that cargo sets for a build script.
const OUTER: [&str; 12] = [
    "RUSTFLAGS",
    "RUSTDOCFLAGS",
    "RUSTDOC",
    "TARGET",
    "HOST",
    "NUM_JOBS",
    "OPT_LEVEL",
    "DEBUG",
    "PROFILE",
    "OUT_DIR",
    "MAKEFLAGS",
    "CLIPPY_ARGS",
];

/// Builds the packages as core modules.
pub fn run(build: &GuestBuild, toolchain: &Toolchain) -> Result<(), BuildError> {
    let cargo = std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from);
    let mut command = Command::new(&cargo);
    for (name, _) in std::env::vars_os() {
        if is_outer(&name) {
            command.env_remove(&name);
        }
    }
    command
        .current_dir(&build.workspace)
        .args(["build", "--release", "--locked", "--target", TARGET])
        .arg("--target-dir")
        .arg(&build.target_dir)
        .arg("--lib")
        .args(build.packages.iter().flat_map(|p| ["-p", p]))
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", FLAGS);
    for examples in &build.examples {
        command
            .args(["-p", &examples.package])
            .args(examples.names.iter().flat_map(|e| ["--example", e]));
    }
    toolchain.apply(&mut command);
    // Standard output belongs to the build script's orders to the outer cargo.
    let status = command
        .stdout(std::process::Stdio::null())
        .status()
        .map_err(|source| BuildError::Spawn {
            program: cargo,
            source,
        })?;
    if status.success() {
        return Ok(());
    }
    Err(BuildError::Cargo {
        packages: build.packages.clone(),
        workspace: build.workspace.clone(),
    })
}

fn is_outer(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else {
        return false;
    };
    if KEPT.iter().any(|prefix| name.starts_with(prefix)) {
        return false;
    }
    name.starts_with("CARGO") || name.starts_with("RUSTC") || OUTER.contains(&name)
}

/// Asks the outer cargo to run the build script again when a guest or a contract changes.
///
/// Folder by folder: the workspace's own `target` must not count.
pub fn watch(workspace: &Path) -> Result<(), BuildError> {
    let failed = |source| BuildError::File {
        path: workspace.to_owned(),
        source,
    };
    for entry in std::fs::read_dir(workspace).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if !path.ends_with("target") && !path.ends_with("builder") {
            println!("cargo:rerun-if-changed={}", path.display());
        }
    }
    let contracts = workspace.join("../wit");
    if contracts.is_dir() {
        println!("cargo:rerun-if-changed={}", contracts.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outer_builds_variables_are_dropped_and_the_users_network_settings_kept() {
        for name in [
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_MAKEFLAGS",
            "CARGO_FEATURE_X",
            "CARGO_TARGET_DIR",
            "RUSTC_WORKSPACE_WRAPPER",
            "RUSTC",
            "RUSTFLAGS",
        ] {
            assert!(is_outer(OsStr::new(name)), "{name}");
        }
        for name in [
            "CARGO_HOME",
            "CARGO_NET_OFFLINE",
            "RUSTUP_TOOLCHAIN",
            "PATH",
        ] {
            assert!(!is_outer(OsStr::new(name)), "{name}");
        }
    }
}
