//! Forms (`multipart/form-data`) as they arrive: part by part, contents as streams, within limits.
//!
//! One task per form reads the body through `multer` and feeds the part that the caller looks at,
//! through a bounded channel: nothing is buffered beyond a few chunks, whatever the body's size.
//! What the caller does not read of a part is read and thrown away when it asks for the next. A form
//! lives as long as its [`Form`]; dropping it ends the task.
//!
//! It is apart from the host's side of `auricle:http/multipart`, which it serves, because it reads
//! what anybody sends: without wasmtime it can be fuzzed (`fuzz/`).

mod disposition;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::disposition::Disposition;

/// Parts of one form: a file, and arrays of some dozen values.
pub const MAX_PARTS: usize = 64;

/// Bytes of one part's headers.
pub const MAX_HEADER_BYTES: usize = 8 << 10;

/// Bytes that may be read while looking for the end of a part's headers: the body comes in pieces of
/// up to 64 KiB, of which `multer` may take two before it looks.
const MAX_LOOKAHEAD_BYTES: i64 = 136 << 10;

/// Chunks that wait between the sender and whoever consumes them.
const QUEUED_CHUNKS: usize = 4;

/// Why bytes did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceFailure {
    /// The body, or a part of it, went over a limit.
    #[error("the body is too large")]
    TooLarge,
    /// The sender stopped sending.
    #[error("the sender stopped sending")]
    TimedOut,
    /// The sender went away, or the body was malformed.
    #[error("the sender went away")]
    Disconnected,
    /// What was sent as base64 is none.
    #[error("the text is not base64")]
    NotBase64,
}

/// Why a form cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// The body is no form, or breaks the rules of one. The text is fit to be shown to the sender.
    #[error("{0}")]
    Malformed(String),
    /// The bytes did not arrive, or a limit was exceeded: [`MAX_PARTS`], [`MAX_HEADER_BYTES`], the
    /// body's own.
    #[error(transparent)]
    Source(#[from] SourceFailure),
}

/// Bytes as they arrive; closed at their end.
pub type Chunks = mpsc::Receiver<Result<Bytes, SourceFailure>>;

/// A bounded channel for bytes on their way to whoever consumes them.
#[must_use]
pub fn chunks() -> (mpsc::Sender<Result<Bytes, SourceFailure>>, Chunks) {
    mpsc::channel(QUEUED_CHUNKS)
}

/// The boundary that a content type names.
///
/// # Errors
/// [`FormError::Malformed`] for anything but `multipart/form-data` with a boundary.
pub fn boundary(content_type: &str) -> Result<String, FormError> {
    multer::parse_boundary(content_type).map_err(|_| {
        let text = "the content type is not multipart/form-data with a boundary";
        FormError::Malformed(text.into())
    })
}

/// A form that is being read.
pub struct Form {
    parts: mpsc::Receiver<Result<Part, FormError>>,
    reader: JoinHandle<()>,
    /// How many parts were asked for: a part is unwanted once the one after it is.
    asked: watch::Sender<usize>,
    failure: Option<FormError>,
}

impl Drop for Form {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// One part of a form. Its content ends with the part, or when the next part is asked for.
pub struct Part {
    /// The field's name.
    pub name: Option<String>,
    /// The file's name, when the part is a file.
    pub file_name: Option<String>,
    /// The part's media type.
    pub content_type: Option<String>,
    /// The content, until somebody takes it.
    pub content: Option<Chunks>,
}

impl Form {
    /// Begins to read `body` on the running tokio runtime.
    pub fn read(
        body: impl Stream<Item = Result<Bytes, SourceFailure>> + Send + 'static,
        boundary: String,
    ) -> Self {
        let allowance = Arc::new(AtomicI64::new(MAX_LOOKAHEAD_BYTES));
        let body = allowed(body, Arc::clone(&allowance));
        // No room beyond the part in hand: the reader goes on only when the caller asks.
        let (sender, parts) = mpsc::channel(1);
        let (asked, asks) = watch::channel(0);
        let reader = tokio::spawn(async move {
            let mut multipart = multer::Multipart::new(body, boundary);
            if let Err(failure) = read_parts(&mut multipart, &allowance, &sender, asks).await {
                // Nobody reads the form any more when this fails.
                let _ = sender.send(Err(failure)).await;
            }
        });
        Self {
            parts,
            reader,
            asked,
            failure: None,
        }
    }

