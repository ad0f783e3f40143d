//! Small files written by hand: MP4 and Matroska of uncompressed audio, MP3 and ADTS frames, Ogg
//! FLAC, CAF. Plain Rust, so that the fuzz targets' seeds share it.
#![allow(dead_code, reason = "tests and seeds each use some")]

/// A box of an MP4.
pub fn mp4_box(kind: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let length = (body.len() as u32 + 8).to_be_bytes();
    [length.as_slice(), kind, &body].concat()
}

/// 32-bit numbers, big-endian.
pub fn be(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|it| it.to_be_bytes()).collect()
}

/// A part of the presentation: duration in milliseconds, place in the media (-1: empty), rate.
pub type Edit = (u32, i32, u32);

/// Rate 1 of an edit.
pub const PLAY: u32 = 0x1_0000;

/// A track of uncompressed mono of 16 bits at 8 kHz, whose timescale is 8,000.
#[derive(Clone)]
pub struct Track {
    pub id: u32,
    pub enabled: bool,
    pub handler: [u8; 4],
    pub edits: Vec<Edit>,
    pub samples: Vec<i16>,
}

impl Track {
    pub fn sound(id: u32, samples: &[i16]) -> Self {
        Self {
            id,
            enabled: true,
            handler: *b"soun",
            edits: Vec::new(),
            samples: samples.to_vec(),
        }
    }

    fn data(&self) -> Vec<u8> {
        self.samples
            .iter()
            .flat_map(|it| it.to_le_bytes())
            .collect()
    }

    /// The track's box; its tables are empty in a file of fragments.
    fn index(&self, data_at: Option<u32>) -> Vec<u8> {
        let header = [be(&[u32::from(self.enabled), 0, 0, self.id]), vec![0; 68]].concat();
        let count = self.edits.len() as u32;
        let edits: Vec<u32> = self
            .edits
            .iter()
            .flat_map(|(duration, media, rate)| [*duration, media.cast_unsigned(), *rate])
            .collect();
        let list = mp4_box(b"elst", &[&be(&[0, count]), &be(&edits)]);
        let edits = match count {
            0 => Vec::new(),
            _ => mp4_box(b"edts", &[&list]),
        };
        let handler = [be(&[0, 0]), self.handler.to_vec(), vec![0; 13]].concat();
        let length = self.samples.len() as u32;
        let entry = [
            [0; 6].as_slice(),
            &[0, 1],
            &[0; 8],
            &[0, 1, 0, 16, 0, 0, 0, 0],
            &be(&[8_000 << 16]),
        ]
        .concat();
        let entry = mp4_box(b"sowt", &[&entry]);
        let (count, chunks) = match data_at {
            Some(at) => (length, be(&[0, 1, at])),
            None => (0, be(&[0, 0])),
        };
        let tables = mp4_box(
            b"stbl",
            &[
                &mp4_box(b"stsd", &[&be(&[0, 1]), &entry]),
                &mp4_box(b"stts", &[&be(&[0, 1, count, 1])]),
                &mp4_box(b"stsc", &[&be(&[0, 1, 1, count.max(1), 1])]),
                &mp4_box(b"stsz", &[&be(&[0, 2, count])]),
                &mp4_box(b"stco", &[&chunks]),
            ],
        );
        let media = mp4_box(
            b"mdia",
            &[
                &mp4_box(b"mdhd", &[&be(&[0, 0, 0, 8_000, count, 0])]),
                &mp4_box(b"hdlr", &[&handler]),
                &mp4_box(b"minf", &[&tables]),
            ],
        );
        mp4_box(b"trak", &[&mp4_box(b"tkhd", &[&header]), &edits, &media])
    }
}

const FTYP: &[u8] = b"\0\0\0\x14ftypqt  \0\0\0\0qt  ";

fn movie_header() -> Vec<u8> {
    mp4_box(b"mvhd", &[&be(&[0, 0, 0, 1_000, 0]), &[0; 80]])
}

/// A QuickTime file of these tracks, its index in front.
pub fn mov(tracks: &[Track]) -> Vec<u8> {
    let index = |at: u32| {
        let mut at = at;
        let mut parts = vec![movie_header()];
        for track in tracks {
            parts.push(track.index(Some(at)));
            at += track.data().len() as u32;
        }
        mp4_box(b"moov", &[&parts.concat()])
    };
    let data_at = FTYP.len() + index(0).len() + 8;
    let data: Vec<u8> = tracks.iter().flat_map(Track::data).collect();
    [FTYP, &index(data_at as u32), &mp4_box(b"mdat", &[&data])].concat()
}

