//! The node's memory ledger: what the host holds for tenants, and each tenant's share of it.
//!
//! Owns two pools, memory and the disk that large uploads are spooled to, and counts what is taken
//! from them by kind and by tenant. Everything is reserved here before it is allocated, so that the
//! process stays within its limit whatever clients send. A [`Reservation`](crate::Reservation) gives back what it holds
//! when it is dropped, however its request ends.
//!
//! A tenant may hold as much as is free: one tenant that takes all it can get has half of a pool, a
//! second one a quarter, and there is always room for another. Up to [`MIN_SHARE_BYTES`] it may hold
//! whatever others do, while there is room at all.
//!
//! # Limits
//! Models and the engines' working memory are not in the ledger; the default limit of half the
//! machine leaves room for them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
/// What a tenant may hold whatever others hold, in bytes: a minute of audio and the components that
/// transcribe it.
pub const MIN_SHARE_BYTES: u64 = 16 << 20;

/// What is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldKind {
    /// Decoded audio, also while it grows, and what is computed on it.
    Clip,
    /// Tensors of components.
    Tensor,
    /// Uploads kept for seeking, in memory.
    Spool,
    /// Uploads kept for seeking, on disk.
    SpoolFile,
    /// Copies of requests and answers, for shadow deployments.
    Copy,
    /// Linear memory of components.
    Guest,
    /// Buffers between client and component: parts of forms, messages, unread answers.
    Buffer,
}

/// How many kinds there are.
const KINDS: usize = 7;

impl HeldKind {
    /// All kinds.
    pub const ALL: [Self; KINDS] = [
        Self::Clip,
        Self::Tensor,
        Self::Spool,
        Self::SpoolFile,
        Self::Copy,
        Self::Guest,
        Self::Buffer,
    ];

    /// Stable name, the label of the metric.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clip => "clip",
            Self::Tensor => "tensor",
            Self::Spool => "spool",
            Self::SpoolFile => "spool_file",
            Self::Copy => "copy",
            Self::Guest => "guest",
            Self::Buffer => "buffer",
        }
    }

    /// Whether a tenant's `max_host_bytes` bounds it. Components' memory has a quota of its own;
    /// buffers are small, and copies are the server's wish.
    pub(crate) const fn is_under_quota(self) -> bool {
        matches!(
            self,
            Self::Clip | Self::Tensor | Self::Spool | Self::SpoolFile
        )
    }
}

/// Limits of the two pools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeLimits {
    /// Bytes of memory that the host may hold for all tenants.
    pub memory_bytes: u64,
    /// Bytes of spooled uploads on disk.
    pub spool_bytes: u64,
    /// Whether that disk is memory (tmpfs): then spooled uploads are taken from the memory pool.
    pub is_spool_in_memory: bool,
}

impl NodeLimits {
    /// No limits: for tools and tests.
    pub const UNLIMITED: Self = Self {
        memory_bytes: u64::MAX,
        spool_bytes: u64::MAX,
        is_spool_in_memory: false,
    };
}

/// The ledger; one in each process.
#[derive(Debug)]
pub struct NodeMemory {
    limits: NodeLimits,
    totals: Mutex<Totals>,
}

#[derive(Debug, Default)]
struct Totals {
    pools: [u64; 2],
    kinds: [u64; KINDS],
}

/// What one tenant holds. Changed only under the lock of the node's totals.
#[derive(Debug, Default)]
pub(crate) struct TenantHeld {
    pools: [AtomicU64; 2],
    /// The part of it that its quota bounds.
    under_quota: AtomicU64,
}

/// One request to hold more.
pub(crate) struct Growth {
    pub(crate) kind: HeldKind,
    /// What the reservation holds already.
    pub(crate) held: u64,
    pub(crate) more: u64,
    pub(crate) quota: Option<u64>,
}

/// Why a pool refuses; the times are added outside the lock.
pub(crate) enum Refused {
    TooLarge(u64),
    Tenant,
    Node,
}

const MEMORY: usize = 0;
const DISK: usize = 1;

