//! Why an instance ended before it answered.

use auricle_speech::ReserveError;
use auricle_tenancy::OverQuota;
use wasmtime::{PoolConcurrencyLimitError, Trap};

use crate::cpu::CpuExhausted;
use crate::limits::LimitState;

/// Why an instance ended before it answered. The instance is gone with it; nothing else is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GuestFailure {
    /// It used more CPU time than its budget.
    #[error("the component used up its CPU budget")]
    CpuExhausted,
    /// It took longer than the request may.
    #[error("the component did not finish in time")]
    DeadlineExceeded,
    /// It asked for more memory than its limit and gave up.
    #[error("the component ran out of memory")]
    OutOfMemory,
    /// It exceeded another limit: table elements, handles, host resources, bytes of a call.
    #[error("the component exceeded a limit: {0}")]
    LimitExceeded(String),
    /// It recursed too deeply.
    #[error("the component overflowed its stack")]
    StackOverflow,
    /// It trapped or panicked; the text is for the operator.
    #[error("the component trapped: {0}")]
    Trapped(String),
    /// It broke the rules of its role; the text is for the operator.
    #[error("the component broke its contract: {0}")]
    ContractBroken(String),
    /// All instances of the node are in use, or all the memory that it may hold.
    #[error("the node has no room for another instance")]
    PoolExhausted,
    /// Its tenant's components use as much as they may, or have.
    #[error("the tenant is over a quota: {0}")]
    OverQuota(OverQuota),
}

impl GuestFailure {
    /// Classifies what wasmtime reported, with the help of what the instance was refused.
    #[must_use]
    pub fn from_error(error: &wasmtime::Error, limits: &LimitState) -> Self {
        if error.downcast_ref::<CpuExhausted>().is_some() {
            return Self::CpuExhausted;
        }
        if error.downcast_ref::<PoolConcurrencyLimitError>().is_some() {
            return Self::PoolExhausted;
        }
        if let Some(over) = error.downcast_ref::<OverQuota>().copied() {
            return Self::OverQuota(over);
        }
        if let Some(refusal) = error.downcast_ref::<ReserveError>() {
            return (*refusal).into();
        }
        if let Some(over) = limits.over_quota() {
            return Self::OverQuota(over);
        }
        if limits.node_full() {
            return Self::PoolExhausted;
        }
        if limits.memory_refused() {
            return Self::OutOfMemory;
        }
        match error.downcast_ref::<Trap>() {
            Some(Trap::StackOverflow) => Self::StackOverflow,
            Some(Trap::Interrupt) => Self::CpuExhausted,
            Some(Trap::AllocationTooLarge) => Self::LimitExceeded(detail(error)),
            Some(_) if limits.table_refused() => Self::LimitExceeded("table elements".into()),
            Some(_) => Self::Trapped(detail(error)),
            None => Self::LimitExceeded(detail(error)),
        }
    }

    /// A short stable name for metrics and logs.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::CpuExhausted => "cpu_exhausted",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::OutOfMemory => "out_of_memory",
            Self::LimitExceeded(_) => "limit_exceeded",
            Self::StackOverflow => "stack_overflow",
            Self::Trapped(_) => "trapped",
            Self::ContractBroken(_) => "contract_broken",
            Self::PoolExhausted => "pool_exhausted",
            Self::OverQuota(_) => "over_quota",
        }
    }
}

impl From<ReserveError> for GuestFailure {
    fn from(error: ReserveError) -> Self {
        match error {
            ReserveError::TooLarge { .. } => Self::LimitExceeded(error.to_string()),
            ReserveError::TenantFull { retry_after } => {
                Self::OverQuota(OverQuota::HeldMemory { retry_after })
            }
            ReserveError::NodeFull { .. } => Self::PoolExhausted,
        }
    }
}

/// The chain of causes in one line.
fn detail(error: &wasmtime::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(cause.to_string().lines().next().unwrap_or_default());
    }
    text
}