/// A file in fragments of one track: where each begins, in samples, and how many it has.
pub fn fragmented(track: &Track, fragments: &[(u64, usize)]) -> Vec<u8> {
    let extends = mp4_box(b"trex", &[&be(&[0, track.id, 1, 1, 2, 0])]);
    let extends = mp4_box(b"mvex", &[&extends]);
    let index = mp4_box(b"moov", &[&movie_header(), &track.index(None), &extends]);
    let mut file = [FTYP, &index].concat();
    let data = track.data();
    let mut from = 0;
    for (number, (start, count)) in fragments.iter().enumerate() {
        let fragment = |offset: u32| {
            let time = [be(&[0x0100_0000]), start.to_be_bytes().to_vec()].concat();
            let run = [be(&[1, *count as u32, offset])].concat();
            let runs = mp4_box(
                b"traf",
                &[
                    &mp4_box(b"tfhd", &[&be(&[0x2_0000, track.id])]),
                    &mp4_box(b"tfdt", &[&time]),
                    &mp4_box(b"trun", &[&run]),
                ],
            );
            let number = mp4_box(b"mfhd", &[&be(&[0, number as u32 + 1])]);
            mp4_box(b"moof", &[&number, &runs])
        };
        let offset = fragment(0).len() as u32 + 8;
        file.extend(fragment(offset));
        file.extend(mp4_box(b"mdat", &[&data[2 * from..2 * (from + count)]]));
        from += count;
    }
    file
}

/// A Matroska element, its length in 8 bytes.
pub fn element(id: u32, body: &[u8]) -> Vec<u8> {
    let id = id.to_be_bytes();
    let id = &id[id.iter().position(|byte| *byte != 0).unwrap_or(3)..];
    let mut length = (body.len() as u64).to_be_bytes();
    length[0] = 1;
    [id, &length, body].concat()
}

/// A track of a Matroska file: number, whether it is the default, type (1 video, 2 audio), codec.
pub type MkvTrack<'a> = (u8, bool, u8, &'a str);

