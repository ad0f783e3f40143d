//! Which compiler builds for WebAssembly.
//!
//! Asked in this order: the environment, the compiler of the running build when it has the target
//! (rustup's), and the file that `make setup` writes. Nothing is installed.
//!
//! | name | meaning |
//! |---|---|
//! | `AURICLE_WASM_ROUTE` | `rustup`, or `build-std`: the other three say how (for scripts) |
//! | `AURICLE_WASM_RUSTC` | another compiler |
//! | `AURICLE_WASM_LINKER` | its linker, such as a path of `rust-lld` |
//! | `AURICLE_WASM_BUILD_STD` | crates of the standard library that have to be compiled, because only their source is there, such as `std,panic_abort` |
//!
//! The file has these as `NAME=VALUE` lines. It is `wasm-toolchain.env` in `AURICLE_CACHE_DIR`, or
//! in `auricle` in the user's cache directory.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::BuildError;

/// What guests are built for: no WASI, so that a component imports what its world has and no more.
pub const TARGET: &str = "wasm32-unknown-unknown";

const FILE_NAME: &str = "wasm-toolchain.env";
const ROUTE: &str = "AURICLE_WASM_ROUTE";
const RUSTC: &str = "AURICLE_WASM_RUSTC";
const LINKER: &str = "AURICLE_WASM_LINKER";
const BUILD_STD: &str = "AURICLE_WASM_BUILD_STD";

/// A compiler for WebAssembly.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Toolchain {
    /// The compiler; absent means cargo's own.
    pub rustc: Option<PathBuf>,
    /// The linker; absent means the compiler's own.
    pub linker: Option<PathBuf>,
    /// Crates of the standard library to compile as well.
    pub build_std: Option<String>,
}

impl Toolchain {
    /// Finds one.
    ///
    /// # Errors
    /// [`BuildError::TargetMissing`] when there is none; [`BuildError::ToolchainFile`] or
    /// [`BuildError::File`] when the file cannot be used.
    pub fn find() -> Result<Self, BuildError> {
        for variable in [ROUTE, RUSTC, LINKER, BUILD_STD, "AURICLE_CACHE_DIR"] {
            println!("cargo:rerun-if-env-changed={variable}");
        }
        let given = Self::from_env();
        if given != Self::default() {
            return Ok(given);
        }
        if has_target() {
            return Ok(Self::default());
        }
        match toolchain_file() {
            Some(path) if path.is_file() => {
                println!("cargo:rerun-if-changed={}", path.display());
                let text = std::fs::read_to_string(&path).map_err(|source| BuildError::File {
                    path: path.clone(),
                    source,
                })?;
                Self::parse(&path, &text)
            }
            _ => Err(BuildError::TargetMissing),
        }
    }

    fn from_env() -> Self {
        let value = |name| std::env::var_os(name).filter(|v| !v.is_empty());
        Self {
            rustc: value(RUSTC).map(PathBuf::from),
            linker: value(LINKER).map(PathBuf::from),
            build_std: value(BUILD_STD).and_then(|v| v.into_string().ok()),
        }
    }

    fn parse(path: &Path, text: &str) -> Result<Self, BuildError> {
        let mut toolchain = Self::default();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match line.split_once('=') {
                Some((RUSTC, value)) => toolchain.rustc = Some(value.into()),
                Some((LINKER, value)) => toolchain.linker = Some(value.into()),
                Some((BUILD_STD, value)) => toolchain.build_std = Some(value.to_owned()),
                Some((ROUTE, _)) => {}
                _ => {
                    return Err(BuildError::ToolchainFile {
                        path: path.to_owned(),
                        line: index + 1,
                    });
                }
            }
        }
        if toolchain == Self::default() {
            return Err(BuildError::TargetMissing);
        }
        Ok(toolchain)
    }

    /// Has cargo use this compiler.
    pub fn apply(&self, cargo: &mut Command) {
        if let Some(rustc) = &self.rustc {
            cargo.env("RUSTC", rustc);
        }
        if let Some(linker) = &self.linker {
            cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
        }
        if let Some(crates) = &self.build_std {
            // Compiling the standard library is a nightly feature of cargo's; this variable allows
            // it on a stable release.
            cargo
                .env("RUSTC_BOOTSTRAP", "1")
                .arg(format!("-Zbuild-std={crates}"));
        }
    }
}

/// Whether the compiler of the running build has the target's standard library.
fn has_target() -> bool {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output();
    let Ok(output) = output else {
        return false;
    };
    let folder = String::from_utf8_lossy(&output.stdout);
    output.status.success() && Path::new(folder.trim()).is_dir()
}

fn toolchain_file() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("AURICLE_CACHE_DIR") {
        return Some(Path::new(&folder).join(FILE_NAME));
    }
    let cache = match std::env::var_os("XDG_CACHE_HOME") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(&std::env::var_os("HOME")?).join(".cache"),
    };
    Some(cache.join("auricle").join(FILE_NAME))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_file_names_a_second_compiler() {
        let text = "# written by make setup\n\nAURICLE_WASM_ROUTE=build-std\n\
            AURICLE_WASM_RUSTC=/usr/bin/rustc\nAURICLE_WASM_BUILD_STD=std,panic_abort\n\
            AURICLE_WASM_LINKER=/l/rust-lld\n";
        let toolchain = Toolchain::parse(Path::new("f"), text).unwrap();
        let mut command = Command::new("cargo");
        toolchain.apply(&mut command);
        let envs: Vec<_> = command
            .get_envs()
            .map(|(n, v)| (n.to_str().unwrap(), v.unwrap().to_str().unwrap()))
            .collect();
        assert_eq!(
            envs,
            [
                ("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", "/l/rust-lld"),
                ("RUSTC", "/usr/bin/rustc"),
                ("RUSTC_BOOTSTRAP", "1"),
            ]
        );
        assert!(
            command
                .get_args()
                .any(|a| a == "-Zbuild-std=std,panic_abort")
        );
    }

    #[test]
    fn a_file_of_the_rustup_route_means_that_the_target_has_gone_missing() {
        let error = Toolchain::parse(Path::new("f"), "AURICLE_WASM_ROUTE=rustup\n").unwrap_err();
        assert!(matches!(error, BuildError::TargetMissing));
    }

    #[test]
    fn a_line_that_is_not_understood_is_named() {
        let error = Toolchain::parse(Path::new("f"), "AURICLE_WASM_RUSTC=x\nCC=y\n").unwrap_err();
        assert!(matches!(error, BuildError::ToolchainFile { line: 2, .. }));
    }
}
