//! Says how far a long piece of work is: a bar on a terminal, plain lines elsewhere.
//!
//! The library reports and never prints; the caller chooses who listens. Everything goes to
//! standard error, so that standard output stays clean for results.

use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Listens to the progress of a piece of work, named by `what`.
pub trait Progress: Send + Sync {
    /// Work begins; `total_bytes` where known.
    fn begin(&self, what: &str, total_bytes: Option<u64>);
    /// So many bytes are done in all. May go back when a download starts over.
    fn at(&self, what: &str, done_bytes: u64);
    /// Work has ended, well or not.
    fn end(&self, what: &str);
    /// A line that a person should see.
    fn note(&self, text: &str);
}

/// Listens to nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn begin(&self, _: &str, _: Option<u64>) {}
    fn at(&self, _: &str, _: u64) {}
    fn end(&self, _: &str) {}
    fn note(&self, _: &str) {}
}

/// Bars where standard error is a terminal, else a line at least every 10 s.
#[must_use]
pub fn to_stderr() -> Box<dyn Progress> {
    if std::io::stderr().is_terminal() {
        Box::new(Bars::default())
    } else {
        Box::new(Lines::default())
    }
}

#[derive(Default)]
struct Bars {
    bars: Mutex<HashMap<String, ProgressBar>>,
}

impl Progress for Bars {
    fn begin(&self, what: &str, total_bytes: Option<u64>) {
        let bar = total_bytes.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
        // At most 76 columns: a longer line would be cut on a common terminal.
        let template = if total_bytes.is_some() {
            "{msg:32!} {bar:16} {bytes:>10}/{total_bytes:10} {eta:>4}"
        } else {
            "{msg:32!} {spinner} {bytes:>10}"
        };
        // The template is a constant: if it were wrong the plain style would be no loss.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(200));
        held(&self.bars).insert(what.to_owned(), bar);
    }

    fn at(&self, what: &str, done_bytes: u64) {
        if let Some(bar) = held(&self.bars).get(what) {
            bar.set_position(done_bytes);
        }
    }

    fn end(&self, what: &str) {
        if let Some(bar) = held(&self.bars).remove(what) {
            bar.finish_and_clear();
        }
    }

    fn note(&self, text: &str) {
        match held(&self.bars).values().next() {
            Some(bar) => bar.suspend(|| say(text)),
            None => say(text),
        }
    }
}

#[derive(Default)]
struct Lines {
    running: Mutex<HashMap<String, (Option<u64>, Instant)>>,
}

/// Often enough that nobody thinks it hangs, seldom enough for a log.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

impl Progress for Lines {
    fn begin(&self, what: &str, total_bytes: Option<u64>) {
        match total_bytes {
            Some(total_bytes) => say(&format!("{what}: {}", megabytes(total_bytes))),
            None => say(what),
        }
        held(&self.running).insert(what.to_owned(), (total_bytes, Instant::now()));
    }

    fn at(&self, what: &str, done_bytes: u64) {
        let mut running = held(&self.running);
        let Some((total_bytes, last)) = running.get_mut(what) else {
            return;
        };
        if last.elapsed() < LINE_INTERVAL {
            return;
        }
        *last = Instant::now();
        let of = total_bytes.map_or_else(String::new, |total| format!(" of {}", megabytes(total)));
        say(&format!("{what}: {}{of}", megabytes(done_bytes)));
    }

    fn end(&self, what: &str) {
        held(&self.running).remove(what);
    }

    fn note(&self, text: &str) {
        say(text);
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10)
}

fn say(text: &str) {
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Nothing that holds these locks can leave the map half changed, so poison is ignored.
fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
