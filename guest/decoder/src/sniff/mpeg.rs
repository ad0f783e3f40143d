//! Finds MPEG audio and ADTS frames in data without a magic number.
//!
//! Eleven set bits are found in any data. A frame counts when the next one begins where it
//! says, so that a picture or a program is not taken for a noisy MP3.

use super::Format;

/// Bit rates in kbit/s of MPEG-1 layer II and III and MPEG-2 layer II/III (ISO 11172-3 and
/// 13818-3); index 0 is a free rate, which is not searched for. Layer I is not either: nobody
/// has such files, and its short frames are found in programs.
const BIT_RATES_KBIT: [[u16; 15]; 3] = [
    [
        0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384,
    ],
    [
        0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320,
    ],
    [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];

/// Rates in Hz of ADTS, by index (ISO 14496-3, table 1.18).
const ADTS_RATES_HZ: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];

/// Frames that must follow one that is found behind other data.
const FOLLOWERS: usize = 3;

/// A frame header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) shape: Shape,
    pub(crate) len_bytes: usize,
    /// Samples of each channel.
    pub(crate) samples: u32,
    /// Bit rate in kbit/s; 0 for ADTS, whose frames do not tell.
    pub(crate) kbit: u32,
    /// Bytes of the header in front of an ADTS frame's payload; 0 for MPEG audio.
    pub(crate) header_bytes: usize,
}

/// What the frames of one stream have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) format: Format,
    pub(crate) rate_hz: u32,
    /// 2 or 3 for MPEG audio; the object type for ADTS.
    pub(crate) layer: u8,
    /// 0 for ADTS that describes its channels in the payload.
    pub(crate) channels: u8,
    /// MPEG version 1, not 2 or 2.5.
    pub(crate) is_mpeg1: bool,
}

/// The offset of the first frame in `data`, and what it is a frame of.
pub(super) fn find(data: &[u8]) -> Option<(usize, Format)> {
    let mut at = 0;
    while let Some(offset) = data.get(at..)?.iter().position(|byte| *byte == 0xFF) {
        at += offset;
        if let Some(frame) = parse(data.get(at..)?)
            && is_followed(data, at, frame)
        {
            return Some((at, frame.shape.format));
        }
        at += 1;
    }
    None
}

/// Whether [`FOLLOWERS`] more follow, or at the very start as many as there is data for.
fn is_followed(data: &[u8], start: usize, first: Frame) -> bool {
    let mut at = start + first.len_bytes;
    for _ in 0..FOLLOWERS {
        match data.get(at..).and_then(parse) {
            Some(next) if next.is_like(first) => at += next.len_bytes,
            Some(_) => return false,
            None => return start == 0 && at + 4 > data.len(),
        }
    }
    true
}

/// Whether as many frames like `frame`, which `data` begins with, follow it as it takes to believe
/// in it. Where the data ends, one that ends with it is enough.
pub(crate) fn is_run(data: &[u8], frame: Frame) -> bool {
    let mut at = frame.len_bytes;
    for followers in 0..FOLLOWERS {
        match data.get(at..).and_then(parse) {
            Some(next) if next.shape == frame.shape => at += next.len_bytes,
            _ => return followers > 0 && at == data.len(),
        }
    }
    true
}

impl Frame {
    /// Whether both may be of one stream; MPEG audio may change between mono and stereo.
    fn is_like(self, other: Self) -> bool {
        let channels = self.shape.channels;
        let same = Shape {
            channels,
            ..other.shape
        };
        self.shape == same
    }
}

/// The header that `data` begins with.
pub(crate) fn parse(data: &[u8]) -> Option<Frame> {
    let [0xFF, b1, b2, b3, ..] = *data else {
        return None;
    };
    if b1 & 0xF6 == 0xF0 {
        return parse_adts(data, b2);
    }
    if b1 & 0xE0 != 0xE0 {
        return None;
    }
    // 0 is MPEG-2.5, 2 is MPEG-2, 3 is MPEG-1.
    let version = (b1 >> 3) & 3;
    let layer = 4 - usize::from((b1 >> 1) & 3);
    let rate = *[44_100u32, 48_000, 32_000].get(usize::from((b2 >> 2) & 3))?;
    if version == 1 || !matches!(layer, 2 | 3) {
        return None;
    }
    let rate = rate
        >> match version {
            3 => 0,
            2 => 1,
            _ => 2,
        };
    let row = if version == 3 { layer - 2 } else { 2 };
    let kbit = *BIT_RATES_KBIT.get(row)?.get(usize::from(b2 >> 4))?;
    if kbit == 0 {
        return None;
    }
    let padding = u32::from((b2 >> 1) & 1);
    let bits_per_s = u32::from(kbit) * 1000;
    let len_bytes = match (layer, version) {
        (3, 0 | 2) => 72 * bits_per_s / rate + padding,
        _ => 144 * bits_per_s / rate + padding,
    };
    let shape = Shape {
        format: Format::Mpeg,
        rate_hz: rate,
        layer: if layer == 2 { 2 } else { 3 },
        channels: if b3 >> 6 == 3 { 1 } else { 2 },
        is_mpeg1: version == 3,
    };
    Some(Frame {
        shape,
        len_bytes: len_bytes as usize,
        samples: if (layer, version == 3) == (3, false) {
            576
        } else {
            1_152
        },
        kbit: u32::from(kbit),
        header_bytes: 0,
    })
}

fn parse_adts(data: &[u8], b2: u8) -> Option<Frame> {
    let [_, b1, _, b3, b4, b5, ..] = *data else {
        return None;
    };
    let rate_hz = *ADTS_RATES_HZ.get(usize::from((b2 >> 2) & 0x0F))?;
    let len_bytes = usize::from(b3 & 3) << 11 | usize::from(b4) << 3 | usize::from(b5 >> 5);
    let header_bytes = if b1 & 1 == 0 { 9 } else { 7 };
    let shape = Shape {
        format: Format::Adts,
        rate_hz,
        layer: (b2 >> 6) + 1,
        channels: (b2 & 1) << 2 | b3 >> 6,
        is_mpeg1: false,
    };
    (len_bytes >= header_bytes).then_some(Frame {
        shape,
        len_bytes,
        samples: 1_024,
        kbit: 0,
        header_bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// MPEG-1 layer III, 128 kbit/s, 44.1 kHz: 417 bytes.
    fn frames(count: usize) -> Vec<u8> {
        let mut frame = vec![0; 417];
        frame.splice(..4, [0xFF, 0xFB, 0x90, 0x00]);
        frame.repeat(count)
    }

    #[test]
    fn frames_are_found_behind_junk() {
        let mut data = vec![0x55; 1000];
        data.extend(frames(4));
        assert_eq!(find(&data), Some((1000, Format::Mpeg)));
    }

    #[test]
    fn a_lone_frame_counts_only_at_the_start() {
        assert_eq!(find(&frames(1)), Some((0, Format::Mpeg)));
        let mut data = vec![0x55; 1000];
        data.extend(frames(1));
        assert_eq!(find(&data), None);
    }

    #[test]
    fn text_with_a_byte_order_mark_is_not_audio() {
        let text: Vec<u8> = "hello, this is text in UTF-16. "
            .repeat(60)
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(find(&[&[0xFF, 0xFE], &*text].concat()), None);
    }
}
