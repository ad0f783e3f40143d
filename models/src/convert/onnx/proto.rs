//! Writes protocol buffers: the few kinds of field that ONNX needs.
//!
//! The caller adds fields in the order of their numbers, which is how every serialiser writes
//! them; so equal models have equal bytes, and a digest can be pinned. A generated encoder would
//! bring a compiler and the whole schema for the thirty fields used here.

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

#[cfg(test)]
mod tests {
    use super::Message;

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
}
