//! Where the `auricle` program is, and how it is run without leaving anything behind.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::SystemTime;

/// The program under test: `AURICLE_BIN`, else the one beside this executable.
///
/// Cargo has no stable way to say that a test needs another package's program, so `make test`
/// builds it first. A program that is older than its sources would test the wrong code: cargo's
/// own list of its sources says so.
pub fn auricle() -> &'static Path {
    static PROGRAM: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match PROGRAM.get_or_init(find) {
        Ok(path) => path,
        Err(problem) => panic!("{problem}"),
    }
}

fn find() -> Result<PathBuf, String> {
    if let Some(path) = std::env::var_os("AURICLE_BIN") {
        return Ok(path.into());
    }
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let dir = this.parent().and_then(Path::parent).ok_or("no directory")?;
    let program = dir.join("auricle");
    let built = modified(&program)
        .ok_or_else(|| format!("{} is missing: run `make test`", program.display()))?;
    let sources = std::fs::read_to_string(dir.join("auricle.d")).unwrap_or_default();
    let sources = sources.split_ascii_whitespace().skip(1).map(Path::new);
    match sources.into_iter().find_map(|source| newer(source, built)) {
        Some(source) => {
            let (program, source) = (program.display(), source.display());
            Err(format!("{program} is older than {source}: run `make test`"))
        }
        None => Ok(program),
    }
}

/// `path`, or a file below it, if it was changed after `built`.
fn newer(path: &Path, built: SystemTime) -> Option<PathBuf> {
    if path.is_file() {
        return modified(path)
            .is_some_and(|time| time > built)
            .then(|| path.to_owned());
    }
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .find_map(|path| newer(&path, built))
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().ok()?.modified().ok()
}

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// A directory of the suite's own under `target/`; compiled components are kept there between runs.
pub fn scratch() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// The program with an environment that holds none of the user's settings but where models are.
pub fn command() -> Command {
    unset(Command::new(auricle()))
}

/// A program with that environment.
pub fn unset(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        let kept = ["AURICLE_MODELS_DIR", "AURICLE_CACHE_DIR"].contains(&name.as_str());
        if (name.starts_with("AURICLE_") && !kept) || name == "WHISPER_MODEL" {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// A process that ends when this is dropped, and also when the test process ends in any way.
///
/// A shell waits on a pipe whose other end only this process holds, and kills when that closes. A
/// parent-death signal would do without the shell, but it is sent when the *thread* that started
/// the process ends, and tests are threads.
pub struct Kept {
    pub child: Child,
    guard: Child,
}

impl Kept {
    pub fn spawn(command: &mut Command) -> Self {
        let child = command.spawn().expect("the program starts");
        let guard = Command::new("sh")
            .args([
                "-c",
                "read -r _; kill -KILL \"$0\"",
                &child.id().to_string(),
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh starts");
        Self { child, guard }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // The guard first: the process's number may be another's as soon as it has been waited for.
        let _ = self.guard.kill();
        let _ = self.guard.wait();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
