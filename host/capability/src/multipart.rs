//! `auricle:http/multipart`: forms, parsed in the host, part contents as streams.
//!
//! The parser and its limits are `auricle-multipart`'s; here are its handles.

use auricle_multipart::{Form, FormError as Failure, Part, SourceFailure};
use futures::stream;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::{DynInputStream, InputStream};
use wasmtime_wasi_http::p2::body::HostIncomingBody;

use crate::bindings::imports::auricle::http::multipart::{FormError, Host, HostForm, HostPart};
use crate::source::base64::Base64Stream;
use crate::source::{ChannelStream, read_chunk};
use crate::state::GuestState;

/// Bytes of a part that is taken as text, whatever the guest asks.
const MAX_TEXT_BYTES: u32 = 64 << 10;

impl Host for GuestState {
    fn parse(
        &mut self,
        body: Resource<HostIncomingBody>,
        content_type: String,
    ) -> wasmtime::Result<Result<Resource<Form>, FormError>> {
        let mut body = self.table.delete(body)?;
        let boundary = match auricle_multipart::boundary(&content_type) {
            Ok(boundary) => boundary,
            Err(failure) => return Ok(Err(failure.into())),
        };
        let Some(stream) = body.take_stream() else {
            return Err(wasmtime::Error::msg("the body's stream was taken before"));
        };
        let stream: Box<dyn InputStream> = Box::new(stream);
        let chunks = stream::try_unfold(stream, async |mut stream| {
            let chunk = read_chunk(&mut *stream).await?;
            Ok(chunk.map(|chunk| (chunk, stream)))
        });
        Ok(Ok(self.table.push(Form::read(chunks, boundary))?))
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
        match self.table.get_mut(&form)?.next_part().await {
            Ok(Some(part)) => Ok(Ok(Some(self.table.push(part)?))),
            Ok(None) => Ok(Ok(None)),
            Err(failure) => Ok(Err(failure.into())),
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
        let Some(content) = self.table.get_mut(&part)?.content.take() else {
            return Ok(Ok(String::new()));
        };
        let max_bytes = max_bytes.min(MAX_TEXT_BYTES) as usize;
        Ok(read_text(&mut ChannelStream::new(content), max_bytes).await)
    }

    fn content(
        &mut self,
        part: Resource<Part>,
    ) -> wasmtime::Result<Option<Resource<DynInputStream>>> {
        let Some(content) = self.table.get_mut(&part)?.content.take() else {
            return Ok(None);
        };
        let stream: DynInputStream = Box::new(ChannelStream::new(content));
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

impl From<SourceFailure> for FormError {
    fn from(failure: SourceFailure) -> Self {
        match failure {
            SourceFailure::TooLarge => Self::TooLarge,
            SourceFailure::TimedOut => Self::TimedOut,
            SourceFailure::Disconnected | SourceFailure::NotBase64 => Self::Disconnected,
        }
    }
}

impl From<Failure> for FormError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Malformed(text) => Self::Malformed(text),
            Failure::Source(failure) => failure.into(),
        }
    }
}
