//! A server of the test's own, or the one that tests share which leave nothing behind.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::NamedTempFile;

use super::program::{Kept, command, scratch, unset};

/// How long a start may take: the first one of all compiles the components.
const START: Duration = Duration::from_secs(120);

/// What a server is started with.
pub struct Builder {
    args: Vec<String>,
    envs: Vec<(String, String)>,
    config: Option<String>,
    model: Option<String>,
    listen: Option<String>,
    data_dir: PathBuf,
    text_log: bool,
    group: Option<PathBuf>,
}

impl Builder {
    /// Another model than `tiny.en`.
    pub fn model(mut self, name: &str) -> Self {
        self.model = Some(name.to_owned());
        self
    }

    /// A model only as the environment or the configuration names it.
    pub fn no_model_flag(mut self) -> Self {
        self.model = None;
        self
    }

    /// An address only as the environment or the configuration names it.
    pub fn no_listen_flag(mut self) -> Self {
        self.listen = None;
        self
    }

    /// The text of a configuration file.
    pub fn config(mut self, toml: &str) -> Self {
        self.config = Some(toml.to_owned());
        self
    }

    /// Another directory for its state than the one that is kept between runs.
    pub fn data_dir(mut self, dir: &Path) -> Self {
        self.data_dir = dir.to_owned();
        self
    }

    /// The log as text instead of JSON.
    pub fn text_log(mut self) -> Self {
        self.text_log = true;
        self
    }

    /// Within the control group that a process enters by writing its number to this file.
    pub fn within(mut self, entrance: &Path) -> Self {
        self.group = Some(entrance.to_owned());
        self
    }

    /// One more argument.
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// A variable of the environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.envs.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts the server and waits until it listens.
    pub fn start(self) -> Server {
        self.start_within(START)
    }

    /// As [`Builder::start`], for one that takes longer.
    pub fn start_within(self, limit: Duration) -> Server {
        self.started(limit).unwrap_or_else(|refusal| {
            panic!("no start ({:?}):\n{}", refusal.status, refusal.stderr)
        })
    }

    /// Starts the server; what it said when it ended instead of listening.
    pub fn try_start(self) -> Result<Server, Refusal> {
        self.started(START)
    }

    fn started(self, limit: Duration) -> Result<Server, Refusal> {
        let mut command = match &self.group {
            None => command(),
            Some(entrance) => entering(command(), entrance),
        };
        command.arg("serve").arg("--data-dir").arg(&self.data_dir);
        command.args([
            "--log",
            "info,auricle::usage=debug,auricle::guest=debug,auricle::queue=debug",
        ]);
        if !self.text_log {
            command.arg("--log-json");
        }
        if let Some(address) = &self.listen {
            command.args(["--listen", address]);
        }
        if let Some(model) = &self.model {
            command.args(["--model", model]);
        }
        let config = self.config.map(|text| {
            let file = NamedTempFile::new().unwrap();
            std::fs::write(file.path(), text).unwrap();
            file
        });
        if let Some(file) = &config {
            command.arg("--config").arg(file.path());
        }
        command.args(&self.args).envs(self.envs);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut kept = Kept::spawn(&mut command);
        let stdout = Lines::read(kept.child.stdout.take().unwrap());
        let log = Lines::read(kept.child.stderr.take().unwrap());
        let announced = |line: &str| line.strip_prefix("listening on http://").map(str::to_owned);
        match stdout.find_within(limit, announced) {
            Some(address) => Ok(Server {
                kept: Mutex::new(kept),
                address,
                stdout,
                log,
                _config: config,
            }),
            None => {
                let status = wait(&mut kept, Duration::from_secs(10));
                log.end_within(Duration::from_secs(10));
                Err(Refusal {
                    status,
                    stderr: log.all().join("\n"),
                })
            }
        }
    }
}

/// Why a server did not start.
pub struct Refusal {
    pub status: Option<ExitStatus>,
    pub stderr: String,
}

/// A running server; killed on drop.
pub struct Server {
    kept: Mutex<Kept>,
    /// Where it listens, as `127.0.0.1:PORT`.
    pub address: String,
    pub stdout: Arc<Lines>,
    /// Standard error: one JSON object per line.
    pub log: Arc<Lines>,
    _config: Option<NamedTempFile>,
}

impl Server {
    /// `tiny.en` on a free loopback port, with the defaults of everything else.
    pub fn builder() -> Builder {
        Builder {
            args: Vec::new(),
            envs: Vec::new(),
            config: None,
            model: Some("tiny.en".to_owned()),
            listen: Some("127.0.0.1:0".to_owned()),
            data_dir: scratch().join("data"),
            text_log: false,
            group: None,
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn pid(&self) -> u32 {
        self.kept.lock().unwrap().child.id()
    }

    /// Asks the process to end, as a service manager does.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends the process a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        kill_process(pid.unwrap(), signal).unwrap();
    }

    /// How the process ended, if it does within `limit`.
    pub fn exit_within(&self, limit: Duration) -> Option<ExitStatus> {
        wait(&mut self.kept.lock().unwrap(), limit)
    }

    /// Bytes of memory that are the process's own and resident. The model's file and the program
    /// are mapped and not counted.
    pub fn private_bytes(&self) -> u64 {
        self.status_bytes("RssAnon:")
    }

    /// The most memory that was ever resident, mapped files included.
    pub fn peak_bytes(&self) -> u64 {
        self.status_bytes("VmHWM:")
    }

    /// What the process has open: files, sockets, and temporary files that have no name any more.
    pub fn open_files(&self) -> OpenFiles {
        let dir = format!("/proc/{}/fd", self.pid());
        let entries = std::fs::read_dir(dir).expect("the server runs");
        let targets: Vec<_> = entries
            .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
            .collect();
        // The images of components' memory (`/memfd:…`) are no files; they stay with the components.
        let is_temporary = |target: &&PathBuf| {
            let target = target.to_string_lossy();
            target.ends_with(" (deleted)") && !target.starts_with("/memfd:")
        };
        OpenFiles {
            all: targets.len(),
            temporary: targets.iter().filter(is_temporary).count(),
        }
    }

    fn status_bytes(&self, field: &str) -> u64 {
        let path = format!("/proc/{}/status", self.pid());
        let status = std::fs::read_to_string(path).expect("the server runs");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(field))
            .unwrap();
        line.split_ascii_whitespace()
            .next()
            .unwrap()
            .parse::<u64>()
            .unwrap()
            * 1024
    }

