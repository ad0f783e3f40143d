//! Which text is shown together, and when.
//!
//! Speech falls into stretches at longer pauses and where another speaks. Within a stretch the cuts
//! are those that cost least in all: few cues, evenly filled, ended where a sentence or a clause
//! ends or somebody pauses, none shorter than can be read. It is a shortest path over the places
//! where a cut may be, as in Knuth and Plass's line breaking, not a greedy filling, which leaves
//! single words behind.

use auricle_speech::Transcript;

use super::line::Wrap;
use super::options::SubtitleOptions;
use super::unit::{Ending, Unit, on_one_line, units, width};

/// Text that is shown together.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cue {
    pub start_ms: u64,
    pub end_ms: u64,
    pub speaker: Option<String>,
    /// At least one line; none is empty.
    pub lines: Vec<String>,
}

/// A longer pause always ends a cue.
const STRETCH_PAUSE_MS: u64 = 1000;
/// A pause of this length is as good a place to cut as the end of a clause.
const CLAUSE_PAUSE_MS: u64 = 300;
/// Columns that are read in a second; where there is time, cues stay for as long as that takes.
/// 20 is what streaming services allow for adults.
const COLUMNS_PER_SEC: u64 = 20;

/// Cost of any cue, so that fewer are better.
const CUE_COST: f64 = 0.5;
/// Cost of a cut within a clause, and of one at a clause's end; at a sentence's end it is free.
const WORD_CUT_COST: f64 = 1.0;
const CLAUSE_CUT_COST: f64 = 0.25;
/// Cost of each second that a cue is too short.
const HURRY_COST: f64 = 2.0;
/// Cost of an empty cue; it falls with the square of what is filled, so that cues are alike.
const EMPTY_COST: f64 = 0.3;

/// The cues of a transcript: in order, without overlap, none empty. With `labelled`, each line
/// leaves room for the speaker's label.
pub(super) fn cues(transcript: &Transcript, options: &SubtitleOptions, labelled: bool) -> Vec<Cue> {
    let mut cues = Vec::new();
    for stretch in stretches(transcript, options, labelled) {
        stretch.cut(options, &mut cues);
    }
    put_in_time(&mut cues, options);
    cues
}

/// What one speaker says without a longer pause.
struct Stretch {
    speaker: Option<String>,
    /// Columns of the first line that the label takes.
    indent: usize,
    units: Vec<Unit>,
}

fn stretches(transcript: &Transcript, options: &SubtitleOptions, labelled: bool) -> Vec<Stretch> {
    let mut stretches: Vec<Stretch> = Vec::new();
    for segment in &transcript.segments {
        let speaker = label(crate::label(segment, transcript).as_deref(), options);
        let indent = match &speaker {
            Some(label) if labelled => width(label) + ": ".len(),
            _ => 0,
        };
        for unit in units(segment, options.max_line_width.saturating_sub(indent)) {
            let same = stretches.last_mut().filter(|stretch| {
                let end_ms = stretch.units.last().map_or(0, |u| u.end_ms);
                stretch.speaker == speaker && unit.start_ms < end_ms + STRETCH_PAUSE_MS
            });
            match same {
                Some(stretch) => stretch.units.push(unit),
                None => stretches.push(Stretch {
                    speaker: speaker.clone(),
                    indent,
                    units: vec![unit],
                }),
            }
        }
    }
    stretches
}

/// A label that leaves room for text: at most half a line.
fn label(speaker: Option<&str>, options: &SubtitleOptions) -> Option<String> {
    // Two hyphens at a label's end would become an arrow with the `>` of WebVTT's voice tag.
    let label = on_one_line(speaker?).replace("--", "—");
    let most = (options.max_line_width / 2).saturating_sub(": ".len());
    if width(&label) <= most {
        return Some(label).filter(|label| !label.is_empty());
    }
    let mut short = String::new();
    for c in label.chars() {
        if width(&short) + width(c.encode_utf8(&mut [0; 4])) + 1 > most {
            break;
        }
        short.push(c);
    }
    Some(short + "…")
}

