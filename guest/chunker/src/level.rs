//! Levels of soft recordings, raised to those of audible speech.
//!
//! Cutting tells pauses and digital silence by fixed levels, which soft speech would fall under. The
//! rule is the one by which the host amplifies what voice activity reads.

/// Level of the loudest second from which nothing is raised: -26 dB.
const AUDIBLE_LEVEL: f32 = 0.05;

/// Highest gain: 60 dB.
const MAX_GAIN: f32 = 1000.0;

/// Recordings below this level (-86 dB, 1.6 steps of 16 bits) are silence with dither.
const SILENCE_LEVEL: f32 = 5e-5;

/// Frames of the loudest second.
const LOUD_FRAMES: usize = 100;

/// Raises the levels of a soft recording; those of others stay as they are.
pub fn raise(levels: &mut [f32]) {
    let gain = gain(levels);
    if gain > 1.0 {
        for level in levels {
            *level *= gain;
        }
    }
}

/// What the loudest second (of clips under 10 s the loudest tenth, of clips over 2.8 h the loudest
/// hundredth) is to be multiplied by.
fn gain(levels: &[f32]) -> f32 {
    let rank = LOUD_FRAMES.min(levels.len() / 10).max(levels.len() / 100);
    let mut levels = levels.to_vec();
    if rank >= levels.len() {
        return 1.0;
    }
    let (_, level, _) = levels.select_nth_unstable_by(rank, |a, b| b.total_cmp(a));
    match *level {
        level if (SILENCE_LEVEL..AUDIBLE_LEVEL).contains(&level) => {
            (AUDIBLE_LEVEL / level).min(MAX_GAIN)
        }
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn soft_recordings_are_raised_and_others_are_not() {
        let speech: Vec<f32> = (0..500).map(|i| [0.3, 0.2, 0.001][i % 3]).collect();
        let mut loud = speech.clone();
        raise(&mut loud);
        assert_eq!(loud, speech);
        let mut soft: Vec<f32> = speech.iter().map(|level| level * 0.001).collect();
        raise(&mut soft);
        let most = soft.iter().copied().fold(0.0, f32::max);
        assert!((0.04..0.06).contains(&most), "{most}");
        for silent in [vec![], vec![0.0; 500], vec![3e-5; 500], vec![f32::NAN; 500]] {
            assert_eq!(gain(&silent), 1.0);
        }
    }
}
