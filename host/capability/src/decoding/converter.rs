//! ffmpeg, where the operator wants it: files that no decoder knows become WAV, which the tenant's
//! decoder then reads in its sandbox like any other.
//!
//! ffmpeg is not sandboxed by WebAssembly, and new faults are found in it all the time. So it is a
//! process of its own for each file, gets bytes and gives bytes and knows no name of a file or host
//! (`command`), may do little more than read, write and compute ([`confine`]), and ends, with whatever
//! it has started, with the request, at its deadline, or when no more of its output is wanted.
//!
//! As many run at once as there are cores, at least two; a tenant may have those that are free (`slots`).
//! A file takes a slot once all of it has arrived: a client that sends slowly holds none. A request that
//! gets none in time is told to come back.
//!
//! # Limits
//! ffmpeg reads from a pipe: an MP4 whose index stands at its end is not converted.

mod command;
pub mod confine;
mod process;
mod slots;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use auricle_audio::DecodeLimits;
use auricle_multipart::chunks;
use auricle_speech::Clip;
use tokio::task::JoinHandle;

use super::file::FileFailure;
use super::{HostFile, MediaError, MediaSource};
use crate::services::RequestScope;
use crate::source::ChannelStream;

use self::command::Confined;
use self::process::{End, Process};
use self::slots::Slots;

/// Bytes of one sample of the WAV that is made.
const SAMPLE_BYTES: u64 = 2;

/// When a request that got no slot may come back, in seconds: about a conversion's length.
const RETRY_SECS: u32 = 10;

/// Bytes of a WAV besides its samples.
const HEADER_BYTES: u64 = 4096;

/// What a conversion may use.
#[derive(Clone, Debug)]
pub struct ConverterConfig {
    /// This program, which confines itself and then is ffmpeg.
    pub launcher: PathBuf,
    /// The program, found on the path where it is only a name.
    pub program: PathBuf,
    /// Longest time that one file may take.
    pub max_time: Duration,
    /// Longest time that a file waits for its turn.
    pub max_wait: Duration,
    /// CPU time of one file.
    pub max_cpu: Duration,
    /// Address space of one process, in bytes; ffmpeg's libraries take some 400 MB of it.
    pub max_memory_bytes: u64,
}

/// Why there is no converter.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConverterError {
    /// The program is not there.
    #[error(
        "'{program}' is not installed, which converting files needs: install ffmpeg, or leave it out of the configuration"
    )]
    Missing {
        /// The program.
        program: String,
    },
    /// ffmpeg does not run within its limits.
    #[error(
        "'{program}' does not run within its limits ({reason}): raise [audio.ffmpeg] memory_mb if it is memory that it lacks"
    )]
    DoesNotRun {
        /// The program.
        program: String,
        /// What it or the system says, or how it ended.
        reason: String,
    },
}

/// Starts conversions.
pub struct Converter {
    command: Confined,
    max_time: Duration,
    max_wait: Duration,
    slots: Arc<Slots>,
}

