//! The bytes of a file, kept while a decoder reads them, for another decoder to read them too.

use bytes::Bytes;
use tokio::sync::oneshot::{self, Receiver, Sender};

/// A copy in the making. Dropping it before its end leaves none.
pub(crate) struct FileCopy {
    pieces: Vec<Bytes>,
    left_bytes: usize,
    sender: Sender<Vec<Bytes>>,
}

impl FileCopy {
    /// A copy of at most so many bytes, and where it comes out.
    pub(super) fn new(max_bytes: usize) -> (Self, Receiver<Vec<Bytes>>) {
        let (sender, receiver) = oneshot::channel();
        let copy = Self {
            pieces: Vec::new(),
            left_bytes: max_bytes,
            sender,
        };
        (copy, receiver)
    }

    /// With what has arrived; nothing where that is too much, or at the file's end, which is an arrival
    /// of no bytes.
    pub(super) fn with(mut self, arrived: &Bytes) -> Option<Self> {
        if arrived.is_empty() {
            // Refused only where nobody waits for it any more.
            let _ = self.sender.send(self.pieces);
            return None;
        }
        self.left_bytes = self.left_bytes.checked_sub(arrived.len())?;
        self.pieces.push(arrived.clone());
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn keep(most: usize, pieces: &[&'static str]) -> Option<Vec<u8>> {
        let (copy, mut copied) = FileCopy::new(most);
        let mut copy = Some(copy);
        for piece in pieces {
            copy = copy.and_then(|copy| copy.with(&Bytes::from(*piece)));
        }
        copied.try_recv().ok().map(|pieces| pieces.concat())
    }

    #[test]
    fn a_copy_is_whole_or_not_there() {
        assert_eq!(keep(6, &["one", "two", ""]).unwrap(), b"onetwo");
        assert_eq!(keep(6, &["one", "two"]), None, "not at its end");
        assert_eq!(keep(5, &["one", "two", ""]), None, "too long");
    }
}
