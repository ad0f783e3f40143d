//! Downloads one file by HTTP, continuing where an earlier attempt stopped.
//!
//! The bytes so far lie in a `.part` file, which outlives the process; the next attempt asks for
//! the rest by `Range`. Whether the parts belong together is not asked of the server (`If-Range`)
//! but of the digest, which the caller checks in any case. Refuses more bytes than were announced
//! or allowed.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use ureq::tls::{RootCerts, TlsConfig};

use crate::error::ModelsError;
use crate::progress::Progress;

/// A connection that yields nothing for this long is given up and continued by another.
const STALL: Duration = Duration::from_secs(30);

/// Bytes read from a connection at a time.
const BUFFER_BYTES: usize = 128 * 1024;

/// How often a failed download is tried again.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    /// Attempts in a row that bring nothing before giving up; at least 1 is made.
    pub attempts: u32,
    /// Wait before the second attempt; doubled for each further one.
    pub first_wait: Duration,
}

impl Default for Retry {
    /// Five attempts within 7.5 s: enough for a hiccup, not so long that a person gives up first.
    fn default() -> Self {
        Self {
            attempts: 5,
            first_wait: Duration::from_millis(500),
        }
    }
}

/// An HTTP client that honours the proxy variables and trusts the machine's own certificates.
#[derive(Debug)]
pub(crate) struct Http {
    agent: ureq::Agent,
    retry: Retry,
}

/// Why one attempt ended without the whole file.
enum Failure {
    /// Another attempt may do better.
    Passing(String),
    /// No attempt will.
    Lasting(String),
    /// The disk failed.
    Local(ModelsError),
}

impl Http {
    pub(crate) fn new(retry: Retry) -> Self {
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::PlatformVerifier)
            .build();
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .tls_config(tls)
            // A compressed answer could not be continued by byte positions.
            .accept_encoding("identity")
            .user_agent(concat!("auricle/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(STALL))
            .timeout_recv_response(Some(STALL))
            .timeout_per_read(Some(STALL))
            .build();
        Self {
            agent: config.new_agent(),
            retry,
        }
    }

    /// Downloads `url` into `part`, continuing what is already there.
    pub(crate) fn download(
        &self,
        url: &str,
        part: &Path,
        what: &str,
        limit_bytes: u64,
        progress: &dyn Progress,
    ) -> Result<(), ModelsError> {
        let mut wait = self.retry.first_wait;
        let mut failures = 0;
        loop {
            let before_bytes = length(part);
            let outcome = self.attempt(url, part, what, limit_bytes, progress);
            progress.end(what);
            let problem = match outcome {
                Ok(()) => return Ok(()),
                Err(Failure::Local(error)) => return Err(error),
                Err(Failure::Lasting(problem)) => return Err(failed(what, url, &problem)),
                Err(Failure::Passing(problem)) => problem,
            };
            if length(part) > before_bytes {
                (failures, wait) = (0, self.retry.first_wait);
            }
            failures += 1;
            if failures >= self.retry.attempts {
                return Err(failed(what, url, &problem));
            }
            progress.note(&format!(
                "{what}: {problem}; trying again from byte {}",
                length(part)
            ));
            std::thread::sleep(wait);
            wait *= 2;
        }
    }

    fn attempt(
        &self,
        url: &str,
        part: &Path,
        what: &str,
        limit_bytes: u64,
        progress: &dyn Progress,
    ) -> Result<(), Failure> {
        let have_bytes = length(part);
        let mut request = self.agent.get(url);
        if have_bytes > 0 {
            request = request.header("range", format!("bytes={have_bytes}-"));
        }
        let response = request.call().map_err(|error| match error {
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => Failure::Lasting(error.to_string()),
            _ => Failure::Passing(error.to_string()),
        })?;
        let range = response
            .headers()
            .get("content-range")
            .and_then(|value| value.to_str().ok())
            .map(ToOwned::to_owned);
        let start_bytes = match response.status().as_u16() {
            200 => 0,
            206 if range_start(range.as_deref()) == Some(have_bytes) => have_bytes,
            206 | 416 => {
                if range_total(range.as_deref()) == Some(have_bytes) && have_bytes > 0 {
                    return Ok(());
                }
                discard(part)?;
                return Err(Failure::Passing("the server cannot continue".to_owned()));
            }
            status @ (408 | 425 | 429 | 500..=599) => {
                return Err(Failure::Passing(format!("the server answered {status}")));
            }
            status => return Err(Failure::Lasting(format!("the server answered {status}"))),
        };
        let total_bytes = response
            .body()
            .content_length()
            .map(|rest| start_bytes.saturating_add(rest));
        if total_bytes.is_some_and(|total| total > limit_bytes) {
            discard(part)?;
            return Err(too_long(limit_bytes));
        }
        progress.begin(what, total_bytes);
        let mut body = response.into_body().into_reader();
        let mut file = open_at(part, start_bytes)?;
        let done_bytes = append(
            &mut body,
            &mut file,
            part,
            start_bytes,
            limit_bytes,
            &|at| {
                progress.at(what, at);
            },
        )?;
        match total_bytes {
            Some(total) if done_bytes < total => Err(Failure::Passing(format!(
                "the connection ended at byte {done_bytes} of {total}"
            ))),
            _ => Ok(()),
        }
    }
}

fn append(
    body: &mut dyn Read,
    file: &mut File,
    part: &Path,
    start_bytes: u64,
    limit_bytes: u64,
    at: &dyn Fn(u64),
) -> Result<u64, Failure> {
    let mut done_bytes = start_bytes;
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let read_bytes = match body.read(&mut buffer) {
            Ok(0) => return Ok(done_bytes),
            Ok(read_bytes) => read_bytes,
            Err(error) => return Err(Failure::Passing(error.to_string())),
        };
        done_bytes += read_bytes as u64;
        if done_bytes > limit_bytes {
            discard(part)?;
            return Err(too_long(limit_bytes));
        }
        file.write_all(buffer.get(..read_bytes).unwrap_or_default())
            .map_err(|error| Failure::Local(ModelsError::io("write", part)(error)))?;
        at(done_bytes);
    }
}

