//! Blocks: the packets of a track at one stamp (RFC 9559, section 10).

use super::ebml::{Elements, header, number, unsigned};

/// `Block` and `DiscardPadding` of a block group.
const BLOCK: u32 = 0xA1;
const DISCARD_PADDING: u32 = 0x75A2;

/// Packets that begin at one stamp.
pub(super) struct Block {
    pub(super) track: u64,
    /// Ticks behind the cluster's.
    pub(super) ticks: i16,
    pub(super) packets: Vec<Vec<u8>>,
    /// Time at the end of the last packet that is not heard.
    pub(super) padding_ns: i64,
}

/// Track and ticks of the block that `bytes` begin with.
pub(super) fn head(mut bytes: &[u8]) -> Option<(u64, i16)> {
    let track = number(&mut bytes, true)?;
    Some((track, i16::from_be_bytes(*bytes.first_chunk::<2>()?)))
}

/// The same of a group that begins with its block.
pub(super) fn head_of_group(bytes: &[u8]) -> Option<(u64, i16)> {
    let first = header(bytes).filter(|it| it.id == BLOCK)?;
    head(bytes.get(usize::try_from(first.head_bytes).ok()?..)?)
}

/// The block of a group.
pub(super) fn of_group(body: &[u8]) -> Option<Block> {
    let mut padding_ns = 0;
    let mut block = None;
    for (id, content) in Elements(body) {
        match id {
            BLOCK => block = Some(content),
            // Of the start of a packet it would be negative.
            DISCARD_PADDING if content.first().is_some_and(|byte| byte & 0x80 == 0) => {
                padding_ns = i64::try_from(unsigned(content)).unwrap_or(0);
            }
            _ => {}
        }
    }
    Block::read(block?, padding_ns)
}

impl Block {
    pub(super) fn read(body: &[u8], padding_ns: i64) -> Option<Self> {
        let (track, ticks) = head(body)?;
        let mut rest = body;
        number(&mut rest, true)?;
        let flags = *rest.get(2)?;
        let rest = rest.get(3..)?;
        let packets = match flags >> 1 & 3 {
            0 => Some(vec![rest.to_vec()]),
            1 => laced(rest, xiph),
            2 => laced(rest, even),
            _ => laced(rest, ebml),
        }?;
        Some(Self {
            track,
            ticks,
            packets,
            padding_ns,
        })
    }
}

/// Sizes of all packets but the last, of so many; the rest of the bytes are theirs.
type Sizes = fn(&mut &[u8], usize) -> Option<Vec<usize>>;

fn laced(mut rest: &[u8], sizes: Sizes) -> Option<Vec<Vec<u8>>> {
    let (count, behind) = rest.split_first()?;
    rest = behind;
    let sizes = sizes(&mut rest, usize::from(*count))?;
    let mut packets = Vec::with_capacity(sizes.len() + 1);
    for size in sizes {
        let (packet, behind) = rest.split_at_checked(size)?;
        packets.push(packet.to_vec());
        rest = behind;
    }
    packets.push(rest.to_vec());
    Some(packets)
}

fn xiph(rest: &mut &[u8], count: usize) -> Option<Vec<usize>> {
    let size = |rest: &mut &[u8]| {
        let mut size = 0;
        loop {
            let (byte, behind) = rest.split_first()?;
            *rest = behind;
            size += usize::from(*byte);
            if *byte < 255 {
                return Some(size);
            }
        }
    };
    (0..count).map(|_| size(rest)).collect()
}

fn even(rest: &mut &[u8], count: usize) -> Option<Vec<usize>> {
    Some(vec![rest.len() / (count + 1); count])
}

fn ebml(rest: &mut &[u8], count: usize) -> Option<Vec<usize>> {
    let mut sizes = Vec::with_capacity(count);
    let mut last = 0_i64;
    for index in 0..count {
        let before = rest.len();
        let value = i64::try_from(number(rest, true)?).ok()?;
        let bits = 7 * (before - rest.len()) as u32;
        // Differences are signed: half of the range is below zero.
        last = match index {
            0 => value,
            _ => last.checked_add(value - ((1_i64 << (bits - 1)) - 1))?,
        };
        sizes.push(usize::try_from(last).ok()?);
    }
    Some(sizes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn lengths(flags: u8, rest: &[u8]) -> Vec<usize> {
        let body = [&[0x81, 0xFF, 0xFE, flags], rest].concat();
        let block = Block::read(&body, 0).unwrap();
        assert_eq!((block.track, block.ticks), (1, -2));
        block.packets.iter().map(Vec::len).collect()
    }

    #[test]
    fn packets_are_laced_in_three_ways() {
        assert_eq!(lengths(0x80, &[7; 9]), [9]);
        let xiph = [&[2, 255, 1, 3], [0; 262].as_slice()].concat();
        assert_eq!(lengths(0x82, &xiph), [256, 3, 3]);
        let even = [&[2], [0; 9].as_slice()].concat();
        assert_eq!(lengths(0x84, &even), [3, 3, 3]);
        // 800, then 300 less, then the rest.
        let ebml = [&[2, 0x43, 0x20, 0x5E, 0xD3], [0; 1_400].as_slice()].concat();
        assert_eq!(lengths(0x86, &ebml), [800, 500, 100]);
    }

    #[test]
    fn padding_is_found_in_the_group() {
        let group = b"\xA1\x85\x81\0\0\0x\xFB\x81\0\x75\xA2\x84\0\x81\xB3\x20";
        let block = of_group(group).unwrap();
        assert_eq!((block.padding_ns, block.packets.len()), (8_500_000, 1));
        let negative = b"\xA1\x85\x81\0\0\0x\x75\xA2\x83\x81\xB3\x20";
        assert_eq!(of_group(negative).unwrap().padding_ns, 0);
    }

    #[test]
    fn any_bytes_are_read_without_harm() {
        for first in 0..=255 {
            for length in 0..24 {
                for flags in [0, 2, 4, 6] {
                    let body = [&[0x81, 0, 0, flags], vec![first; length].as_slice()].concat();
                    let _ = Block::read(&body, 0);
                    let _ = of_group(&vec![first; length]);
                }
            }
        }
    }
}
