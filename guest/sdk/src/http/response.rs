//! Responses: whole ones, and ones that are written as they come to be.

use serde::Serialize;

use crate::bindings::wasi::http::types::{
    Fields, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use crate::bindings::wasi::io::streams::{OutputStream, StreamError};

/// A whole response.
#[derive(Clone, Debug)]
pub struct Response {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Response {
    /// A response without body.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// A response with UTF-8 text.
    #[must_use]
    pub fn text(status: u16, text: impl Into<String>) -> Self {
        Self::new(status).with_body("text/plain; charset=utf-8", text.into().into_bytes())
    }

    /// A response with `value` as JSON. A value that JSON cannot hold becomes a 500.
    #[must_use]
    pub fn json(status: u16, value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => Self::new(status).with_body("application/json", body),
            Err(_) => Self::text(500, "the answer cannot be written as JSON"),
        }
    }

    /// An error as the tutorial API writes it: `{"detail": "…"}`.
    #[must_use]
    pub fn detail(status: u16, detail: &str) -> Self {
        Self::json(status, &serde_json::json!({ "detail": detail }))
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers
            .push((name.to_owned(), value.into().into_bytes()));
        self
    }

    /// Sets the body and its type.
    #[must_use]
    pub fn with_body(mut self, content_type: &str, body: Vec<u8>) -> Self {
        self.body = body;
        self.with_header("content-type", content_type)
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Sends the response. A client that has gone away is nobody's error.
    pub fn send(mut self, out: ResponseOutparam) {
        let length = self.body.len().to_string().into_bytes();
        self.headers.push(("content-length".to_owned(), length));
        if let Some(mut stream) = StreamedResponse::begin(self.status, &self.headers, out)
            && stream.write(&self.body).is_ok()
        {
            stream.finish();
        }
    }
}

/// The client no longer takes the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the client has gone away")]
pub struct ClientGone;

/// A response whose body is written piece by piece, for example server-sent events.
pub struct StreamedResponse {
    // Dropped in this order: the stream is a child of the body.
    stream: OutputStream,
    body: OutgoingBody,
}

impl StreamedResponse {
    /// Sends status and headers. Nothing when a header is malformed (the client then gets a 500 from
    /// the host).
    #[must_use]
    pub fn start(status: u16, headers: &[(&str, &str)], out: ResponseOutparam) -> Option<Self> {
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
            .collect();
        Self::begin(status, &headers, out)
    }

    fn begin(status: u16, headers: &[(String, Vec<u8>)], out: ResponseOutparam) -> Option<Self> {
        let response = OutgoingResponse::new(Fields::from_list(headers).ok()?);
        response.set_status_code(status).ok()?;
        let body = response.body().ok()?;
        // The host reads the body only once it has the response: writing first would wait forever.
        ResponseOutparam::set(out, Ok(response));
        let stream = body.write().ok()?;
        Some(Self { stream, body })
    }

    /// Writes bytes and waits until the host has passed them on.
    ///
    /// # Errors
    /// [`ClientGone`]: stop working for it.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), ClientGone> {
        self.write_all(bytes).map_err(|_| ClientGone)
    }

    fn write_all(&mut self, mut bytes: &[u8]) -> Result<(), StreamError> {
        while !bytes.is_empty() {
            let permit = usize::try_from(self.stream.check_write()?).unwrap_or(usize::MAX);
            if permit == 0 {
                self.stream.subscribe().block();
                continue;
            }
            let (now, later) = bytes.split_at(permit.min(bytes.len()));
            self.stream.write(now)?;
            bytes = later;
        }
        self.stream.blocking_flush()
    }

    /// Ends the body. A response that is dropped without this looks broken off to the client.
    pub fn finish(self) {
        let Self { stream, body } = self;
        drop(stream);
        // Fails only when fewer bytes were written than announced; the host then breaks off.
        let _ = OutgoingBody::finish(body, None);
    }
}
