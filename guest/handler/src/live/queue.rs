//! Pieces of a live session that wait for their text, oldest first.

use std::collections::VecDeque;

use auricle_guest::audio::Clip;
use auricle_guest::http::Position;
use auricle_guest::poll::Pollable;
use auricle_guest::speech::Segment;
use auricle_guest::transcriber::{Event, Options, Transcription, joined_text, start};

use crate::failure::Failure;

/// The text of a piece.
pub struct Text {
    pub text: String,
    pub language: String,
}

/// What has become of the oldest piece.
pub struct Answer {
    pub result: Result<Text, Failure>,
    /// Where the piece ends among the client's messages.
    pub end: Position,
}

enum State {
    Running {
        transcription: Transcription,
        segments: Vec<Segment>,
    },
    Done(Result<Text, Failure>),
}

struct Piece {
    state: State,
    end: Position,
}

/// The queue. Dropping it cancels what is under way.
pub struct Queue {
    pieces: VecDeque<Piece>,
    max: usize,
}

impl Queue {
    pub fn new(max: usize) -> Self {
        Self {
            pieces: VecDeque::new(),
            max,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    pub fn is_full(&self) -> bool {
        self.pieces.len() >= self.max
    }

    /// Starts a piece. A busy server costs this piece its text; an error that is the request's own is
    /// returned.
    pub fn start(&mut self, clip: &Clip, options: Options, end: Position) -> Result<(), Failure> {
        let state = match start(clip, options).map_err(Failure::from) {
            Ok(transcription) => State::Running {
                transcription,
                segments: Vec::new(),
            },
            Err(failure) if !failure.is_passing() => return Err(failure),
            Err(failure) => State::Done(Err(failure)),
        };
        self.pieces.push_back(Piece { state, end });
        Ok(())
    }

    /// Adds a piece without audio, the answer to a flush when no samples are left.
    pub fn push_empty(&mut self, language: Option<&str>, end: Position) {
        self.pieces.push_back(Piece {
            state: State::Done(Ok(Text {
                text: String::new(),
                language: language.unwrap_or_default().to_owned(),
            })),
            end,
        });
    }

    /// Whether the oldest piece needs no waiting.
    pub fn has_answer(&self) -> bool {
        matches!(self.pieces.front().map(|p| &p.state), Some(State::Done(_)))
    }

    /// Ready when the oldest piece has news.
    pub fn subscribe(&self) -> Option<Pollable> {
        match &self.pieces.front()?.state {
            State::Running { transcription, .. } => Some(transcription.subscribe()),
            State::Done(_) => None,
        }
    }

    /// Takes the oldest piece's news, and the piece itself when that was the last.
    pub fn advance(&mut self) -> Option<Answer> {
        let piece = self.pieces.front_mut()?;
        if let State::Running {
            transcription,
            segments,
        } = &mut piece.state
        {
            let done = advance(transcription, segments)?;
            piece.state = State::Done(done);
        }
        let piece = self.pieces.pop_front()?;
        match piece.state {
            State::Done(result) => Some(Answer {
                result,
                end: piece.end,
            }),
            State::Running { .. } => None,
        }
    }
}

/// One event; the result when it was the last.
fn advance(
    transcription: &Transcription,
    segments: &mut Vec<Segment>,
) -> Option<Result<Text, Failure>> {
    match transcription.next() {
        Ok(Some(Event::Segments(more))) => {
            segments.extend(more);
            None
        }
        Ok(Some(
            Event::Language(_) | Event::Dropped(_) | Event::Silence(_) | Event::Progress(_),
        )) => None,
        Ok(Some(Event::Finished(summary))) => Some(Ok(Text {
            text: joined_text(segments),
            language: summary.language,
        })),
        Ok(None) => Some(Err(Failure::internal(Some(
            "the transcription ended without a summary".to_owned(),
        )))),
        Err(error) => Some(Err(error.into())),
    }
}
