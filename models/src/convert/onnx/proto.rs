//! Writes and reads protocol buffers: the few kinds of field that ONNX needs.
//!
//! On writing the caller adds fields in the order of their numbers, which is how every serialiser writes
//! them; so equal models have equal bytes, and a digest can be pinned. A generated encoder would
//! bring a compiler and the whole schema for the thirty fields used here. On reading nothing is copied:
//! a field is a number or where its bytes lie.

use std::ops::Range;

/// A message under construction.
#[derive(Clone, Debug, Default)]
pub(super) struct Message(Vec<u8>);

/// How a field's value is stored (its wire type).
#[derive(Clone, Copy)]
enum Wire {
    Varint = 0,
    Bytes = 2,
    Fixed32 = 5,
}

impl Message {
    pub(super) fn integer(&mut self, field: u64, value: i64) -> &mut Self {
        self.tag(field, Wire::Varint);
        // Negative numbers are their 64 bits, ten bytes long.
        self.varint(value as u64);
        self
    }

    pub(super) fn float(&mut self, field: u64, value: f32) -> &mut Self {
        self.tag(field, Wire::Fixed32);
        self.0.extend(value.to_le_bytes());
        self
    }

    pub(super) fn text(&mut self, field: u64, value: &str) -> &mut Self {
        self.bytes(field, value.as_bytes())
    }

    pub(super) fn message(&mut self, field: u64, value: &Self) -> &mut Self {
        self.bytes(field, &value.0)
    }

    pub(super) fn bytes(&mut self, field: u64, value: &[u8]) -> &mut Self {
        self.tag(field, Wire::Bytes);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn tag(&mut self, field: u64, wire: Wire) {
        self.varint(field << 3 | wire as u64);
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// What a field holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Integer(u64),
    /// Text, a message, or packed numbers: where they lie.
    Bytes(Range<usize>),
    /// A number of 32 or 64 bits.
    Fixed,
}

/// The fields of a message with their numbers; after an error there are no more.
pub(super) struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Fields<'a> {
    /// The message that lies at `within` of `bytes`.
    pub(super) fn new(bytes: &'a [u8], within: Range<usize>) -> Self {
        Self {
            bytes,
            at: within.start,
            end: within.end.min(bytes.len()),
        }
    }

    /// Numbers that lie one after the other at `within`.
    pub(super) fn packed(
        bytes: &'a [u8],
        within: Range<usize>,
    ) -> impl Iterator<Item = Result<u64, &'static str>> {
        let mut fields = Self::new(bytes, within);
        std::iter::from_fn(move || (fields.at < fields.end).then(|| fields.varint()))
    }

    fn field(&mut self) -> Result<(u64, Field), &'static str> {
        let tag = self.varint()?;
        let field = match tag & 7 {
            0 => Field::Integer(self.varint()?),
            1 => self.skip(8).map(|_| Field::Fixed)?,
            2 => {
                let length = self.varint()?;
                Field::Bytes(self.skip(length)?)
            }
            5 => self.skip(4).map(|_| Field::Fixed)?,
            _ => return Err(BROKEN),
        };
        Ok((tag >> 3, field))
    }

    fn skip(&mut self, length: u64) -> Result<Range<usize>, &'static str> {
        let left = self.end.saturating_sub(self.at);
        let length = usize::try_from(length)
            .ok()
            .filter(|&length| length <= left);
        let start = self.at;
        self.at += length.ok_or(BROKEN)?;
        Ok(start..self.at)
    }

    fn varint(&mut self) -> Result<u64, &'static str> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let at = self.skip(1)?.start;
            let byte = self.bytes.get(at).copied().ok_or(BROKEN)?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(BROKEN)
    }
}

impl Iterator for Fields<'_> {
    type Item = Result<(u64, Field), &'static str>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.end {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.at = self.end;
        }
        Some(field)
    }
}

/// What a reader is told of bytes that are no message.
const BROKEN: &str = "it is no ONNX graph, or cut short: fetch it again";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;

    use super::{Field, Fields, Message};

    #[test]
    fn fields_are_written_as_the_specification_shows_them() {
        let mut message = Message::default();
        message.integer(1, 150);
        assert_eq!(message.clone().into_bytes(), [0x08, 0x96, 0x01]);
        let mut outer = Message::default();
        outer.text(2, "testing").message(3, &message);
        assert_eq!(outer.into_bytes(), *b"\x12\x07testing\x1a\x03\x08\x96\x01");
    }

    #[test]
    fn a_negative_number_takes_ten_bytes() {
        let mut message = Message::default();
        message.integer(1, -1);
        let mut expected = vec![0x08];
        expected.extend([0xff; 9]);
        expected.push(0x01);
        assert_eq!(message.into_bytes(), expected);
    }

    #[test]
    fn what_was_written_is_read() {
        let mut message = Message::default();
        message.integer(1, 150).text(2, "testing").float(3, 1.5);
        let bytes = message.into_bytes();
        let fields: Result<Vec<_>, _> = Fields::new(&bytes, 0..bytes.len()).collect();
        let expected = [
            (1, Field::Integer(150)),
            (2, Field::Bytes(5..12)),
            (3, Field::Fixed),
        ];
        assert_eq!(fields.unwrap(), expected);
        let packed: Result<Vec<_>, _> = Fields::packed(&bytes, 1..3).collect();
        assert_eq!(packed.unwrap(), [150]);
    }

    #[test]
    fn a_message_that_is_cut_short_is_an_error() {
        let mut message = Message::default();
        message.text(1, "a longer text").integer(2, 300);
        let bytes = message.into_bytes();
        for end in [1, 2, 14, 16, 17] {
            let last = Fields::new(&bytes, 0..end).last();
            assert!(last.unwrap().is_err(), "{end}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_an_end_within_them(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            for field in Fields::new(&bytes, 0..bytes.len()).flatten() {
                if let Field::Bytes(range) = field.1 {
                    prop_assert!(range.start <= range.end && range.end <= bytes.len());
                }
            }
        }
    }
}
