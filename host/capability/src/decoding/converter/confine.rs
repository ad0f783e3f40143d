//! The process that becomes ffmpeg: this same program, started as `auricle confine-converter`. The compiler
//! of tenants' components takes on the same rules without becoming another program ([`confine_compiler`]).
//!
//! Between fork and exec Rust cannot run code safely, so rights are given up in a program of its own,
//! which then becomes ffmpeg: limits on memory, processor time and files; where it is root, another
//! user; no new rights; a rule set of Landlock, by which it can read the system's libraries and no other
//! file, and signal and trace nobody; and a filter of system calls (`filter`), which leaves it what a
//! program needs to load its libraries, read, write and compute. It can open files only to read them, and
//! has no sockets and no other processes.
//!
//! Not `setpriv` and `unshare`, which were here before: they know no filter (`setpriv` does from
//! util-linux 2.41 on), and many containers let nobody make a network namespace. Without sockets there
//! is no network to be kept from.
//!
//! # Limits
//! It may become another program, within the same limits and the same filter. On a kernel without Landlock
//! (before 5.13, or not switched on) it can read what everybody can read, and what the server's user can
//! where that is not root; the server says so when it starts.

mod filter;

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use auricle_runtime::compile::{end_with_parent, limit_process as limit};
use landlock::{
    ABI, Access, AccessFs, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus,
    Scope, path_beneath_rules,
};
use rustix::process::{Gid, Resource, Uid, geteuid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, set_capabilities, set_no_new_privs, set_thread_groups,
    set_thread_res_gid, set_thread_res_uid,
};

use filter::Becomes;

/// Name of the verb that turns this program into the converter:
/// `auricle confine-converter MEMORY_BYTES CPU_SECS PROGRAM ARGUMENTS…`.
pub const VERB: &str = "confine-converter";

/// Open files of the process: its pipes, and libraries one by one as it starts.
const MAX_FILES: u64 = 64;

/// Who root becomes: nobody, as Debian numbers it.
const NOBODY: u32 = 65_534;

/// What the program may read, beside its own folder: libraries, the list of where they are, and nothing.
const READABLE: [&str; 5] = ["/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/dev/null"];

/// The newest rules that are asked for: Linux 6.12. Older kernels take those that they know.
const RULES: ABI = ABI::V6;

/// What is said on standard error where the kernel takes no rules at all.
pub(super) const UNENCLOSED: &str = "this system has no Landlock";

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
    let filter = filter::filter(std::process::id(), Becomes::AnotherProgram);
    let filter = filter.map_err(|error| error.to_string())?;
    // Where memory runs out, the kernel ends this process before the server.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    limit(Resource::Cpu, cpu_secs)?;
    limit(Resource::Nofile, MAX_FILES)?;
    limit(Resource::Fsize, 0)?;
    limit(Resource::Core, 0)?;
    give_up_rights().map_err(|error| format!("rights cannot be given up: {error}"))?;
    let folder = Path::new(&program).parent();
    let readable = READABLE.iter().map(Path::new).chain(folder);
    let enclosed = enclose(readable);
    if !enclosed.map_err(|error| format!("it cannot be kept from files: {error}"))? {
        eprintln!("{UNENCLOSED}");
    }
    // Last, because this program is larger than what it becomes.
    limit(Resource::As, memory_bytes)?;
    seccompiler::apply_filter(&filter)
        .map_err(|error| format!("this system takes no filter of system calls: {error}"))?;
    Err(command.exec().to_string())
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

/// Leaves this thread what may be read; whether the kernel takes such rules.
fn enclose<'a>(readable: impl Iterator<Item = &'a Path>) -> Result<bool, RulesetError> {
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(RULES))?
        .scope(Scope::from_all(RULES))?
        .create()?
        .add_rules(path_beneath_rules(readable, AccessFs::from_read(RULES)))?
        .restrict_self()?;
    Ok(status.ruleset != RulesetStatus::NotEnforced)
}

/// Confines this process, which compiles tenants' components from its standard input to its standard
/// output: no rights, no files, no sockets, no other processes or programs, and an end with the process
/// `parent`. Its limits it has set itself. On a kernel without Landlock it can read files as the converter
/// can.
///
/// # Errors
/// Says what the system refused.
pub fn confine_compiler(parent: u32) -> Result<(), String> {
    let filter = filter::filter(std::process::id(), Becomes::Nothing);
    let filter = filter.map_err(|error| error.to_string())?;
    give_up_rights().map_err(|error| format!("rights cannot be given up: {error}"))?;
    enclose(std::iter::empty())
        .map_err(|error| format!("it cannot be kept from files: {error}"))?;
    // After the change of user, which undoes it.
    end_with_parent(parent)?;
    seccompiler::apply_filter(&filter)
        .map_err(|error| format!("this system takes no filter of system calls: {error}"))
}
