//! A request as a handler wants to see it.

use super::Query;
use crate::bindings::auricle::http::multipart::{Form, FormError, parse};
use crate::bindings::wasi::http::types::{IncomingBody, IncomingRequest, Method};
use crate::bindings::wasi::io::streams::StreamError;

/// Bytes asked of the host at once when a body is read into memory.
const READ_BYTES: u64 = 16 * 1024;

/// Why a body was not read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The body is longer than the handler asked for.
    #[error("the body is longer than {max_bytes} bytes")]
    TooLarge {
        /// What the handler asked for.
        max_bytes: usize,
    },
    /// The body broke off.
    #[error("the body broke off: {reason}")]
    Broken {
        /// What the host says about it.
        reason: String,
    },
}

/// An HTTP request.
pub struct Request {
    inner: IncomingRequest,
    method: Method,
    path: String,
    query: Query,
}

impl Request {
    /// Takes over what the export was called with.
    #[must_use]
    pub fn new(inner: IncomingRequest) -> Self {
        let target = inner.path_with_query().unwrap_or_default();
        let (path, query) = Query::split_target(&target);
        Self {
            method: inner.method(),
            path,
            query,
            inner,
        }
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The path, as sent: percent signs are not decoded.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The query parameters.
    #[must_use]
    pub fn query(&self) -> &Query {
        &self.query
    }

    /// The first value of the header `name`, when it is UTF-8.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let value = self.inner.headers().get(name).into_iter().next()?;
        String::from_utf8(value).ok()
    }

    /// Begins to read the body as `multipart/form-data`.
    ///
    /// # Errors
    /// [`FormError::Malformed`] when the request is not such a form.
    pub fn form(&self) -> Result<Form, FormError> {
        let content_type = self.header("content-type").unwrap_or_default();
        let body = self
            .inner
            .consume()
            .map_err(|()| FormError::Other(Some("the body was taken before".to_owned())))?;
        parse(body, &content_type)
    }

    /// Reads the whole body into memory. For small bodies such as JSON: audio belongs into
    /// [`decode`](crate::audio::decode), which never brings it here.
    ///
    /// # Errors
    /// [`BodyError`] when the body is longer than `max_bytes` or breaks off.
    pub fn body(&self, max_bytes: usize) -> Result<Vec<u8>, BodyError> {
        let taken = |()| BodyError::Broken {
            reason: "it was taken before".to_owned(),
        };
        let body: IncomingBody = self.inner.consume().map_err(taken)?;
        let stream = body.stream().map_err(taken)?;
        let mut bytes = Vec::new();
        loop {
            match stream.blocking_read(READ_BYTES) {
                Ok(more) if bytes.len() + more.len() > max_bytes => {
                    return Err(BodyError::TooLarge { max_bytes });
                }
                Ok(more) => bytes.extend(more),
                Err(StreamError::Closed) => return Ok(bytes),
                Err(StreamError::LastOperationFailed(error)) => {
                    return Err(BodyError::Broken {
                        reason: error.to_debug_string(),
                    });
                }
            }
        }
    }
}
