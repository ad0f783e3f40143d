//! Channels become one.
//!
//! The mix is the weighted mean, as everywhere. Where channels cancel each other in it (one of them
//! with inverted polarity), the mix would be nearly silent and the speech lost. Therefore the energy of
//! the mix is compared with that of its channels, in blocks of 20 ms; where nearly all of it is lost,
//! the loudest channel replaces the mix. Only proportions count, so that soft recordings are treated
//! like loud ones. Without cancellation every sample is the mean, bit for bit.
//!
//! # Limits
//! Energies are those of all frequencies together: a voice that cancels itself under music that does
//! not is lost.

/// Blocks per second.
const BLOCKS_PER_SEC: usize = 50;

/// The energy of a mix, in proportion to what unrelated channels would have in it (1 for those, 0
/// where all is cancelled), below which a channel replaces it: -7 dB, a correlation of -0.8.
const CANCELLED: f64 = 0.2;

/// The same of a single block, for which chance has to be allowed for.
const CANCELLED_AT_ONCE: f64 = 0.02;

/// Above this the mix is heard again.
const RESTORED: f64 = 0.4;

/// What each block leaves of the energies before it: half of them after 140 ms.
const MEMORY: f64 = 0.9;

/// How much louder another channel must have become to take over: 6 dB.
const LOUDER: f64 = 4.0;

/// The part of a block in which one source gives way to another: 5 ms.
const FADE_DIVISOR: usize = 4;

/// What is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Mean,
    Channel(usize),
}

/// Mixes interleaved channels, which come in pieces of any size.
#[derive(Default)]
pub(crate) struct Mixer {
    /// The part of the mix that each channel is.
    shares: Vec<f32>,
    /// Samples that do not fill a block yet.
    pending: Vec<f32>,
    block_samples: usize,
    source: Option<Source>,
    /// Energies so far: of the mix, and of each channel's part in it.
    mixed: f64,
    parts: Vec<f64>,
    /// Sums of each channel in the current block, and of squares.
    sums: Vec<(f64, f64)>,
}

impl Mixer {
    /// Takes samples of this layout; what is left of another one is mixed first.
    pub(crate) fn push(
        &mut self,
        interleaved: &[f32],
        shares: &[f32],
        rate_hz: u32,
        out: &mut Vec<f32>,
    ) {
        let channels = shares.len().max(1);
        let block_samples = (rate_hz as usize / BLOCKS_PER_SEC).max(1) * channels;
        if self.shares != shares || self.block_samples != block_samples {
            self.finish(out);
            *self = Self {
                shares: shares.to_vec(),
                block_samples,
                pending: std::mem::take(&mut self.pending),
                ..Self::default()
            };
        }
        let whole = interleaved.len() - interleaved.len() % channels;
        let mut rest = interleaved.get(..whole).unwrap_or_default();
        if channels == 1 {
            out.extend(rest.iter().map(|sample| finite(*sample).clamp(-1.0, 1.0)));
            return;
        }
        if !self.pending.is_empty() {
            let missing = block_samples.saturating_sub(self.pending.len());
            let (front, behind) = rest.split_at(missing.min(rest.len()));
            self.pending.extend_from_slice(front);
            rest = behind;
            if self.pending.len() < block_samples {
                return;
            }
            self.finish(out);
        }
        let mut blocks = rest.chunks_exact(block_samples);
        for block in &mut blocks {
            self.mix(block, out);
        }
        self.pending.extend_from_slice(blocks.remainder());
    }

    /// Mixes what does not fill a block.
    pub(crate) fn finish(&mut self, out: &mut Vec<f32>) {
        let pending = std::mem::take(&mut self.pending);
        if !pending.is_empty() {
            self.mix(&pending, out);
        }
        self.pending = pending;
        self.pending.clear();
    }

