//! The bytes of a file, kept while a decoder reads them, for another decoder to read them too.

use std::collections::VecDeque;
use std::io::{self, Read};

use auricle_tenancy::Reservation;
use bytes::{Buf, Bytes};
use tokio::sync::oneshot::{self, Receiver, Sender};

/// A copy in the making. Dropping it before its end leaves none.
pub(crate) struct FileCopy {
    file: CopiedFile,
    left_bytes: usize,
    sender: Sender<CopiedFile>,
}

/// A whole copy, to be read once.
pub struct CopiedFile {
    pieces: VecDeque<Bytes>,
    held: Reservation,
}

impl Read for CopiedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(piece) = self.pieces.front_mut() else {
            return Ok(0);
        };
        let length = piece.len().min(buffer.len());
        if let Some(buffer) = buffer.get_mut(..length) {
            piece.copy_to_slice(buffer);
        }
        if piece.is_empty() {
            self.pieces.pop_front();
        }
        Ok(length)
    }
}

impl FileCopy {
    /// A copy of at most so many bytes, which `held` grows with, and where it comes out.
    pub(super) fn new(max_bytes: usize, held: Reservation) -> (Self, Receiver<CopiedFile>) {
        let (sender, receiver) = oneshot::channel();
        let copy = Self {
            file: CopiedFile {
                pieces: VecDeque::new(),
                held,
            },
            left_bytes: max_bytes,
            sender,
        };
        (copy, receiver)
    }

    /// With what has arrived; nothing where that is too much, or more than may be held, or at the
    /// file's end, which is an arrival of no bytes.
    pub(super) fn with(mut self, arrived: &Bytes) -> Option<Self> {
        if arrived.is_empty() {
            // Refused only where nobody waits for it any more.
            let _ = self.sender.send(self.file);
            return None;
        }
        self.left_bytes = self.left_bytes.checked_sub(arrived.len())?;
        let held = &mut self.file.held;
        held.resize(held.bytes() + arrived.len() as u64).ok()?;
        self.file.pieces.push_back(arrived.clone());
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::sync::Arc;

    use auricle_tenancy::{Account, HeldKind, NodeLimits, NodeMemory, Quotas};

    use super::*;

    fn keep(most: usize, pieces: &[&'static str]) -> Option<Vec<u8>> {
        keep_for(&Account::unlimited(), most, pieces)
    }

    fn keep_for(account: &Arc<Account>, most: usize, pieces: &[&'static str]) -> Option<Vec<u8>> {
        let (copy, mut copied) = FileCopy::new(most, account.reservation(HeldKind::Copy));
        let mut copy = Some(copy);
        for piece in pieces {
            copy = copy.and_then(|copy| copy.with(&Bytes::from(*piece)));
        }
        let mut copied = copied.try_recv().ok()?;
        let mut bytes = Vec::new();
        copied.read_to_end(&mut bytes).unwrap();
        Some(bytes)
    }

    #[test]
    fn a_copy_that_there_is_no_memory_for_is_given_up_and_its_memory_given_back() {
        let node = NodeMemory::new(NodeLimits {
            memory_bytes: 5,
            ..NodeLimits::UNLIMITED
        });
        let account = Arc::new(Account::on_node(Quotas::default(), node));
        assert_eq!(keep_for(&account, 99, &["one", "two", ""]), None);
        assert_eq!(account.held_bytes(), 0);
        assert_eq!(keep_for(&account, 99, &["one", ""]).unwrap(), b"one");
        assert_eq!(account.held_bytes(), 0);
    }

    #[test]
    fn a_copy_is_whole_or_not_there() {
        assert_eq!(keep(6, &["one", "two", ""]).unwrap(), b"onetwo");
        assert_eq!(keep(6, &["one", "two"]), None, "not at its end");
        assert_eq!(keep(5, &["one", "two", ""]), None, "too long");
    }
}
