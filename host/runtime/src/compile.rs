//! Compiling what a tenant sent: in a process of its own.
//!
//! Cranelift is no sandbox and bounds neither its time nor its memory on hostile input. So components
//! that come from tenants are compiled by this same program, started as `auricle compile-component`
//! with an empty environment, low priority, and limits on its memory, its processor time and the
//! files that it may open; it reads the component from its standard input and writes the code to
//! its standard output. It is killed at a deadline, when the server stops, and when the server dies.
//!
//! Few compilers run at once; tenants that wait for one have turns (`queue`), and their processor time is
//! charged to the tenant's account. Where the program's `main` passes a confinement, the compiler takes it
//! on before it reads a byte of the component.
//!
//! # Limits
//! The code that it gives back is trusted: whoever takes over the compiler has it run. That process
//! belongs to the same user; it is no boundary against a fault in Cranelift that yields wrong code,
//! of which wasmtime's own tests take care.

mod queue;

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use auricle_speech::TenantId;
use auricle_tenancy::Account;
use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitId, WaitIdOptions, getppid, nice,
    set_parent_process_death_signal, setrlimit, waitid,
};
use serde::{Deserialize, Serialize};
use wasmtime::Engine;

use crate::engine::{RuntimeConfig, engine_config};

pub(crate) use queue::CompileQueue;

/// Name of the verb that turns this program into a compiler.
pub const VERB: &str = "compile-component";

/// Open files of the compiler: its streams, and what the C library opens.
const MAX_FILES: u64 = 32;

/// Steps that its priority is lowered by.
const NICENESS: i32 = 10;

/// Bytes of its words on standard error that are looked at.
const MAX_WORDS: u64 = 4_096;

/// Code of a component at most, as a multiple of its size, beside [`CODE_ALLOWANCE_BYTES`].
const CODE_FACTOR: u64 = 32;

/// Code that a component of any size may have.
const CODE_ALLOWANCE_BYTES: u64 = 16 << 20;

/// Units of processor time in `/proc/PID/stat` per second: `USER_HZ`, which is 100 on Linux.
const TICKS_PER_SEC: u64 = 100;

/// How long a compiler may take to end after it has closed its output: steps of 10 ms.
const SETTLE_STEPS: u32 = 500;
const SETTLE_STEP: Duration = Duration::from_millis(10);

/// What compiling one component may use, and how many compilers run at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CompileLimits {
    /// Seconds until the compiler is killed: on a busy machine it waits, with its low priority, for most
    /// of them. Default 300.
    pub timeout_secs: u64,
    /// Seconds of processor time, over all its threads. Default 240.
    pub cpu_secs: u64,
    /// Bytes of memory. Default 3 GiB: the JavaScript and Python examples, of 12 and
    /// 18 MB, take 0.33 GB.
    pub memory_bytes: u64,
    /// Compilers at once on this node; one uses all cores. At least 1. Default 1.
    pub max_at_once: usize,
    /// Seconds to wait for a compiler before the client is told to come back (503). Default 120.
    pub wait_secs: u64,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self {
            timeout_secs: 300,
            cpu_secs: 240,
            memory_bytes: 3 << 30,
            max_at_once: 1,
            wait_secs: 120,
        }
    }
}

/// The tenant whose component is compiled, and the account that is charged for it.
#[derive(Clone, Debug)]
pub struct Payer {
    /// The tenant.
    pub tenant: TenantId,
    /// Its account.
    pub account: Arc<Account>,
}

/// Why there is no code.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// The compiler did not like the component.
    #[error("{0}")]
    Refused(String),
    /// It was killed, or gave up, at a limit.
    #[error("compiling it takes more time or memory than a component may: make it smaller")]
    OverLimit,
    /// The compiler could not be started or talked to.
    #[error("the compiler cannot be run")]
    Failed(#[source] std::io::Error),
    /// Other components were compiled for too long.
    #[error(
        "other components are being compiled: try again in {} s", .retry_after.as_secs()
    )]
    Busy {
        /// When a compiler may be free.
        retry_after: Duration,
    },
    /// The server was told to stop.
    #[error("the server is about to stop: try again")]
    Stopping,
}

/// The program that compiles, what it may use, and the node's queue for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Compiler<'a> {
    pub(crate) program: &'a PathBuf,
    pub(crate) config: &'a RuntimeConfig,
    pub(crate) queue: &'a CompileQueue,
}

