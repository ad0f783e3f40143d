//! `auricle:http/multipart`: forms, parsed in the host, part contents as streams.
//!
//! One task per form reads the body through `multer` and feeds the part that the guest looks at,
//! through a bounded channel: nothing is buffered beyond a few chunks, whatever the body's size.
//! What the guest does not read of a part is read and thrown away when it asks for the next.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use futures::stream::{self, Stream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::{DynInputStream, InputStream};
use wasmtime_wasi_http::p2::body::HostIncomingBody;

use crate::bindings::imports::auricle::http::multipart::{FormError, Host, HostForm, HostPart};
use crate::source::base64::Base64Stream;
use crate::source::{ChannelStream, SourceFailure, read_chunk};
use crate::state::GuestState;

/// Parts of one form: a file, and arrays of some dozen values.
const MAX_PARTS: usize = 64;

/// Bytes of one part's headers.
const MAX_HEADER_BYTES: usize = 8 << 10;

/// Bytes that may be read while looking for the end of a part's headers: the body comes in pieces of
/// up to 64 KiB, of which `multer` may take two before it looks.
const MAX_LOOKAHEAD_BYTES: i64 = 136 << 10;

/// Bytes of a part that is taken as text, whatever the guest asks.
const MAX_TEXT_BYTES: u32 = 64 << 10;

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
    name: Option<String>,
    file_name: Option<String>,
    content_type: Option<String>,
    content: Option<ChannelStream>,
}

impl Host for GuestState {
    fn parse(
        &mut self,
        body: Resource<HostIncomingBody>,
        content_type: String,
    ) -> wasmtime::Result<Result<Resource<Form>, FormError>> {
        let mut body = self.table.delete(body)?;
        let boundary = match multer::parse_boundary(&content_type) {
            Ok(boundary) => boundary,
            Err(_) => {
                let text = "the content type is not multipart/form-data with a boundary";
                return Ok(Err(FormError::Malformed(text.into())));
            }
        };
        let Some(stream) = body.take_stream() else {
            return Err(wasmtime::Error::msg("the body's stream was taken before"));
        };
        Ok(Ok(self
            .table
            .push(start_reading(Box::new(stream), boundary))?))
    }

    fn base64(
        &mut self,
        source: Resource<DynInputStream>,
    ) -> wasmtime::Result<Resource<DynInputStream>> {
        let source = self.table.delete(source)?;
        let stream: DynInputStream = Box::new(Base64Stream::new(source));
        Ok(self.table.push(stream)?)
    }
}

impl HostForm for GuestState {
    async fn next_part(
        &mut self,
        form: Resource<Form>,
    ) -> wasmtime::Result<Result<Option<Resource<Part>>, FormError>> {
        let form = self.table.get_mut(&form)?;
        if let Some(failure) = &form.failure {
            return Ok(Err(failure.clone()));
        }
        form.asked.send_modify(|asked| *asked += 1);
        match form.parts.recv().await {
            Some(Ok(part)) => Ok(Ok(Some(self.table.push(part)?))),
            Some(Err(failure)) => {
                form.failure = Some(failure.clone());
                Ok(Err(failure))
            }
            None => Ok(Ok(None)),
        }
    }

    fn drop(&mut self, form: Resource<Form>) -> wasmtime::Result<()> {
        self.table.delete(form)?;
        Ok(())
    }
}

impl HostPart for GuestState {
    fn name(&mut self, part: Resource<Part>) -> wasmtime::Result<Option<String>> {
        Ok(self.table.get(&part)?.name.clone())
    }

    fn file_name(&mut self, part: Resource<Part>) -> wasmtime::Result<Option<String>> {
        Ok(self.table.get(&part)?.file_name.clone())
    }

    fn content_type(&mut self, part: Resource<Part>) -> wasmtime::Result<Option<String>> {
        Ok(self.table.get(&part)?.content_type.clone())
    }

    async fn text(
        &mut self,
        part: Resource<Part>,
        max_bytes: u32,
    ) -> wasmtime::Result<Result<String, FormError>> {
        let Some(mut content) = self.table.get_mut(&part)?.content.take() else {
            return Ok(Ok(String::new()));
        };
        Ok(read_text(&mut content, max_bytes.min(MAX_TEXT_BYTES) as usize).await)
    }

    fn content(
        &mut self,
        part: Resource<Part>,
    ) -> wasmtime::Result<Option<Resource<DynInputStream>>> {
        let Some(content) = self.table.get_mut(&part)?.content.take() else {
            return Ok(None);
        };
        let stream: DynInputStream = Box::new(content);
        Ok(Some(self.table.push(stream)?))
    }

    fn drop(&mut self, part: Resource<Part>) -> wasmtime::Result<()> {
        self.table.delete(part)?;
        Ok(())
    }
}

async fn read_text(content: &mut ChannelStream, max_bytes: usize) -> Result<String, FormError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = read_chunk(content).await? {
        if bytes.len() + chunk.len() > max_bytes {
            return Err(FormError::TooLarge);
        }
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes).map_err(|_| FormError::Malformed("a text field is not UTF-8".into()))
}

fn start_reading(stream: Box<dyn InputStream>, boundary: String) -> Form {
    let allowance = Arc::new(AtomicI64::new(MAX_LOOKAHEAD_BYTES));
    let body = body_stream(stream, Arc::clone(&allowance));
    // No room beyond the part in hand: the reader goes on only when the guest asks.
    let (sender, parts) = mpsc::channel(1);
    let (asked, asks) = watch::channel(0);
    let reader = tokio::spawn(async move {
        let mut multipart = multer::Multipart::new(body, boundary);
        if let Err(failure) = read_parts(&mut multipart, &allowance, &sender, asks).await {
            let _ = sender.send(Err(failure)).await;
        }
    });
    Form {
        parts,
        reader,
        asked,
        failure: None,
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
        let (chunks, content) = ChannelStream::channel();
        let part = Part {
            name: field.name().map(str::to_owned),
            file_name: field.file_name().map(str::to_owned),
            content_type: field.content_type().map(ToString::to_string),
            content: Some(content),
        };
        if sender.send(Ok(part)).await.is_err() {
            return Ok(());
        }
        let unwanted = asks.wait_for(|asked| *asked > number);
        feed(&mut field, &chunks, unwanted).await?;
    }
    Err(FormError::TooLarge)
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
fn body_stream(
    stream: Box<dyn InputStream>,
    allowance: Arc<AtomicI64>,
) -> impl Stream<Item = Result<Bytes, SourceFailure>> + Send + 'static {
    stream::unfold(Some(stream), move |stream| {
        let allowance = Arc::clone(&allowance);
        async move {
            let mut stream = stream?;
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            if allowance.load(Ordering::Relaxed) <= 0 {
                return Some((Err(SourceFailure::TooLarge), None));
            }
            match read_chunk(&mut *stream).await {
                Ok(Some(chunk)) => {
                    let length = i64::try_from(chunk.len()).unwrap_or(i64::MAX);
                    allowance.fetch_sub(length, Ordering::Relaxed);
                    Some((Ok(chunk), Some(stream)))
                }
                Ok(None) => None,
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

impl From<SourceFailure> for FormError {
    fn from(failure: SourceFailure) -> Self {
        match failure {
            SourceFailure::TooLarge => Self::TooLarge,
            SourceFailure::TimedOut => Self::TimedOut,
            SourceFailure::Disconnected | SourceFailure::NotBase64 => Self::Disconnected,
        }
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
