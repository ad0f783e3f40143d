//! The fuzzer's bytes as values: texts end at 0xFF, which UTF-8 never has, and times come as tenths of
//! a second or as any bit pattern.

/// What is left of the bytes.
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// All of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte; 0 at the end.
    pub fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    /// Bytes up to the next 0xFF, which is taken off.
    pub fn bytes(&mut self) -> &'a [u8] {
        let end = self.0.iter().position(|byte| *byte == 0xFF);
        let (bytes, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
        self.0 = rest.get(1..).unwrap_or_default();
        bytes
    }

    /// Text up to the next 0xFF; what is not UTF-8 becomes U+FFFD.
    pub fn text(&mut self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }

    /// A text, or none where the byte before it is even.
    pub fn some_text(&mut self) -> Option<String> {
        (self.byte() % 2 == 1).then(|| self.text())
    }

    /// A number: below 250 a tenth of that more than `after`, else any 8 bytes as a float.
    pub fn secs(&mut self, after: f64) -> f64 {
        match self.byte() {
            tenths @ ..250 => after + f64::from(tenths) / 10.0,
            _ => f64::from_le_bytes(std::array::from_fn(|_| self.byte())),
        }
    }

    /// The rest.
    #[must_use]
    pub fn rest(self) -> &'a [u8] {
        self.0
    }
}
