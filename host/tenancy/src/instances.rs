//! What a tenant's instances of components use: memory, processor time, and how many there are.
//!
//! A [`LiveInstance`] belongs to the store of an instance and gives everything back when it is
//! dropped, however the instance has ended. Every role is charged: whoever deploys a chunker pays
//! for it as for a handler.

use std::sync::Arc;
use std::time::{Duration, Instant};

use auricle_speech::ReserveError;

use crate::ledger::{Account, OverQuota};
use crate::memory::HeldKind;
use crate::reservation::Reservation;

/// Weight of the latest instance in the mean life, as a divisor.
const MEAN_WEIGHT: u32 = 8;

/// Longest time that is told to whoever waits for an instance to end: by then the guess is worth
/// nothing.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

/// What a tenant's instances hold together.
#[derive(Debug, Default)]
pub(crate) struct Holdings {
    instances: usize,
    memory_bytes: u64,
    /// Moving average of how long an instance lives.
    mean_life: Duration,
}

impl Holdings {
    /// When one of them will probably have ended, if they end evenly.
    pub(crate) fn next_end(&self) -> Duration {
        let instances = u32::try_from(self.instances).unwrap_or(u32::MAX).max(1);
        (self.mean_life / instances).clamp(Duration::from_secs(1), MAX_RETRY_AFTER)
    }
}

/// One live instance of a component.
#[derive(Debug)]
pub struct LiveInstance {
    account: Arc<Account>,
    memory_bytes: u64,
    /// The same in the node's ledger.
    reservation: Reservation,
    since: Instant,
}

/// Why an instance gets no more memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryRefusal {
    /// It alone would have more than all of its tenant's may: waiting does not help.
    Alone,
    /// Others of its tenant's hold what is missing.
    Shared(OverQuota),
    /// The node has no memory left.
    Node,
}

impl LiveInstance {
    /// Counts one more instance of the tenant's, of which there may be `most`.
    ///
    /// # Errors
    /// [`OverQuota::Instances`].
    pub fn begin(account: &Arc<Account>, most: usize) -> Result<Self, OverQuota> {
        let mut holdings = account.holdings();
        if holdings.instances >= most {
            let retry_after = holdings.next_end();
            return Err(OverQuota::Instances { retry_after });
        }
        holdings.instances += 1;
        drop(holdings);
        Ok(Self {
            account: Arc::clone(account),
            memory_bytes: 0,
            reservation: account.reservation(HeldKind::Guest),
            since: Instant::now(),
        })
    }

    /// The instance is about to have so many bytes more of linear memory.
    ///
    /// # Errors
    /// [`MemoryRefusal`]; nothing is counted then.
    pub fn hold_memory(&mut self, more: u64) -> Result<(), MemoryRefusal> {
        let before = self.reservation.bytes();
        self.reservation
            .resize(before.saturating_add(more))
            .map_err(refusal)?;
        let counted = self.count_memory(more);
        if counted.is_err() {
            // Shrinking never fails.
            let _ = self.reservation.resize(before);
        }
        counted
    }

    /// Counts it against the tenant's quota.
    fn count_memory(&mut self, more: u64) -> Result<(), MemoryRefusal> {
        let limit_bytes = self.account.quotas().max_guest_memory_bytes;
        let mut holdings = self.account.holdings();
        let total = holdings.memory_bytes.saturating_add(more);
        if let Some(limit_bytes) = limit_bytes.filter(|limit| total > *limit) {
            if holdings.memory_bytes == self.memory_bytes {
                return Err(MemoryRefusal::Alone);
            }
            let retry_after = holdings.next_end();
            return Err(MemoryRefusal::Shared(OverQuota::GuestMemory {
                limit_bytes,
                retry_after,
            }));
        }
        holdings.memory_bytes = total;
        self.memory_bytes += more;
        Ok(())
    }
}

