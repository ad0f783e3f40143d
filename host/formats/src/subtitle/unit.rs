//! Text in pieces that a line break never cuts, each with its times.
//!
//! Where a line may break is Unicode's line breaking algorithm (UAX 14), narrowed to the ends of phrases
//! in Chinese, Japanese and Korean (`phrase`). Times are those of the words; between words, and where there
//! are none, time passes evenly with the characters.

use super::phrase::Phrases;
use auricle_speech::Segment;
use unicode_linebreak::linebreaks;
use unicode_width::UnicodeWidthChar;

/// A piece of text between two places where a line may break.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Unit {
    /// The text without surrounding spaces; never empty.
    pub text: String,
    /// Its columns.
    pub width: usize,
    /// Whether a space stands before it when it does not begin a line.
    pub spaced: bool,
    /// Milliseconds from the start of the clip; within a segment never falling.
    pub start_ms: u64,
    /// Not before `start_ms`.
    pub end_ms: u64,
    /// How good a place the end of this unit is to end a line or a cue.
    pub ending: Ending,
}

/// What ends with a unit, the best place for a cut last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ending {
    /// A word.
    Word,
    /// A clause: a comma and the like, or the end of a segment.
    Clause,
    /// A sentence.
    Sentence,
}

/// The units of a segment. Pieces wider than `max_width` columns are cut between characters.
pub(super) fn units(segment: &Segment, max_width: usize) -> Vec<Unit> {
    let text = on_one_line(&segment.text);
    let clock = Clock::new(segment, &text);
    let mut units = Vec::new();
    let mut from = 0;
    let phrases = Phrases::of(&text);
    for (to, _) in linebreaks(&text).filter(|(to, _)| phrases.may_break(&text, *to)) {
        let piece = text.get(from..to).unwrap_or_default();
        push(&mut units, piece, from, &clock, max_width);
        from = to;
    }
    if let Some(last) = units.last_mut() {
        last.ending = last.ending.max(Ending::Clause);
    }
    units
}

fn push(units: &mut Vec<Unit>, piece: &str, offset: usize, clock: &Clock, max_width: usize) {
    let spaced = units.last().is_none_or(|_| clock.space_before(offset));
    let text = piece.trim();
    let offset = offset + (piece.len() - piece.trim_start().len());
    let mut begin = 0;
    for (range, width) in pieces(text, max_width) {
        let part = text.get(range.clone()).unwrap_or_default();
        let start_ms = clock.start_at(offset + range.start);
        units.push(Unit {
            text: part.to_owned(),
            width,
            spaced: spaced && begin == 0,
            start_ms,
            end_ms: clock.end_at(offset + range.end).max(start_ms),
            ending: ending(part),
        });
        begin = range.end;
    }
}

/// Byte ranges of `text`, each at most `max_width` columns (but never less than a character).
fn pieces(text: &str, max_width: usize) -> Vec<(std::ops::Range<usize>, usize)> {
    let mut pieces = Vec::new();
    let (mut start, mut width) = (0, 0);
    for (at, c) in text.char_indices() {
        let columns = c.width().unwrap_or(0);
        if width + columns > max_width && at > start {
            pieces.push((start..at, width));
            (start, width) = (at, 0);
        }
        width += columns;
    }
    if start < text.len() {
        pieces.push((start..text.len(), width));
    }
    pieces
}

fn ending(text: &str) -> Ending {
    let closing = |c: char| matches!(c, '"' | '\'' | '”' | '’' | '»' | ')' | ']' | '」' | '』');
    match text.trim_end_matches(closing).chars().last() {
        Some('.' | '!' | '?' | '…' | '。' | '！' | '？' | '।' | '؟') => Ending::Sentence,
        Some(',' | ';' | ':' | '–' | '—' | '、' | '，' | '；' | '：' | '،') => {
            Ending::Clause
        }
        _ => Ending::Word,
    }
}

/// The text with control characters and runs of spaces made single spaces.
pub(super) fn on_one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_control() || c.is_whitespace());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// Columns of a text.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// Whole milliseconds; 0 for what is negative or not a number, and at most a year.
fn millis(secs: f64) -> u64 {
    const YEAR_MS: u64 = 365 * 24 * 3_600_000;
    ((secs * 1000.0).round() as u64).min(YEAR_MS)
}

/// When each byte of a segment's text is said.
struct Clock<'a> {
    text: &'a str,
    /// Byte offset and milliseconds, neither ever falling.
    marks: Vec<(usize, u64)>,
}

impl<'a> Clock<'a> {
    fn new(segment: &Segment, text: &'a str) -> Self {
        let mut marks = vec![(0, millis(segment.start))];
        let mut mark = |offset: usize, ms: u64| {
            let last = marks.last().map_or(0, |(_, ms)| *ms);
            marks.push((offset, ms.max(last)));
        };
        let mut from = 0;
        for word in &segment.words {
            let said = on_one_line(&word.word);
            let rest = text.get(from..).unwrap_or_default();
            let Some(at) = rest.find(&said).filter(|_| !said.is_empty()) else {
                continue;
            };
            mark(from + at, millis(word.start));
            from += at + said.len();
            mark(from, millis(word.end));
        }
        mark(text.len(), millis(segment.end));
        Self { text, marks }
    }

    fn space_before(&self, offset: usize) -> bool {
        let before = self.text.get(..offset).unwrap_or_default();
        before.ends_with(char::is_whitespace)
    }

    /// When what begins at `offset` begins: of two words that meet there, the second's start.
    fn start_at(&self, offset: usize) -> u64 {
        let next = self.marks.partition_point(|(at, _)| *at <= offset);
        self.between(next.saturating_sub(1), next, offset)
    }

    /// When what ends at `offset` ends: of two words that meet there, the first's end.
    fn end_at(&self, offset: usize) -> u64 {
        let next = self.marks.partition_point(|(at, _)| *at < offset);
        self.between(next.saturating_sub(1), next, offset)
    }

    fn between(&self, before: usize, after: usize, offset: usize) -> u64 {
        let last = self.marks.len().saturating_sub(1);
        let mark = |index: usize| self.marks.get(index.min(last)).copied().unwrap_or_default();
        let ((from, from_ms), (to, to_ms)) = (mark(before), mark(after));
        let (done, whole) = (offset.saturating_sub(from), to.saturating_sub(from));
        if whole == 0 || done >= whole {
            return if done == 0 { from_ms } else { to_ms };
        }
        from_ms + (to_ms - from_ms) * done as u64 / whole as u64
    }
}
