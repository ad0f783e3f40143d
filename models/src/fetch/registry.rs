//! Fetches one file of a package registry through the registry's own client.
//!
//! The client runs as a child process with the user's configuration and only downloads: nothing is
//! installed, and nothing in a package is run (wheels only, no npm scripts). Its temporary files
//! lie in the download cache, where they are counted for the progress bar and removed at the end.
//! Refuses source distributions, because pip runs their build scripts to learn their names.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use crate::error::ModelsError;
use crate::manifest::{Archive, Manifest, Registry};
use crate::progress::Progress;

/// The archive that holds a pip which continues broken downloads.
const PIP_ID: &str = "pip";

/// The first pip that continues a broken download (`--resume-retries`).
const RESUMING_PIP: (u32, u32) = (25, 1);

/// Runs of the client before giving up; it makes several attempts of its own in each.
const ATTEMPTS: u32 = 2;

/// How often a running client's progress is looked at.
const POLL: Duration = Duration::from_millis(200);

/// The Python that wheels are chosen for, whatever the machine's own: one file for all machines.
const WHEEL_PYTHON: [&str; 6] = [
    "--python-version",
    "3.11",
    "--implementation",
    "cp",
    "--abi",
    "cp311",
];

/// The clients of this machine, looked up when first needed.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    pip: OnceLock<Vec<OsString>>,
}

impl Clients {
    /// The words that start pip. An old pip is replaced by the one that `bootstrap` fetches, if it
    /// can be had.
    pub(crate) fn pip(
        &self,
        archive: &Archive,
        bootstrap: &dyn Fn(&Archive) -> Result<PathBuf, ModelsError>,
        manifest: &Manifest,
    ) -> Vec<OsString> {
        let system: Vec<OsString> = ["python3", "-m", "pip"].map(OsString::from).to_vec();
        if archive.registry != Registry::Pypi || archive.id == PIP_ID {
            return system;
        }
        let find = || {
            if pip_version(&system).is_none_or(|version| version >= RESUMING_PIP) {
                return system.clone();
            }
            let newer = manifest.archive(PIP_ID).and_then(bootstrap).map(|wheel| {
                // Python runs a package inside a zip file, which a wheel is.
                vec![OsString::from("python3"), wheel.join("pip").into()]
            });
            match newer {
                Ok(newer) if pip_version(&newer).is_some() => newer,
                _ => system.clone(),
            }
        };
        self.pip.get_or_init(find).clone()
    }
}

/// Downloads an archive to `part`. `pip` starts pip; `downloads` is where temporary files may lie.
pub(crate) fn fetch(
    archive: &Archive,
    pip: &[OsString],
    downloads: &Path,
    part: &Path,
    progress: &dyn Progress,
) -> Result<(), ModelsError> {
    let mut problem = String::new();
    for _ in 0..ATTEMPTS {
        let work = super::scratch_dir(downloads, &format!(".client-{}", archive.file))?;
        progress.begin(&archive.file, Some(archive.bytes));
        let outcome = run(
            command(archive, pip, work.path())?,
            archive,
            work.path(),
            progress,
        );
        progress.end(&archive.file);
        match outcome? {
            Ok(file) => {
                return std::fs::rename(&file, part).map_err(ModelsError::io("rename", &file));
            }
            Err(words) => problem = words,
        }
    }
    Err(ModelsError::Download {
        what: archive.file.clone(),
        problem: format!("{}: {problem}", client_name(archive)),
    })
}

fn client_name(archive: &Archive) -> &'static str {
    match archive.registry {
        Registry::Pypi => "pip",
        Registry::Npm => "npm",
    }
}

fn no_client(archive: &Archive) -> ModelsError {
    ModelsError::NoClient {
        what: archive.package.clone(),
        client: client_name(archive),
        advice: match archive.registry {
            Registry::Pypi => "on Debian: apt-get install python3-pip",
            Registry::Npm => "on Debian: apt-get install npm",
        },
    }
}

