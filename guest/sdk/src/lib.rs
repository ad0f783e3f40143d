//! Bindings and helpers for authors of Auricle components.
//!
//! A component has one role and is a `cdylib` crate for `wasm32-unknown-unknown`. It implements the
//! role's trait for a type and names the type in the role's `export!`. It imports only what it uses:
//! a component that logs nothing does not import the log.
//!
//! # Layout
//! - [`chunker`], [`speaker_assigner`], [`decoder`], [`handler`] and [`websocket`]: one for each
//!   role.
//! - [`audio`], [`voice`], [`speakers`], [`speech`], [`transcriber`]: clips, where somebody speaks
//!   in them, who, what recognition yields, the pipeline.
//! - [`nn`]: graphs, for a deployment that is granted some.
//! - [`http`]: requests, queries, forms, responses.
//! - [`config`], [`mod@log`]: the deployment's settings, the operator's log.
//!
//! The feature `allocator`, on by default, sets the component's allocator.
//!
//! # A chunker
//! ```
//! use auricle_guest::chunker::{ChunkError, Chunker, Clip, Span};
//! use auricle_guest::config;
//!
//! struct EverySoOften;
//!
//! impl Chunker for EverySoOften {
//!     fn split(clip: &Clip, max_samples: u64) -> Result<Vec<Span>, ChunkError> {
//!         let step = config::parse_or("samples", 80_000_u64)?.clamp(1, max_samples);
//!         let span = |i| Span { start: i * step, end: clip.length().min((i + 1) * step) };
//!         Ok((0..clip.length().div_ceil(step)).map(span).collect())
//!     }
//! }
//!
//! auricle_guest::chunker::export!(EverySoOften);
//! ```
//!
//! # A speaker-assigner
//! ```
//! use auricle_guest::speaker_assigner::{AssignError, Segment, SpeakerAssigner, Turn};
//!
//! struct FirstSpeaker;
//!
//! impl SpeakerAssigner for FirstSpeaker {
//!     fn assign(mut segments: Vec<Segment>, turns: Vec<Turn>) -> Result<Vec<Segment>, AssignError> {
//!         for segment in &mut segments {
//!             let turn = turns.iter().find(|t| t.start < segment.end && t.end > segment.start);
//!             segment.speaker = turn.map(|t| t.speaker.clone());
//!         }
//!         Ok(segments)
//!     }
//! }
//!
//! auricle_guest::speaker_assigner::export!(FirstSpeaker);
//! ```
//!
//! # A handler
//! Transcribes the file of a form without ever holding its bytes.
//! ```
//! use auricle_guest::audio::{Hint, decode};
//! use auricle_guest::handler::{Handler, IncomingRequest, ResponseOutparam};
//! use auricle_guest::http::{Request, Response};
//! use auricle_guest::transcriber::{self, Options};
//!
//! struct Plain;
//!
//! impl Handler for Plain {
//!     fn handle(request: IncomingRequest, out: ResponseOutparam) {
//!         match transcribe(&Request::new(request)) {
//!             Ok(text) => Response::text(200, text).send(out),
//!             Err(reason) => Response::detail(400, &reason).send(out),
//!         }
//!     }
//! }
//!
//! fn transcribe(request: &Request) -> Result<String, String> {
//!     let form = request.form().map_err(|e| e.to_string())?;
//!     while let Some(part) = form.next_part().map_err(|e| e.to_string())? {
//!         if part.name().as_deref() != Some("file") {
//!             continue;
//!         }
//!         let content = part.content().ok_or("the part was read before")?;
//!         let hint = Hint { file_name: part.file_name(), content_type: part.content_type() };
//!         let clip = decode(content, &hint).map_err(|e| e.to_string())?;
//!         let running = transcriber::start(&clip, Options::default()).map_err(|e| e.to_string())?;
//!         let (segments, _) = transcriber::collect(&running).map_err(|e| e.to_string())?;
//!         return Ok(transcriber::joined_text(&segments));
//!     }
//!     Err("add the audio as form field 'file'".to_owned())
//! }
//!
//! auricle_guest::handler::export!(Plain);
//! ```
//!
//! # A handler with WebSockets
//! Says how long each message of PCM is.
//! ```
//! use auricle_guest::handler::{Handler, IncomingRequest, ResponseOutparam};
//! use auricle_guest::http::Response;
//! use auricle_guest::websocket::{Message, Socket, Upgrade, WebsocketHandler};
//!
//! struct Meter;
//!
//! impl Handler for Meter {
//!     fn handle(_: IncomingRequest, out: ResponseOutparam) {
//!         Response::text(426, "connect with a WebSocket").send(out);
//!     }
//! }
//!
//! impl WebsocketHandler for Meter {
//!     fn handle(_: Upgrade, socket: Socket) {
//!         while let Ok(Some(message)) = socket.receive() {
//!             let Message::Binary(pcm) = message else { continue };
//!             let answer = format!("{} ms", pcm.len() / 32);
//!             if socket.send(&Message::Text(answer)).is_err() {
//!                 return;
//!             }
//!         }
//!     }
//! }
//!
//! auricle_guest::handler::export!(Meter);
//! auricle_guest::websocket::export!(Meter);
//! ```

#[cfg(all(target_family = "wasm", feature = "allocator"))]
#[expect(unsafe_code, reason = "an allocator gives out raw memory")]
mod allocator;
mod bindings;

pub mod audio;
pub mod chunker;
pub mod config;
pub mod decoder;
pub mod handler;
pub mod http;

pub mod log;
pub mod nn;
pub mod speaker_assigner;
pub mod speakers;
pub mod speech;
pub mod transcriber;
pub mod voice;
pub mod websocket;

#[cfg(all(target_family = "wasm", feature = "allocator"))]
#[global_allocator]
static ALLOCATOR: allocator::Heap = allocator::Heap::new();

pub use bindings::wasi::clocks::monotonic_clock;
pub use bindings::wasi::io::poll;
