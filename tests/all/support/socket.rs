//! A client of the live WebSocket.

use futures::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::{SOON, Server};

/// A live session.
pub struct Live(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Live {
    /// Opens `/ws/transcribe` with a query (with its question mark, or empty).
    pub async fn open(server: &Server, query: &str) -> Self {
        let url = format!("ws://{}/ws/transcribe{query}", server.address);
        Self(connect_async(url).await.expect("the handshake succeeds").0)
    }

    /// Opens it as a page of this origin does.
    pub async fn open_from(server: &Server, origin: &'static str) -> Result<Self, Error> {
        let url = format!("ws://{}/ws/transcribe", server.address);
        let mut request = url.into_client_request()?;
        request
            .headers_mut()
            .insert("origin", origin.parse().unwrap());
        connect_async(request).await.map(|(socket, _)| Self(socket))
    }

    /// Opens it with a key.
    pub async fn open_with(server: &Server, key: &str) -> Self {
        let url = format!("ws://{}/ws/transcribe", server.address);
        let mut request = url.into_client_request().unwrap();
        let bearer = format!("Bearer {key}").parse().unwrap();
        request.headers_mut().insert("authorization", bearer);
        Self(
            connect_async(request)
                .await
                .expect("the handshake succeeds")
                .0,
        )
    }

    /// Sends samples, 100 ms in each message.
    pub async fn speak(&mut self, samples: &[i16]) {
        for piece in samples.chunks(1600) {
            let bytes: Vec<u8> = piece.iter().flat_map(|s| s.to_le_bytes()).collect();
            self.send(Message::binary(bytes)).await;
        }
    }

    /// Asks for what is left.
    pub async fn flush(&mut self) {
        self.send(Message::binary(Vec::new())).await;
    }

    pub async fn send(&mut self, message: Message) {
        timeout(SOON, self.0.send(message))
            .await
            .expect("the server reads")
            .expect("it is there");
    }

    /// The next answer; none when the server has closed.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            let message = timeout(SOON, self.0.next())
                .await
                .expect("an answer in time")?;
            match message {
                Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).unwrap()),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// Sends a ping; how many answers came before its pong.
    pub async fn answers_before_pong(&mut self) -> usize {
        self.send(Message::Ping("read?".into())).await;
        let mut answers = 0;
        loop {
            let message = timeout(SOON, self.0.next())
                .await
                .expect("a pong in time")
                .unwrap();
            match message.unwrap() {
                Message::Pong(_) => return answers,
                Message::Text(_) => answers += 1,
                _ => {}
            }
        }
    }

    /// Whether an answer is there within this time; it is thrown away.
    pub async fn answers_within(&mut self, limit: std::time::Duration) -> bool {
        timeout(limit, self.next()).await.is_ok()
    }

    /// Says that no more will come, as a browser's `close()` does; answers may still.
    pub async fn end(&mut self) {
        self.send(Message::Close(None)).await;
    }

    /// Everything until the server closes.
    pub async fn rest(&mut self) -> Vec<Value> {
        let mut answers = Vec::new();
        while let Some(answer) = self.next().await {
            answers.push(answer);
        }
        answers
    }
}

/// The texts of several answers as one.
pub fn joined(answers: &[Value]) -> String {
    let texts: Vec<_> = answers
        .iter()
        .filter_map(|answer| answer["text"].as_str())
        .collect();
    texts.join(" ")
}
