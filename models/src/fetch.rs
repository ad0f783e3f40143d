//! Fetches archives and hub files into a download cache that all clones of one user share.
//!
//! The cache outlives every process; a file in it under its own name has been verified once, and
//! is verified again whenever it is used, so a damaged one is noticed and fetched anew. While a
//! file is fetched its lock is held: a second process waits and then finds it there. With a warm
//! cache nothing touches the network.
//!
//! Packages come through their registry's own client, which knows the user's mirror, proxy,
//! certificates and credentials; reading a registry's index ourselves would know none of them.
//! Hub files are gigabytes, so they are continued byte for byte by `http`, also after a crash;
//! a package (at most 95 MB) whose client is killed starts over.

pub(crate) mod archive;
pub(crate) mod http;
pub(crate) mod registry;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use crate::digest::{compare, is_hex_digest, sha1_of, sha256_of};
use crate::error::ModelsError;
use crate::manifest::{Archive, Manifest};
use crate::progress::Progress;

pub use http::Retry;

/// What a downloaded file must be.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// SHA-256; wins over SHA-1.
    pub sha256: Option<&'a str>,
    /// SHA-1.
    pub sha1: Option<&'a str>,
    /// More bytes than this are refused while they arrive.
    pub limit_bytes: u64,
}

impl Expected<'_> {
    /// Checks a file and returns its SHA-256; `name` is what an error calls it.
    fn verify(&self, path: &Path, name: &str) -> Result<String, ModelsError> {
        let (sha256, _) = sha256_of(path)?;
        if let Some(expected) = self.sha256 {
            compare(name, "sha256", expected, &sha256)?;
        } else if let Some(expected) = self.sha1 {
            compare(name, "sha1", expected, &sha1_of(path)?)?;
        } else {
            return Err(ModelsError::NoDigest {
                name: name.to_owned(),
            });
        }
        Ok(sha256)
    }

    fn check(&self, name: &str) -> Result<(), ModelsError> {
        let sha256 = self.sha256.is_some_and(|d| is_hex_digest(d, 64));
        let sha1 = self.sha256.is_none() && self.sha1.is_some_and(|d| is_hex_digest(d, 40));
        if sha256 || sha1 {
            return Ok(());
        }
        Err(ModelsError::NoDigest {
            name: name.to_owned(),
        })
    }
}

/// A verified file in the cache.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Where it lies.
    pub path: PathBuf,
    /// Its SHA-256.
    pub sha256: String,
}

/// Fetches into one download cache.
#[derive(Debug)]
pub struct Fetcher {
    downloads: PathBuf,
    http: http::Http,
    registries: registry::Clients,
}

impl Fetcher {
    /// A fetcher into `downloads`, which is made when first needed.
    #[must_use]
    pub fn new(downloads: PathBuf, retry: Retry) -> Self {
        Self {
            downloads,
            http: http::Http::new(retry),
            registries: registry::Clients::default(),
        }
    }

    /// A registry's file, from the cache or through the registry's client.
    ///
    /// # Errors
    /// [`ModelsError::NoClient`], [`ModelsError::Download`] when it cannot be had;
    /// [`ModelsError::WrongDigest`] when it is another file.
    pub fn archive(
        &self,
        archive: &Archive,
        manifest: &Manifest,
        progress: &dyn Progress,
    ) -> Result<PathBuf, ModelsError> {
        let expected = Expected {
            sha256: Some(&archive.sha256),
            sha1: None,
            limit_bytes: archive.bytes,
        };
        let fetched = self.cached(&archive.file, &expected, progress, &|part| {
            let pip = self.registries.pip(
                archive,
                &|pip| self.archive(pip, manifest, progress),
                manifest,
            );
            registry::fetch(archive, &pip, &self.downloads, part, progress)
        })?;
        Ok(fetched.path)
    }

    /// A file behind a URL, from the cache or by HTTP. `file` is its name in the cache.
    ///
    /// # Errors
    /// [`ModelsError::Download`] when it cannot be had; [`ModelsError::WrongDigest`] when it is
    /// another file; [`ModelsError::NoDigest`] when `expected` has no digest.
    pub fn url(
        &self,
        url: &str,
        file: &str,
        expected: &Expected<'_>,
        progress: &dyn Progress,
    ) -> Result<Fetched, ModelsError> {
        crate::manifest::check_name(file)?;
        expected.check(file)?;
        self.cached(file, expected, progress, &|part| {
            self.http
                .download(url, part, file, expected.limit_bytes, progress)
        })
    }

    /// Removes a file from the cache, such as a hub's file once it has been converted.
    pub(crate) fn forget(&self, file: &str) {
        // What cannot be removed only takes room.
        let _ = std::fs::remove_file(self.downloads.join(file));
    }

    fn cached(
        &self,
        file: &str,
        expected: &Expected<'_>,
        progress: &dyn Progress,
        download: &dyn Fn(&Path) -> Result<(), ModelsError>,
    ) -> Result<Fetched, ModelsError> {
        create_dir(&self.downloads)?;
        let _lock = lock(&self.downloads.join(format!("{file}.lock")), file, progress)?;
        let path = self.downloads.join(file);
        if path.exists() {
            match expected.verify(&path, file) {
                Ok(sha256) => return Ok(Fetched { path, sha256 }),
                Err(error) => {
                    progress.note(&format!("{error}; it is removed and fetched again"));
                    remove(&path)?;
                }
            }
        }
        let part = self.downloads.join(format!("{file}.part"));
        download(&part)?;
        let sha256 = match expected.verify(&part, file) {
            Ok(sha256) => sha256,
            Err(error) => {
                remove(&part)?;
                return Err(error);
            }
        };
        std::fs::rename(&part, &path).map_err(ModelsError::io("rename", &part))?;
        Ok(Fetched { path, sha256 })
    }
}

/// Takes the lock of a piece of work, waiting for another process if there is one. Held until
/// dropped; the file stays, because removing it would let two processes lock two files.
pub(crate) fn lock(path: &Path, what: &str, progress: &dyn Progress) -> Result<File, ModelsError> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(ModelsError::io("open", path))?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => {
            progress.note(&format!("{what}: another process is at it; waiting"));
        }
        Err(TryLockError::Error(error)) => return Err(ModelsError::io("lock", path)(error)),
    }
    file.lock().map_err(ModelsError::io("lock", path))?;
    Ok(file)
}

pub(crate) fn create_dir(path: &Path) -> Result<(), ModelsError> {
    std::fs::create_dir_all(path).map_err(ModelsError::io("create", path))
}

/// A directory for half-made things, removed when dropped. The caller holds the lock that belongs
/// to its name, so what is already there was left by a process that was killed.
pub(crate) fn scratch_dir(parent: &Path, name: &str) -> Result<tempfile::TempDir, ModelsError> {
    let path = parent.join(name);
    match std::fs::remove_dir_all(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(ModelsError::io("remove", &path)(error));
        }
        _ => {}
    }
    tempfile::Builder::new()
        .prefix(name)
        .rand_bytes(0)
        .tempdir_in(parent)
        .map_err(ModelsError::io("create a directory in", parent))
}

fn remove(path: &Path) -> Result<(), ModelsError> {
    std::fs::remove_file(path).map_err(ModelsError::io("remove", path))
}
