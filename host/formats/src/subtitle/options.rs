//! What a subtitle file looks like.

use std::fmt;

/// How text becomes cues.
///
/// The defaults are those that broadcasters and streaming services ask of English subtitles: two
/// lines of 42 characters, shown for 1 to 7 seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubtitleOptions {
    /// Columns of a line, 10..=200; a wide character (Chinese, Japanese, Korean) takes two.
    pub max_line_width: usize,
    /// Lines of a cue, 1..=10.
    pub max_line_count: usize,
    /// Words of a line, 1..=200; `None` is no limit but the width.
    pub max_words_per_line: Option<usize>,
    /// Milliseconds that a cue stays at least, 1..=10,000.
    pub min_ms: u64,
    /// Milliseconds that a cue stays at most; `min_ms`..=60,000.
    pub max_ms: u64,
}

impl Default for SubtitleOptions {
    fn default() -> Self {
        Self {
            max_line_width: 42,
            max_line_count: 2,
            max_words_per_line: None,
            min_ms: 1000,
            max_ms: 7000,
        }
    }
}

/// An option of subtitles that is outside its range. The text is fit for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubtitleOptionError {
    /// The option's name.
    pub option: &'static str,
    /// Least and greatest value.
    pub range: (u64, u64),
}

impl fmt::Display for SubtitleOptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { option, range } = self;
        write!(f, "{option} must be {} to {}", range.0, range.1)
    }
}

impl std::error::Error for SubtitleOptionError {}

impl SubtitleOptions {
    /// The options, when each is within its range.
    ///
    /// # Errors
    /// Names the first that is not.
    pub fn checked(self) -> Result<Self, SubtitleOptionError> {
        let words = self.max_words_per_line.unwrap_or(1);
        let within = [
            ("max_line_width", self.max_line_width as u64, (10, 200)),
            ("max_line_count", self.max_line_count as u64, (1, 10)),
            ("max_words_per_line", words as u64, (1, 200)),
            ("min_ms", self.min_ms, (1, 10_000)),
            ("max_ms", self.max_ms, (self.min_ms, 60_000)),
        ];
        let bad = within
            .into_iter()
            .find(|(_, value, range)| *value < range.0 || *value > range.1);
        match bad {
            Some((option, _, range)) => Err(SubtitleOptionError { option, range }),
            None => Ok(self),
        }
    }
}
