//! Audio files made on the spot, for formats that no kept crate writes: Ogg Opus, and FLAC of
//! nothing but constants. The decoder's own tests share them.

use ropus::{Application, Bitrate, Channels, Encoder};

/// 16 kHz speech as Ogg Opus of 16 kbit/s, as messengers record it.
pub fn opus_voice(samples: &[f32]) -> Vec<u8> {
    let (packets, pre_skip) = opus_packets(samples, 16_000);
    let end = u64::from(pre_skip) + 3 * samples.len() as u64;
    ogg_opus(&opus_head(1, pre_skip, 0), &packets, 960, end)
}

/// 16 kHz mono samples as Opus packets of 20 ms, and what to skip of them, counted at 48 kHz.
pub fn opus_packets(samples: &[f32], bits_per_s: u32) -> (Vec<Vec<u8>>, u16) {
    const FRAME: usize = 320;
    let mut encoder = Encoder::builder(16_000, Channels::Mono, Application::Voip)
        .bitrate(Bitrate::try_bits(bits_per_s).unwrap())
        .build()
        .unwrap();
    let ahead = encoder.lookahead();
    // So much silence pushes the end out.
    let padded = (samples.len() + ahead as usize).next_multiple_of(FRAME);
    let mut padded_samples = samples.to_vec();
    padded_samples.resize(padded, 0.0);
    let packets = padded_samples.chunks(FRAME).map(|frame| {
        let mut packet = vec![0; 1_500];
        let length = encoder.encode_float(frame, &mut packet).unwrap();
        packet.truncate(length);
        packet
    });
    (packets.collect(), 3 * ahead as u16)
}

/// An identification header of mapping family 0.
pub fn opus_head(channels: u8, pre_skip: u16, gain: i16) -> Vec<u8> {
    let mut head = b"OpusHead\x01".to_vec();
    head.push(channels);
    head.extend(pre_skip.to_le_bytes());
    head.extend(16_000_u32.to_le_bytes());
    head.extend(gain.to_le_bytes());
    head.push(0);
    head
}

/// Packets of `samples` at 48 kHz each in Ogg pages of 50, the last of which ends at `end`.
pub fn ogg_opus(head: &[u8], packets: &[Vec<u8>], samples: u64, end: u64) -> Vec<u8> {
    let tags = b"OpusTags\x04\0\0\0test\0\0\0\0".to_vec();
    let mut file = ogg_page(0, 2, 0, std::slice::from_ref(&head.to_vec()));
    file.extend(ogg_page(1, 0, 0, &[tags]));
    let pages = packets.chunks(50);
    let last = pages.len().saturating_sub(1);
    let mut at = 0;
    for (number, page) in pages.enumerate() {
        at += samples * page.len() as u64;
        let (flags, granule) = if number == last { (4, end) } else { (0, at) };
        file.extend(ogg_page(number as u32 + 2, flags, granule, page));
    }
    file
}

/// A page of whole packets (RFC 3533).
fn ogg_page(sequence: u32, flags: u8, granule: u64, packets: &[Vec<u8>]) -> Vec<u8> {
    let mut lacing = Vec::new();
    for packet in packets {
        lacing.extend(std::iter::repeat_n(255, packet.len() / 255));
        lacing.push((packet.len() % 255) as u8);
    }
    let mut page = b"OggS\0".to_vec();
    page.push(flags);
    page.extend(granule.to_le_bytes());
    page.extend(1_u32.to_le_bytes());
    page.extend(sequence.to_le_bytes());
    page.extend([0; 4]);
    page.push(u8::try_from(lacing.len()).expect("a page of at most 255 lacing values"));
    page.extend(lacing);
    page.extend(packets.concat());
    let sum = crc(&page, 32, 0x04C1_1DB7) as u32;
    page[22..26].copy_from_slice(&sum.to_le_bytes());
    page
}

/// FLAC of silence: `blocks` of 65,535 samples at 8 kHz in 14 bytes or so each, whose header claims
/// `claimed` samples.
pub fn flac_of_silence(blocks: u32, claimed: u64) -> Vec<u8> {
    const BLOCK: u16 = 65_535;
    let mut file = b"fLaC\x80\0\0\x22".to_vec();
    file.extend(BLOCK.to_be_bytes());
    file.extend(BLOCK.to_be_bytes());
    file.extend([0; 6]);
    // Rate (20 bits), channels - 1 (3), bits - 1 (5), samples (36).
    let packed = 8_000_u64 << 44 | 15 << 36 | (claimed & 0xF_FFFF_FFFF);
    file.extend(packed.to_be_bytes());
    file.extend([0; 16]);
    for number in 0..blocks {
        // Block size in 16 bits at the end, 8 kHz, mono, 16 bits.
        let mut frame = vec![0xFF, 0xF8, 0x74, 0x08];
        frame.extend(char::from_u32(number).unwrap_or('\0').to_string().bytes());
        frame.extend((BLOCK - 1).to_be_bytes());
        frame.push(crc(&frame, 8, 0x07) as u8);
        frame.extend([0, 0, 0]); // a constant subframe of 0
        let sum = crc(&frame, 16, 0x8005) as u16;
        frame.extend(sum.to_be_bytes());
        file.extend(frame);
    }
    file
}

/// A plain CRC: most significant bit first, from 0.
fn crc(bytes: &[u8], bits: u32, polynomial: u64) -> u64 {
    let top = 1 << (bits - 1);
    let mask = (top << 1) - 1;
    bytes.iter().fold(0_u64, |sum, byte| {
        (0..8).fold(sum ^ u64::from(*byte) << (bits - 8), |sum, _| {
            let shifted = sum << 1;
            (if sum & top != 0 {
                shifted ^ polynomial
            } else {
                shifted
            }) & mask
        })
    })
}
