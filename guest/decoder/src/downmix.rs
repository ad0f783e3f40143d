//! How much of each channel goes into a mono mix.
//!
//! Mono and stereo are averaged, and what has no known layout. In surround sound somebody speaks from the centre and bangs come
//! from the low-frequency channel: the weights are those of ITU-R BS.775 for a mix to mono, without
//! the latter. Who takes the samples divides by the sum.

use symphonia::core::audio::{Channels, Position};

/// Of the centre: the reference.
const CENTRE: f32 = 1.0;

/// Of the front's sides: -3 dB.
const FRONT: f32 = std::f32::consts::FRAC_1_SQRT_2;

/// Of the sides and the rear: -6 dB.
const SURROUND: f32 = 0.5;

/// All alike, for sound whose layout is not known.
pub(crate) fn equal(channels: usize, weights: &mut Vec<f32>) {
    weights.clear();
    weights.resize(channels, 1.0);
}

/// For a layout as symphonia tells it; its channels are in the order of their bits.
pub(crate) fn of_layout(channels: &Channels, weights: &mut Vec<f32>) {
    equal(channels.count(), weights);
    let Channels::Positioned(positions) = channels else {
        return;
    };
    if weights.len() > 2 {
        weights.clear();
        weights.extend(positions.iter().map(of_position));
    }
}

/// For the Vorbis order, which Opus has as well (RFC 7845, section 5.1.1.2).
pub(crate) fn of_vorbis_order(channels: usize, weights: &mut Vec<f32>) {
    const C: f32 = CENTRE;
    const F: f32 = FRONT;
    const S: f32 = SURROUND;
    let order: &[f32] = match channels {
        3 => &[F, C, F],
        4 => &[F, F, S, S],
        5 => &[F, C, F, S, S],
        6 => &[F, C, F, S, S, 0.0],
        7 => &[F, C, F, S, S, S, 0.0],
        8 => &[F, C, F, S, S, S, S, 0.0],
        _ => return equal(channels, weights),
    };
    weights.clear();
    weights.extend_from_slice(order);
}

/// For WAV: `mask` has a bit for each channel, in the order of the channels (`dwChannelMask`); 0 where
/// the layout is not told.
pub(crate) fn of_wave_mask(channels: usize, mask: u32, weights: &mut Vec<f32>) {
    equal(channels, weights);
    if channels < 3 || (mask.count_ones() as usize) < channels {
        return;
    }
    let positions = (0..u32::BITS).filter(|bit| mask >> bit & 1 == 1);
    weights.clear();
    weights.extend(positions.take(channels).map(|bit| match bit {
        // Front left and right, and those between them and the centre.
        0 | 1 | 6 | 7 => FRONT,
        2 => CENTRE,
        // The low-frequency channel.
        3 => 0.0,
        _ => SURROUND,
    }));
}

fn of_position(position: Position) -> f32 {
    if (Position::LFE1 | Position::LFE2).contains(position) {
        0.0
    } else if position == Position::FRONT_CENTER {
        CENTRE
    } else if (Position::FRONT_LEFT | Position::FRONT_RIGHT).contains(position) {
        FRONT
    } else {
        SURROUND
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_centre_is_loudest_and_the_lowest_channel_is_left_out() {
        let mut weights = Vec::new();
        let surround = Position::FRONT_LEFT
            | Position::FRONT_RIGHT
            | Position::FRONT_CENTER
            | Position::LFE1
            | Position::REAR_LEFT
            | Position::REAR_RIGHT;
        of_layout(&Channels::Positioned(surround), &mut weights);
        assert_eq!(weights, [FRONT, FRONT, 1.0, 0.0, 0.5, 0.5]);
        of_vorbis_order(6, &mut weights);
        assert_eq!(weights, [FRONT, 1.0, FRONT, 0.5, 0.5, 0.0]);
    }

    #[test]
    fn a_waves_mask_names_its_channels_in_order() {
        let weights = |channels, mask| {
            let mut weights = Vec::new();
            of_wave_mask(channels, mask, &mut weights);
            weights
        };
        assert_eq!(weights(6, 0x3F), [FRONT, FRONT, 1.0, 0.0, 0.5, 0.5]);
        assert_eq!(weights(6, 0x60F), [FRONT, FRONT, 1.0, 0.0, 0.5, 0.5]);
        assert_eq!(weights(3, 0x7), [FRONT, FRONT, 1.0]);
        for (channels, mask) in [(6, 0), (6, 0x7), (2, 0x3), (1, 0x4)] {
            assert_eq!(weights(channels, mask), vec![1.0; channels], "{mask:x}");
        }
    }

    #[test]
    fn stereo_is_averaged() {
        let mut weights = Vec::new();
        let stereo = Position::FRONT_LEFT | Position::FRONT_RIGHT;
        of_layout(&Channels::Positioned(stereo), &mut weights);
        assert_eq!(weights, [1.0, 1.0]);
    }
}
