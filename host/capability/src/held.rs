//! What the host holds for one instance: audio and tensors behind its handles.
//!
//! A component's own memory is limited by the runtime; what its handles stand for lies in the host
//! and would else be a way around that limit. Clips that share one allocation count once. The clip
//! that the host lends to a chunker is the host's and does not count. What is held counts twice: for
//! the instance, and for all of its tenant's together.

use std::collections::HashMap;

use std::sync::Arc;

use auricle_speech::Clip;
use auricle_tenancy::Account;

/// Counts the audio behind an instance's handles.
pub(crate) struct HeldAudio {
    limit_bytes: u64,
    held_bytes: u64,
    /// What the tenant's instances hold together.
    account: Arc<Account>,
    /// By the table's number of the handle.
    handles: HashMap<u32, Held>,
    /// Handles that share an allocation, by its address.
    shared: HashMap<usize, u32>,
}

#[derive(Clone, Copy)]
struct Held {
    bytes: u64,
    /// Nothing for a recorder, which shares with nobody.
    address: Option<usize>,
}

/// An instance would have the host hold more than it may.
#[derive(Debug, thiserror::Error)]
#[error("more audio and tensors held than the {left_bytes} bytes that are left of a limit")]
pub(crate) struct TooMuchHeld {
    left_bytes: u64,
}

impl HeldAudio {
    /// Nothing held yet of an instance whose own limit is `limit_bytes`.
    pub(crate) fn new(limit_bytes: u64, account: Arc<Account>) -> Self {
        Self {
            limit_bytes,
            held_bytes: 0,
            account,
            handles: HashMap::new(),
            shared: HashMap::new(),
        }
    }

    /// Bytes that the instance may still hold, as far as its own limit goes.
    pub(crate) fn own_left_bytes(&self) -> u64 {
        self.limit_bytes.saturating_sub(self.held_bytes)
    }

    /// Bytes that may still be held.
    pub(crate) fn left_bytes(&self) -> u64 {
        self.own_left_bytes().min(self.account.left_bytes())
    }

    /// Refuses what would not fit, before it is made.
    pub(crate) fn check(&self, more_bytes: u64) -> Result<(), TooMuchHeld> {
        let left_bytes = self.left_bytes();
        match more_bytes > left_bytes {
            true => Err(TooMuchHeld { left_bytes }),
            false => Ok(()),
        }
    }

    fn add(&mut self, bytes: u64) -> Result<(), TooMuchHeld> {
        self.check(bytes)?;
        if !self.account.hold_bytes(bytes) {
            // Another instance of the tenant's was faster.
            let left_bytes = self.account.left_bytes();
            return Err(TooMuchHeld { left_bytes });
        }
        self.held_bytes += bytes;
        Ok(())
    }

    /// The handle `number` keeps `clip` alive.
    pub(crate) fn hold_clip(&mut self, number: u32, clip: &Clip) -> Result<(), TooMuchHeld> {
        let address = clip.samples().as_ptr() as usize;
        let bytes = clip_bytes(clip.len_samples());
        if !self.shared.contains_key(&address) {
            self.add(bytes)?;
        }
        *self.shared.entry(address).or_insert(0) += 1;
        self.handles.insert(
            number,
            Held {
                bytes,
                address: Some(address),
            },
        );
        Ok(())
    }

    /// The recorder behind the handle `number` has come to this size.
    pub(crate) fn hold_recorder(&mut self, number: u32, samples: usize) -> Result<(), TooMuchHeld> {
        self.hold_bytes(number, clip_bytes(samples as u64))
    }

    /// What is behind the handle `number` takes so many bytes now, shared with nobody.
    pub(crate) fn hold_bytes(&mut self, number: u32, bytes: u64) -> Result<(), TooMuchHeld> {
        self.release(number);
        self.add(bytes)?;
        self.handles.insert(
            number,
            Held {
                bytes,
                address: None,
            },
        );
        Ok(())
    }

    /// The handle `number` is gone.
    pub(crate) fn release(&mut self, number: u32) {
        let Some(held) = self.handles.remove(&number) else {
            return;
        };
        let last = match held.address {
            None => true,
            Some(address) => match self.shared.get_mut(&address) {
                Some(others) if *others > 1 => {
                    *others -= 1;
                    false
                }
                _ => self.shared.remove(&address).is_some(),
            },
        };
        if last {
            self.held_bytes = self.held_bytes.saturating_sub(held.bytes);
            self.account.release_bytes(held.bytes);
        }
    }
}

impl Drop for HeldAudio {
    fn drop(&mut self) {
        self.account.release_bytes(self.held_bytes);
    }
}

/// Bytes of this many samples.
pub(crate) fn clip_bytes(samples: u64) -> u64 {
    samples.saturating_mul(size_of::<f32>() as u64)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use auricle_tenancy::Quotas;

    use super::*;

    fn clip(samples: usize) -> Clip {
        Clip::new(vec![0.0; samples])
    }

    #[test]
    fn a_shared_clip_counts_once_and_until_its_last_handle() {
        let mut held = HeldAudio::new(1_000, Account::unlimited());
        let (one, other) = (clip(200), clip(50));
        held.hold_clip(0, &one).unwrap();
        held.hold_clip(1, &one.clone()).unwrap();
        held.hold_clip(2, &other).unwrap();
        assert_eq!(held.left_bytes(), 0);
        held.release(0);
        assert!(held.hold_clip(3, &clip(1)).is_err());
        held.release(1);
        held.release(1);
        assert_eq!(held.left_bytes(), 800);
    }

    #[test]
    fn a_tenants_instances_share_what_it_may_hold_and_give_it_back() {
        let account = Arc::new(Account::new(Quotas {
            max_host_bytes: Some(1_000),
            ..Quotas::default()
        }));
        let mut one = HeldAudio::new(10_000, Arc::clone(&account));
        let mut other = HeldAudio::new(10_000, Arc::clone(&account));
        one.hold_clip(0, &clip(200)).unwrap();
        assert_eq!(other.left_bytes(), 200);
        assert!(other.hold_recorder(0, 51).is_err());
        other.hold_recorder(0, 50).unwrap();
        drop(one);
        assert_eq!(other.left_bytes(), 800);
        other.release(0);
        drop(other);
        assert_eq!(account.left_bytes(), 1_000);
    }

    #[test]
    fn a_recorder_counts_what_it_has_now() {
        let mut held = HeldAudio::new(1_000, Account::unlimited());
        held.hold_recorder(7, 250).unwrap();
        assert!(held.check(1).is_err());
        held.hold_recorder(7, 10).unwrap();
        assert!(held.hold_recorder(8, 241).is_err());
        held.release(7);
        assert_eq!(held.left_bytes(), 1_000);
    }
}
