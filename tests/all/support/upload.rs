//! Requests as clients of the tutorial API make them, and what comes back.

use std::time::Duration;

use reqwest::multipart::{Form, Part};
use reqwest::{Client, ClientBuilder, RequestBuilder, Response};
use serde_json::Value;

use super::Server;

/// Longest wait for an answer; recognition of the longest file included.
const ANSWER: Duration = Duration::from_secs(300);

/// A client to be.
pub fn builder() -> ClientBuilder {
    // The library comes without one, and asks for it even where nothing is encrypted. A second time
    // changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // A proxy of the user's environment has no business with loopback.
    Client::builder().no_proxy()
}

/// A client that shares no connection with any other.
pub fn client() -> Client {
    builder().timeout(ANSWER).build().unwrap()
}

/// A multipart form as it grows.
pub struct Upload {
    form: Form,
    query: String,
}

impl Upload {
    /// A form without a file.
    pub fn empty() -> Self {
        Self {
            form: Form::new(),
            query: String::new(),
        }
    }

    /// A form with the field `file`.
    pub fn file(name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Self::empty().part("file", Part::bytes(bytes.into()).file_name(name.to_owned()))
    }

    /// A form with a WAV file in the field `file`.
    pub fn wav(bytes: &[u8]) -> Self {
        Self::file_as("audio/wav", "speech.wav", bytes)
    }

    /// A form with the field `file` of this content type.
    pub fn file_as(content_type: &str, name: &str, bytes: &[u8]) -> Self {
        let part = Part::bytes(bytes.to_vec()).file_name(name.to_owned());
        Self::empty().part("file", part.mime_str(content_type).unwrap())
    }

    /// One more part.
    pub fn part(mut self, name: &str, part: Part) -> Self {
        self.form = self.form.part(name.to_owned(), part);
        self
    }

    /// One more text field.
    pub fn field(mut self, name: &str, value: &str) -> Self {
        self.form = self.form.text(name.to_owned(), value.to_owned());
        self
    }

    /// A query, without its question mark.
    pub fn query(mut self, query: &str) -> Self {
        self.query = format!("?{query}");
        self
    }

    /// The request, for what this has no word for.
    pub fn request(self, server: &Server, path: &str) -> RequestBuilder {
        client()
            .post(format!("{}{}", server.url(path), self.query))
            .multipart(self.form)
    }

    /// Sends the form and waits for the whole answer.
    pub async fn send(self, server: &Server, path: &str) -> Answer {
        Answer::of(self.request(server, path).send().await.expect("an answer")).await
    }

    /// Sends the form to `/transcribe`.
    pub async fn transcribe(self, server: &Server) -> Answer {
        self.send(server, "/transcribe").await
    }
}

/// Fetches `path`.
pub async fn get(server: &Server, path: &str) -> Answer {
    Answer::of(
        client()
            .get(server.url(path))
            .send()
            .await
            .expect("an answer"),
    )
    .await
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: String,
}

impl Answer {
    pub async fn of(response: Response) -> Self {
        Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.text().await.expect("a whole body"),
        }
    }

    /// A header's text; empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The id that the server's log knows the request by.
    pub fn request_id(&self) -> &str {
        self.header("x-request-id")
    }

    /// The JSON of a success.
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        assert!(
            self.header("content-type").starts_with("application/json"),
            "{self:?}"
        );
        serde_json::from_str(&self.body).expect("JSON")
    }

    /// The `text` of a transcript.
    pub fn transcript(&self) -> String {
        self.ok()["text"].as_str().expect("a text").to_owned()
    }

    /// What an error says, once it has been checked for the shape that errors have.
    pub fn detail(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.body);
        assert!(
            self.header("content-type").starts_with("application/json"),
            "{self:?}"
        );
        let body: Value = serde_json::from_str(&self.body).expect("JSON");
        assert_eq!(
            body.as_object().map(serde_json::Map::len),
            Some(1),
            "{body}"
        );
        let detail = body["detail"].as_str().expect("a detail").to_owned();
        for secret in ["src/", ".rs", "panick", "wasm"] {
            assert!(!detail.contains(secret), "{detail}");
        }
        let mut parts = detail.split(|c: char| c.is_whitespace() || "'\"`(".contains(c));
        assert!(!parts.any(|part| part.starts_with('/')), "a path: {detail}");
        detail
    }
}