fn command(archive: &Archive, pip: &[OsString], work: &Path) -> Result<Command, ModelsError> {
    let (out, temporary) = (work.join("out"), work.join("tmp"));
    super::create_dir(&out)?;
    super::create_dir(&temporary)?;
    let mut command = match archive.registry {
        Registry::Pypi => {
            let (program, first) = pip.split_first().ok_or_else(|| no_client(archive))?;
            let mut command = Command::new(program);
            command.args(first);
            command.args(["download", "--no-deps", "--only-binary=:all:"]);
            command.args(["--no-cache-dir", "--no-input", "--quiet"]);
            command.args(["--progress-bar=off", "--disable-pip-version-check"]);
            match &archive.platform {
                Some(platform) => command.args(WHEEL_PYTHON).args(["--platform", platform]),
                None => command.args(WHEEL_PYTHON.iter().take(2)),
            };
            command.arg("--dest").arg(out);
            command.arg(format!("{}=={}", archive.package, archive.version));
            command
        }
        Registry::Npm => {
            let mut command = Command::new("npm");
            command.args(["pack", "--ignore-scripts", "--silent", "--pack-destination"]);
            command.arg(out);
            command.arg(format!("{}@{}", archive.package, archive.version));
            command
        }
    };
    command.env("TMPDIR", temporary).current_dir(work);
    Ok(command)
}

/// Runs the client; yields the file that it wrote, or its last words.
fn run(
    mut command: Command,
    archive: &Archive,
    work: &Path,
    progress: &dyn Progress,
) -> Result<Result<PathBuf, String>, ModelsError> {
    let log = work.join("log");
    let file = std::fs::File::create(&log).map_err(ModelsError::io("create", &log))?;
    let spawned = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(file)
        .spawn();
    let mut child = spawned.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => no_client(archive),
        _ => ModelsError::io("run", Path::new(client_name(archive)))(error),
    })?;
    let status = loop {
        let polled = child.try_wait();
        match polled.map_err(ModelsError::io("wait for", Path::new(client_name(archive))))? {
            Some(status) => break status,
            None => std::thread::sleep(POLL),
        }
        progress.at(&archive.file, size_below(work).min(archive.bytes));
    };
    let words = std::fs::read_to_string(&log).unwrap_or_default();
    if words.contains("No module named pip") {
        return Err(no_client(archive));
    }
    if !status.success() {
        return Ok(Err(last_words(&words)));
    }
    let out = work.join("out");
    let entries = std::fs::read_dir(&out).map_err(ModelsError::io("read", &out))?;
    let mut files = entries.filter_map(Result::ok).map(|entry| entry.path());
    Ok(files.next().ok_or_else(|| "it wrote no file".to_owned()))
}

/// The last line that says what is wrong, of all that a client printed.
fn last_words(words: &str) -> String {
    let lines = || words.lines().map(str::trim).filter(|line| !line.is_empty());
    let line = lines()
        .rev()
        .find(|line| line.to_lowercase().contains("error"))
        .or_else(|| lines().next_back())
        .unwrap_or("it failed without a word");
    // pip says "no matching distribution" when it has not reached its index either.
    let unreached = ["NewConnectionError", "Retrying (", "ENOTFOUND", "EAI_AGAIN"];
    let offline = unreached.iter().any(|sign| words.contains(sign));
    let why = if offline {
        "the registry was not reached: "
    } else {
        ""
    };
    format!("{why}{}", line.chars().take(400).collect::<String>())
}

/// Bytes in all files below a directory; what vanishes meanwhile is not counted.
fn size_below(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return 0;
    };
    entries
        .filter_map(Result::ok)
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size_below(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}

fn pip_version(pip: &[OsString]) -> Option<(u32, u32)> {
    let (program, first) = pip.split_first()?;
    let mut command = Command::new(program);
    let output = command.args(first).arg("--version").output().ok()?;
    parse_pip_version(&String::from_utf8_lossy(&output.stdout))
}

