//! RTTM, NIST's list of speaker turns: one line a turn, ten fields between spaces.

use std::fmt::Write;

use auricle_speech::Turn;

/// The turns of the recording `file`, with times in seconds to thousandths.
///
/// Spaces would end a field: those in a name become underscores.
#[must_use]
pub fn rttm(file: &str, turns: &[Turn]) -> String {
    let (file, mut out) = (field(file), String::new());
    for turn in turns {
        let (start, speaker) = (turn.start.max(0.0), field(&turn.speaker));
        let secs = (turn.end - start).max(0.0);
        // Writing to a string does not fail.
        let _ = writeln!(
            out,
            "SPEAKER {file} 1 {start:.3} {secs:.3} <NA> <NA> {speaker} <NA> <NA>"
        );
    }
    out
}

fn field(text: &str) -> String {
    let whole: String = text
        .chars()
        .map(|c| {
            if c.is_whitespace() || c.is_control() {
                '_'
            } else {
                c
            }
        })
        .collect();
    if whole.is_empty() {
        "<NA>".to_owned()
    } else {
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_a_line_of_ten_fields_whatever_the_names() {
        let turn = |speaker: &str, start, end| Turn {
            speaker: speaker.to_owned(),
            start,
            end,
        };
        let turns = [
            turn("SPEAKER_00", 0.5, 2.25),
            turn("Ann  Lee\n", 2.0, 3.0),
            turn("", 4.0, 1.0),
        ];
        let text = rttm("my file", &turns);
        assert!(
            text.lines().all(|line| line.split(' ').count() == 10),
            "{text}"
        );
        assert!(text.starts_with("SPEAKER my_file 1 0.500 1.750 <NA> <NA> SPEAKER_00 <NA> <NA>\n"));
    }
}