impl Compiler<'_> {
    /// The code of a component of `payer`'s. Blocking: waits for a compiler, then for the code.
    pub(crate) fn compile(&self, component: &[u8], payer: &Payer) -> Result<Vec<u8>, CompileError> {
        let patience = Duration::from_secs(self.config.compile.wait_secs);
        let _permit = self.queue.acquire(&payer.tenant, patience)?;
        let mut child = self.start()?;
        let (Some(input), Some(output), Some(words)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(CompileError::Failed(std::io::ErrorKind::BrokenPipe.into()));
        };
        let pipes = Pipes {
            input,
            output,
            words,
        };
        self.attend(&mut child, pipes, component, payer)
    }

    fn start(&self) -> Result<Child, CompileError> {
        let order = serde_json::to_string(&Order {
            limits: self.config.compile.clone(),
            max_memory_bytes: self.config.max_memory_bytes,
            parent: std::process::id(),
        });
        let order = order.map_err(|error| CompileError::Failed(error.into()))?;
        Command::new(self.program)
            .arg(VERB)
            .arg(order)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(CompileError::Failed)
    }

    /// Feeds the compiler and waits for its end.
    fn attend(
        &self,
        child: &mut Child,
        pipes: Pipes,
        component: &[u8],
        payer: &Payer,
    ) -> Result<Vec<u8>, CompileError> {
        let most = CODE_ALLOWANCE_BYTES + component.len() as u64 * CODE_FACTOR;
        let began = Instant::now();
        std::thread::scope(|scope| {
            let (done, watch) = channel();
            let Pipes {
                input,
                output,
                words,
            } = pipes;
            // Each ends with the child's end of its pipe.
            scope.spawn(move || feed(input, component));
            let words = scope.spawn(move || read(words, MAX_WORDS));
            let code = scope.spawn(move || {
                let code = read(output, most);
                ended(&done);
                code
            });
            let ended = self.wait_for_end(child, &watch);
            let used = ended.as_ref().ok().copied().flatten();
            payer
                .account
                .use_compile(used.unwrap_or_else(|| began.elapsed()));
            let status = ended.and_then(|_| child.wait());
            let status = status.map_err(CompileError::Failed)?;
            let code = code.join().unwrap_or_default();
            let words = words.join().unwrap_or_default();
            match status.code() {
                Some(0) if (code.len() as u64) < most => Ok(code),
                Some(REFUSED) => Err(CompileError::Refused(
                    String::from_utf8_lossy(&words).trim().to_owned(),
                )),
                _ if self.queue.is_stopped() => Err(CompileError::Stopping),
                Some(UNCONFINED) => {
                    let words = String::from_utf8_lossy(&words).into_owned();
                    Err(CompileError::Failed(std::io::Error::other(words)))
                }
                _ => Err(CompileError::OverLimit),
            }
        })
    }
}

impl Compiler<'_> {
    /// Waits until a compiler that is `watch`ed has ended, by itself or killed, and gives the processor time
    /// that it used where the system tells. It is not waited for as a child yet.
    fn wait_for_end(
        &self,
        child: &mut Child,
        watch: &Receiver<()>,
    ) -> std::io::Result<Option<Duration>> {
        let timeout = Duration::from_secs(self.config.compile.timeout_secs);
        // Dropped before its number may be another process's.
        let registered = self.queue.killable(child.id());
        let in_time = registered.is_ok()
            && watch.recv_timeout(timeout) != Err(RecvTimeoutError::Timeout)
            && ends_soon(child.id());
        if !in_time {
            child.kill()?;
        }
        Ok(cpu_time(child.id()))
    }
}

/// Whether a compiler that has closed its output ends.
fn ends_soon(id: u32) -> bool {
    for _ in 0..SETTLE_STEPS {
        match status_of(id, WaitIdOptions::NOHANG) {
            Some(true) => return true,
            Some(false) => std::thread::sleep(SETTLE_STEP),
            None => return false,
        }
    }
    false
}

/// Whether a child has ended, which it is not waited for with: its number stays its own.
fn status_of(id: u32, options: WaitIdOptions) -> Option<bool> {
    let process = i32::try_from(id).ok().and_then(Pid::from_raw)?;
    let options = options | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    let status = waitid(WaitId::Pid(process), options).ok()?;
    Some(status.is_some())
}

/// The ends of a compiler's pipes.
struct Pipes {
    input: ChildStdin,
    output: ChildStdout,
    words: ChildStderr,
}

