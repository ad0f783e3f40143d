//! A small app, a running gateway and raw clients.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use auricle_gateway::{
    App, AppError, DrainReport, Gateway, GatewayConfig, Health, HealthStatus, Message, RequestBody,
    RequestContext, ResponseBody, WebSocket,
};
use auricle_tenancy::Tenancy;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, StreamBody};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// No step of a test takes longer, or it has failed.
pub const SOON: Duration = Duration::from_secs(10);

/// Length of `/large`: more than all buffers on its way hold.
pub const LARGE_BYTES: usize = 64 << 20;

/// What the app did, for the tests to see.
#[derive(Default)]
pub struct Seen {
    pub running: AtomicUsize,
    pub calls: AtomicUsize,
    pub received: AtomicUsize,
    pub sent: AtomicUsize,
}

/// Lets `/gate` end; one permit for each.
pub struct TestApp {
    pub seen: Arc<Seen>,
    pub gate: Arc<Semaphore>,
}

/// Counts itself as running until it is dropped.
struct Running(Arc<Seen>);

impl Running {
    fn new(seen: &Arc<Seen>) -> Self {
        seen.running.fetch_add(1, Ordering::SeqCst);
        seen.calls.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(seen))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

pub fn text(body: impl Into<Bytes>) -> ResponseBody {
    Full::new(body.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

impl App for TestApp {
    async fn http(
        &self,
        context: RequestContext,
        request: Request<RequestBody>,
    ) -> Result<Response<ResponseBody>, AppError> {
        let _running = Running::new(&self.seen);
        let path = request.uri().path().to_owned();
        let detail = || "/secret/path of tenant acme".to_owned();
        let retry_after = Duration::from_millis(1500);
        match path.as_str() {
            "/echo" | "/transcribe" => {
                let body = request.into_body().collect().await;
                let body = body.map_err(|_| AppError::ComponentFailed { detail: detail() })?;
                Ok(Response::new(text(body.to_bytes())))
            }
            "/own-error" => {
                let failed = request.into_body().collect().await.is_err();
                let status = if failed { 422 } else { 200 };
                Ok(Response::builder()
                    .status(status)
                    .body(text("mine"))
                    .unwrap())
            }
            "/unread" => Ok(Response::builder()
                .status(422)
                .body(text("not audio"))
                .unwrap()),
            "/whoami" => Ok(Response::new(text(format!(
                "{} {}",
                context.tenant, context.request_id
            )))),
            "/class" => Ok(Response::new(text(format!("{:?}", context.class)))),
            "/hang" => {
                let _ = request.into_body().collect().await;
                std::future::pending().await
            }
            "/gate" => {
                self.gate.acquire().await.unwrap().forget();
                Ok(Response::new(text("through")))
            }
            "/flood" => {
                let chunk = Bytes::from(vec![b'x'; 64 * 1024]);
                let frame = move || Ok(http_body::Frame::data(chunk.clone()));
                let body = StreamBody::new(futures::stream::repeat_with(frame));
                Ok(Response::new(body.boxed_unsync()))
            }
            "/large" => Ok(Response::new(text(vec![b'x'; LARGE_BYTES]))),
            "/events" | "/half-event" => {
                let whole = path == "/events";
                let text = if whole { "data: 1\n\n" } else { "data: 1" };
                let first = async move { Ok(http_body::Frame::data(Bytes::from(text))) };
                let first = futures::stream::once(first);
                let body =
                    StreamBody::new(futures::StreamExt::chain(first, futures::stream::pending()));
                Ok(Response::builder()
                    .header("content-type", "text/event-stream; charset=utf-8")
                    .body(body.boxed_unsync())
                    .unwrap())
            }
            "/trickle" => {
                let first = futures::stream::once(async {
                    Ok(http_body::Frame::data(Bytes::from("begun")))
                });
                let body =
                    StreamBody::new(futures::StreamExt::chain(first, futures::stream::pending()));
                Ok(Response::new(body.boxed_unsync()))
            }
            "/panic" => panic!("the test app panics on purpose"),
            "/not-granted" => Err(AppError::NotGranted { detail: detail() }),
            "/failed" => Err(AppError::ComponentFailed { detail: detail() }),
            "/timeout" => Err(AppError::ComponentTimeout { detail: detail() }),
            "/over-limit" => Err(AppError::ComponentOverLimit { detail: detail() }),
            "/overloaded" => Err(AppError::Overloaded { retry_after }),
            "/tenant-over" => Err(AppError::TenantOverLimit { retry_after }),
            "/loading" => Err(AppError::Loading { retry_after }),
            "/draining" => Err(AppError::Draining),
            "/internal" => Err(AppError::Internal { detail: detail() }),
            "/detect-language" => Err(AppError::ComponentFailed { detail: detail() }),
            _ => Err(AppError::NotFound),
        }
    }

    async fn accepts_websocket(&self, _: &RequestContext, path: &str) -> bool {
        path.starts_with("/ws/")
    }

    async fn websocket(
        &self,
        _: RequestContext,
        head: http::request::Parts,
        mut socket: WebSocket,
    ) -> Result<(), AppError> {
        let _running = Running::new(&self.seen);
        match head.uri.path() {
            "/ws/echo" => {
                while let Ok(Some(message)) = socket.receive().await {
                    self.seen.received.fetch_add(1, Ordering::SeqCst);
                    socket.send(message).await.unwrap();
                }
                Ok(())
            }
            "/ws/flush" => {
                let mut bytes = 0;
                while let Some(message) = socket.receive().await.unwrap() {
                    match message {
                        Message::Binary(audio) => bytes += audio.len(),
                        Message::Text(_) => {}
                    }
                }
                // As a recogniser would, still at work when the client's Close has come.
                tokio::time::sleep(Duration::from_millis(50)).await;
                let last = Message::Text(format!("heard {bytes}"));
                socket.send(last).await.unwrap();
                Ok(())
            }
            "/ws/flood" => loop {
                let chunk = Message::Binary(Bytes::from(vec![0; 16 * 1024]));
                if socket.send(chunk).await.is_err() {
                    return Ok(());
                }
                self.seen.sent.fetch_add(1, Ordering::SeqCst);
            },
            "/ws/fail" => Err(AppError::ComponentFailed {
                detail: "/secret/path".into(),
            }),
            "/ws/panic" => panic!("the test app panics on purpose"),
            "/ws/bye" => {
                socket
                    .send(Message::Text("last words".into()))
                    .await
                    .unwrap();
                socket.close(4000, "bye");
                assert!(socket.send(Message::Text("unheard".into())).await.is_err());
                Ok(())
            }
            _ => std::future::pending().await,
        }
    }

    fn snapshot(&self) -> auricle_telemetry::Snapshot {
        auricle_telemetry::Snapshot::default()
    }

    fn health(&self) -> Health {
        Health {
            status: HealthStatus::Ok,
            model: "base".into(),
        }
    }
}

/// A gateway that serves a [`TestApp`].
pub struct Server {
    pub addr: SocketAddr,
    /// Where it has an admin listener.
    pub admin: Option<SocketAddr>,
    pub seen: Arc<Seen>,
    pub gate: Arc<Semaphore>,
    pub shutdown: CancellationToken,
    serving: JoinHandle<DrainReport>,
}

/// The defaults, on a free port.
pub fn config() -> GatewayConfig {
    GatewayConfig {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        ..GatewayConfig::default()
    }
}

impl Server {
    pub async fn start(config: GatewayConfig) -> Self {
        Self::start_with(config, Tenancy::open()).await
    }

    pub async fn start_with(config: GatewayConfig, tenancy: Arc<Tenancy>) -> Self {
        let bound = Gateway::bind(config, tenancy).await.unwrap();
        let (addr, admin) = (bound.addrs()[0], bound.admin_addr());
        let (seen, gate) = (Arc::new(Seen::default()), Arc::new(Semaphore::new(0)));
        let app = TestApp {
            seen: Arc::clone(&seen),
            gate: Arc::clone(&gate),
        };
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(bound.serve(app, shutdown.clone()));
        Self {
            addr,
            admin,
            seen,
            gate,
            shutdown,
            serving,
        }
    }

    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.unwrap()
    }

    /// Sends raw bytes and reads the answer until the server closes.
    pub async fn raw(&self, request: impl AsRef<[u8]>) -> Reply {
        let mut stream = self.connect().await;
        // The server may have answered and closed before everything is sent.
        let _ = stream.write_all(request.as_ref()).await;
        read_to_close(&mut stream).await
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.raw(head("GET", path, "")).await
    }

    /// Waits until `count` requests or sockets are in the app.
    pub async fn until_running(&self, count: usize) {
        let running = || self.seen.running.load(Ordering::SeqCst);
        until(&format!("{count} in the app"), || running() == count).await;
    }

    pub async fn stopped(self) -> DrainReport {
        timeout(SOON, self.serving).await.unwrap().unwrap()
    }
}

/// Waits for a condition that needs no time but the machine's.
pub async fn until(what: &str, condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(timeout(SOON, waiting).await.is_ok(), "waited for {what}");
}

/// A request head with more header lines, each ended by CRLF.
pub fn head(method: &str, path: &str, more: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{more}\r\n")
}

pub fn post(path: &str, body: &[u8]) -> Vec<u8> {
    let mut request =
        head("POST", path, &format!("content-length: {}\r\n", body.len())).into_bytes();
    request.extend_from_slice(body);
    request
}

/// An HTTP/1 answer. Status 0: the server closed without one.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HashMap<String, String>,
    pub body: String,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }
}

pub async fn read_to_close(stream: &mut TcpStream) -> Reply {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    // A reset after the answer is the server's right.
    while let Ok(read) = timeout(SOON, stream.read(&mut chunk))
        .await
        .expect("the server closes")
    {
        if read == 0 {
            break;
        }
        bytes.extend_from_slice(&chunk[..read]);
    }
    parse(&String::from_utf8_lossy(&bytes))
}

pub fn parse(answer: &str) -> Reply {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let headers = lines.filter_map(|line| line.split_once(": "));
    Reply {
        status: status.map_or(0, |status| status.parse().unwrap()),
        headers: headers
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect(),
        body: body.to_owned(),
    }
}
