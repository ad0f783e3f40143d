//! The connection that writes, which one act has at a time.

use std::ops::{Deref, DerefMut};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::store::StoreError;

/// How long an act waits in all: for other acts of this process, and then for other processes.
pub(super) const BUSY: Duration = Duration::from_secs(5);

/// The writing connection of a process.
#[derive(Debug)]
pub(super) struct Writer {
    /// Nothing while an act has it.
    connection: Mutex<Option<Connection>>,
    returned: Condvar,
}

/// The writing connection, for one act.
#[derive(Debug)]
pub(super) struct WriterGuard<'a> {
    writer: &'a Writer,
    /// Nothing only while it is dropped.
    connection: Option<Connection>,
}

impl Writer {
    pub(super) fn new(connection: Connection) -> Self {
        Self {
            connection: Mutex::new(Some(connection)),
            returned: Condvar::new(),
        }
    }

    /// Waits for the connection, which then waits for other processes for the rest of the time.
    ///
    /// # Errors
    /// [`StoreError::Busy`].
    pub(super) fn acquire(&self) -> Result<WriterGuard<'_>, StoreError> {
        self.acquire_within(BUSY)
    }

    fn acquire_within(&self, patience: Duration) -> Result<WriterGuard<'_>, StoreError> {
        let until = Instant::now() + patience;
        let left = || until.saturating_duration_since(Instant::now());
        let (mut connection, _) = self
            .returned
            .wait_timeout_while(self.lock(), patience, |connection| connection.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        let connection = connection.take().ok_or(StoreError::Busy)?;
        let guard = WriterGuard {
            writer: self,
            connection: Some(connection),
        };
        guard.busy_timeout(left())?;
        Ok(guard)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Connection>> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deref for WriterGuard<'_> {
    type Target = Connection;

    #[allow(
        clippy::expect_used,
        reason = "the connection is there until the guard is dropped"
    )]
    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("a guard has a connection")
    }
}

impl DerefMut for WriterGuard<'_> {
    #[allow(
        clippy::expect_used,
        reason = "the connection is there until the guard is dropped"
    )]
    fn deref_mut(&mut self) -> &mut Connection {
        self.connection.as_mut().expect("a guard has a connection")
    }
}

impl Drop for WriterGuard<'_> {
    fn drop(&mut self) {
        *self.writer.lock() = self.connection.take();
        self.writer.returned.notify_one();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_wait_for_the_writer_is_bounded_and_the_connection_comes_back() {
        let writer = Writer::new(Connection::open_in_memory().unwrap());
        let held = writer.acquire().unwrap();
        let refused = writer.acquire_within(Duration::from_millis(1)).unwrap_err();
        assert!(matches!(refused, StoreError::Busy), "{refused:?}");
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| writer.acquire_within(Duration::from_secs(60)).map(drop));
            drop(held);
            waits.join().unwrap().unwrap();
        });
        writer.acquire_within(Duration::ZERO).unwrap();
    }
}
