//! A lock that the servers on one directory share (`flock`).

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Name of the file that is locked; nothing is in it.
pub(super) const FILE: &str = "lock";

/// Held while components are added: many may be at once. Ends with the file.
pub(super) fn shared(dir: &Path) -> io::Result<File> {
    let file = open(dir)?;
    file.lock_shared()?;
    Ok(file)
}

/// Held while files are removed: nothing is added meanwhile. Ends with the file.
pub(super) fn exclusive(dir: &Path) -> io::Result<File> {
    let file = open(dir)?;
    file.lock()?;
    Ok(file)
}

/// Each holder has the file open for itself, which is what the system tells them apart by.
fn open(dir: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(dir.join(FILE))
}
