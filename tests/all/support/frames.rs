//! An HTTP/2 client that never takes what it asked for, and is otherwise well.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::SOON;

const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const ACK: u8 = 1;

/// `SETTINGS_INITIAL_WINDOW_SIZE` 0 (RFC 9113, 6.5.2).
const NO_WINDOW: [u8; 6] = [0, 4, 0, 0, 0, 0];

/// A connection whose streams have no window.
pub struct NoWindow {
    connection: TcpStream,
    unread: Vec<u8>,
}

impl NoWindow {
    pub async fn connect(address: &str) -> Self {
        let mut client = Self {
            connection: TcpStream::connect(address).await.unwrap(),
            unread: Vec::new(),
        };
        let hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        client.connection.write_all(hello).await.unwrap();
        client.send(SETTINGS, 0, 0, &NO_WINDOW).await;
        client
    }

    /// Asks for `path` on a stream, with a key or without.
    pub async fn get(&mut self, stream: u32, path: &str, key: Option<&str>) {
        // Fields of the static table (RFC 7541, A): `:method: GET` and `:scheme: http`; then
        // literals with an indexed name: `:path`, `:authority` and `authorization` (23).
        let mut block = vec![0x82, 0x86];
        let mut literal = |name: &[u8], value: &str| {
            block.extend(name);
            block.push(u8::try_from(value.len()).ok().filter(|l| *l < 127).unwrap());
            block.extend(value.bytes());
        };
        literal(&[0x04], path);
        literal(&[0x01], "localhost");
        if let Some(key) = key {
            literal(&[0x0f, 0x08], &format!("Bearer {key}"));
        }
        // END_STREAM and END_HEADERS.
        self.send(HEADERS, 5, stream, &block).await;
    }

    /// Waits until the server has sent the heads of this many answers.
    pub async fn until_answered(&mut self, answers: usize) {
        let mut heads = 0;
        while heads < answers {
            let (kind, flags, _, _) = self.next().await.expect("the connection stays");
            heads += usize::from(kind == HEADERS);
            if kind == SETTINGS && flags & ACK == 0 {
                self.send(SETTINGS, ACK, 0, &[]).await;
            }
        }
    }

    /// Answers the server and pings it until it hangs up; the streams that it has reset.
    pub async fn until_hung_up(mut self) -> Vec<u32> {
        let mut reset = Vec::new();
        while let Some((kind, flags, stream, payload)) = self.next().await {
            match kind {
                PING if flags & ACK == 0 => self.send(PING, ACK, 0, &payload).await,
                SETTINGS if flags & ACK == 0 => self.send(SETTINGS, ACK, 0, &[]).await,
                RESET => reset.push(stream),
                _ => {}
            }
            if kind != PING {
                self.send(PING, 0, 0, &[7; 8]).await;
            }
        }
        reset
    }

    async fn next(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        loop {
            if let [a, b, c, kind, flags, rest @ ..] = self.unread.as_slice()
                && let Some((stream, rest)) = rest.split_first_chunk()
            {
                let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
                if let Some(payload) = rest.get(..length) {
                    let stream = u32::from_be_bytes(*stream);
                    let frame = (*kind, *flags, stream, payload.to_vec());
                    self.unread.drain(..9 + length);
                    return Some(frame);
                }
            }
            let read = timeout(SOON, self.connection.read_buf(&mut self.unread));
            match read.await.expect("the server hangs up in time") {
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
        // The server may have hung up.
        let _ = self.connection.write_all(&frame).await;
    }
}
