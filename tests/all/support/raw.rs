//! HTTP/1 written by hand, for what a good client never does.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{SOON, Server};

/// Of every form written here.
pub const BOUNDARY: &str = "a-boundary-0123456789";

/// A connection.
pub struct Raw(TcpStream);

impl Raw {
    pub async fn connect(server: &Server) -> Self {
        let stream = TcpStream::connect(&server.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    /// Sends the head of a form that is `body_bytes` long.
    pub async fn begin_form(&mut self, path: &str, request_id: &str, body_bytes: usize) {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nx-request-id: {request_id}\r\n\
             content-type: multipart/form-data; boundary={BOUNDARY}\r\n\
             content-length: {body_bytes}\r\n\r\n"
        );
        assert!(self.send(head.as_bytes()).await, "the server reads");
    }

    /// Sends bytes; whether the server still takes them.
    pub async fn send(&mut self, bytes: &[u8]) -> bool {
        timeout(SOON, self.0.write_all(bytes))
            .await
            .expect("the server reads")
            .is_ok()
    }

    /// The whole answer, head and body, up to its `content-length` or the connection's end.
    pub async fn answer(&mut self) -> String {
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        while !is_whole(&answer) {
            match timeout(SOON, self.0.read(&mut buffer))
                .await
                .expect("an answer in time")
            {
                Ok(0) | Err(_) => break,
                Ok(count) => answer.extend_from_slice(&buffer[..count]),
            }
        }
        String::from_utf8(answer).unwrap()
    }

    /// What the server says first: an answer's beginning, or that it goes on to read.
    pub async fn beginning(&mut self) -> String {
        let mut buffer = [0; 4096];
        let count = timeout(SOON, self.0.read(&mut buffer)).await;
        let count = count.expect("an answer in time").unwrap_or(0);
        String::from_utf8_lossy(&buffer[..count]).into_owned()
    }
}

fn is_whole(answer: &[u8]) -> bool {
    let answer = String::from_utf8_lossy(answer);
    let Some((head, body)) = answer.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    length.is_some_and(|length| body.len() >= length.parse::<usize>().unwrap())
}

/// A form with one file.
pub fn form(content_type: &str, file: &[u8]) -> Vec<u8> {
    let mut form = form_start(content_type);
    form.extend_from_slice(file);
    form.extend_from_slice(form_end().as_bytes());
    form
}

/// What stands before the file of a form.
pub fn form_start(content_type: &str) -> Vec<u8> {
    format!(
        "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\
         content-type: {content_type}\r\n\r\n"
    )
    .into_bytes()
}

/// What stands behind it.
pub fn form_end() -> String {
    format!("\r\n--{BOUNDARY}--\r\n")
}
