//! What an answer of the admin API has as its body: bytes, or a file that is sent in pieces.

use std::fs::File;
use std::io::{self, Read};

use bytes::Bytes;
use futures::stream;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};

use crate::body::ResponseBody;
use crate::rescue;

/// Bytes of a file that are in memory at once; the next piece is read when the client has taken this one.
const PIECE_BYTES: usize = 64 << 10;

/// The body of an answer.
#[derive(Debug)]
pub enum Content {
    /// Bytes that are at hand.
    Bytes(Bytes),
    /// A file, from its beginning, of so many bytes.
    File(File, u64),
}

impl Content {
    /// The bytes; none of a file.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::File(..) => &[],
        }
    }

    pub(crate) fn into_body(self) -> ResponseBody {
        match self {
            Self::Bytes(bytes) => rescue::full(bytes),
            Self::File(file, len) => in_pieces(file, len),
        }
    }
}

fn in_pieces(file: File, len: u64) -> ResponseBody {
    let pieces = stream::try_unfold((file, len), |(mut file, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        // A short read; where the disk is slow it keeps no other request waiting.
        let read = tokio::task::spawn_blocking(move || {
            let piece = read_piece(&mut file, left)?;
            io::Result::Ok((piece, file))
        });
        let (piece, file) = read.await.map_err(io::Error::other)??;
        let left = left.saturating_sub(piece.len() as u64);
        Ok(Some((Frame::data(piece), (file, left))))
    });
    StreamBody::new(pieces)
        .map_err(|error: io::Error| error.into())
        .boxed_unsync()
}

fn read_piece(file: &mut File, left: u64) -> io::Result<Bytes> {
    let wanted = usize::try_from(left).map_or(PIECE_BYTES, |left| left.min(PIECE_BYTES));
    let mut piece = vec![0; wanted];
    file.read_exact(&mut piece)?;
    Ok(piece.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::io::Write;

    use super::*;

    async fn collect(len: u64, written: usize) -> Result<Bytes, String> {
        let mut file = tempfile(written);
        io::Seek::rewind(&mut file).unwrap();
        let body = Content::File(file, len).into_body().collect().await;
        body.map(|body| body.to_bytes())
            .map_err(|error| error.to_string())
    }

    fn tempfile(bytes: usize) -> File {
        let path =
            std::env::temp_dir().join(format!("auricle-content-{}-{bytes}", std::process::id()));
        let mut options = File::options();
        let options = options.read(true).write(true).create(true).truncate(true);
        let mut file = options.open(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        let pattern: Vec<u8> = (0..bytes).map(|at| at as u8).collect();
        file.write_all(&pattern).unwrap();
        file
    }

    #[tokio::test]
    async fn a_file_comes_whole_in_pieces_of_a_bounded_size() {
        let mut file = tempfile(200_000);
        io::Seek::rewind(&mut file).unwrap();
        let mut body = Content::File(file, 200_000).into_body();
        let mut sizes = Vec::new();
        let mut all = Vec::new();
        while let Some(frame) = body.frame().await {
            let piece = frame.unwrap().into_data().unwrap();
            sizes.push(piece.len());
            all.extend_from_slice(&piece);
        }
        assert_eq!(sizes, [65_536, 65_536, 65_536, 3_392]);
        assert!(all.iter().enumerate().all(|(at, byte)| *byte == at as u8));
    }

    #[tokio::test]
    async fn a_file_that_was_cut_short_breaks_the_answer_off() {
        assert_eq!(collect(100, 100).await.unwrap().len(), 100);
        assert!(collect(100, 99).await.is_err());
    }
}
