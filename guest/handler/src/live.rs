//! `WS /ws/transcribe`: live audio in, its text out, piece by piece.
//!
//! In: binary messages with signed 16-bit little-endian PCM, mono, 16 kHz. Out: one message
//! `{text, language, is_final}` for every 5 s of audio, in order, also for silence (its text is
//! empty). An empty binary message, or the end of the client's messages, requests what is left. The
//! text of a message never changes, so `is_final` is always true; the field is there for clients
//! that also show interim results. Options are query parameters, as of `/transcribe`. Errors are
//! `{"detail": …}`: one about a piece takes the place of its text, one about the request ends the
//! connection.
//!
//! Recognition never holds up reading: pieces wait in a queue of bounded length, and only when it is
//! full does the handler stop to read. Then the host's own bounded queue fills, and once that is full
//! the client is held up.
//!
//! Every answer that was sent is a checkpoint: should this instance fail, or another revision come to
//! serve, the next one goes on behind it (`positions` says where that is among the messages).

mod positions;
mod queue;

use auricle_guest::audio::{Clip, RecordError, Recorder, SAMPLE_RATE};
use auricle_guest::http::{Continuation, Message, Position, Query, Socket, SocketError};
use auricle_guest::poll::poll;
use auricle_guest::websocket::Upgrade;
use auricle_guest::{config, log};
use serde::Serialize;

use self::positions::Positions;
use self::queue::{Answer, Queue};
use crate::failure::Failure;
use crate::options::Asked;
use crate::render::LiveBody;
use crate::routes::LIVE_PATH;

/// Of 16-bit PCM.
const BYTES_PER_SAMPLE: u64 = 2;

/// Why a session is over.
enum End {
    /// The client has all it asked for.
    Served,
    /// The client is gone, or not to be reached.
    Gone,
    /// The client gets this text first.
    Failed(Failure),
    /// Another instance goes on.
    HandedOver,
}

impl From<SocketError> for End {
    fn from(error: SocketError) -> Self {
        match error {
            SocketError::Closed => Self::Gone,
            SocketError::TooLarge => Self::Failed(Failure::internal(Some(
                "the text of one piece is longer than a message may be".to_owned(),
            ))),
            SocketError::Other(text) => {
                log::warn!("the socket failed: {}", text.unwrap_or_default());
                Self::Gone
            }
        }
    }
}

/// Serves one connection to its end.
pub fn serve(upgrade: &Upgrade, socket: &Socket) {
    let end = match Session::new(upgrade, socket) {
        Ok(mut session) => session.run(),
        Err(failure) => End::Failed(failure),
    };
    if let End::Failed(failure) = end {
        // The client may be gone as well: then nobody is left to tell.
        let _ = send_detail(socket, failure.detail());
    }
}

/// What the client still sends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Input {
    Open,
    /// An empty message came: hand over what is left, then go on reading.
    Flushing,
    /// No more messages: hand over what is left, then end.
    Ended,
}

struct Session<'a> {
    socket: &'a Socket,
    asked: Asked,
    language: Option<String>,
    chunk_samples: u64,
    recorder: Recorder,
    queue: Queue,
    input: Input,
    positions: Positions,
}

impl<'a> Session<'a> {
    fn new(upgrade: &Upgrade, socket: &'a Socket) -> Result<Self, Failure> {
        let (path, query) = Query::split_target(&upgrade.path_with_query);
        if path.strip_suffix('/').unwrap_or(&path) != LIVE_PATH {
            return Err(Failure::new(404, "Not Found"));
        }
        let asked = Asked::in_query(&query);
        let options = asked.resolve()?;
        if options.diarize.is_some() {
            let text = "speakers are not told apart in live audio: leave 'diarize' out";
            return Err(Failure::new(400, text));
        }
        if asked.multichannel()? {
            let text = "live audio has one channel: leave 'multichannel' out";
            return Err(Failure::new(400, text));
        }
        let chunk_secs: u64 = setting("live-chunk-secs", 5, 30)?;
        Ok(Self {
            socket,
            asked,
            language: options.language,
            chunk_samples: chunk_secs * u64::from(SAMPLE_RATE),
            recorder: Recorder::new(),
            queue: Queue::new(setting("live-max-pending", 8, 64)? as usize),
            input: Input::Open,
            positions: Positions::default(),
        })
    }

    fn run(&mut self) -> End {
        if let Err(end) = self.checkpoint(Position {
            messages: 0,
            bytes: 0,
        }) {
            return end;
        }
        loop {
            if let Err(end) = self.step() {
                return end;
            }
        }
    }

