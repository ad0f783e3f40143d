//! What is done beside requests: looking whether the store was written, writing down when keys were used,
//! and the store's own upkeep.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::store::{Store, StoreError};
use crate::tenancy::Tenancy;

/// How soon an act of another process holds here.
const LOOK: Duration = Duration::from_secs(1);

/// How many looks lie between two notes of keys' use.
const LOOKS_PER_NOTE: u32 = 60;

/// How much later than noted a key must have been used to be noted again.
const COARSE: Duration = Duration::from_secs(5 * 60);

/// The thread that does it; dropping this ends it, after a last note.
#[derive(Debug)]
pub struct Upkeep {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Upkeep {
    /// Starts the thread; there is nothing to do for a `tenancy` without a store.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(tenancy: &Arc<Tenancy>) -> std::io::Result<Self> {
        if tenancy.store().is_none() {
            return Ok(Self {
                stop: None,
                thread: None,
            });
        }
        let (stop, stopped) = channel();
        let tenancy = Arc::clone(tenancy);
        let thread = std::thread::Builder::new()
            .name("auricle-tenancy".to_owned())
            .spawn(move || {
                let Some(store) = tenancy.store() else {
                    return;
                };
                let mut seen = None;
                let mut looks = 0_u32;
                while stopped.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                    report(look(&tenancy, store, &mut seen));
                    looks += 1;
                    if looks.is_multiple_of(LOOKS_PER_NOTE) {
                        report(note(&tenancy, store));
                        store.upkeep();
                    }
                }
                report(note(&tenancy, store));
            })?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported; here it changes nothing.
            let _ = thread.join();
        }
    }
}

/// Takes over what another process has written since the version `seen`.
fn look(tenancy: &Tenancy, store: &dyn Store, seen: &mut Option<u64>) -> Result<(), StoreError> {
    let version = store.version()?;
    if *seen != Some(version) || tenancy.is_stale() {
        tenancy.refresh()?;
        *seen = Some(version);
    }
    Ok(())
}

fn note(tenancy: &Tenancy, store: &dyn Store) -> Result<(), StoreError> {
    let used = tenancy.used_keys(COARSE);
    if used.is_empty() {
        return Ok(());
    }
    store.note_use(&used)?;
    tenancy.refresh()
}

fn report(outcome: Result<(), StoreError>) {
    if let Err(error) = outcome {
        let error: &dyn std::error::Error = &error;
        tracing::warn!(error, "keys and quotas may be out of date");
    }
}
