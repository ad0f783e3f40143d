//! An HTTP/2 client made of frames, for what no good client does.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::SOON;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// `SETTINGS_INITIAL_WINDOW_SIZE` (RFC 9113, 6.5.2).
const INITIAL_WINDOW: u16 = 4;

/// A frame as it came.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

/// A connection.
pub struct Frames {
    connection: TcpStream,
    unread: Vec<u8>,
}

impl Frames {
    /// Connects and gives each stream a window of `window` bytes.
    pub async fn connect(server: SocketAddr, window: u32) -> Self {
        let mut client = Self {
            connection: TcpStream::connect(server).await.unwrap(),
            unread: Vec::new(),
        };
        let hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        client.connection.write_all(hello).await.unwrap();
        let mut setting = INITIAL_WINDOW.to_be_bytes().to_vec();
        setting.extend(window.to_be_bytes());
        client.send(SETTINGS, 0, 0, &setting).await;
        client
    }

    /// Asks for `path` on a stream.
    pub async fn get(&mut self, stream: u32, path: &str) {
        self.get_from(stream, path, "localhost").await;
    }

    /// The same with this `:authority`.
    pub async fn get_from(&mut self, stream: u32, path: &str, authority: &str) {
        // Fields of the static table (RFC 7541, A): `:method: GET` and `:scheme: http`; then
        // literals with an indexed name: `:path` and `:authority`.
        let mut block = vec![0x82, 0x86, 0x04];
        block.push(u8::try_from(path.len()).unwrap());
        block.extend(path.bytes());
        block.extend([0x01, u8::try_from(authority.len()).unwrap()]);
        block.extend(authority.bytes());
        self.send(HEADERS, END_HEADERS | END_STREAM, stream, &block)
            .await;
    }

    /// Widens a stream's window.
    pub async fn widen(&mut self, stream: u32, bytes: u32) {
        self.send(WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes())
            .await;
    }

    /// Sends a PING, as a client that wants its connection kept.
    pub async fn ping(&mut self) {
        self.send(PING, 0, 0, &[7; 8]).await;
    }

    /// The next frame about a stream or the connection's end; `None` when the connection is closed.
    /// PINGs and SETTINGS are answered.
    pub async fn next(&mut self) -> Option<Frame> {
        loop {
            let frame = self.read().await?;
            match frame.kind {
                PING | SETTINGS if frame.flags & ACK != 0 => {}
                PING => self.send(PING, ACK, 0, &frame.payload).await,
                SETTINGS => self.send(SETTINGS, ACK, 0, &[]).await,
                WINDOW_UPDATE => {}
                _ => return Some(frame),
            }
        }
    }

    async fn read(&mut self) -> Option<Frame> {
        loop {
            if let [a, b, c, kind, flags, stream @ ..] = self.unread.as_slice()
                && let Some((stream, rest)) = stream.split_first_chunk()
            {
                let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
                if let Some(payload) = rest.get(..length) {
                    let frame = Frame {
                        kind: *kind,
                        flags: *flags,
                        stream: u32::from_be_bytes(*stream),
                        payload: payload.to_vec(),
                    };
                    self.unread.drain(..9 + length);
                    return Some(frame);
                }
            }
            let read = timeout(SOON, self.connection.read_buf(&mut self.unread));
            match read.await.expect("a frame or an end in time") {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        // The server may have closed.
        let _ = self.connection.write_all(&frame).await;
    }
}
