//! Compiled components on disk.
//!
//! A compiled component is native code: whoever can write it can run anything. So each file carries
//! an HMAC-SHA-256 under a key that only this user's server can read, over the component's digest,
//! the engine's settings and the code; the bytes that were checked are the bytes that are run (no
//! second read of the file). A file that does not verify is removed and compiled again.
//!
//! A file's time of change is when it was last used. The code of tenants' components has names of its own
//! and is removed when no deployment refers to the component, other code when no server has used it for
//! long (`sweep`).

mod sweep;

use std::fs;
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit, Mac};
use rustix::fs::OFlags;
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::engine::RuntimeError;

/// First bytes of a cache file; the digit is the file format's version.
const MAGIC: &[u8; 8] = b"AURCWASM";
const MAC_BYTES: usize = 32;
const KEY_BYTES: usize = 32;
const KEY_FILE: &str = "key";

/// Ending of a file of this server's own code, and of a tenant's component's.
const OWN_ENDING: &str = ".cwasm";
const TENANT_ENDING: &str = ".tenant.cwasm";

/// Whose code a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CodeKind {
    /// This program's, or a component's that the configuration names.
    Own,
    /// A component's that a tenant pushed.
    Tenant,
}

/// Why the cache cannot be used. The texts name paths and are for the operator.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// The directory cannot be made or read.
    #[error("{path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The directory or the key belongs to another user or lets others in.
    #[error("{path} must belong to this user and be closed to others (chmod go-rwx)")]
    NotPrivate {
        /// The file or directory.
        path: PathBuf,
    },
    /// The key file has the wrong length.
    #[error("{path} is damaged: remove it; components are then compiled again")]
    BadKey {
        /// The key file.
        path: PathBuf,
    },
}

/// A directory of compiled components, and the key that authenticates them.
pub struct ComponentCache {
    dir: PathBuf,
    key: [u8; KEY_BYTES],
}

impl ComponentCache {
    /// Opens the cache, making directory and key where they are missing.
    ///
    /// # Errors
    /// [`CacheError`] when the directory or the key is not private or cannot be read.
    pub fn open(dir: &Path) -> Result<Self, CacheError> {
        let io = |source| CacheError::Io {
            path: dir.to_owned(),
            source,
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(io)?;
        check_private(dir, &fs::symlink_metadata(dir).map_err(io)?)?;
        let key = read_or_make_key(&dir.join(KEY_FILE))?;
        Ok(Self {
            dir: dir.to_owned(),
            key,
        })
    }

    /// The compiled form of `bytes`, from the cache when it is there and authentic.
    pub(crate) fn load_or_compile(
        &self,
        engine: &Engine,
        bytes: &[u8],
        kind: CodeKind,
        compile: impl FnOnce() -> Result<Component, RuntimeError>,
    ) -> Result<Component, RuntimeError> {
        let identity = Identity::new(engine, bytes);
        let path = self.dir.join(identity.file_name(kind));
        if let Some(component) = self.load(engine, &identity, &path) {
            return Ok(component);
        }
        let component = compile()?;
        let code = component.serialize().map_err(RuntimeError::Invalid)?;
        if let Err(error) = self.save(&identity, &path, &code) {
            tracing::warn!(%error, "a compiled component could not be kept");
        }
        Ok(component)
    }

    #[allow(
        unsafe_code,
        reason = "running cached native code is this module's purpose"
    )]
    fn load(&self, engine: &Engine, identity: &Identity, path: &Path) -> Option<Component> {
        let mut file = open_no_follow(path).ok()?;
        let mut content = Vec::new();
        file.read_to_end(&mut content).ok()?;
        let Some(code) = self.verify(identity, &content) else {
            tracing::warn!(file = %path.display(), "a compiled component did not verify and is made again");
            if let Err(error) = fs::remove_file(path) {
                tracing::warn!(%error, "the file could not be removed");
            }
            return None;
        };
        // SAFETY: the bytes were made by `Component::serialize` of an engine with the same settings
        // in this program: the HMAC over them, under a key that only this user can read, was just
        // checked on this very buffer.
        match unsafe { Component::deserialize(engine, code) } {
            Ok(component) => {
                sweep::note_use(path);
                Some(component)
            }
            Err(error) => {
                tracing::warn!(%error, "a compiled component is of another build and is made again");
                None
            }
        }
    }

    fn verify<'a>(&self, identity: &Identity, content: &'a [u8]) -> Option<&'a [u8]> {
        let rest = content.strip_prefix(MAGIC)?;
        let (mac, code) = rest.split_at_checked(MAC_BYTES)?;
        self.mac(identity, code)?.verify_slice(mac).ok()?;
        Some(code)
    }

    fn save(&self, identity: &Identity, path: &Path, code: &[u8]) -> io::Result<()> {
        let mac = self
            .mac(identity, code)
            .ok_or_else(|| io::Error::other("no key"))?;
        let mut file = NamedTempFile::new_in(&self.dir)?;
        file.write_all(MAGIC)?;
        file.write_all(&mac.finalize().into_bytes())?;
        file.write_all(code)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    }

    fn mac(&self, identity: &Identity, code: &[u8]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).ok()?;
        mac.update(&identity.component);
        mac.update(&identity.settings.to_le_bytes());
        mac.update(&(code.len() as u64).to_le_bytes());
        mac.update(code);
        Some(mac)
    }
}

/// What a compiled component was made from, and for which engine.
struct Identity {
    component: [u8; 32],
    settings: u64,
}

