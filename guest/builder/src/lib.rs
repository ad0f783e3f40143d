//! Builds guest crates into WebAssembly components.
//!
//! For build scripts: [`build`] runs cargo on a guest workspace and turns each core module into a
//! component, [`encode_wat`] does the same for hand-written WebAssembly text. Nothing is downloaded
//! beyond what cargo fetches for the guest workspace; a missing compiler target is an error that
//! says what to do, never an attempt to install it.
//!
//! # Layout
//! - [`mod@encode`]: module (or text) to component.
//! - [`toolchain`]: which compiler builds for WebAssembly.
//! - [`test_guests`]: the guests that tests need, in one call.
//!
//! # In a build script
//! ```no_run
//! # fn main() -> Result<(), auricle_guest_builder::BuildError> {
//! use auricle_guest_builder::{GuestBuild, build, write_constants};
//!
//! let components = build(&GuestBuild::for_build_script("../../guest", &["auricle-chunker"])?)?;
//! // In the crate: include!(concat!(env!("OUT_DIR"), "/components.rs")), which has AURICLE_CHUNKER.
//! write_constants(&components, "components.rs")
//! # }
//! ```

mod cargo;
pub mod encode;
pub mod test_guests;
pub mod toolchain;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub use crate::encode::{encode_module, encode_wat};
use crate::toolchain::Toolchain;

/// How a build script ends: an error is told to cargo, which shows it and stops.
///
/// ```no_run
/// use auricle_guest_builder::{finish_script, test_guests};
///
/// fn main() -> std::process::ExitCode {
///     finish_script(test_guests::build_all("../guest"))
/// }
/// ```
#[must_use]
pub fn finish_script(result: Result<(), BuildError>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("cargo:error={error}");
            ExitCode::FAILURE
        }
    }
}

/// What to build, and where to put it.
#[derive(Clone, Debug)]
pub struct GuestBuild {
    /// Folder of the guest workspace's `Cargo.toml`.
    pub workspace: PathBuf,
    /// Packages of that workspace to build; each must have a `cdylib` library target.
    pub packages: Vec<String>,
    /// Examples of packages to build as well; each must be a `cdylib`.
    pub examples: Vec<Examples>,
    /// Where the components are written.
    pub out_dir: PathBuf,
    /// Cargo's target directory for the guest workspace: never the one of the build that calls this,
    /// whose lock is held meanwhile.
    pub target_dir: PathBuf,
}

/// Examples of one package.
#[derive(Clone, Debug, Default)]
pub struct Examples {
    /// The package.
    pub package: String,
    /// The examples' names.
    pub names: Vec<String>,
}

impl GuestBuild {
    /// A build from a build script: `workspace` is relative to the package's folder, components go
    /// to `OUT_DIR`, and the guest workspace's own artifacts are shared by all build scripts in the
    /// target directory's subfolder `guest`.
    ///
    /// # Errors
    /// [`BuildError::NotABuildScript`] when cargo's variables are not set.
    pub fn for_build_script(
        workspace: impl AsRef<Path>,
        packages: &[&str],
    ) -> Result<Self, BuildError> {
        let manifest_dir = build_script_var("CARGO_MANIFEST_DIR")?;
        let out_dir = build_script_var("OUT_DIR")?;
        Ok(Self {
            workspace: manifest_dir.join(workspace),
            packages: packages.iter().map(|&p| p.to_owned()).collect(),
            examples: Vec::new(),
            target_dir: shared_target_dir(&out_dir),
            out_dir,
        })
    }
}

/// A component that was built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuiltComponent {
    /// The package's or example's name.
    pub name: String,
    /// The component.
    pub path: PathBuf,
}

