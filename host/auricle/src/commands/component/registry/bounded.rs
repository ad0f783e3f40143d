//! Bytes from a registry, of which no more are taken than it announced.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;

/// Takes so many bytes and fails at the next one.
pub(super) struct BoundedBytes {
    bytes: Vec<u8>,
    left: u64,
}

impl BoundedBytes {
    pub(super) fn of(size: u64) -> Self {
        Self {
            bytes: Vec::new(),
            left: size,
        }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl AsyncWrite for BoundedBytes {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        piece: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Some(left) = self.left.checked_sub(piece.len() as u64) else {
            let text =
                "the registry sends more bytes than its manifest says: nothing of it was used";
            return Poll::Ready(Err(io::Error::other(text)));
        };
        self.left = left;
        self.bytes.extend_from_slice(piece);
        Poll::Ready(Ok(piece.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn no_byte_beyond_the_announced_size_is_taken() {
        let mut taken = BoundedBytes::of(6);
        taken.write_all(b"abc").await.unwrap();
        taken.write_all(b"def").await.unwrap();
        let refused = taken.write_all(b"g").await.unwrap_err();
        assert!(refused.to_string().contains("manifest"), "{refused}");
        assert_eq!(taken.into_bytes(), b"abcdef");
    }
}
