//! A window's token stream, cut into pieces at its timestamp tokens.
//!
//! Whisper writes `<|0.00|> text <|2.40|><|2.40|> text <|5.10|>`; the last piece may lack its end
//! when the window or the token limit cut it off.

use std::ops::Range;

/// A stretch of text tokens with its times, in hundredths of a second from the window's start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Positions in the token stream. Special tokens may be among them.
    pub(crate) tokens: Range<usize>,
    pub(crate) start_cs: i64,
    pub(crate) end_cs: i64,
}

/// A window's pieces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Split {
    pub(crate) pieces: Vec<Piece>,
    /// Where text is missing from, if the stream says that there is more than it holds.
    pub(crate) stopped_at_cs: Option<i64>,
    /// Where speech ended, if the stream says that nothing came after it.
    pub(crate) silent_from_cs: Option<i64>,
}

/// Ids that part the vocabulary: text < `eot` <= special < `first_timestamp` <= times.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Marks {
    pub(crate) eot: i32,
    pub(crate) first_timestamp: i32,
}

/// Hundredths of a second between two timestamp tokens (20 ms).
const CS_PER_TIMESTAMP: i64 = 2;

/// Cuts the stream of a window that lasts `window_cs`.
pub(crate) fn split(ids: &[i32], marks: Marks, window_cs: i64) -> Split {
    let mut pieces = Vec::new();
    let (mut start_cs, mut text_from) = (0, None);
    let mut last_time_cs = None;
    for (position, &id) in ids.iter().enumerate() {
        if id >= marks.first_timestamp {
            let time_cs = i64::from(id - marks.first_timestamp) * CS_PER_TIMESTAMP;
            let time_cs = time_cs.clamp(start_cs, window_cs.max(start_cs));
            if let Some(from) = text_from.take() {
                pieces.push(Piece {
                    tokens: from..position,
                    start_cs,
                    end_cs: time_cs,
                });
            }
            start_cs = time_cs;
            last_time_cs = Some(time_cs);
        } else if id < marks.eot {
            text_from.get_or_insert(position);
        }
    }
    let finished = ids.last() == Some(&marks.eot);
    let Some(from) = text_from else {
        // `<|5.10|><|5.10|>` opens a segment that did not come; a single time at the end says that
        // there is none. Some windows have times that are all too early: going back there would
        // transcribe the same speech twice.
        let mut from_end = ids.iter().rev().skip(usize::from(finished));
        let mut is_time = || {
            from_end
                .next()
                .is_some_and(|&id| id >= marks.first_timestamp)
        };
        let (closed, opened) = (is_time(), is_time());
        let last = last_time_cs.filter(|_| closed && !pieces.is_empty());
        return Split {
            pieces,
            stopped_at_cs: last.filter(|_| opened),
            silent_from_cs: last.filter(|_| !opened),
        };
    };
    if !finished && !pieces.is_empty() {
        // The token limit cut the last piece off: another pass decodes it whole.
        return Split {
            pieces,
            stopped_at_cs: last_time_cs,
            silent_from_cs: None,
        };
    }
    // The model was done, or this is all there is: the rest of the window is its time.
    pieces.push(Piece {
        tokens: from..ids.len(),
        start_cs,
        end_cs: window_cs.max(start_cs),
    });
    Split {
        pieces,
        stopped_at_cs: None,
        silent_from_cs: None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "tests")]
    use super::*;

    const EOT: i32 = 50;
    const MARKS: Marks = Marks {
        eot: EOT,
        first_timestamp: 100,
    };

    fn cut(ids: &[i32]) -> Split {
        split(ids, MARKS, 3000)
    }

    #[test]
    fn pairs_of_timestamps_end_and_start_segments() {
        let got = cut(&[100, 1, 2, 220, 230, 3, 300, EOT]);
        assert_eq!(
            got.pieces,
            [
                Piece {
                    tokens: 1..3,
                    start_cs: 0,
                    end_cs: 240
                },
                Piece {
                    tokens: 5..6,
                    start_cs: 260,
                    end_cs: 400
                },
            ]
        );
        assert_eq!(got.stopped_at_cs, None, "a single time ends the speech");
        assert_eq!(got.silent_from_cs, Some(400));
    }

    #[test]
    fn a_segment_that_was_opened_and_did_not_come_is_looked_for() {
        let got = cut(&[100, 1, 2, 220, 220, EOT]);
        assert_eq!(got.pieces.len(), 1);
        assert_eq!(got.stopped_at_cs, Some(240));
    }

    #[test]
    fn a_finished_text_without_an_end_reaches_to_the_windows_end() {
        let got = cut(&[100, 1, 2, 220, 220, 3, EOT]);
        assert_eq!(got.pieces[1].end_cs, 3000);
        assert_eq!(got.stopped_at_cs, None);
    }

    #[test]
    fn a_text_cut_off_by_the_token_limit_is_left_to_another_pass() {
        let got = cut(&[100, 1, 2, 220, 220, 3]);
        assert_eq!(got.pieces.len(), 1);
        assert_eq!(got.stopped_at_cs, Some(240));
        let alone = cut(&[100, 1, 2, 3]);
        assert_eq!(alone.pieces.len(), 1, "what is there is kept");
        assert_eq!(alone.stopped_at_cs, None);
    }

    #[test]
    fn times_never_go_back_nor_past_the_window() {
        let got = split(&[180, 1, 150, 150, 2, 3000, EOT], MARKS, 500);
        assert_eq!((got.pieces[0].start_cs, got.pieces[0].end_cs), (160, 160));
        assert_eq!((got.pieces[1].start_cs, got.pieces[1].end_cs), (160, 500));
    }

    #[test]
    fn no_text_is_no_piece() {
        assert_eq!(cut(&[100, EOT]).pieces, []);
        assert_eq!(cut(&[100, 150, EOT]).stopped_at_cs, None);
        assert_eq!(cut(&[]).pieces, []);
    }
}
