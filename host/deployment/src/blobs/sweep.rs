//! Removing files that no tenant's component needs.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::time::{Duration, SystemTime};

use auricle_tenancy::ComponentDigest;

use super::{Blobs, ENDING, lock};

/// Younger files are left to a later sweep. The lock alone would do, except beside a server of an
/// earlier version on the same directory, which takes no lock.
const FRESH: Duration = Duration::from_secs(600);

/// What temporary files' names begin with (`tempfile`).
const TEMPORARY: &str = ".tmp";

impl Blobs {
    /// Removes those of `names` that are not in what `used` gives. Returns the removed ones.
    ///
    /// # Errors
    /// When the disk fails; those of `used`.
    pub fn remove_unused<E: From<io::Error>>(
        &self,
        names: &[ComponentDigest],
        used: impl FnOnce() -> Result<HashSet<ComponentDigest>, E>,
    ) -> Result<Vec<ComponentDigest>, E> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let _removing = lock::exclusive(&self.dir)?;
        let used = used()?;
        let mut removed = Vec::new();
        for name in names.iter().filter(|name| !used.contains(name)) {
            match fs::remove_file(self.path(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                _ => removed.push(name.clone()),
            }
        }
        Ok(removed)
    }

    /// Removes all components that are not in what `used` gives, and what killed processes left
    /// half-written; files of the last ten minutes stay. Returns the number of files removed.
    ///
    /// # Errors
    /// When the disk fails; those of `used`.
    pub fn sweep<E: From<io::Error>>(
        &self,
        used: impl FnOnce() -> Result<HashSet<ComponentDigest>, E>,
    ) -> Result<usize, E> {
        let _removing = lock::exclusive(&self.dir)?;
        let (used, now) = (used()?, SystemTime::now());
        let mut removed = 0;
        for entry in self.dir.read_dir()? {
            let entry = entry?;
            let name = entry.file_name();
            if !name.to_str().is_some_and(|name| is_unused(name, &used)) {
                continue;
            }
            let written = entry.metadata().and_then(|metadata| metadata.modified());
            let age = written.ok().and_then(|at| now.duration_since(at).ok());
            if age.is_some_and(|age| age > FRESH) {
                fs::remove_file(entry.path())?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

fn is_unused(name: &str, used: &HashSet<ComponentDigest>) -> bool {
    match name.strip_suffix(ENDING) {
        Some(digest) => {
            ComponentDigest::parse(digest).is_some_and(|digest| !used.contains(&digest))
        }
        None => name.starts_with(TEMPORARY),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::path::Path;
    use std::sync::mpsc::channel;

    use super::*;
    use crate::blobs::digest;

    fn put(blobs: &Blobs, bytes: &[u8]) -> ComponentDigest {
        let name = digest(bytes);
        blobs.put(&name, bytes, || io::Result::Ok(())).unwrap();
        name
    }

    fn age(path: &Path) {
        let file = fs::OpenOptions::new().append(true).create(true).open(path);
        let old = SystemTime::now() - FRESH * 2;
        file.unwrap().set_modified(old).unwrap();
    }

    #[test]
    fn a_sweep_leaves_what_is_used_and_what_another_server_is_writing() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path()).unwrap();
        let [used, unused, fresh] =
            [b"used".as_slice(), b"unused", b"fresh"].map(|b| put(&blobs, b));
        age(&blobs.path(&used));
        age(&blobs.path(&unused));
        age(&dir.path().join(".tmpOld"));
        age(&dir.path().join(lock::FILE));
        fs::write(dir.path().join(".tmpNew"), b"half").unwrap();
        // Opening removes nothing: another server may be at work.
        drop(Blobs::open(dir.path()).unwrap());
        let removed = blobs.sweep(|| io::Result::Ok(HashSet::from([used.clone()])));
        assert_eq!(removed.unwrap(), 2);
        let left = [used, fresh].map(|name| blobs.path(&name).exists());
        assert_eq!(left, [true, true]);
        assert!(!blobs.path(&unused).exists());
        assert!(dir.path().join(".tmpNew").exists() && !dir.path().join(".tmpOld").exists());
    }

    #[test]
    fn what_is_being_added_is_not_removed() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (
            Blobs::open(dir.path()).unwrap(),
            Blobs::open(dir.path()).unwrap(),
        );
        let name = digest(b"component");
        let (written, was_written) = channel();
        let (record, may_record) = channel::<()>();
        let rows = std::sync::Mutex::new(HashSet::new());
        std::thread::scope(|scope| {
            let (one, other, name, rows) = (&one, &other, &name, &rows);
            scope.spawn(move || {
                one.put(name, b"component", || {
                    written.send(()).unwrap();
                    may_record.recv().unwrap();
                    rows.lock().unwrap().insert(name.clone());
                    io::Result::Ok(())
                })
                .unwrap();
            });
            was_written.recv().unwrap();
            // The row is not there yet, and the file is: the remover has to wait for it.
            let removes = scope.spawn(move || {
                let used = || io::Result::Ok(rows.lock().unwrap().clone());
                other.remove_unused(std::slice::from_ref(name), used)
            });
            record.send(()).unwrap();
            assert_eq!(removes.join().unwrap().unwrap(), []);
        });
        assert!(one.get(&name).unwrap().is_some());
        let none = || io::Result::Ok(HashSet::new());
        let removed = one
            .remove_unused(std::slice::from_ref(&name), none)
            .unwrap();
        assert!(removed == std::slice::from_ref(&name));
        assert_eq!(one.get(&name).unwrap(), None);
    }
}
