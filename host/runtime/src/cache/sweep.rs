//! Removing compiled code that no server needs.

use std::fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::OFlags;

use super::{ComponentCache, OWN_ENDING, TENANT_ENDING};

/// A file that was made or used within this time may be one that another server is about to refer to.
const FRESH: Duration = Duration::from_secs(600);

/// How much later than noted a file must be used to be noted again; well below [`FRESH`].
const COARSE: Duration = Duration::from_secs(300);

/// Code that no server has used for so long is of an earlier build: 30 days.
const UNUSED: Duration = Duration::from_secs(30 * 24 * 3600);

/// What temporary files' names begin with (`tempfile`).
const TEMPORARY: &str = ".tmp";

impl ComponentCache {
    /// Removes tenants' code whose component is not one that `is_used` knows, code that was not used for
    /// 30 days, and what a killed process left half-written. What was used within the last ten minutes
    /// stays: another server may be about to refer to it. Returns the number of files removed.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn sweep(&self, is_used: impl Fn(&str) -> bool) -> io::Result<usize> {
        let now = SystemTime::now();
        let mut removed = 0;
        for entry in self.dir.read_dir()? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(keeps) = name.to_str().and_then(|name| keeps(name, &is_used)) else {
                continue;
            };
            let used = entry.metadata().and_then(|metadata| metadata.modified());
            let unused_for = used.ok().and_then(|used| now.duration_since(used).ok());
            let is_old = unused_for.is_some_and(|time| time > keeps);
            if is_old && fs::remove_file(entry.path()).is_ok() {
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Removes the code of a tenant's component, whenever it was used.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn forget(&self, component: &str) -> io::Result<()> {
        for entry in self.dir.read_dir()? {
            let entry = entry?;
            let name = entry.file_name();
            if name.to_str().and_then(tenant_component) == Some(component) {
                // Another server may have removed it.
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(())
    }
}

/// How long a file of this name stays unused; nothing for files that are not swept.
fn keeps(name: &str, is_used: impl Fn(&str) -> bool) -> Option<Duration> {
    match tenant_component(name) {
        Some(component) if !is_used(component) => Some(FRESH),
        _ if name.ends_with(OWN_ENDING) => Some(UNUSED),
        _ => name.starts_with(TEMPORARY).then_some(FRESH),
    }
}

/// Digest of the tenant's component that a file of this name has the code of.
fn tenant_component(name: &str) -> Option<&str> {
    let (component, _) = name.strip_suffix(TENANT_ENDING)?.split_once('-')?;
    Some(component)
}

/// Notes that a file is in use: its time of change, unless that is of the last minutes.
pub(super) fn note_use(path: &Path) {
    if let Err(error) = try_note_use(path) {
        tracing::debug!(%error, "the use of a compiled component could not be noted");
    }
}

fn try_note_use(path: &Path) -> io::Result<()> {
    let file = fs::OpenOptions::new()
        .write(true)
        .custom_flags(OFlags::NOFOLLOW.bits() as i32)
        .open(path)?;
    let (noted, now) = (file.metadata()?.modified()?, SystemTime::now());
    match now.duration_since(noted) {
        Ok(since) if since < COARSE => Ok(()),
        _ => file.set_modified(now),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::cache::KEY_FILE;

    fn age(path: &Path, age: Duration) {
        let file = fs::OpenOptions::new().append(true).create(true).open(path);
        file.unwrap().set_modified(SystemTime::now() - age).unwrap();
    }

    #[test]
    fn code_is_swept_when_nothing_refers_to_it_and_no_server_uses_it() {
        let dir = tempfile::tempdir().unwrap();
        let cache = ComponentCache::open(&dir.path().join("cache")).unwrap();
        let (hour, years) = (Duration::from_secs(3_600), UNUSED * 20);
        for (name, unused_for) in [
            ("aa-01.tenant.cwasm", hour),
            ("bb-01.tenant.cwasm", hour),
            ("cc-01.tenant.cwasm", Duration::ZERO),
            ("bb-02.tenant.cwasm", years),
            ("dd-01.cwasm", hour),
            ("ee-01.cwasm", years),
            (".tmpAbc", hour),
            (".tmpDef", Duration::ZERO),
            (KEY_FILE, years),
        ] {
            age(&cache.dir.join(name), unused_for);
        }
        assert_eq!(cache.sweep(|component| component == "bb").unwrap(), 4);
        let entries = cache.dir.read_dir().unwrap();
        let mut left: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        let expected = [
            ".tmpDef",
            "bb-01.tenant.cwasm",
            "cc-01.tenant.cwasm",
            "dd-01.cwasm",
            KEY_FILE,
        ];
        assert_eq!(left, expected);
        cache.forget("cc").unwrap();
        assert!(!cache.dir.join("cc-01.tenant.cwasm").exists());
    }

    #[test]
    fn code_in_use_is_noted_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let cache = ComponentCache::open(&dir.path().join("cache")).unwrap();
        let path = cache.dir.join("aa-01.cwasm");
        age(&path, UNUSED * 2);
        note_use(&path);
        assert_eq!(cache.sweep(|_| false).unwrap(), 0);
        let noted = || path.metadata().unwrap().modified().unwrap();
        let before = noted();
        note_use(&path);
        assert_eq!(noted(), before, "the disk is not written with every use");
        age(&path, UNUSED * 2);
        assert_eq!(cache.sweep(|_| false).unwrap(), 1);
    }
}
