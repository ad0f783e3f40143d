//! What the host holds for one instance: audio and tensors behind its handles.
//!
//! A component's own memory is limited by the runtime; what its handles stand for lies in the host
//! and would else be a way around that limit. Clips that share one allocation count once. The clip
//! that the host lends to a chunker is the host's and does not count.
//!
//! Here is the instance's own limit. The tenant's share and the node's limit are the ledger's
//! ([`Account::reserve`]): a clip brings its reservation along, everything else has it here.

use std::collections::HashMap;

use std::sync::Arc;

use auricle_speech::audio::samples_to_bytes;
use auricle_speech::{Clip, ReserveError};
use auricle_tenancy::{Account, HeldKind, Reservation};

/// Counts the audio behind an instance's handles.
pub(crate) struct HeldAudio {
    limit_bytes: u64,
    held_bytes: u64,
    account: Arc<Account>,
    /// By the table's number of the handle.
    handles: HashMap<u32, Held>,
    /// Handles that share an allocation, by its address.
    shared: HashMap<usize, u32>,
}

struct Held {
    bytes: u64,
    /// `None` for a recorder or tensor, which is never shared.
    address: Option<usize>,
    /// Nothing for a clip, which has its own.
    reservation: Option<Reservation>,
}

/// An instance would have the host hold more than it may.
#[derive(Debug)]
pub(crate) enum TooMuchHeld {
    /// More than the instance's own limit.
    Instance { left_bytes: u64 },
    /// More than the tenant or the node may hold.
    Ledger(ReserveError),
}

impl From<ReserveError> for TooMuchHeld {
    fn from(error: ReserveError) -> Self {
        Self::Ledger(error)
    }
}

impl From<TooMuchHeld> for wasmtime::Error {
    fn from(error: TooMuchHeld) -> Self {
        match error {
            TooMuchHeld::Instance { left_bytes } => Self::msg(format!(
                "more audio and tensors held than the {left_bytes} bytes that are left of a limit"
            )),
            // The runtime tells a tenant's share from a full node by it.
            TooMuchHeld::Ledger(error) => Self::new(error),
        }
    }
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
    pub(crate) fn left_bytes(&self) -> u64 {
        self.limit_bytes.saturating_sub(self.held_bytes)
    }

    /// Bytes of audio that could be held for the instance on an otherwise idle node.
    pub(crate) fn most_left_bytes(&self) -> u64 {
        let most = self.account.most_bytes(HeldKind::Clip);
        self.left_bytes().min(most.saturating_sub(self.held_bytes))
    }

    /// Refuses what the instance's own limit has no room for.
    pub(crate) fn check(&self, more_bytes: u64) -> Result<(), TooMuchHeld> {
        let left_bytes = self.left_bytes();
        match more_bytes > left_bytes {
            true => Err(TooMuchHeld::Instance { left_bytes }),
            false => Ok(()),
        }
    }

    /// Reserves memory before something is made that takes it.
    pub(crate) fn reserve(&self, kind: HeldKind, bytes: u64) -> Result<Reservation, TooMuchHeld> {
        self.check(bytes)?;
        Ok(self.account.reserve(kind, bytes)?)
    }

    /// The handle `number` keeps `clip` alive, with all that shares its allocation.
    pub(crate) fn hold_clip(&mut self, number: u32, clip: &Clip) -> Result<(), TooMuchHeld> {
        let (address, bytes) = (clip.allocation(), clip.allocated_bytes());
        if !self.shared.contains_key(&address) {
            self.check(bytes)?;
            self.held_bytes += bytes;
        }
        *self.shared.entry(address).or_insert(0) += 1;
        self.handles.insert(
            number,
            Held {
                bytes,
                address: Some(address),
                reservation: None,
            },
        );
        Ok(())
    }

    /// The host lends `clip` to the instance: neither it nor slices of it count.
    pub(crate) fn lend(&mut self, clip: &Clip) {
        *self.shared.entry(clip.allocation()).or_insert(0) += 1;
    }

    /// The recorder behind the handle `number` is about to have this size.
    pub(crate) fn hold_recorder(&mut self, number: u32, samples: usize) -> Result<(), TooMuchHeld> {
        let bytes = samples_to_bytes(samples as u64);
        self.resize(number, HeldKind::Clip, bytes)
    }

    /// What is behind the handle `number` is about to take so many bytes, never shared.
    fn resize(&mut self, number: u32, kind: HeldKind, bytes: u64) -> Result<(), TooMuchHeld> {
        let before = self.handles.get(&number).map_or(0, |held| held.bytes);
        self.check(bytes.saturating_sub(before))?;
        let held = self.handles.entry(number).or_insert_with(|| Held {
            bytes: 0,
            address: None,
            reservation: Some(self.account.reservation(kind)),
        });
        if let Some(reservation) = &mut held.reservation {
            reservation.resize(bytes)?;
        }
        held.bytes = bytes;
        self.held_bytes = self.held_bytes - before + bytes;
        Ok(())
    }

    /// What is behind the handle `number` was made of this reservation.
    pub(crate) fn hold(&mut self, number: u32, reservation: Reservation) {
        self.release(number);
        let bytes = reservation.bytes();
        self.held_bytes += bytes;
        self.handles.insert(
            number,
            Held {
                bytes,
                address: None,
                reservation: Some(reservation),
            },
        );
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
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use auricle_speech::Span;
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
        held.hold_clip(1, &one.part(Span { start: 7, end: 9 }))
            .unwrap();
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
        let tensor = one.reserve(HeldKind::Tensor, 800).unwrap();
        one.hold(0, tensor);
        assert!(other.hold_recorder(0, 51).is_err());
        other.hold_recorder(0, 50).unwrap();
        assert_eq!(account.held_bytes(), 1_000);
        drop(one);
        assert_eq!(account.held_bytes(), 200);
        other.release(0);
        assert_eq!(account.held_bytes(), 0);
        let clip = Clip::reserved(
            vec![0.0; 250],
            Box::new(other.reserve(HeldKind::Clip, 1_000).unwrap()),
        );
        other.hold_clip(0, &clip).unwrap();
        drop(other);
        assert_eq!(account.held_bytes(), 1_000, "somebody else has the clip");
        drop(clip);
        assert_eq!(account.held_bytes(), 0);
    }

    #[test]
    fn what_could_be_held_is_bounded_by_instance_quota_and_handles() {
        let account = Arc::new(Account::new(Quotas {
            max_host_bytes: Some(1_000),
            ..Quotas::default()
        }));
        let mut held = HeldAudio::new(600, Arc::clone(&account));
        assert_eq!(held.most_left_bytes(), 600);
        held.hold_recorder(0, 100).unwrap();
        assert_eq!(held.most_left_bytes(), 200);
        let mut large = HeldAudio::new(10_000, account);
        assert_eq!(large.most_left_bytes(), 1_000);
        large.hold_recorder(0, 100).unwrap();
        assert_eq!(large.most_left_bytes(), 600);
    }

    #[test]
    fn slices_of_a_lent_clip_do_not_count() {
        let mut held = HeldAudio::new(100, Account::unlimited());
        let lent = clip(1_000);
        held.lend(&lent);
        for number in 0..3 {
            let slice = lent.part(Span { start: 0, end: 500 });
            held.hold_clip(number, &slice).unwrap();
        }
        (0..3).for_each(|number| held.release(number));
        held.hold_clip(9, &lent).unwrap();
        assert_eq!(held.left_bytes(), 100);
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