impl BuiltComponent {
    /// The name as a constant: `auricle-chunker` is `AURICLE_CHUNKER`.
    #[must_use]
    pub fn constant_name(&self) -> String {
        self.name.replace('-', "_").to_uppercase()
    }
}

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Called outside of a build script.
    #[error("{variable} is not set: call this from a build script")]
    NotABuildScript {
        /// What cargo would have set.
        variable: &'static str,
    },
    /// No compiler for WebAssembly.
    #[error("the wasm32-unknown-unknown target is missing: run `make setup`")]
    TargetMissing,
    /// The file that names a second compiler is not as it should be.
    #[error(
        "{path}: line {line} is not AURICLE_WASM_RUSTC=, …_LINKER=, …_BUILD_STD= or …_ROUTE=: run `make setup`"
    )]
    ToolchainFile {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// A program could not be started.
    #[error("cannot run {program}: {source}")]
    Spawn {
        /// The program.
        program: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Cargo failed; it has written why.
    #[error("cargo could not build the guests {packages:?} in {workspace}: its output is above")]
    Cargo {
        /// What was to be built.
        packages: Vec<String>,
        /// Where.
        workspace: PathBuf,
    },
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A module does not make a component.
    #[error("{name} does not make a component: {reason}")]
    Encode {
        /// The module.
        name: String,
        /// Why.
        reason: String,
    },
}

/// Builds the packages and examples and encodes each as a component, `NAME.wasm` in the output
/// folder.
///
/// Tells cargo (on standard output) to run the build script again when a guest or a contract changes.
///
/// # Errors
/// [`BuildError`], whose text says what to do.
pub fn build(build: &GuestBuild) -> Result<Vec<BuiltComponent>, BuildError> {
    cargo::watch(&build.workspace)?;
    let toolchain = Toolchain::find()?;
    cargo::run(build, &toolchain)?;
    let libraries = build.target_dir.join(toolchain::TARGET).join("release");
    let examples = libraries.join("examples");
    let packages = build.packages.iter().map(|name| (name, &libraries));
    let names = build.examples.iter().flat_map(|package| &package.names);
    let examples = names.map(|name| (name, &examples));
    packages
        .chain(examples)
        .map(|(name, folder)| {
            let module = read(&folder.join(format!("{}.wasm", name.replace('-', "_"))))?;
            finish(build, name, &encode_module(name, &module)?)
        })
        .collect()
}

/// Writes `FILE_NAME` into `OUT_DIR`: one documented `pub const NAME: &[u8]` for each component, to
/// be included by the crate.
///
/// # Errors
/// [`BuildError::NotABuildScript`] or [`BuildError::File`].
pub fn write_constants(components: &[BuiltComponent], file_name: &str) -> Result<(), BuildError> {
    let mut text = String::new();
    for component in components {
        text.push_str(&format!(
            "/// The component `{}`.\npub const {}: &[u8] = include_bytes!({:?});\n",
            component.name,
            component.constant_name(),
            component.path,
        ));
    }
    write(
        &build_script_var("OUT_DIR")?.join(file_name),
        text.as_bytes(),
    )
}

fn finish(build: &GuestBuild, name: &str, component: &[u8]) -> Result<BuiltComponent, BuildError> {
    let path = build.out_dir.join(format!("{name}.wasm"));
    write(&path, component)?;
    Ok(BuiltComponent {
        name: name.to_owned(),
        path,
    })
}

fn build_script_var(variable: &'static str) -> Result<PathBuf, BuildError> {
    std::env::var_os(variable)
        .map(PathBuf::from)
        .ok_or(BuildError::NotABuildScript { variable })
}

/// `TARGET/guest` for `TARGET/release/build/PACKAGE-HASH/out`.
fn shared_target_dir(out_dir: &Path) -> PathBuf {
    let build = out_dir.ancestors().find(|p| p.ends_with("build"));
    match build.and_then(Path::parent).and_then(Path::parent) {
        Some(target) => target.join("guest"),
        None => out_dir.join("guest"),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, BuildError> {
    std::fs::read(path).map_err(|source| BuildError::File {
        path: path.to_owned(),
        source,
    })
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), BuildError> {
    std::fs::write(path, bytes).map_err(|source| BuildError::File {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn build_scripts_share_one_folder_beside_the_profiles() {
        let out = Path::new("t/release/build/auricle-first-party-0123/out");
        assert_eq!(shared_target_dir(out), Path::new("t/guest"));
        let cross = Path::new("t/x86_64-unknown-linux-gnu/release/build/a-1/out");
        assert_eq!(
            shared_target_dir(cross),
            Path::new("t/x86_64-unknown-linux-gnu/guest")
        );
        assert_eq!(
            shared_target_dir(Path::new("elsewhere")),
            Path::new("elsewhere/guest")
        );
    }
}