    /// Hands over what is complete, then waits for whichever comes first: audio or text.
    fn step(&mut self) -> Result<(), End> {
        self.hand_over()?;
        if self.input == Input::Ended && self.queue.is_empty() {
            return Err(End::Served);
        }
        let reads = self.input == Input::Open && !self.queue.is_full();
        let (has_message, has_event) = self.wait(reads);
        if has_event && let Some(answer) = self.queue.advance() {
            self.answer(answer)?;
        }
        if has_message {
            self.receive()?;
        }
        Ok(())
    }

    /// Waits until a message can be received (when `reads`) or the oldest piece has news.
    fn wait(&self, reads: bool) -> (bool, bool) {
        if self.queue.has_answer() {
            return (false, true);
        }
        let messages = reads.then(|| self.socket.subscribe());
        let events = self.queue.subscribe();
        let all: Vec<_> = messages.iter().chain(events.iter()).collect();
        if all.is_empty() {
            return (false, false);
        }
        let ready = poll(&all);
        let events_at = u32::from(messages.is_some());
        (
            messages.is_some() && ready.contains(&0),
            events.is_some() && ready.contains(&events_at),
        )
    }

    /// Starts the recognition of every whole piece, and of the rest when it was asked for.
    fn hand_over(&mut self) -> Result<(), End> {
        while !self.queue.is_full() && self.recorder.length() >= self.chunk_samples {
            let clip = self.recorder.take(self.chunk_samples);
            let end = self.positions.take(self.chunk_samples * BYTES_PER_SAMPLE);
            self.start(&clip, end)?;
        }
        let rest = self.recorder.length();
        if self.input == Input::Open || self.queue.is_full() || rest >= self.chunk_samples {
            return Ok(());
        }
        // With the message that asked for it.
        let end = self.positions.all();
        if rest > 0 {
            let clip = self.recorder.take(rest);
            self.positions.take(rest * BYTES_PER_SAMPLE);
            self.start(&clip, end)?;
        } else if self.input == Input::Flushing {
            self.queue.push_empty(self.language.as_deref(), end);
        }
        if self.input == Input::Flushing {
            self.input = Input::Open;
        }
        Ok(())
    }

    fn start(&mut self, clip: &Clip, end: Position) -> Result<(), End> {
        let started = self.asked.resolve();
        started
            .and_then(|options| self.queue.start(clip, options, end))
            .map_err(End::Failed)
    }

    /// Everything before `position` is answered.
    fn checkpoint(&self, position: Position) -> Result<(), End> {
        match self.socket.checkpoint(position, &[])? {
            Continuation::Proceed => Ok(()),
            Continuation::HandOver => Err(End::HandedOver),
        }
    }

    fn receive(&mut self) -> Result<(), End> {
        let message = self.socket.receive()?;
        match &message {
            None => {}
            Some(Message::Binary(pcm)) => self.positions.receive(pcm.len() as u64),
            Some(Message::Text(_)) => self.positions.receive(0),
        }
        match message {
            None => self.input = Input::Ended,
            Some(Message::Binary(pcm)) if pcm.is_empty() => self.input = Input::Flushing,
            Some(Message::Binary(pcm)) => self.recorder.append(&pcm).map_err(|error| {
                End::Failed(match error {
                    RecordError::Full => Failure::new(413, "too much audio at once"),
                    RecordError::Other(text) => Failure::internal(text),
                })
            })?,
            Some(Message::Text(_)) => send_detail(
                self.socket,
                "text is not understood: send 16 kHz mono s16le PCM as binary messages",
            )?,
        }
        Ok(())
    }

    fn answer(&mut self, answer: Answer) -> Result<(), End> {
        let end = answer.end;
        self.tell(answer)?;
        self.positions.deal_with(end);
        self.checkpoint(end)
    }

    fn tell(&self, answer: Answer) -> Result<(), End> {
        match answer.result {
            Ok(text) => send(
                self.socket,
                &LiveBody {
                    text: &text.text,
                    language: &text.language,
                    is_final: true,
                },
            ),
            // What is wrong with the request is wrong with every piece of it.
            Err(failure) if !failure.is_passing() => Err(End::Failed(failure)),
            Err(failure) => send_detail(self.socket, failure.detail()),
        }
    }
}

/// A whole number of the configuration, from 1 to `most`.
fn setting(key: &str, default: u64, most: u64) -> Result<u64, Failure> {
    let value = config::parse_or(key, default)?;
    if (1..=most).contains(&value) {
        return Ok(value);
    }
    Err(Failure::internal(Some(format!(
        "configuration '{key}' is '{value}': use 1 to {most}"
    ))))
}

fn send_detail(socket: &Socket, detail: &str) -> Result<(), End> {
    send(socket, &serde_json::json!({ "detail": detail }))
}

fn send(socket: &Socket, body: &impl Serialize) -> Result<(), End> {
    match serde_json::to_string(body) {
        Ok(text) => Ok(socket.send(&Message::Text(text))?),
        Err(error) => Err(End::Failed(Failure::internal(Some(error.to_string())))),
    }
}