impl Identity {
    fn new(engine: &Engine, bytes: &[u8]) -> Self {
        // The hash is stable within one build of this program, which is all that a cache needs;
        // wasmtime's version is part of it.
        let mut hasher = std::hash::DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Self {
            component: Sha256::digest(bytes).into(),
            settings: hasher.finish(),
        }
    }

    fn file_name(&self, kind: CodeKind) -> String {
        let component = hex::encode(self.component);
        let ending = match kind {
            CodeKind::Own => OWN_ENDING,
            CodeKind::Tenant => TENANT_ENDING,
        };
        format!("{component}-{:016x}{ending}", self.settings)
    }
}

fn open_no_follow(path: &Path) -> io::Result<fs::File> {
    fs::OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NOFOLLOW.bits() as i32)
        .open(path)
}

fn check_private(path: &Path, metadata: &fs::Metadata) -> Result<(), CacheError> {
    let ours = metadata.uid() == rustix::process::geteuid().as_raw();
    if ours && metadata.mode() & 0o077 == 0 {
        Ok(())
    } else {
        Err(CacheError::NotPrivate {
            path: path.to_owned(),
        })
    }
}

fn read_or_make_key(path: &Path) -> Result<[u8; KEY_BYTES], CacheError> {
    let io = |source| CacheError::Io {
        path: path.to_owned(),
        source,
    };
    match make_key(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(io(error)),
    }
    let mut file = open_no_follow(path).map_err(io)?;
    check_private(path, &file.metadata().map_err(io)?)?;
    let mut content = Vec::new();
    file.read_to_end(&mut content).map_err(io)?;
    content.try_into().map_err(|_| CacheError::BadKey {
        path: path.to_owned(),
    })
}

/// Writes a fresh key under another name and moves it into place unless there is one, so that servers
/// that start at once agree on one key and none reads half of it.
fn make_key(path: &Path) -> io::Result<()> {
    if path.symlink_metadata().is_ok() {
        return Ok(());
    }
    let mut key = [0u8; KEY_BYTES];
    fs::File::open("/dev/urandom")?.read_exact(&mut key)?;
    let dir = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let mut file = NamedTempFile::new_in(dir)?;
    file.write_all(&key)?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        reason = "tests"
    )]
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// The smallest component: nothing in, nothing out.
    const EMPTY_COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

    fn only_file(dir: &Path) -> PathBuf {
        let mut files = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|e| e == "cwasm"));
        let file = files.next().expect("one compiled component");
        assert!(files.next().is_none());
        file
    }

    fn compile(engine: &Engine, cache: &ComponentCache) {
        let compile =
            || Component::from_binary(engine, EMPTY_COMPONENT).map_err(RuntimeError::Invalid);
        cache
            .load_or_compile(engine, EMPTY_COMPONENT, CodeKind::Own, compile)
            .unwrap();
    }

    fn cache_in(dir: &Path) -> (Engine, ComponentCache) {
        (
            Engine::default(),
            ComponentCache::open(&dir.join("cache")).unwrap(),
        )
    }

    #[test]
    fn a_compiled_component_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let (engine, cache) = cache_in(dir.path());
        compile(&engine, &cache);
        let identity = Identity::new(&engine, EMPTY_COMPONENT);
        assert!(
            cache
                .load(&engine, &identity, &only_file(&cache.dir))
                .is_some()
        );
    }

    #[test]
    fn a_tampered_or_truncated_file_is_never_run_and_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let (engine, cache) = cache_in(dir.path());
        let identity = Identity::new(&engine, EMPTY_COMPONENT);
        compile(&engine, &cache);
        let path = only_file(&cache.dir);
        let good = fs::read(&path).unwrap();
        for position in [
            0,
            MAGIC.len(),
            MAGIC.len() + MAC_BYTES,
            good.len() / 2,
            good.len() - 1,
        ] {
            let mut bad = good.clone();
            bad[position] ^= 1;
            fs::write(&path, &bad).unwrap();
            assert!(
                cache.load(&engine, &identity, &path).is_none(),
                "flipped byte {position}"
            );
            assert!(!path.exists());
        }
        fs::write(&path, &good[..good.len() - 1]).unwrap();
        assert!(cache.load(&engine, &identity, &path).is_none());
        compile(&engine, &cache);
        assert!(cache.load(&engine, &identity, &path).is_some());
    }

    #[test]
    fn a_file_of_another_node_is_not_run() {
        let dir = tempfile::tempdir().unwrap();
        let (engine, cache) = cache_in(dir.path());
        let other = ComponentCache::open(&dir.path().join("other")).unwrap();
        compile(&engine, &cache);
        let path = only_file(&cache.dir);
        assert!(
            other
                .load(&engine, &Identity::new(&engine, EMPTY_COMPONENT), &path)
                .is_none()
        );
    }

    #[test]
    fn caches_that_are_opened_at_once_in_one_process_agree_on_a_key() {
        for _ in 0..20 {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("cache");
            let keys: Vec<_> = std::thread::scope(|scope| {
                let open = || scope.spawn(|| ComponentCache::open(&path).unwrap().key);
                let threads: Vec<_> = (0..8).map(|_| open()).collect();
                threads.into_iter().map(|t| t.join().unwrap()).collect()
            });
            assert!(keys.iter().all(|key| *key == keys[0]));
        }
    }

    #[test]
    fn a_directory_that_others_can_enter_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let open = dir.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(matches!(
            ComponentCache::open(&open),
            Err(CacheError::NotPrivate { .. })
        ));
    }
}