/// Processor time of a child over all its threads, once it has ended.
fn cpu_time(id: u32) -> Option<Duration> {
    status_of(id, WaitIdOptions::empty())?;
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name before ')' may have blanks. utime and stime are the 14th and 15th field of all.
    let mut fields = stat.rsplit(')').next()?.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    let ticks = ticks()?.saturating_add(ticks()?);
    Some(Duration::from_millis(ticks * 1_000 / TICKS_PER_SEC))
}

/// Exit status for a component that the compiler does not take. Others mean that it ended otherwise.
const REFUSED: i32 = 65;

/// Exit status when the compiler could not be put under its limits.
const UNCONFINED: i32 = 66;

/// What the compiler is told.
#[derive(Serialize, Deserialize)]
struct Order {
    limits: CompileLimits,
    max_memory_bytes: usize,
    /// The server's process.
    parent: u32,
}

fn feed(mut input: impl Write, component: &[u8]) {
    // A compiler that ended early has said why, or was killed.
    let _ = input.write_all(component);
}

fn read(from: impl Read, most: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = from.take(most).read_to_end(&mut bytes);
    bytes
}

fn ended(done: &Sender<()>) {
    // Nobody waits when the time was over first.
    let _ = done.send(());
}

/// What `auricle compile-component ORDER` does: a component from standard input, its code to standard
/// output. `confine` takes this process's rights away, for good; it is given the number of the server's
/// process and has to call [`end_with_parent`] with it. Gives the exit status.
#[must_use]
pub fn run_compiler(order: &str, confine: impl FnOnce(u32) -> Result<(), String>) -> i32 {
    let config = match prepare(order, confine) {
        Ok(config) => config,
        Err(reason) => {
            eprintln!("{reason}");
            return UNCONFINED;
        }
    };
    match compile(&config) {
        Ok(Ok(code)) => match std::io::stdout().write_all(&code) {
            Ok(()) => 0,
            Err(_) => 1,
        },
        Ok(Err(refusal)) => {
            eprintln!("{refusal:#}");
            REFUSED
        }
        Err(failure) => {
            eprintln!("{failure}");
            1
        }
    }
}

fn compile(config: &RuntimeConfig) -> Result<wasmtime::Result<Vec<u8>>, String> {
    let mut component = Vec::new();
    std::io::stdin()
        .read_to_end(&mut component)
        .map_err(|error| error.to_string())?;
    let engine = Engine::new(&engine_config(config)).map_err(|error| error.to_string())?;
    Ok(engine.precompile_component(&component))
}

/// Limits what this process may use of `resource`, for good.
///
/// # Errors
/// Says so when the system does not.
pub fn limit_process(resource: Resource, most: u64) -> Result<(), String> {
    let both = Rlimit {
        current: Some(most),
        maximum: Some(most),
    };
    setrlimit(resource, both).map_err(|error| format!("no limit can be set: {error}"))
}

/// Has the system kill this process when the thread that started it ends, as it does when `parent` is
/// killed. A change of user undoes it.
///
/// # Errors
/// When the system refuses, or `parent` is gone already.
pub fn end_with_parent(parent: u32) -> Result<(), String> {
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|error| error.to_string())?;
    let now = getppid().map(|parent| parent.as_raw_nonzero().get());
    match now.and_then(|now| u32::try_from(now).ok()) {
        Some(now) if now == parent => Ok(()),
        _ => Err("the server has ended".to_owned()),
    }
}

/// Takes on the limits.
fn prepare(
    order: &str,
    confine: impl FnOnce(u32) -> Result<(), String>,
) -> Result<RuntimeConfig, String> {
    let order: Order = serde_json::from_str(order).map_err(|error| error.to_string())?;
    let limit = limit_process;
    nice(NICENESS).map_err(|error| error.to_string())?;
    limit(Resource::Cpu, order.limits.cpu_secs)?;
    // Not the address space, of which the engine reserves more than it ever uses.
    limit(Resource::Data, order.limits.memory_bytes)?;
    limit(Resource::Nofile, MAX_FILES)?;
    limit(Resource::Fsize, 0)?;
    limit(Resource::Core, 0)?;
    confine(order.parent)?;
    Ok(RuntimeConfig {
        // Settings that code depends on must be the server's; the pool's size is none of them.
        max_requests: 1,
        max_memory_bytes: order.max_memory_bytes,
        ..RuntimeConfig::default()
    })
}
