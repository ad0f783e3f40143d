//! One process of ffmpeg, from its start to its end.

use std::io::{self, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::sync::mpsc::Sender;

use crate::source::SourceFailure;

/// Bytes that are read of the output at once.
const BLOCK_BYTES: usize = 64 << 10;

/// How long a process may take to end after it has closed its output: steps of 10 ms.
const SETTLE_STEPS: u32 = 200;
const SETTLE_STEP: Duration = Duration::from_millis(10);

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It did what it was asked to, or had its output closed.
    Done,
    /// It says that it failed.
    Failed,
    /// The system ended it, at a limit.
    Killed,
    /// It took too long.
    TimedOut,
}

/// A process and all that it starts: a group of their own.
pub(super) struct Process {
    state: Mutex<State>,
}

enum State {
    Running(Child),
    Ended(End),
}

impl Process {
    /// Starts `command`, with what it reads and what it writes.
    pub(super) fn start(mut command: Command) -> io::Result<(Arc<Self>, ChildStdin, ChildStdout)> {
        let mut child = command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let process = Arc::new(Self {
            state: Mutex::new(State::Running(child)),
        });
        let (input, output) = pipes.ok_or(io::ErrorKind::BrokenPipe)?;
        Ok((process, input, output))
    }

    /// Ends the process where it has not ended, and says how it did.
    pub(super) fn end(&self) -> End {
        self.end_as(None)
    }

    /// As [`Process::end`], because it took too long.
    pub(super) fn time_out(&self) {
        self.end_as(Some(End::TimedOut));
    }

    fn end_as(&self, reason: Option<End>) -> End {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let end = match &mut *state {
            State::Ended(end) => return *end,
            State::Running(child) => match child.try_wait() {
                Ok(Some(status)) => of_status(status),
                _ => {
                    // Until it is waited for, its number is nobody else's.
                    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
                    if let Some(pid) = pid {
                        let _ = kill_process_group(pid, Signal::KILL);
                    }
                    let _ = child.wait();
                    reason.unwrap_or(End::Done)
                }
            },
        };
        *state = State::Ended(end);
        end
    }

    /// Waits for a process that has closed its output, and ends it where it goes on.
    pub(super) fn settle(&self) {
        for _ in 0..SETTLE_STEPS {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let State::Running(child) = &mut *state else {
                return;
            };
            if let Ok(Some(status)) = child.try_wait() {
                *state = State::Ended(of_status(status));
                return;
            }
            // Others may want to end it meanwhile.
            drop(state);
            std::thread::sleep(SETTLE_STEP);
        }
        self.end();
    }
}

/// Passes on what a process writes, until it ends, nobody wants more, or it is over `max_bytes`.
pub(super) fn drain(
    mut output: ChildStdout,
    max_bytes: u64,
    sender: &Sender<Result<Bytes, SourceFailure>>,
) {
    let mut given = 0;
    loop {
        let mut block = vec![0; BLOCK_BYTES];
        match output.read(&mut block) {
            Ok(0) => return,
            Ok(length) => {
                block.truncate(length);
                given += length as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return,
        }
        let over = given > max_bytes;
        let next = match over {
            true => Err(SourceFailure::TooLarge),
            false => Ok(block.into()),
        };
        if sender.blocking_send(next).is_err() || over {
            return;
        }
    }
}

fn of_status(status: ExitStatus) -> End {
    match (status.success(), status.signal()) {
        (true, _) => End::Done,
        (false, None) => End::Failed,
        (false, Some(_)) => End::Killed,
    }
}