impl Converter {
    /// Finds ffmpeg and has it say its version, within the limits that it will have.
    ///
    /// # Errors
    /// [`ConverterError`].
    pub fn new(config: &ConverterConfig) -> Result<Self, ConverterError> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Ok(Self {
            command: Confined::find(config)?,
            max_time: config.max_time,
            max_wait: config.max_wait,
            slots: Slots::new(cores),
        })
    }

    /// Begins to convert `file`: the conversion, and what it gives. Waits for the whole file, then for its
    /// turn. Blocks on the disk while the file arrives.
    ///
    /// # Errors
    /// [`MediaError::Source`] when the file does not arrive; [`MediaError::Overloaded`] when it does not
    /// get its turn in time.
    pub(crate) async fn start(
        &self,
        file: HostFile,
        scope: &RequestScope,
        limits: &DecodeLimits,
    ) -> Result<(Conversion, MediaSource), MediaError> {
        let file = file.spooled().await.map_err(MediaError::from)?;
        let slot = self.slots.acquire(&scope.tenant, self.max_wait).await;
        let slot = slot.ok_or(MediaError::Overloaded {
            retry_after_secs: RETRY_SECS,
        })?;
        // A second over the limit, so that what is too long is seen to be.
        let max_secs = limits.max_duration.as_secs().saturating_add(1);
        let frame_bytes = u64::from(limits.max_channels) * SAMPLE_BYTES;
        let bytes_per_sec = u64::from(limits.max_rate) * frame_bytes;
        let max_bytes = HEADER_BYTES + max_secs.saturating_mul(bytes_per_sec);
        let (process, input, output) =
            Process::start(self.command.command(max_secs)).map_err(|error| {
                tracing::error!(%error, "ffmpeg cannot be started");
                MediaError::Internal
            })?;
        let failure = Arc::new(OnceLock::new());
        let (sender, receiver) = chunks();
        tokio::task::spawn_blocking({
            let (process, failure) = (Arc::clone(&process), Arc::clone(&failure));
            move || feed(file, input, &process, &failure)
        });
        tokio::task::spawn_blocking({
            let process = Arc::clone(&process);
            move || {
                process::drain(output, max_bytes, &sender);
                process.settle();
                drop(slot);
                // How the process ended is known before its output does.
                drop(sender);
            }
        });
        let conversion = Conversion {
            watchdog: watch(Arc::clone(&process), self.max_time, scope.deadline),
            process,
            failure,
        };
        let stream = MediaSource::Stream(Box::new(ChannelStream::new(receiver)));
        Ok((conversion, stream))
    }
}

/// Gives the file's bytes to ffmpeg, which need not want all of them.
fn feed(
    mut file: HostFile,
    mut input: std::process::ChildStdin,
    process: &Process,
    failure: &OnceLock<FileFailure>,
) {
    use std::io::Write;
    loop {
        match futures::executor::block_on(file.next()) {
            Ok(bytes) if bytes.is_empty() => return,
            Ok(bytes) => {
                if input.write_all(&bytes).is_err() {
                    return;
                }
            }
            Err(failed) => {
                let _ = failure.set(failed);
                process.end();
                return;
            }
        }
    }
}

/// Ends the process at its time or the request's, whichever is first.
fn watch(process: Arc<Process>, max_time: Duration, deadline: Instant) -> JoinHandle<()> {
    let until = deadline.min(Instant::now() + max_time);
    tokio::spawn(async move {
        tokio::time::sleep_until(until.into()).await;
        process.time_out();
    })
}

/// A file that is being converted. Dropping it ends the process.
pub(crate) struct Conversion {
    process: Arc<Process>,
    watchdog: JoinHandle<()>,
    failure: Arc<OnceLock<FileFailure>>,
}

impl Conversion {
    /// What came of it, when a decoder made `decoded` of what it gave; `unsupported` is what is said of
    /// a file that ffmpeg does not know either.
    pub(crate) fn end(
        self,
        decoded: Result<Vec<Clip>, MediaError>,
        unsupported: String,
    ) -> Result<Vec<Clip>, MediaError> {
        if let Some(failure) = self.failure.get() {
            return Err((*failure).into());
        }
        let end = self.process.end();
        tracing::debug!(?end, "converted");
        match (end, decoded) {
            // Whatever was given until then is not the whole.
            (End::TimedOut, Ok(_)) => Err(MediaError::DeadlineExceeded),
            (End::Killed, Ok(_)) => Err(MediaError::Undecodable(
                "the audio cannot be converted with the time and memory that a file may use; convert \
                 it, for example with `ffmpeg -i input -ac 1 -ar 16000 output.wav`"
                    .to_owned(),
            )),
            (End::Failed, Ok(clips)) if clips.iter().all(Clip::is_empty) => {
                Err(MediaError::Unsupported(unsupported))
            }
            (_, Err(MediaError::Empty | MediaError::Unsupported(_) | MediaError::Undecodable(_))) => {
                Err(MediaError::Unsupported(unsupported))
            }
            (_, decoded) => decoded,
        }
    }
}

impl Drop for Conversion {
    fn drop(&mut self) {
        self.watchdog.abort();
        self.process.end();
    }
}