fn refusal(error: ReserveError) -> MemoryRefusal {
    match error {
        ReserveError::TooLarge { .. } => MemoryRefusal::Alone,
        ReserveError::TenantFull { retry_after } => {
            MemoryRefusal::Shared(OverQuota::HeldMemory { retry_after })
        }
        ReserveError::NodeFull { .. } => MemoryRefusal::Node,
    }
}

impl Drop for LiveInstance {
    fn drop(&mut self) {
        let lived = self.since.elapsed();
        let mut holdings = self.account.holdings();
        holdings.instances -= 1;
        holdings.memory_bytes -= self.memory_bytes;
        let rest = holdings
            .mean_life
            .saturating_sub(holdings.mean_life / MEAN_WEIGHT);
        holdings.mean_life = rest + lived / MEAN_WEIGHT;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

    use super::*;
    use crate::memory::{NodeLimits, NodeMemory};
    use crate::quota::Quotas;

    fn account(max_guest_memory_bytes: u64) -> Arc<Account> {
        Arc::new(Account::new(Quotas {
            max_guest_memory_bytes: Some(max_guest_memory_bytes),
            ..Quotas::default()
        }))
    }

    #[test]
    fn memory_is_shared_by_all_instances_and_given_back_with_each() {
        let account = account(100);
        let mut one = LiveInstance::begin(&account, 9).unwrap();
        let mut other = LiveInstance::begin(&account, 9).unwrap();
        one.hold_memory(60).unwrap();
        other.hold_memory(40).unwrap();
        let MemoryRefusal::Shared(over) = other.hold_memory(1).unwrap_err() else {
            panic!("others hold memory");
        };
        assert!(over.retry_after() >= Duration::from_secs(1));
        drop(one);
        other.hold_memory(60).unwrap();
    }

    #[test]
    fn memory_of_instances_is_in_the_nodes_ledger_until_they_end() {
        let node = NodeMemory::new(NodeLimits {
            memory_bytes: 64 << 20,
            ..NodeLimits::UNLIMITED
        });
        let accounts = [(); 4].map(|()| Account::on_node(Quotas::default(), Arc::clone(&node)));
        let [one, other, third, fourth] = accounts.map(Arc::new);
        let begin = |account| LiveInstance::begin(account, 9).unwrap();
        let mut large = begin(&one);
        assert_eq!(large.hold_memory(33 << 20), Err(MemoryRefusal::Alone));
        large.hold_memory(32 << 20).unwrap();
        let shared = begin(&one).hold_memory(1 << 20).unwrap_err();
        assert!(matches!(
            shared,
            MemoryRefusal::Shared(OverQuota::HeldMemory { .. })
        ));
        let mut small = [begin(&other), begin(&third)];
        for instance in &mut small {
            instance.hold_memory(16 << 20).unwrap();
        }
        let mut late = begin(&fourth);
        assert_eq!(late.hold_memory(1 << 20), Err(MemoryRefusal::Node));
        drop(large);
        late.hold_memory(1 << 20).unwrap();
        drop((small, late));
        assert!(node.held().iter().all(|(_, bytes)| *bytes == 0));
    }

    #[test]
    fn an_instance_that_alone_is_too_large_need_not_come_back() {
        let account = account(100);
        let mut alone = LiveInstance::begin(&account, 9).unwrap();
        alone.hold_memory(90).unwrap();
        assert_eq!(alone.hold_memory(11), Err(MemoryRefusal::Alone));
        alone.hold_memory(10).unwrap();
    }

    #[test]
    fn instances_are_counted_until_they_end() {
        let account = Account::unlimited();
        let held = [(); 2].map(|()| LiveInstance::begin(&account, 2).unwrap());
        let refused = LiveInstance::begin(&account, 2).unwrap_err();
        assert!(matches!(refused, OverQuota::Instances { .. }));
        drop(held);
        LiveInstance::begin(&account, 1).unwrap();
    }
}
