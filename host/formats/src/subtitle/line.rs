//! How the text of a cue falls into lines.

use super::options::SubtitleOptions;
use super::unit::{Ending, Unit};

/// Fills lines one after the other, to tell how much fits into a cue.
pub(super) struct Wrap<'a> {
    options: &'a SubtitleOptions,
    lines: usize,
    columns: usize,
    words: usize,
}

impl<'a> Wrap<'a> {
    /// Empty lines, the first of which has `indent` columns less.
    pub(super) fn new(options: &'a SubtitleOptions, indent: usize) -> Self {
        Self {
            options,
            lines: 1,
            columns: indent,
            words: 0,
        }
    }

    /// Adds a unit. Whether it fits; a cue's first unit always does.
    pub(super) fn takes(&mut self, unit: &Unit) -> bool {
        let space = usize::from(unit.spaced && self.words > 0);
        let most_words = self.options.max_words_per_line.unwrap_or(usize::MAX);
        let fits = self.columns + space + unit.width <= self.options.max_line_width;
        if self.words == 0 || (fits && self.words < most_words) {
            self.columns += space + unit.width;
            self.words += 1;
            return true;
        }
        (self.lines, self.columns, self.words) = (self.lines + 1, unit.width, 1);
        self.lines <= self.options.max_line_count
    }
}

/// Cost of a line that ends within a clause, in squared shares of a line's width: as much as a
/// difference of a third of a line between two lines.
const WORD_BREAK_COST: f64 = 0.06;
/// Cost of an upper line that is longer than the lower one: viewers read the lower one on the way
/// back to the picture.
const TOP_HEAVY_COST: f64 = 0.01;

/// The lines of a cue: as few as hold it, alike in length, broken at clauses where that costs little.
pub(super) fn lines(units: &[Unit], options: &SubtitleOptions, indent: usize) -> Vec<String> {
    let mut wrap = Wrap::new(options, indent);
    // Units that end at each line count; filling greedily gives the fewest lines.
    let count = units.iter().fold(1, |_, unit| {
        wrap.takes(unit);
        wrap.lines
    });
    let mut lines = Vec::with_capacity(count);
    let mut rest = units;
    for left in (1..=count).rev() {
        let indent = if left == count { indent } else { 0 };
        let taken = if left == 1 {
            rest.len()
        } else {
            first_line(rest, left, options, indent)
        };
        let (line, after) = rest.split_at(taken.min(rest.len()));
        lines.push(joined(line));
        rest = after;
    }
    lines.retain(|line| !line.is_empty());
    lines
}

/// How many units the first of `left` lines takes.
fn first_line(units: &[Unit], left: usize, options: &SubtitleOptions, indent: usize) -> usize {
    let all: usize = indent
        + units
            .iter()
            .map(|u| u.width + usize::from(u.spaced))
            .sum::<usize>();
    let even = all as f64 / left as f64;
    let line = options.max_line_width as f64;
    let mut wrap = Wrap::new(options, indent);
    let mut best = (f64::INFINITY, 1);
    for (index, unit) in units.iter().enumerate() {
        if !wrap.takes(unit) || wrap.lines > 1 {
            break;
        }
        let after = units.get(index + 1..).unwrap_or_default();
        if !fits(after, left - 1, options) {
            continue;
        }
        let off = (wrap.columns as f64 - even) / line;
        let mut cost = off * off;
        if unit.ending == Ending::Word {
            cost += WORD_BREAK_COST;
        }
        if off > 0.0 {
            cost += TOP_HEAVY_COST;
        }
        if cost < best.0 {
            best = (cost, index + 1);
        }
    }
    best.1
}

fn fits(units: &[Unit], lines: usize, options: &SubtitleOptions) -> bool {
    let mut wrap = Wrap::new(options, 0);
    units.iter().all(|unit| {
        wrap.takes(unit);
        wrap.lines <= lines
    })
}

fn joined(units: &[Unit]) -> String {
    let mut line = String::new();
    for unit in units {
        if unit.spaced && !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&unit.text);
    }
    line
}