    /// The processor time that the process has used.
    pub fn cpu_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        let after_name = stat.rsplit(')').next().unwrap();
        let mut fields = after_name.split_ascii_whitespace().skip(11);
        let mut ticks = || fields.next().unwrap().parse::<u64>().unwrap();
        let ticks_per_sec = rustix::param::clock_ticks_per_second();
        Duration::from_millis((ticks() + ticks()) * 1000 / ticks_per_sec)
    }

    /// The log line that ends the request, with its status and times.
    pub fn request_line(&self, request_id: &str) -> Value {
        self.log_line(|line| {
            line["fields"]["status"].is_number() && line.to_string().contains(request_id)
        })
    }

    /// The first log line that `fits`, also when it is yet to come.
    pub fn log_line(&self, fits: impl Fn(&Value) -> bool) -> Value {
        let parse = |line: &str| serde_json::from_str(line).ok().filter(&fits);
        self.log
            .find_within(super::SOON, parse)
            .expect("such a line comes")
    }

    /// What the instances of a request used, as they were dropped; at least `count` of them.
    pub fn usage(&self, request_id: &str, count: usize) -> Vec<Usage> {
        let since = Instant::now();
        loop {
            let lines = self.log.all();
            let found: Vec<_> = lines
                .iter()
                .filter_map(|l| Usage::of(l, request_id))
                .collect();
            if found.len() >= count || since.elapsed() > super::SOON {
                return found;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// How much a process has open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenFiles {
    pub all: usize,
    pub temporary: usize,
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let lines = self.log.all();
            let from = lines.len().saturating_sub(40);
            eprintln!("the server's last lines:\n{}", lines[from..].join("\n"));
        }
    }
}

/// What one instance of a component used.
#[derive(Debug)]
pub struct Usage {
    pub component: String,
    pub peak_memory_bytes: u64,
}

impl Usage {
    fn of(line: &str, request_id: &str) -> Option<Self> {
        let line: Value = serde_json::from_str(line).ok()?;
        let fields = &line["fields"];
        (line["target"] == "auricle::usage" && fields["request_id"] == request_id).then(|| Self {
            component: fields["component"].as_str().unwrap_or_default().to_owned(),
            peak_memory_bytes: fields["peak_memory_bytes"].as_u64().unwrap(),
        })
    }
}

/// The server of all tests that only read: `tiny.en`, defaults, everybody's requests at once.
pub fn shared() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(|| Server::builder().start())
}

/// The same with the multilingual `base`.
pub fn shared_multilingual() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(|| Server::builder().model("base").start())
}

/// The program, started by a shell that enters a control group first and then becomes it.
fn entering(program: Command, entrance: &Path) -> Command {
    let mut command = unset(Command::new("sh"));
    let script = "echo $$ > \"$0\" && exec \"$@\"";
    command.args(["-c", script]).arg(entrance);
    command.arg(program.get_program());
    command
}

fn wait(kept: &mut Kept, limit: Duration) -> Option<ExitStatus> {
    let since = Instant::now();
    loop {
        match kept.child.try_wait().unwrap() {
            None if since.elapsed() < limit => std::thread::sleep(Duration::from_millis(10)),
            status => return status,
        }
    }
}

/// Lines of a pipe, kept as they come.
#[derive(Default)]
pub struct Lines {
    state: Mutex<(Vec<String>, bool)>,
    changed: Condvar,
}

impl Lines {
    fn read(pipe: impl Read + Send + 'static) -> Arc<Self> {
        let lines = Arc::new(Self::default());
        let filled = Arc::clone(&lines);
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                filled.state.lock().unwrap().0.push(line);
                filled.changed.notify_all();
            }
            filled.state.lock().unwrap().1 = true;
            filled.changed.notify_all();
        });
        lines
    }

    /// Everything so far.
    pub fn all(&self) -> Vec<String> {
        self.state.lock().unwrap().0.clone()
    }

    /// Waits for the pipe's end: what a process wrote last may come after its end has been seen.
    fn end_within(&self, limit: Duration) {
        let _: Option<()> = self.find_within(limit, |_| None);
    }

    /// What `find` makes of the first line it takes; waits for lines until `limit` or the end.
    pub fn find_within<T>(&self, limit: Duration, find: impl Fn(&str) -> Option<T>) -> Option<T> {
        let until = Instant::now() + limit;
        let mut state = self.state.lock().unwrap();
        let mut seen = 0;
        loop {
            while seen < state.0.len() {
                if let Some(found) = find(&state.0[seen]) {
                    return Some(found);
                }
                seen += 1;
            }
            let left = until.checked_duration_since(Instant::now())?;
            if state.1 {
                return None;
            }
            state = self.changed.wait_timeout(state, left).unwrap().0;
        }
    }
}