/// A Matroska file of blocks: the track, milliseconds, bytes. Audio is mono of 16 bits at 8 kHz.
pub fn mkv(
    tracks: &[MkvTrack<'_>],
    duration_ms: Option<f64>,
    blocks: &[(u8, u32, Vec<u8>)],
) -> Vec<u8> {
    let entries: Vec<u8> = tracks
        .iter()
        .flat_map(|(number, default, kind, codec)| {
            let audio = [
                element(0xB5, &8_000_f64.to_be_bytes()),
                element(0x9F, &[1]),
                element(0x6264, &[16]),
            ]
            .concat();
            let video = [element(0xB0, &[16]), element(0xBA, &[16])].concat();
            let own = match kind {
                1 => element(0xE0, &video),
                _ => element(0xE1, &audio),
            };
            let entry = [
                element(0xD7, &[*number]),
                element(0x73C5, &[*number]),
                element(0x83, &[*kind]),
                element(0x88, &[u8::from(*default)]),
                element(0x86, codec.as_bytes()),
                own,
            ];
            element(0xAE, &entry.concat())
        })
        .collect();
    let duration = duration_ms.map_or(Vec::new(), |ms| element(0x4489, &ms.to_be_bytes()));
    let info = [
        element(0x002A_D7B1, &1_000_000_u32.to_be_bytes()),
        element(0x4D80, b"test"),
        element(0x5741, b"test"),
        duration,
    ];
    let clusters: Vec<u8> = blocks
        .iter()
        .flat_map(|(track, ms, data)| {
            let block = [&[0x80 | track, 0, 0, 0x80], data.as_slice()].concat();
            let parts = [element(0xE7, &ms.to_be_bytes()), element(0xA3, &block)];
            element(0x1F43_B675, &parts.concat())
        })
        .collect();
    let segment = [
        element(0x1549_A966, &info.concat()),
        element(0x1654_AE6B, &entries),
        clusters,
    ];
    let head = [
        element(0x4286, &[1]),
        element(0x42F7, &[1]),
        element(0x42F2, &[4]),
        element(0x42F3, &[8]),
        element(0x4282, b"matroska"),
        element(0x4287, &[4]),
        element(0x4285, &[2]),
    ];
    [
        element(0x1A45_DFA3, &head.concat()),
        element(0x1853_8067, &segment.concat()),
    ]
    .concat()
}

/// Bytes of a frame of [`mp3_frame`]: 64 kbit/s at 16 kHz are 36 ms each.
pub const MP3_FRAME_BYTES: usize = 288;
pub const MP3_FRAME_SAMPLES: usize = 576;

/// A frame of MPEG-2 layer III, mono at 16 kHz, which needs no other: silence, or a click.
pub fn mp3_frame(click: bool) -> Vec<u8> {
    let mut frame = vec![0; MP3_FRAME_BYTES];
    frame[..4].copy_from_slice(&[0xFF, 0xF3, 0x88, 0xC0]);
    if click {
        // Side information from bit 32 on: main data begins here (8 bits), private (1); then of the
        // granule: 12 bits of length, 9 of big values, 8 of gain, 9 of scale factors, 1 of windows,
        // 15 of tables, 7 of regions, 2 of the rest.
        put(&mut frame, 32 + 9, 12, 5);
        put(&mut frame, 32 + 21, 9, 1);
        put(&mut frame, 32 + 30, 8, 205);
        put(&mut frame, 32 + 48, 5, 1);
        // One pair of table 1: both 1 ("000"), positive.
        put(&mut frame, 8 * (4 + 9), 5, 0);
    }
    frame
}

/// Writes `count` bits from the bit `at` on.
fn put(bytes: &mut [u8], at: usize, count: usize, value: u32) {
    for bit in 0..count {
        let (byte, shift) = ((at + bit) / 8, 7 - (at + bit) % 8);
        let on = (value >> (count - 1 - bit) & 1) as u8;
        bytes[byte] = bytes[byte] & !(1 << shift) | on << shift;
    }
}

/// A frame with a Xing header for `frames` frames, which lets players drop delay and padding.
pub fn mp3_info(frames: u32, delay: u32, padding: u32) -> Vec<u8> {
    let mut frame = mp3_frame(false);
    let tag = [
        b"Info".as_slice(),
        &be(&[1, frames]),
        b"LAME3.100",
        &[0; 12],
        &be(&[delay << 12 | padding])[1..],
    ];
    let tag = tag.concat();
    frame[4 + 9..4 + 9 + tag.len()].copy_from_slice(&tag);
    frame
}

/// An ADTS frame of silence: AAC-LC, mono at 16 kHz, 64 ms.
pub fn adts_frame() -> Vec<u8> {
    let payload = [0x00, 0xC8, 0x00, 0x80, 0x23, 0x80];
    let length = payload.len() + 7;
    let mut frame = vec![
        0xFF,
        0xF1,
        0x60,
        0x40,
        (length >> 3) as u8,
        (length << 5) as u8 | 0x1F,
        0xFC,
    ];
    frame.extend(payload);
    frame
}

/// A CAF of packets of an Opus track at 48 kHz, each of 960 samples.
pub fn caf_opus(packets: &[Vec<u8>], rate_hz: f64) -> Vec<u8> {
    let chunk = |kind: &[u8; 4], body: &[u8]| {
        [kind.as_slice(), &(body.len() as u64).to_be_bytes(), body].concat()
    };
    let per_packet = (rate_hz / 50.0) as u32;
    let description = [
        rate_hz.to_be_bytes().to_vec(),
        b"opus".to_vec(),
        be(&[0, 0, per_packet, 1, 0]),
    ];
    let mut table = (packets.len() as u64).to_be_bytes().to_vec();
    table.extend((packets.len() as u64 * u64::from(per_packet)).to_be_bytes());
    table.extend(be(&[0, 0]));
    for packet in packets {
        let length = packet.len() as u8;
        if packet.len() > 127 {
            table.push(0x80 | (packet.len() >> 7) as u8);
        }
        table.push(length & 0x7F);
    }
    let data = [be(&[0]), packets.concat()].concat();
    [
        b"caff\0\x01\0\0".to_vec(),
        chunk(b"desc", &description.concat()),
        chunk(b"pakt", &table),
        chunk(b"data", &data),
    ]
    .concat()
}

/// An Ogg page of whole packets (RFC 3533).
pub fn ogg_page(sequence: u32, flags: u8, granule: u64, packets: &[Vec<u8>]) -> Vec<u8> {
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
    page.push(lacing.len() as u8);
    page.extend(lacing);
    page.extend(packets.concat());
    let mut sum = 0_u32;
    for byte in &page {
        sum ^= u32::from(*byte) << 24;
        for _ in 0..8 {
            sum = sum << 1 ^ if sum >> 31 == 1 { 0x04C1_1DB7 } else { 0 };
        }
    }
    page[22..26].copy_from_slice(&sum.to_le_bytes());
    page
}