impl Stretch {
    /// Adds the cheapest cues. A cue's first unit is a node; a cue is an edge to the one after its
    /// last.
    fn cut(self, options: &SubtitleOptions, cues: &mut Vec<Cue>) {
        let count = self.units.len();
        // Cost of the best way to each unit, and where its last cue begins.
        let mut best = vec![(f64::INFINITY, 0); count + 1];
        if let Some(first) = best.first_mut() {
            first.0 = 0.0;
        }
        for from in 0..count {
            let so_far = best.get(from).map_or(f64::INFINITY, |b| b.0);
            for (to, cost) in self.cues_from(from, options) {
                if let Some(known) = best.get_mut(to)
                    && so_far + cost < known.0
                {
                    *known = (so_far + cost, from);
                }
            }
        }
        let mut cuts = vec![count];
        while let Some(&to) = cuts.last().filter(|to| **to > 0) {
            cuts.push(best.get(to).map_or(0, |b| b.1).min(to - 1));
        }
        cuts.reverse();
        for pair in cuts.windows(2) {
            if let [from, to] = *pair {
                cues.extend(self.cue(from, to, options));
            }
        }
    }

    /// The ends of all cues that may begin at a unit, and what they cost.
    fn cues_from(&self, from: usize, options: &SubtitleOptions) -> Vec<(usize, f64)> {
        let mut ends = Vec::new();
        let mut wrap = Wrap::new(options, self.indent);
        let Some(first) = self.units.get(from) else {
            return ends;
        };
        let room = (options.max_line_width * options.max_line_count) as f64;
        let mut filled = 0;
        for (index, unit) in self.units.iter().enumerate().skip(from) {
            let long = unit.end_ms.saturating_sub(first.start_ms) > options.max_ms;
            if !wrap.takes(unit) || (long && index > from) {
                break;
            }
            filled += unit.width + usize::from(unit.spaced);
            let empty = 1.0 - (filled as f64 / room).min(1.0);
            let end = self.units.get(index + 1);
            // There is time until the next cue, whoever speaks; after the stretch there is a pause.
            let time = end.map_or(u64::MAX, |next| {
                next.start_ms.saturating_sub(first.start_ms)
            });
            let missing = options.min_ms.saturating_sub(time) as f64 / 1000.0;
            let cost =
                CUE_COST + cut_cost(unit, end) + HURRY_COST * missing + EMPTY_COST * empty * empty;
            ends.push((index + 1, cost));
        }
        ends
    }

    fn cue(&self, from: usize, to: usize, options: &SubtitleOptions) -> Option<Cue> {
        let units = self.units.get(from..to)?;
        Some(Cue {
            start_ms: units.first()?.start_ms,
            end_ms: units.iter().map(|u| u.end_ms).max()?,
            speaker: self.speaker.clone(),
            lines: super::line::lines(units, options, self.indent),
        })
    }
}

fn cut_cost(unit: &Unit, next: Option<&Unit>) -> f64 {
    let Some(next) = next else {
        return 0.0;
    };
    let paused = next.start_ms.saturating_sub(unit.end_ms) >= CLAUSE_PAUSE_MS;
    match unit.ending {
        Ending::Sentence => 0.0,
        Ending::Clause => CLAUSE_CUT_COST,
        Ending::Word if paused => CLAUSE_CUT_COST,
        Ending::Word => WORD_CUT_COST,
    }
}

/// Makes every cue last as long as it must, and no two overlap. Where speech leaves no room, a cue
/// begins late rather than too short to be read.
fn put_in_time(cues: &mut [Cue], options: &SubtitleOptions) {
    let starts: Vec<u64> = cues.iter().skip(1).map(|cue| cue.start_ms).collect();
    let starts = starts.into_iter().chain([u64::MAX]);
    let mut free_ms = 0;
    for (cue, next_ms) in cues.iter_mut().zip(starts) {
        cue.start_ms = cue.start_ms.max(free_ms);
        let columns: usize = cue.lines.iter().map(|line| width(line)).sum();
        let readable = (columns as u64 * 1000 / COLUMNS_PER_SEC).min(options.max_ms);
        let least = cue.start_ms + options.min_ms;
        cue.end_ms = cue
            .end_ms
            .max(cue.start_ms + readable)
            .min(next_ms)
            .max(least)
            .min(cue.start_ms + options.max_ms);
        free_ms = cue.end_ms;
    }
}
