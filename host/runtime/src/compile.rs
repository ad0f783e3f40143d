//! Compiling what a tenant sent: in a process of its own.
//!
//! Cranelift is no sandbox and bounds neither its time nor its memory on hostile input. So components
//! that come from tenants are compiled by this same program, started as `auricle compile-component`
//! with an empty environment, low priority, and limits on its memory, its processor time and the
//! files that it may open; it reads the component from its standard input and writes the code to
//! its standard output. It is killed at a deadline.
//!
//! # Limits
//! The code that it gives back is trusted: whoever takes over the compiler has it run. That process
//! belongs to the same user; it is no boundary against a fault in Cranelift that yields wrong code,
//! of which wasmtime's own tests take care.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, nice, setrlimit};
use serde::{Deserialize, Serialize};
use wasmtime::Engine;

use crate::engine::{RuntimeConfig, engine_config};

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

/// What compiling one component may use.
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
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self {
            timeout_secs: 300,
            cpu_secs: 240,
            memory_bytes: 3 << 30,
        }
    }
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
}

/// The program that compiles, and what it may use.
#[derive(Clone, Debug)]
pub(crate) struct Compiler {
    pub(crate) program: PathBuf,
    pub(crate) config: RuntimeConfig,
}

impl Compiler {
    /// The code of a component. Blocking.
    pub(crate) fn compile(&self, component: &[u8]) -> Result<Vec<u8>, CompileError> {
        let limits = serde_json::to_string(&Order {
            limits: self.config.compile.clone(),
            max_memory_bytes: self.config.max_memory_bytes,
        });
        let limits = limits.map_err(|error| CompileError::Failed(error.into()))?;
        let mut child = Command::new(&self.program)
            .arg(VERB)
            .arg(limits)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(CompileError::Failed)?;
        let (Some(input), Some(output), Some(words)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(CompileError::Failed(std::io::ErrorKind::BrokenPipe.into()));
        };
        let most = CODE_ALLOWANCE_BYTES + component.len() as u64 * CODE_FACTOR;
        let timeout = Duration::from_secs(self.config.compile.timeout_secs);
        std::thread::scope(|scope| {
            let (done, watch) = channel();
            // Each ends with the child's end of its pipe.
            scope.spawn(move || feed(input, component));
            let words = scope.spawn(move || read(words, MAX_WORDS));
            let code = scope.spawn(move || {
                let code = read(output, most);
                ended(&done);
                code
            });
            let status = match watch.recv_timeout(timeout) {
                Err(RecvTimeoutError::Timeout) => kill(&mut child),
                _ => Ok(()),
            }
            .and_then(|()| child.wait())
            .map_err(CompileError::Failed)?;
            let code = code.join().unwrap_or_default();
            let words = words.join().unwrap_or_default();
            match status.code() {
                Some(0) if (code.len() as u64) < most => Ok(code),
                Some(REFUSED) => Err(CompileError::Refused(
                    String::from_utf8_lossy(&words).trim().to_owned(),
                )),
                _ => Err(CompileError::OverLimit),
            }
        })
    }
}

/// Exit status for a component that the compiler does not take. Others mean that it ended otherwise.
const REFUSED: i32 = 65;

/// What the compiler is told.
#[derive(Serialize, Deserialize)]
struct Order {
    limits: CompileLimits,
    max_memory_bytes: usize,
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

fn kill(child: &mut Child) -> std::io::Result<()> {
    child.kill()
}

/// What `auricle compile-component ORDER` does: a component from standard input, its code to standard
/// output. Gives the exit status.
#[must_use]
pub fn run_compiler(order: &str) -> i32 {
    let outcome = prepare(order).and_then(|config| {
        let mut component = Vec::new();
        std::io::stdin()
            .read_to_end(&mut component)
            .map_err(|error| error.to_string())?;
        let engine = Engine::new(&engine_config(&config)).map_err(|error| error.to_string())?;
        Ok(engine.precompile_component(&component))
    });
    match outcome {
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

/// Takes on the limits.
fn prepare(order: &str) -> Result<RuntimeConfig, String> {
    let order: Order = serde_json::from_str(order).map_err(|error| error.to_string())?;
    let limit = limit_process;
    nice(NICENESS).map_err(|error| error.to_string())?;
    limit(Resource::Cpu, order.limits.cpu_secs)?;
    // Not the address space, of which the engine reserves more than it ever uses.
    limit(Resource::Data, order.limits.memory_bytes)?;
    limit(Resource::Nofile, MAX_FILES)?;
    limit(Resource::Fsize, 0)?;
    limit(Resource::Core, 0)?;
    Ok(RuntimeConfig {
        // Settings that code depends on must be the server's; the pool's size is none of them.
        max_requests: 1,
        max_memory_bytes: order.max_memory_bytes,
        ..RuntimeConfig::default()
    })
}
