//! The first frame of an MP3 file, where it describes the file instead of sound: Xing, Info, VBRI.

use crate::sniff::Format;
use crate::sniff::mpeg::Frame;

/// Samples by which decoders of MP3 are late; LAME counts its delay without them.
const DECODER_DELAY: u32 = 529;

/// What such a frame says.
pub(super) struct Info {
    /// Samples to drop at the start and at the end of the file.
    pub(super) delay: u32,
    pub(super) padding: u32,
    /// Frames of the file, without this one.
    pub(super) frames: Option<u64>,
    bytes: Option<u32>,
    /// For each percent of the time, where it lies in the file, in 1/256.
    contents: Option<[u8; 100]>,
}

impl Info {
    /// What the frame says, unless it is sound.
    pub(super) fn parse(data: &[u8], frame: Frame) -> Option<Self> {
        if frame.shape.format != Format::Mpeg || frame.shape.layer != 3 {
            return None;
        }
        let side_bytes = match (frame.shape.is_mpeg1, frame.shape.channels) {
            (true, 1) | (false, 2) => 17,
            (true, _) => 32,
            (false, _) => 9,
        };
        let has_crc = data.get(1)? & 1 == 0;
        let side_info = data.get(if has_crc { 6 } else { 4 }..4 + side_bytes)?;
        let silent = side_info.iter().all(|byte| *byte == 0);
        match data.get(4 + side_bytes..)? {
            [b'X', b'i', b'n', b'g', rest @ ..] | [b'I', b'n', b'f', b'o', rest @ ..] if silent => {
                Self::xing(rest)
            }
            _ => Self::vbri(data.get(36..)?),
        }
    }

    fn xing(mut rest: &[u8]) -> Option<Self> {
        let flags = u32_of(&mut rest)?;
        let mut field = |bit: u32| (flags & bit != 0).then(|| u32_of(&mut rest)).flatten();
        let (frames, bytes) = (field(1), field(2));
        let mut contents = None;
        if flags & 4 != 0 {
            let (table, behind) = rest.split_first_chunk::<100>()?;
            (contents, rest) = (Some(*table), behind);
        }
        if flags & 8 != 0 {
            u32_of(&mut rest)?;
        }
        let (delay, padding) = lame(rest).unwrap_or((0, 0));
        Some(Self {
            delay,
            padding,
            frames: frames.map(u64::from),
            bytes,
            contents,
        })
    }

    fn vbri(rest: &[u8]) -> Option<Self> {
        let [b'V', b'B', b'R', b'I', 0, 1, _, _, _, _, rest @ ..] = rest else {
            return None;
        };
        let mut rest = rest;
        let bytes = u32_of(&mut rest)?;
        Some(Self {
            delay: 0,
            padding: 0,
            frames: u32_of(&mut rest).map(u64::from),
            bytes: Some(bytes),
            contents: None,
        })
    }

    /// Frames between two bytes of the file, to the nearest.
    pub(super) fn frames_between(&self, from: u64, to: u64) -> Option<u64> {
        let frames = self.frames? as f64;
        let total = f64::from(self.bytes.filter(|bytes| *bytes > 0)?);
        let share = |byte: u64| {
            let at = (byte as f64 / total).clamp(0.0, 1.0);
            self.contents
                .as_ref()
                .map_or(at, |table| time_of(table, at))
        };
        Some(((share(to) - share(from)).max(0.0) * frames).round() as u64)
    }
}

/// The share of the time that has passed at a share of the bytes.
fn time_of(table: &[u8; 100], at: f64) -> f64 {
    let place = |percent: usize| table.get(percent).map_or(1.0, |it| f64::from(*it) / 256.0);
    let percent = (0..100)
        .rev()
        .find(|percent| place(*percent) <= at)
        .unwrap_or(0);
    let (low, high) = (place(percent), place(percent + 1));
    let within = if high > low {
        (at - low) / (high - low)
    } else {
        0.0
    };
    (percent as f64 + within.clamp(0.0, 1.0)) / 100.0
}

/// Delay and padding, as LAME and ffmpeg write them.
fn lame(rest: &[u8]) -> Option<(u32, u32)> {
    if ![b"LAME", b"Lavf", b"Lavc"]
        .iter()
        .any(|it| rest.starts_with(*it))
    {
        return None;
    }
    let [a, b, c]: [u8; 3] = rest.get(21..24)?.try_into().ok()?;
    let both = u32::from_be_bytes([0, a, b, c]);
    let (delay, padding) = (both >> 12, both & 0xFFF);
    Some((delay + DECODER_DELAY, padding.saturating_sub(DECODER_DELAY)))
}

fn u32_of(rest: &mut &[u8]) -> Option<u32> {
    let (bytes, behind) = rest.split_first_chunk::<4>()?;
    *rest = behind;
    Some(u32::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_contents_maps_bytes_to_time() {
        // The first half of the time takes a quarter of the bytes.
        let mut table = [0; 100];
        for (percent, place) in table.iter_mut().enumerate() {
            let share = match percent {
                0..50 => percent as f64 / 200.0,
                _ => 0.25 + (percent as f64 - 50.0) * 0.015,
            };
            *place = (share * 256.0) as u8;
        }
        for (bytes, time) in [
            (0.0, 0.0),
            (0.125, 0.25),
            (0.25, 0.5),
            (0.625, 0.75),
            (1.0, 1.0),
        ] {
            let got = time_of(&table, bytes);
            assert!((got - time).abs() < 0.02, "{got} for {time}");
        }
    }

    #[test]
    fn lames_delay_and_padding_are_those_of_a_decoder() {
        let mut tag = b"LAME3.100".to_vec();
        tag.resize(21, 0);
        tag.extend([0x24, 0x05, 0x30]); // 576 and 1328
        assert_eq!(lame(&tag), Some((1_105, 799)));
        assert_eq!(lame(b"Other"), None);
    }
}
