//! Edit lists (ISO 14496-12, section 8.6.6): which parts of the media are heard, and when.

use super::boxes::{u32_at, u64_at};
use crate::error::DecodeError;
use crate::timeline::ticks_to_ns;

/// Most edits of a track; editors write one for each cut.
const MAX_EDITS: usize = 10_000;

/// A part of the presentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edit {
    /// Where in the media it begins; `None` for silence.
    pub(super) media_ns: Option<i64>,
    /// `None` for the rest of the media.
    pub(super) duration_ns: Option<i64>,
}

/// The whole media, for a track without a list.
const WHOLE: Edit = Edit {
    media_ns: Some(0),
    duration_ns: None,
};

/// The edits of a track; `list` is the content of its `elst`.
pub(super) fn read(
    list: Option<&[u8]>,
    movie_scale: u32,
    media_scale: u32,
) -> Result<Vec<Edit>, DecodeError> {
    let Some(list) = list.filter(|list| list.len() > 8) else {
        return Ok(vec![WHOLE]);
    };
    let is_long = list.first() == Some(&1);
    let entry_bytes = if is_long { 20 } else { 12 };
    let claimed = u32_at(list, 4).unwrap_or(0) as usize;
    let entries = list.get(8..).unwrap_or_default().chunks_exact(entry_bytes);
    let count = claimed.min(entries.len());
    if count > MAX_EDITS {
        return Err(DecodeError::undecodable("its edit list is impossibly long"));
    }
    let edits: Option<Vec<_>> = entries
        .take(count)
        .map(|entry| edit(entry, is_long, movie_scale, media_scale))
        .collect();
    let edits = edits.unwrap_or_default();
    let plays = edits.iter().any(|edit| edit.media_ns.is_some());
    // A list of nothing but silence is a muxer's mistake.
    Ok(if plays { edits } else { vec![WHOLE] })
}

fn edit(entry: &[u8], is_long: bool, movie_scale: u32, media_scale: u32) -> Option<Edit> {
    let (duration, media, rate_at) = match is_long {
        true => (u64_at(entry, 0)?, u64_at(entry, 8)?.cast_signed(), 16),
        false => {
            let media = u32_at(entry, 4)?.cast_signed();
            (u64::from(u32_at(entry, 0)?), i64::from(media), 8)
        }
    };
    let duration = i64::try_from(duration).unwrap_or(i64::MAX);
    let dwells = u32_at(entry, rate_at)? == 0;
    let is_empty = media < 0;
    Some(Edit {
        media_ns: (!is_empty && !dwells).then(|| ticks_to_ns(media, media_scale)),
        // Files in fragments do not know it yet.
        duration_ns: (duration > 0 || is_empty || dwells)
            .then(|| ticks_to_ns(duration, movie_scale)),
    })
}

/// Has the last edit last to the end of the media.
pub(super) fn open_end(edits: &mut [Edit]) {
    if let Some(last) = edits.last_mut().filter(|edit| edit.media_ns.is_some()) {
        last.duration_ns = None;
    }
}

/// Duration of the presentation, if the edits tell.
pub(super) fn duration_ns(edits: &[Edit]) -> Option<i64> {
    edits
        .iter()
        .map(|edit| edit.duration_ns)
        .try_fold(0_i64, |sum, ns| Some(sum.saturating_add(ns?)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn entry(duration: u32, media: i32, rate: u32) -> Vec<u8> {
        [
            duration.to_be_bytes(),
            media.to_be_bytes(),
            rate.to_be_bytes(),
        ]
        .concat()
    }

    fn list(entries: &[Vec<u8>]) -> Vec<u8> {
        let count = (entries.len() as u32).to_be_bytes();
        [[0; 4].as_slice(), &count, &entries.concat()].concat()
    }

    #[test]
    fn empty_edits_and_dwells_are_silence() {
        let bytes = list(&[
            entry(4_836, -1, 0x1_0000),
            entry(11_000, 1_024, 0x1_0000),
            entry(500, 0, 0),
        ]);
        let edits = read(Some(&bytes), 1_000, 16_000).unwrap();
        let silence = |ms: i64| Edit {
            media_ns: None,
            duration_ns: Some(ms * 1_000_000),
        };
        let played = Edit {
            media_ns: Some(64_000_000),
            duration_ns: Some(11_000_000_000),
        };
        assert_eq!(edits, [silence(4_836), played, silence(500)]);
        assert_eq!(duration_ns(&edits), Some(16_336_000_000));
    }

    #[test]
    fn no_duration_is_the_rest_and_no_list_is_the_whole() {
        let bytes = list(&[entry(0, 1_024, 0x1_0000)]);
        let edits = read(Some(&bytes), 1_000, 16_000).unwrap();
        assert_eq!(edits.first().unwrap().duration_ns, None);
        for nothing in [
            None,
            Some(list(&[])),
            Some(list(&[entry(100, -1, 0x1_0000)])),
        ] {
            assert_eq!(read(nothing.as_deref(), 1_000, 16_000).unwrap(), [WHOLE]);
        }
    }
}
