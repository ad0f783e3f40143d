//! A decoder that does what `misdeed` of its configuration says: `panics`, `spins` (and reads and
//! gives nothing), `hoards` memory, `floods` the clip with silence until it is refused and then says
//! that all is well, `lies` about layouts, `seeks` without end in a file that it has kept, `gives-up`
//! with a long text, or `ignores` that the file broke off.

#![allow(clippy::panic, reason = "this is the misdeed")]

use auricle_guest::config;
use auricle_guest::decoder::{DecodeFailure, Decoder, Hint, clip, source};

struct Hostile;

impl Decoder for Hostile {
    fn decode(_: Hint) -> Result<(), DecodeFailure> {
        let misdeed = config::parse::<String>("misdeed").ok().flatten();
        match misdeed.as_deref() {
            Some("panics") => panic!("on purpose"),
            Some("spins") => auricle_hostile::spin(),
            Some("hoards") => auricle_hostile::take_all_memory(),
            Some("floods") => while clip::push(&[0.0; 160_000], &[1.0], 8_000).is_ok() {},
            Some("lies") => lie(),
            Some("seeks") => seek(),
            Some("gives-up") => return Err(DecodeFailure::Undecodable("no ".repeat(100_000))),
            _ => while source::read(1 << 16).is_ok_and(|bytes| !bytes.is_empty()) {},
        }
        Ok(())
    }
}

auricle_guest::decoder::export!(Hostile);

/// Nothing of this is taken; then comes a second that is.
fn lie() {
    let layouts: [(&[f32], u32); 7] = [
        (&[], 16_000),
        (&[1.0; 1_000], 16_000),
        (&[1.0], 0),
        (&[1.0], u32::MAX),
        (&[f32::NAN], 16_000),
        (&[-1.0, 1.0], 16_000),
        (&[0.0, 0.0], 16_000),
    ];
    for (weights, rate) in layouts {
        assert!(clip::push(&[0.5; 1_000], weights, rate).is_err());
    }
    assert!(clip::push(&[f32::NAN; 16_000], &[1.0], 16_000).is_ok());
}

fn seek() {
    let length = source::length().unwrap_or_default();
    while source::seek(length / 2).is_ok() && source::read(1 << 20).is_ok() {}
}
