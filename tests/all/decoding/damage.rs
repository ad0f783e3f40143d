use std::time::{Duration, Instant};

use auricle_capability::MediaError;
use futures::{StreamExt, stream};

use super::{decode, files};

/// Mutations over all files together.
const MUTATIONS: usize = 5_000;

/// What a mutated file is cut to, so that thousands take a minute.
const MUTATED_BYTES: usize = 12_000;

/// A clip or a refusal that is the sender's fault, and nothing else; whether it was a clip.
fn sound(name: &str, outcome: &Result<auricle_speech::Clip, MediaError>) -> bool {
    match outcome {
        Ok(_) => true,
        Err(
            MediaError::Empty
            | MediaError::Unsupported(_)
            | MediaError::Undecodable(_)
            | MediaError::TooLong { .. },
        ) => false,
        Err(error) => panic!("{name}: {error:?}"),
    }
}

#[tokio::test]
async fn a_file_cut_anywhere_is_a_clip_or_a_refusal() {
    for (name, bytes) in files() {
        for cut in 0..12 {
            let front = bytes[..bytes.len() * cut / 12].to_vec();
            sound(&name, &decode(front, Duration::from_secs(60)).await);
        }
        for cut in [1, 3, 7, 11, 16, 40, 100] {
            let front = bytes[..cut.min(bytes.len())].to_vec();
            sound(&name, &decode(front, Duration::from_secs(60)).await);
        }
    }
}

/// SplitMix64: the same damage in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }

    /// Flips bits, overwrites, cuts out, doubles, or cuts off.
    fn damage(&mut self, bytes: &mut Vec<u8>) {
        // The front, where the headers are, is what decoders trust most.
        let reach = match self.below(2) {
            0 => bytes.len().min(600),
            _ => bytes.len(),
        };
        for _ in 0..=self.below(12) {
            let at = self.below(reach.min(bytes.len()));
            match self.below(8) {
                0 => bytes[at] = [0, 0xFF, 0x7F, 0x80][self.below(4)],
                1 => {
                    let end = bytes.len().min(at + 4);
                    bytes[at..end].fill([0, 0xFF][self.below(2)]);
                }
                2 if bytes.len() > 200 => {
                    let length = self.below(64).min(bytes.len() - at - 1);
                    bytes.drain(at..at + length);
                }
                3 => {
                    let end = bytes.len().min(at + self.below(64));
                    let piece = bytes[at..end].to_vec();
                    bytes.splice(at..at, piece);
                }
                _ => bytes[at] ^= 1 << self.below(8),
            }
        }
    }
}

#[tokio::test]
async fn five_thousand_mutations_are_clips_or_refusals() {
    let mut files = files();
    for (name, bytes) in &mut files {
        // An MP4 has its index at its end, and needs it.
        if !name.ends_with(".mp4") && !name.ends_with(".m4a") {
            bytes.truncate(MUTATED_BYTES);
        }
    }
    let (began, mut random) = (Instant::now(), Random(20_261_124));
    let damaged: Vec<_> = (0..MUTATIONS)
        .map(|number| {
            let (name, bytes) = &files[number % files.len()];
            let mut bytes = bytes.clone();
            random.damage(&mut bytes);
            (name.as_str(), bytes)
        })
        .collect();
    let outcomes = stream::iter(damaged)
        .map(async |(name, bytes)| sound(name, &decode(bytes, Duration::from_secs(2)).await))
        .buffer_unordered(4)
        .collect::<Vec<_>>()
        .await;
    let clips = outcomes.iter().filter(|is_clip| **is_clip).count();
    println!(
        "{MUTATIONS} mutations of {} files: {clips} clips, {} refusals, {:.1} s",
        files.len(),
        MUTATIONS - clips,
        began.elapsed().as_secs_f64()
    );
    // Neither is everything refused, nor does damage go unseen.
    assert!(clips > MUTATIONS / 20 && clips < MUTATIONS);
}
