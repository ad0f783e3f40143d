//! The process that becomes ffmpeg: this same program, started as `auricle confine-converter`.
//!
//! Between fork and exec Rust cannot run code safely, so rights are given up in a program of its own,
//! which then becomes ffmpeg: limits on memory, processor time and files; where it is root, another
//! user; no new rights; and a filter of system calls, which leaves it what a program needs to load its
//! libraries, read, write and compute. It can open files only to read them, and has no sockets, no
//! other processes and no tracing; a call that is not on the list answers `ENOSYS`, as if this system
//! did not have it, so that the C library takes the older way where there is one.
//!
//! Not `setpriv` and `unshare`, which were here before: they know no filter (`setpriv` does from
//! util-linux 2.41 on), and many containers let nobody make a network namespace. Without sockets there
//! is no network to be kept from.
//!
//! # Limits
//! What everybody may read it may read, as it must to load its libraries. It may become another program,
//! within the same limits and the same filter.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Gid, Resource, Rlimit, Uid, geteuid, setrlimit};
use rustix::thread::{
    CapabilitySet, CapabilitySets, set_capabilities, set_no_new_privs, set_thread_groups,
    set_thread_res_gid, set_thread_res_uid,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

/// Name of the verb that turns this program into the converter:
/// `auricle confine-converter MEMORY_BYTES CPU_SECS PROGRAM ARGUMENTS…`.
pub const VERB: &str = "confine-converter";

/// Open files of the process: its pipes, and libraries one by one as it starts.
const MAX_FILES: u64 = 64;

/// Who root becomes: nobody, as Debian numbers it.
const NOBODY: u32 = 65_534;

/// Exit status where the program could not be confined or started.
const NOT_STARTED: i32 = 126;

/// Confines this process and becomes the program that `arguments` (after the verb) name. Comes back
/// only where it cannot, with the exit status, and says why on standard error.
#[must_use]
pub fn run(arguments: impl Iterator<Item = OsString>) -> i32 {
    let reason = match become_program(arguments) {
        Ok(never) => match never {},
        Err(reason) => reason,
    };
    eprintln!("{reason}");
    NOT_STARTED
}

fn become_program(
    mut arguments: impl Iterator<Item = OsString>,
) -> Result<std::convert::Infallible, String> {
    let mut number = || {
        let typed = arguments.next()?;
        typed.to_str()?.parse::<u64>().ok()
    };
    let (memory_bytes, cpu_secs) = number().zip(number()).ok_or("two numbers are missing")?;
    let program = arguments.next().ok_or("a program is missing")?;
    let mut command = Command::new(&program);
    command.args(arguments);
    let filter = filter().map_err(|error| error.to_string())?;
    limit(Resource::Cpu, cpu_secs)?;
    limit(Resource::Nofile, MAX_FILES)?;
    limit(Resource::Fsize, 0)?;
    limit(Resource::Core, 0)?;
    give_up_rights().map_err(|error| format!("rights cannot be given up: {error}"))?;
    // Last, because this program is larger than what it becomes.
    limit(Resource::As, memory_bytes)?;
    seccompiler::apply_filter(&filter)
        .map_err(|error| format!("this system takes no filter of system calls: {error}"))?;
    Err(command.exec().to_string())
}

fn limit(resource: Resource, value: u64) -> Result<(), String> {
    let both = Rlimit {
        current: Some(value),
        maximum: Some(value),
    };
    setrlimit(resource, both).map_err(|error| format!("no limit can be set: {error}"))
}

/// Of this thread, which is the one that stays.
fn give_up_rights() -> rustix::io::Result<()> {
    if geteuid().is_root() {
        let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
        set_thread_groups(&[])?;
        set_thread_res_gid(group, group, group)?;
        // Takes root's capabilities too.
        set_thread_res_uid(user, user, user)?;
    }
    let none = CapabilitySet::empty();
    set_capabilities(
        None,
        CapabilitySets {
            effective: none,
            permitted: none,
            inheritable: none,
        },
    )?;
    set_no_new_privs(true)
}

/// Calls that are allowed whatever their arguments: seen with ffmpeg 5.1 and glibc 2.36 under
/// `strace`, with their older and newer forms.
const CALLS: &[i64] = &[
    libc::SYS_brk,
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_close,
    libc::SYS_execve,
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
    libc::SYS_tgkill,
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

fn filter() -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: std::collections::BTreeMap<i64, Vec<SeccompRule>> = CALLS
        .iter()
        .chain(OWN_CALLS)
        .map(|call| (*call, Vec::new()))
        .collect();
    for (call, position, bits, value) in CONDITIONS {
        let condition = SeccompCondition::new(
            *position,
            SeccompCmpArgLen::Qword,
            SeccompCmpOp::MaskedEq(*bits),
            *value,
        )?;
        let rule = SeccompRule::new(vec![condition])?;
        rules.entry(*call).or_default().push(rule);
    }
    SeccompFilter::new(
        rules,
        SeccompAction::Errno(libc::ENOSYS as u32),
        SeccompAction::Allow,
        std::env::consts::ARCH.try_into()?,
    )?
    .try_into()
}
