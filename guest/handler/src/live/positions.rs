//! Where pieces end among the client's messages.
//!
//! A checkpoint names messages and bytes; a piece is so many bytes of sound. A message without sound
//! (a flush, a text) belongs to what comes after the sound before it, until its own answer is given.

use std::collections::VecDeque;

use auricle_guest::http::Position;

/// Counts messages and their bytes.
#[derive(Default)]
pub struct Positions {
    /// Messages before the first of `ends`.
    dealt_with: u64,
    /// Bytes of sound up to the end of each message that is not dealt with.
    ends: VecDeque<u64>,
    /// Bytes of sound received, and taken for pieces.
    received: u64,
    taken: u64,
    /// Bytes of sound before the first of `ends`.
    before: u64,
}

impl Positions {
    /// A message of so many bytes of sound.
    pub fn receive(&mut self, bytes: u64) {
        self.received += bytes;
        self.ends.push_back(self.received);
    }

    /// A piece of so many bytes is taken; where it ends.
    pub fn take(&mut self, bytes: u64) -> Position {
        self.taken += bytes;
        let whole = self.ends.iter().position(|end| *end >= self.taken);
        let Some(index) = whole else {
            return self.all();
        };
        let start = match index.checked_sub(1) {
            Some(before) => self.ends.get(before).copied().unwrap_or(self.before),
            None => self.before,
        };
        let messages = self.dealt_with + index as u64;
        if self.ends.get(index) == Some(&self.taken) {
            return Position {
                messages: messages + 1,
                bytes: 0,
            };
        }
        let bytes = self.taken.saturating_sub(start);
        Position {
            messages,
            bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
        }
    }

    /// Behind everything that was received.
    pub fn all(&self) -> Position {
        Position {
            messages: self.dealt_with + self.ends.len() as u64,
            bytes: 0,
        }
    }

    /// Forgets messages that are answered.
    pub fn deal_with(&mut self, position: Position) {
        while self.dealt_with < position.messages {
            let Some(end) = self.ends.pop_front() else {
                break;
            };
            self.before = end;
            self.dealt_with += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(position: Position) -> (u64, u32) {
        (position.messages, position.bytes)
    }

    #[test]
    fn a_piece_ends_within_a_message_or_with_it() {
        let mut positions = Positions::default();
        for _ in 0..3 {
            positions.receive(10);
        }
        assert_eq!(at(positions.take(4)), (0, 4));
        assert_eq!(at(positions.take(6)), (1, 0));
        let third = positions.take(15);
        assert_eq!(at(third), (2, 5));
        positions.deal_with(third);
        positions.receive(10);
        assert_eq!(at(positions.take(5)), (3, 0));
        assert_eq!(at(positions.take(1)), (3, 1));
    }

    #[test]
    fn a_flush_is_dealt_with_by_its_own_answer() {
        let mut positions = Positions::default();
        positions.receive(10);
        positions.receive(0);
        let sound = positions.take(10);
        assert_eq!(at(sound), (1, 0));
        let flush = positions.all();
        assert_eq!(at(flush), (2, 0));
        positions.deal_with(sound);
        assert_eq!(at(positions.all()), (2, 0));
        positions.deal_with(flush);
        positions.receive(4);
        assert_eq!(at(positions.take(2)), (2, 2));
    }
}