/// Major and minor of `pip 23.0.1 from …`.
fn parse_pip_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.strip_prefix("pip ")?.split(['.', ' ']);
    let major = numbers.next()?.parse().ok()?;
    Some((
        major,
        numbers.next().and_then(|n| n.parse().ok()).unwrap_or(0),
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

    use super::*;
    use crate::progress::NoProgress;

    #[test]
    fn pips_version_is_read() {
        let debian = "pip 23.0.1 from /usr/lib/python3/dist-packages/pip (python 3.11)";
        assert_eq!(parse_pip_version(debian), Some((23, 0)));
        assert_eq!(parse_pip_version("pip 26 from x"), Some((26, 0)));
        assert_eq!(parse_pip_version("pip 25.1b1 from x"), Some((25, 0)));
        assert_eq!(parse_pip_version("python 3"), None);
    }

    #[test]
    fn a_clients_last_error_is_quoted_and_not_its_last_hint() {
        let words = "WARNING: Retrying\nERROR: no such version\n\nHint: see above\n";
        assert_eq!(last_words(words), "ERROR: no such version");
        assert_eq!(last_words("just this\n"), "just this");
        let offline = "WARNING: Retrying (Retry(total=0\nERROR: No matching distribution\n";
        let said = "the registry was not reached: ERROR: No matching distribution";
        assert_eq!(last_words(offline), said);
        assert_eq!(last_words(""), "it failed without a word");
    }

    /// A client that runs `script`, in which `$out` is where the file belongs.
    fn fake_pip(dir: &Path, script: &str) -> Vec<OsString> {
        let path = dir.join("pip.sh");
        let find_out = r#"while [ "$1" != --dest ]; do shift; done; out="$2""#;
        std::fs::write(&path, format!("{find_out}\n{script}\n")).unwrap();
        vec![OsString::from("sh"), path.into()]
    }

    fn archive() -> Archive {
        let manifest = Manifest::built_in().unwrap();
        manifest.archive("silero-vad").unwrap().clone()
    }

    fn fetch_with(script: &str) -> (tempfile::TempDir, Result<(), ModelsError>) {
        let dir = tempfile::tempdir().unwrap();
        let pip = fake_pip(dir.path(), script);
        let downloads = dir.path().join("downloads");
        std::fs::create_dir(&downloads).unwrap();
        let part = downloads.join("part");
        let fetched = fetch(&archive(), &pip, &downloads, &part, &NoProgress);
        (dir, fetched)
    }

    #[test]
    fn the_file_that_a_client_writes_becomes_the_part_and_nothing_else_stays() {
        let (dir, fetched) = fetch_with(r#"echo wheel > "$out/x.whl""#);
        fetched.unwrap();
        let downloads = dir.path().join("downloads");
        let part = std::fs::read_to_string(downloads.join("part"));
        assert_eq!(part.unwrap(), "wheel\n");
        assert_eq!(std::fs::read_dir(downloads).unwrap().count(), 1);
    }

    #[test]
    fn a_client_that_fails_once_is_run_again() {
        let script = r#"again=../../again
            if [ -e $again ]; then echo ok > "$out/x.whl"; else touch $again; exit 1; fi"#;
        fetch_with(script).1.unwrap();
    }

    #[test]
    fn a_client_that_keeps_failing_is_quoted() {
        let script = "echo 'ERROR: no matching distribution' >&2; exit 1";
        let (dir, fetched) = fetch_with(script);
        let text = fetched.unwrap_err().to_string();
        assert!(text.contains("no matching distribution"), "{text}");
        assert!(text.contains("silero_vad-6.2.3"), "{text}");
        let downloads = dir.path().join("downloads");
        assert_eq!(std::fs::read_dir(downloads).unwrap().count(), 0);
    }

    #[test]
    fn a_missing_client_says_how_to_get_it() {
        let dir = tempfile::tempdir().unwrap();
        let pips = [
            vec![OsString::from("/no/such/python3")],
            fake_pip(
                dir.path(),
                "echo 'python3: No module named pip' >&2; exit 1",
            ),
        ];
        for pip in pips {
            let part = dir.path().join("part");
            let error = fetch(&archive(), &pip, dir.path(), &part, &NoProgress).unwrap_err();
            assert!(matches!(error, ModelsError::NoClient { .. }), "{error}");
            assert!(error.to_string().contains("apt-get install python3-pip"));
        }
    }
}
