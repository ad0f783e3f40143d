//! How much of each channel goes into a mono mix.
//!
//! Mono and stereo are averaged. In surround sound somebody speaks from the centre and bangs come
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
    fn stereo_is_averaged() {
        let mut weights = Vec::new();
        let stereo = Position::FRONT_LEFT | Position::FRONT_RIGHT;
        of_layout(&Channels::Positioned(stereo), &mut weights);
        assert_eq!(weights, [1.0, 1.0]);
    }
}