impl NodeMemory {
    /// An empty ledger.
    #[must_use]
    pub fn new(limits: NodeLimits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            totals: Mutex::default(),
        })
    }

    /// Limits of the pools.
    #[must_use]
    pub fn limits(&self) -> NodeLimits {
        self.limits
    }

    /// Bytes held now, of each kind.
    #[must_use]
    pub fn held(&self) -> [(HeldKind, u64); KINDS] {
        let totals = self.lock();
        HeldKind::ALL.map(|kind| (kind, *at(&totals.kinds, kind as usize)))
    }

    /// The pool that a kind is taken from.
    fn pool(&self, kind: HeldKind) -> usize {
        match kind {
            HeldKind::SpoolFile if !self.limits.is_spool_in_memory => DISK,
            _ => MEMORY,
        }
    }

    fn limit(&self, pool: usize) -> u64 {
        match pool {
            DISK => self.limits.spool_bytes,
            _ => self.limits.memory_bytes,
        }
    }

    /// The most that one tenant can hold of a kind while no other tenant holds anything. Components and
    /// buffers of the request that it belongs to fit beside it: else a file that is just too large
    /// would be told to come back for ever.
    pub(crate) fn most(&self, kind: HeldKind) -> u64 {
        let pool = self.pool(kind);
        let limit = self.limit(pool);
        let beside = match kind {
            HeldKind::Guest | HeldKind::Buffer => 0,
            _ if pool == DISK => 0,
            _ => MIN_SHARE_BYTES,
        };
        let share = (limit / 2).saturating_sub(beside);
        share.max(limit.min(MIN_SHARE_BYTES))
    }

    pub(crate) fn grow(&self, tenant: &TenantHeld, growth: &Growth) -> Result<(), Refused> {
        let &Growth { kind, more, .. } = growth;
        let quota = growth.quota.filter(|_| kind.is_under_quota());
        let alone = self.most(kind).min(quota.unwrap_or(u64::MAX));
        if growth.held.saturating_add(more) > alone {
            return Err(Refused::TooLarge(alone));
        }
        let pool = self.pool(kind);
        let mut totals = self.lock();
        let total = at(&totals.pools, pool).saturating_add(more);
        let (counter, limit) = (at(&tenant.pools, pool), self.limit(pool));
        let own = counter.load(Ordering::Relaxed).saturating_add(more);
        if own > limit.saturating_sub(total).max(MIN_SHARE_BYTES) {
            return Err(Refused::Tenant);
        }
        if total > limit {
            return Err(Refused::Node);
        }
        if kind.is_under_quota() {
            let under = tenant
                .under_quota
                .load(Ordering::Relaxed)
                .saturating_add(more);
            if quota.is_some_and(|quota| under > quota) {
                return Err(Refused::Tenant);
            }
            tenant.under_quota.store(under, Ordering::Relaxed);
        }
        counter.store(own, Ordering::Relaxed);
        *at_mut(&mut totals.pools, pool) = total;
        *at_mut(&mut totals.kinds, kind as usize) += more;
        Ok(())
    }

    pub(crate) fn shrink(&self, tenant: &TenantHeld, kind: HeldKind, less: u64) {
        if less == 0 {
            return;
        }
        let pool = self.pool(kind);
        let mut totals = self.lock();
        *at_mut(&mut totals.pools, pool) -= less;
        *at_mut(&mut totals.kinds, kind as usize) -= less;
        at(&tenant.pools, pool).fetch_sub(less, Ordering::Relaxed);
        if kind.is_under_quota() {
            tenant.under_quota.fetch_sub(less, Ordering::Relaxed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Totals> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[allow(
    clippy::indexing_slicing,
    reason = "pools and kinds are numbers of these arrays"
)]
fn at<T, const N: usize>(array: &[T; N], index: usize) -> &T {
    &array[index]
}

#[allow(
    clippy::indexing_slicing,
    reason = "pools and kinds are numbers of these arrays"
)]
fn at_mut<T, const N: usize>(array: &mut [T; N], index: usize) -> &mut T {
    &mut array[index]
}

impl TenantHeld {
    /// Bytes of memory, of all kinds.
    pub(crate) fn memory_bytes(&self) -> u64 {
        at(&self.pools, MEMORY).load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use auricle_speech::{MemoryReservation, ReserveError};

    use super::*;
    use crate::{Account, Quotas, Reservation};

    const MIB: u64 = 1 << 20;

    fn node(mib: u64) -> Arc<NodeMemory> {
        NodeMemory::new(NodeLimits {
            memory_bytes: mib * MIB,
            spool_bytes: mib * MIB,
            is_spool_in_memory: false,
        })
    }

    fn tenant(node: &Arc<NodeMemory>) -> Arc<Account> {
        Arc::new(Account::on_node(Quotas::default(), Arc::clone(node)))
    }

    fn total(node: &NodeMemory) -> u64 {
        node.held().iter().map(|(_, bytes)| bytes).sum()
    }

    /// Takes a mebibyte at a time until refused.
    fn take_all(account: &Arc<Account>) -> (Vec<Reservation>, ReserveError) {
        let mut taken = Vec::new();
        loop {
            match account.reserve(HeldKind::Clip, MIB) {
                Ok(one) => taken.push(one),
                Err(error) => return (taken, error),
            }
        }
    }

    #[test]
    fn tenant_that_takes_all_it_can_leaves_room_for_the_next() {
        let node = node(1_024);
        let (first, second, third) = (tenant(&node), tenant(&node), tenant(&node));
        let (a, error) = take_all(&first);
        assert_eq!(a.len(), 512);
        assert!(matches!(error, ReserveError::TenantFull { .. }), "{error}");
        let (b, _) = take_all(&second);
        assert_eq!(b.len(), 256);
        third.reserve(HeldKind::Clip, 100 * MIB).unwrap();
        drop(a);
        assert_eq!(first.held_bytes(), 0);
        assert_eq!(take_all(&second).0.len(), 256, "with what it has");
    }

    #[test]
    fn refusals_tell_what_never_fits_from_what_fits_later() {
        let node = node(128);
        let [greedy, other, third, fourth, fifth] = [(); 5].map(|()| tenant(&node));
        let limit_bytes = 48 * MIB;
        let error = greedy.reserve(HeldKind::Clip, limit_bytes + 1).unwrap_err();
        assert_eq!(error, ReserveError::TooLarge { limit_bytes });
        let _clip = greedy.reserve(HeldKind::Clip, limit_bytes).unwrap();
        let _guest = greedy.reserve(HeldKind::Guest, 16 * MIB).unwrap();
        let error = greedy.reserve(HeldKind::Clip, MIB).unwrap_err();
        assert!(
            matches!(error, ReserveError::TenantFull { retry_after } if !retry_after.is_zero())
        );
        let _others = [(&other, 32), (&third, 16), (&fourth, 16)]
            .map(|(account, mib)| account.reserve(HeldKind::Guest, mib * MIB).unwrap());
        let error = fifth.reserve(HeldKind::Guest, MIB).unwrap_err();
        assert!(matches!(error, ReserveError::NodeFull { retry_after } if !retry_after.is_zero()));
    }

    #[test]
    fn clip_that_grows_beside_its_own_components_is_too_large_and_never_the_tenants_fault() {
        let account = tenant(&node(128));
        let _components = account.reserve(HeldKind::Guest, 15 * MIB).unwrap();
        let _buffers = account.reserve(HeldKind::Buffer, MIB).unwrap();
        let mut clip = account.reservation(HeldKind::Clip);
        let error = (1..).find_map(|mib| clip.resize(mib * MIB).err()).unwrap();
        let limit_bytes = account.most_bytes(HeldKind::Clip);
        assert_eq!(error, ReserveError::TooLarge { limit_bytes });
        assert_eq!(clip.bytes(), limit_bytes);
    }

    #[test]
    fn refused_growth_changes_nothing_and_drop_gives_all_back() {
        let node = node(128);
        let account = tenant(&node);
        let mut held = account.reserve(HeldKind::Tensor, 30 * MIB).unwrap();
        assert!(held.resize(50 * MIB).is_err());
        assert_eq!((held.bytes(), total(&node)), (30 * MIB, 30 * MIB));
        held.resize(10 * MIB).unwrap();
        assert_eq!(account.held_bytes(), 10 * MIB);
        let mut sibling = MemoryReservation::sibling(&held);
        sibling.resize(5 * MIB).unwrap();
        drop(held);
        assert_eq!(total(&node), 5 * MIB);
        drop(sibling);
        assert_eq!((total(&node), account.held_bytes()), (0, 0));
    }

    #[test]
    fn quota_bounds_audio_tensors_and_spools_together_and_nothing_else() {
        let quotas = Quotas {
            max_host_bytes: Some(MIB),
            ..Quotas::default()
        };
        let account = Arc::new(Account::on_node(quotas, node(1_024)));
        let error = account.reserve(HeldKind::Clip, MIB + 1).unwrap_err();
        assert_eq!(error, ReserveError::TooLarge { limit_bytes: MIB });
        let _clip = account.reserve(HeldKind::Clip, MIB / 2).unwrap();
        let _spool = account.reserve(HeldKind::SpoolFile, MIB / 4).unwrap();
        let error = account.reserve(HeldKind::Tensor, MIB / 2).unwrap_err();
        assert!(matches!(error, ReserveError::TenantFull { .. }), "{error}");
        account.reserve(HeldKind::Guest, 9 * MIB).unwrap();
        assert_eq!(account.most_bytes(HeldKind::Clip), MIB);
        assert_eq!(account.most_bytes(HeldKind::Guest), 512 * MIB);
    }

    #[test]
    fn spool_disk_is_a_pool_of_its_own_unless_it_is_memory() {
        let on_disk = tenant(&node(64));
        let _file = on_disk.reserve(HeldKind::SpoolFile, 32 * MIB).unwrap();
        assert_eq!(on_disk.held_bytes(), 0);
        on_disk.reserve(HeldKind::Clip, 16 * MIB).unwrap();
        let in_memory = tenant(&NodeMemory::new(NodeLimits {
            is_spool_in_memory: true,
            ..node(64).limits()
        }));
        let _file = in_memory.reserve(HeldKind::SpoolFile, 16 * MIB).unwrap();
        assert_eq!(in_memory.held_bytes(), 16 * MIB);
        let _guest = in_memory.reserve(HeldKind::Guest, 16 * MIB).unwrap();
        assert!(in_memory.reserve(HeldKind::Clip, MIB).is_err());
    }
}
