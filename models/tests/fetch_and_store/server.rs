//! An HTTP server for one file, which can break off, ignore ranges or refuse.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What the server does with one request; the last of a list goes on for all further ones.
#[derive(Clone, Copy, Debug)]
pub enum Answer {
    /// Serves the file, or the range that was asked for.
    Whole,
    /// The same, but closes the connection after so many bytes.
    Cut(usize),
    /// Serves the whole file, whatever range was asked for.
    NoRanges,
    /// The same without saying how long it is.
    NoLength,
    /// An empty answer with this status.
    Status(u16),
}

#[derive(Clone)]
pub struct Server {
    address: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub path: String,
    pub range: Option<String>,
}

impl Server {
    pub fn start(content: Vec<u8>, answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        // Ends with the test's process: it waits for connections and holds nothing else.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let count = seen.lock().unwrap().len();
                let answer = answers[count.min(answers.len() - 1)];
                // A client that goes away is part of the tests.
                let _ = serve(stream, &content, answer, &seen);
            }
        });
        Self { address, requests }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

fn serve(
    stream: TcpStream,
    content: &[u8],
    answer: Answer,
    seen: &Mutex<Vec<Request>>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut range = None;
    for line in lines.by_ref() {
        let line = line?.to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        range = line
            .strip_prefix("range: ")
            .map(ToOwned::to_owned)
            .or(range);
    }
    let start = range
        .as_deref()
        .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'))
        .map_or(0, |start| start.parse().unwrap());
    seen.lock().unwrap().push(Request { path, range });
    respond(stream, content, answer, start)
}

fn respond(
    mut stream: TcpStream,
    content: &[u8],
    answer: Answer,
    start: usize,
) -> std::io::Result<()> {
    let total = content.len();
    let (start, most) = match answer {
        Answer::Whole => (start, total),
        Answer::Cut(bytes) => (start, bytes),
        Answer::NoRanges | Answer::NoLength => (0, total),
        Answer::Status(status) => {
            return write!(
                stream,
                "HTTP/1.1 {status} Said So\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            );
        }
    };
    if start > 0 && start >= total {
        return write!(
            stream,
            "HTTP/1.1 416 No\r\ncontent-range: bytes */{total}\r\ncontent-length: 0\r\n\
             connection: close\r\n\r\n"
        );
    }
    let body = &content[start..];
    let length = body.len();
    if start > 0 {
        write!(
            stream,
            "HTTP/1.1 206 Partial\r\ncontent-range: bytes {start}-{}/{total}\r\n",
            total - 1
        )?;
    } else {
        write!(stream, "HTTP/1.1 200 OK\r\n")?;
    }
    if !matches!(answer, Answer::NoLength) {
        write!(stream, "content-length: {length}\r\n")?;
    }
    write!(stream, "connection: close\r\n\r\n")?;
    stream.write_all(&body[..length.min(most)])
}
