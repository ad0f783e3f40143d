//! A small file of each container.

#[path = "../../../tests/all/support/muxers.rs"]
mod muxers;

use self::muxers::{PLAY, Track, adts_frame, caf_opus, fragmented, mkv, mov, mp3_frame, mp3_info};

/// A packet of 20 ms of silence (RFC 6716, section 3.1: CELT, full band, mono).
const OPUS_SILENCE: [u8; 3] = [0xF8, 0xFF, 0xFE];

pub(crate) fn files() -> Vec<Vec<u8>> {
    let samples = [0, 9_000, -9_000, 4_000].repeat(50);
    let mut track = Track::sound(1, &samples);
    let whole = mov(&[track.clone()]);
    track.edits = vec![(10, -1, PLAY), (10, 80, PLAY), (5, 0, 0), (5, 0, PLAY)];
    let edited = mov(&[Track::sound(2, &samples), track.clone()]);
    let pieces = fragmented(&track, &[(0, 100), (300, 100)]);
    let block: Vec<u8> = samples.iter().flat_map(|it| it.to_le_bytes()).collect();
    let tracks = [(1, false, 2, "A_PCM/INT/LIT"), (2, true, 1, "V_VP8")];
    let blocks = [(2, 0, vec![0; 9]), (1, 400, block.clone()), (1, 900, block)];
    let opus = [(1, true, 2, "A_OPUS")];
    let packets = [
        (1, 0, OPUS_SILENCE.to_vec()),
        (1, 20, OPUS_SILENCE.to_vec()),
    ];
    vec![
        whole,
        edited,
        pieces,
        mkv(&tracks, Some(1_000.0), &blocks),
        mkv(&opus, None, &packets),
        [mp3_info(2, 576, 1_105), mp3_frame(false), mp3_frame(true)].concat(),
        [mp3_frame(true), vec![0x55; 900], mp3_frame(false).repeat(5)].concat(),
        adts_frame().repeat(6),
        caf_opus(&vec![OPUS_SILENCE.to_vec(); 3], 48_000.0),
        ogg_opus(),
    ]
}

/// Pages with right checksums, which a fuzzer does not find.
fn ogg_opus() -> Vec<u8> {
    let head = b"OpusHead\x01\x01\x38\x01\x80\xBB\0\0\0\0\0".to_vec();
    let tags = b"OpusTags\x04\0\0\0test\0\0\0\0".to_vec();
    let packets = vec![OPUS_SILENCE.to_vec(); 3];
    [
        muxers::ogg_page(0, 2, 0, &[head]),
        muxers::ogg_page(1, 0, 0, &[tags]),
        muxers::ogg_page(2, 0, 2_880, &packets),
        muxers::ogg_page(5, 4, 9_000, &packets),
    ]
    .concat()
}