    /// The next part, or nothing after the last. What was left unread of the part before is skipped.
    ///
    /// # Errors
    /// [`FormError`], from then on always the same.
    pub async fn next_part(&mut self) -> Result<Option<Part>, FormError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        self.asked.send_modify(|asked| *asked += 1);
        match self.parts.recv().await {
            Some(Ok(part)) => Ok(Some(part)),
            Some(Err(failure)) => {
                self.failure = Some(failure.clone());
                Err(failure)
            }
            None => Ok(None),
        }
    }
}

async fn read_parts(
    multipart: &mut multer::Multipart<'static>,
    allowance: &AtomicI64,
    sender: &mpsc::Sender<Result<Part, FormError>>,
    mut asks: watch::Receiver<usize>,
) -> Result<(), FormError> {
    for number in 1..=MAX_PARTS + 1 {
        allowance.store(MAX_LOOKAHEAD_BYTES, Ordering::Relaxed);
        let Some(mut field) = multipart.next_field().await? else {
            return Ok(());
        };
        if number > MAX_PARTS || header_bytes(&field) > MAX_HEADER_BYTES {
            break;
        }
        allowance.store(i64::MAX, Ordering::Relaxed);
        let (sent, content) = chunks();
        let header = field.headers().get("content-disposition");
        let Disposition { name, file_name } =
            Disposition::parse(header.map_or(&[], |header| header.as_bytes()));
        let part = Part {
            name,
            file_name,
            content_type: field.content_type().map(ToString::to_string),
            content: Some(content),
        };
        if sender.send(Ok(part)).await.is_err() {
            return Ok(());
        }
        let unwanted = asks.wait_for(|asked| *asked > number);
        feed(&mut field, &sent, unwanted).await?;
    }
    Err(SourceFailure::TooLarge.into())
}

fn header_bytes(field: &multer::Field<'_>) -> usize {
    field
        .headers()
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum()
}

/// Feeds a part's content to whoever reads it; throws it away once nobody does: the part was dropped,
/// or the one after it is being asked for.
async fn feed(
    field: &mut multer::Field<'static>,
    chunks: &mpsc::Sender<Result<Bytes, SourceFailure>>,
    unwanted: impl Future,
) -> Result<(), FormError> {
    let mut unwanted = pin!(unwanted);
    let mut wanted = true;
    loop {
        match field.chunk().await {
            Ok(Some(chunk)) if wanted => {
                tokio::select! {
                    sent = chunks.send(Ok(chunk)) => wanted = sent.is_ok(),
                    _ = &mut unwanted => wanted = false,
                }
            }
            Ok(Some(_)) => {}
            Ok(None) => return Ok(()),
            Err(error) => {
                let failure = source_failure(&error).unwrap_or(SourceFailure::Disconnected);
                if wanted {
                    // Without it the reader would take the end of what arrived for the part's end.
                    tokio::select! {
                        _ = chunks.send(Err(failure)) => {}
                        _ = &mut unwanted => {}
                    }
                }
                return Err(error.into());
            }
        }
    }
}

/// The body as `multer` wants it; ends with an error when `allowance` is used up.
///
/// `multer` reads as long as a stream is ready before it looks at what it has, and would so hold a
/// fast client's whole body: yielding after each chunk has it look first. Twice, because until it has
/// found the first boundary it asks twice for each look.
fn allowed(
    body: impl Stream<Item = Result<Bytes, SourceFailure>> + Send + 'static,
    allowance: Arc<AtomicI64>,
) -> impl Stream<Item = Result<Bytes, SourceFailure>> + Send + 'static {
    stream::unfold(Some(Box::pin(body)), move |body| {
        let allowance = Arc::clone(&allowance);
        async move {
            let mut body = body?;
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            if allowance.load(Ordering::Relaxed) <= 0 {
                return Some((Err(SourceFailure::TooLarge), None));
            }
            match body.next().await? {
                Ok(chunk) => {
                    let length = i64::try_from(chunk.len()).unwrap_or(i64::MAX);
                    allowance.fetch_sub(length, Ordering::Relaxed);
                    Some((Ok(chunk), Some(body)))
                }
                Err(failure) => Some((Err(failure), None)),
            }
        }
    })
}

fn source_failure(error: &multer::Error) -> Option<SourceFailure> {
    match error {
        multer::Error::StreamReadFailed(source) => source.downcast_ref::<SourceFailure>().copied(),
        _ => None,
    }
}

impl From<multer::Error> for FormError {
    fn from(error: multer::Error) -> Self {
        match source_failure(&error) {
            Some(failure) => failure.into(),
            None => Self::Malformed(format!("the form cannot be read: {error}")),
        }
    }
}
