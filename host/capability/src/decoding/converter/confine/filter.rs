//! The system calls that a converter has. One that is not on the list answers `ENOSYS`, as if this
//! system did not have it, so that the C library takes the older way where there is one.

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule,
};

/// Calls that are allowed whatever their arguments: seen with ffmpeg 5.1 and glibc 2.36 under
/// `strace`, with their older and newer forms.
const CALLS: &[i64] = &[
    libc::SYS_brk,
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_close,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fcntl,
    libc::SYS_fstat,
    libc::SYS_fstatfs,
    libc::SYS_futex,
    libc::SYS_get_mempolicy,
    libc::SYS_getcpu,
    libc::SYS_getcwd,
    libc::SYS_getdents64,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getrandom,
    libc::SYS_getrusage,
    libc::SYS_gettid,
    libc::SYS_gettimeofday,
    libc::SYS_getuid,
    libc::SYS_lseek,
    libc::SYS_madvise,
    libc::SYS_mbind,
    libc::SYS_mlock,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munlock,
    libc::SYS_munmap,
    libc::SYS_nanosleep,
    libc::SYS_newfstatat,
    libc::SYS_ppoll,
    libc::SYS_pread64,
    libc::SYS_pselect6,
    libc::SYS_read,
    libc::SYS_readlinkat,
    libc::SYS_readv,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_getparam,
    libc::SYS_sched_getscheduler,
    libc::SYS_sched_yield,
    libc::SYS_set_mempolicy,
    libc::SYS_set_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_sigaltstack,
    libc::SYS_statfs,
    libc::SYS_statx,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    libc::SYS_write,
    libc::SYS_writev,
];

/// The same that only this architecture has.
#[cfg(target_arch = "x86_64")]
const OWN_CALLS: &[i64] = &[
    libc::SYS_access,
    libc::SYS_arch_prctl,
    libc::SYS_getrlimit,
    libc::SYS_lstat,
    libc::SYS_poll,
    libc::SYS_readlink,
    libc::SYS_select,
    libc::SYS_stat,
    libc::SYS_time,
];
#[cfg(not(target_arch = "x86_64"))]
const OWN_CALLS: &[i64] = &[];

/// What an argument of a call must be: the call, the argument's position, the bits that count, and
/// their value.
const CONDITIONS: &[(i64, u8, u64, u64)] = &[
    // Files are opened to be read.
    (libc::SYS_openat, 2, WRITING, 0),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, 1, WRITING, 0),
    // Threads, and no processes. `clone3` hides its flags from a filter; without it `clone` is used.
    (libc::SYS_clone, 0, THREAD, THREAD),
    // Names of threads, and which capabilities there are.
    (libc::SYS_prctl, 0, u64::MAX, libc::PR_SET_NAME as u64),
    (libc::SYS_prctl, 0, u64::MAX, libc::PR_CAPBSET_READ as u64),
    // Whether a file is a terminal; a terminal could be written to by others.
    (libc::SYS_ioctl, 1, u64::MAX, libc::TCGETS),
    // Limits are read.
    (libc::SYS_prlimit64, 2, u64::MAX, 0),
];

/// Flags of opening a file by which it could be changed or made.
const WRITING: u64 = (libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC) as u64;

/// The flag of a clone that is a thread.
const THREAD: u64 = libc::CLONE_THREAD as u64;

/// What a confined process does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Becomes {
    /// It becomes another program.
    AnotherProgram,
    /// It stays what it is.
    Nothing,
}

/// The filter of the process of this number, which may signal itself alone: the C library ends
/// programs so.
pub(super) fn filter(process: u32, becomes: Becomes) -> Result<BpfProgram, BackendError> {
    let execve: &[i64] = match becomes {
        Becomes::AnotherProgram => &[libc::SYS_execve],
        Becomes::Nothing => &[],
    };
    let mut rules: std::collections::BTreeMap<i64, Vec<SeccompRule>> = CALLS
        .iter()
        .chain(OWN_CALLS)
        .chain(execve)
        .map(|call| (*call, Vec::new()))
        .collect();
    let itself = (libc::SYS_tgkill, 0, u64::MAX, u64::from(process));
    for (call, position, bits, value) in CONDITIONS.iter().copied().chain([itself]) {
        let condition = SeccompCondition::new(
            position,
            SeccompCmpArgLen::Qword,
            SeccompCmpOp::MaskedEq(bits),
            value,
        )?;
        let rule = SeccompRule::new(vec![condition])?;
        rules.entry(call).or_default().push(rule);
    }
    SeccompFilter::new(
        rules,
        SeccompAction::Errno(libc::ENOSYS as u32),
        SeccompAction::Allow,
        std::env::consts::ARCH.try_into()?,
    )?
    .try_into()
}