    /// Appends the mix of one block, finite and within -1.0..=1.0: one NaN would spoil a whole chunk
    /// of the resampler.
    fn mix(&mut self, block: &[f32], out: &mut Vec<f32>) {
        let channels = self.shares.len().max(1);
        let start = out.len();
        let (mut sum, mut squares) = (0.0, 0.0);
        self.sums.clear();
        self.sums.resize(channels, (0.0, 0.0));
        out.extend(block.chunks_exact(channels).map(|frame| {
            let parts = frame.iter().zip(&self.shares).zip(&mut self.sums);
            let mean: f32 = parts
                .map(|((sample, share), (sum, squares))| {
                    let part = finite(*sample) * share;
                    *sum += f64::from(part);
                    *squares += f64::from(part) * f64::from(part);
                    part
                })
                .sum();
            let mean = finite(mean);
            sum += f64::from(mean);
            squares += f64::from(mean) * f64::from(mean);
            mean.clamp(-1.0, 1.0)
        }));
        let before = self.source.unwrap_or(Source::Mean);
        let frames = (block.len() / channels) as f64;
        let now = self.choose(before, energy(sum, squares, frames), frames);
        if (before, now) != (Source::Mean, Source::Mean) {
            // The first block has nothing to fade from.
            let from = if self.source.is_none() { now } else { before };
            let mixed = out.get_mut(start..).unwrap_or_default();
            replace(mixed, block, channels, from, now);
        }
        self.source = Some(now);
    }

    /// What is heard of a block whose mix has the energy `mixed`.
    fn choose(&mut self, before: Source, mixed: f64, frames: f64) -> Source {
        let own = self
            .sums
            .iter()
            .map(|(sum, squares)| energy(*sum, *squares, frames));
        let unrelated: f64 = own.clone().sum();
        // Silence says nothing.
        if unrelated <= 0.0 {
            return before;
        }
        self.parts.resize(self.sums.len(), 0.0);
        let mut loudest = (0.0, 0);
        for (channel, (energy, part)) in own.zip(&mut self.parts).enumerate() {
            *part = *part * MEMORY + energy;
            if *part > loudest.0 {
                loudest = (*part, channel);
            }
        }
        self.mixed = self.mixed * MEMORY + mixed;
        let lasting = self.mixed / self.parts.iter().sum::<f64>();
        let is_cancelled = match before {
            Source::Mean => lasting < CANCELLED || mixed / unrelated < CANCELLED_AT_ONCE,
            Source::Channel(_) => lasting < RESTORED,
        };
        if before == Source::Mean && is_cancelled {
            // What came before the channels were inverted must not end it at once.
            self.mixed = mixed;
            let own = self
                .sums
                .iter()
                .map(|(sum, squares)| energy(*sum, *squares, frames));
            self.parts.clear();
            self.parts.extend(own);
        }
        match before {
            _ if !is_cancelled => Source::Mean,
            Source::Channel(channel) => {
                let own = self.parts.get(channel).copied().unwrap_or(0.0);
                match loudest.0 > own * LOUDER {
                    true => Source::Channel(loudest.1),
                    false => before,
                }
            }
            Source::Mean => Source::Channel(loudest.1),
        }
    }
}

/// Energy without its constant part, which cheap hardware adds to all channels alike.
fn energy(sum: f64, squares: f64, frames: f64) -> f64 {
    (squares - sum * sum / frames.max(1.0)).max(0.0)
}

/// Puts one source in place of the mean, fading from another.
fn replace(mixed: &mut [f32], block: &[f32], channels: usize, from: Source, to: Source) {
    let fade = (mixed.len() / FADE_DIVISOR).max(1);
    let frames = mixed.iter_mut().zip(block.chunks_exact(channels));
    for (index, (mean, frame)) in frames.enumerate() {
        let of = |source: Source| match source {
            Source::Mean => *mean,
            Source::Channel(channel) => {
                let sample = frame.get(channel).copied().unwrap_or(0.0);
                finite(sample).clamp(-1.0, 1.0)
            }
        };
        *mean = match index < fade && from != to {
            true => {
                let progress = (index + 1) as f32 / (fade + 1) as f32;
                of(from) * (1.0 - progress) + of(to) * progress
            }
            false => of(to),
        };
    }
}

fn finite(sample: f32) -> f32 {
    if sample.is_finite() { sample } else { 0.0 }
}