fn open_at(part: &Path, start_bytes: u64) -> Result<File, Failure> {
    let open = || -> std::io::Result<File> {
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(part)?;
        file.set_len(start_bytes)?;
        file.seek(SeekFrom::Start(start_bytes))?;
        Ok(file)
    };
    open().map_err(|error| Failure::Local(ModelsError::io("open", part)(error)))
}

fn discard(part: &Path) -> Result<(), Failure> {
    match std::fs::remove_file(part) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::Local(ModelsError::io("remove", part)(error)))
        }
        _ => Ok(()),
    }
}

fn length(part: &Path) -> u64 {
    std::fs::metadata(part).map_or(0, |metadata| metadata.len())
}

fn too_long(limit_bytes: u64) -> Failure {
    Failure::Lasting(format!(
        "the file is longer than the {limit_bytes} bytes that it may have"
    ))
}

fn failed(what: &str, url: &str, problem: &str) -> ModelsError {
    ModelsError::Download {
        what: what.to_owned(),
        problem: format!("{problem} ({url})"),
    }
}

/// First byte of `bytes 5-9/10`.
fn range_start(range: Option<&str>) -> Option<u64> {
    let (start, _) = range?.strip_prefix("bytes ")?.split_once('-')?;
    start.parse().ok()
}

/// Size of the whole in `bytes 5-9/10` or `bytes */10`.
fn range_total(range: Option<&str>) -> Option<u64> {
    range?.rsplit_once('/')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges_are_read() {
        assert_eq!(range_start(Some("bytes 5-9/10")), Some(5));
        assert_eq!(range_total(Some("bytes 5-9/10")), Some(10));
        assert_eq!(range_total(Some("bytes */10")), Some(10));
        assert_eq!(range_start(Some("bytes */10")), None);
        assert_eq!(range_start(Some("lines 1-2/3")), None);
        assert_eq!(range_start(None), None);
    }
}
