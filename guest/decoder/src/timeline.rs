//! Places decoded audio at its presentation time.
//!
//! Owns the position of the output. Audio that starts later than the output has come so far is
//! preceded by silence: a track that starts late, lost packets, damage, discontinuous transmission.
//! Audio is never dropped here, except before the start of the file: stamps that lag behind are
//! caught up with at the next gap, and stamps that jump back (joined files) continue at the end.
//!
//! Gaps follow ffmpeg's `aresample=async=1`: 100 ms are filled at once. Less is filled when it lasts,
//! because live recorders stamp packets with some jitter. The length of the silence is not limited
//! here: it goes out in pieces, and the sink counts it like all audio.

use crate::codec::Decoded;
use crate::out::{Out, Refusal};

const NS_PER_SEC: i64 = 1_000_000_000;

/// A gap that is filled at once (`min_hard_comp` of ffmpeg's resampler).
const FILLED_AT_ONCE_NS: i64 = NS_PER_SEC / 10;

/// A gap that is filled when it has lasted for [`LASTING_NS`] of audio. Stamps in milliseconds and
/// blocks of a few of them make up to 10 ms.
const FILLED_LATER_NS: i64 = NS_PER_SEC / 50;
const LASTING_NS: i64 = NS_PER_SEC;

/// A step back of the stamps that begins another timeline.
const STEP_BACK_NS: i64 = NS_PER_SEC;

/// Longest gap that is believed of a file that does not declare its duration.
const MAX_GAP_NS: i64 = 3_600 * NS_PER_SEC;

/// Tolerated excess over the declared duration, in addition to a tenth of it.
const EXCESS_NS: i64 = 2 * NS_PER_SEC;

/// Silence of at least this length goes out at [`SILENCE_RATE_HZ`], the rate of clips: it needs no
/// resampling there.
const LONG_SILENCE_NS: i64 = NS_PER_SEC;
const SILENCE_RATE_HZ: u32 = 16_000;

/// `ticks` of `1 / per_sec` seconds in nanoseconds.
pub(crate) fn ticks_to_ns(ticks: i64, per_sec: u32) -> i64 {
    let ns = i128::from(ticks) * i128::from(NS_PER_SEC) / i128::from(per_sec.max(1));
    i64::try_from(ns).unwrap_or(if ticks < 0 { i64::MIN } else { i64::MAX })
}

/// Frames at `rate_hz` in `ns` nanoseconds, to the nearest; none of a negative time.
pub(crate) fn ns_to_frames(ns: i64, rate_hz: u32) -> u64 {
    let scaled = i128::from(ns.max(0)) * i128::from(rate_hz) + i128::from(NS_PER_SEC / 2);
    u64::try_from(scaled / i128::from(NS_PER_SEC)).unwrap_or(u64::MAX)
}

/// A position that is counted in frames of a rate, which may change.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clock {
    /// Position of the last change of rate.
    base_ns: i64,
    frames: u64,
    rate_hz: u32,
}

impl Clock {
    pub(crate) fn at_ns(&self) -> i64 {
        let frames = i64::try_from(self.frames).unwrap_or(i64::MAX);
        self.base_ns
            .saturating_add(ticks_to_ns(frames, self.rate_hz))
    }

    pub(crate) fn advance(&mut self, frames: u64, rate_hz: u32) {
        if rate_hz != self.rate_hz {
            self.base_ns = self.at_ns();
            self.frames = 0;
            self.rate_hz = rate_hz;
        }
        self.frames = self.frames.saturating_add(frames);
    }

    /// Takes back frames of the rate that came last.
    pub(crate) fn retreat(&mut self, frames: u64, rate_hz: u32) {
        if rate_hz == self.rate_hz {
            self.frames = self.frames.saturating_sub(frames);
        }
    }
}

/// Where the audio that comes next belongs, and where the output stands.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    /// Stamp at which the file starts; that of the first audio until it is known.
    origin_ns: Option<i64>,
    /// Duration that the file declares.
    declared_ns: Option<i64>,
    /// Added to stamps since one was not believed.
    shift_ns: i64,
    output: Clock,
    lag: Option<Lag>,
}

/// A small gap that may last.
#[derive(Clone, Copy, Debug)]
struct Lag {
    since_ns: i64,
    least_ns: i64,
}

impl Timeline {
    /// The timeline of a file that starts at the stamp `origin_ns`.
    pub(crate) fn starting_at(origin_ns: i64) -> Self {
        Self {
            origin_ns: Some(origin_ns),
            ..Self::default()
        }
    }

    /// Starts the file at the stamp `origin_ns`, before its first audio.
    pub(crate) fn start(&mut self, origin_ns: i64) {
        self.origin_ns.get_or_insert(origin_ns);
    }

    /// Stamps beyond this duration are taken for damage.
    pub(crate) fn declare(&mut self, duration_ns: i64) {
        self.declared_ns = Some(duration_ns).filter(|ns| *ns > 0);
    }

    /// Begins anew at the end of what came: the next stamp is that of the output's position.
    pub(crate) fn chain(&mut self) {
        *self = Self {
            shift_ns: self.output.at_ns(),
            output: self.output,
            ..Self::default()
        };
    }

    /// Puts `decoded`, which is heard from the stamp `start_ns` on, into `out`.
    pub(crate) fn place(
        &mut self,
        start_ns: i64,
        decoded: &Decoded,
        out: &mut Out<'_>,
    ) -> Result<(), Refusal> {
        let Decoded {
            samples,
            weights,
            rate_hz,
            ..
        } = decoded;
        // Asks for the layout, before there is silence in it.
        out.push(&[], weights, *rate_hz)?;
        if decoded.frames() == 0 {
            return Ok(());
        }
        let origin_ns = *self.origin_ns.get_or_insert(start_ns);
        let at_ns = start_ns
            .saturating_sub(origin_ns)
            .saturating_add(self.shift_ns);
        let early = match self.output.at_ns() {
            0 => ns_to_frames(at_ns.saturating_neg(), *rate_hz).min(decoded.frames()),
            _ => 0,
        };
        let early_samples = usize::try_from(early).unwrap_or(usize::MAX) * weights.len();
        let samples = samples.get(early_samples..).unwrap_or_default();
        if samples.is_empty() {
            return Ok(());
        }
        let gap_ns = self.gap_ns(if early > 0 { 0 } else { at_ns });
        self.fill(gap_ns, weights, *rate_hz, out)?;
        out.push(samples, weights, *rate_hz)?;
        self.output.advance(decoded.frames() - early, *rate_hz);
        Ok(())
    }

    /// The silence that is due before audio of the position `at_ns`.
    fn gap_ns(&mut self, at_ns: i64) -> i64 {
        let gap_ns = at_ns.saturating_sub(self.output.at_ns());
        if gap_ns < -STEP_BACK_NS || self.is_beyond(at_ns, gap_ns) {
            self.shift_ns = self.shift_ns.saturating_sub(gap_ns);
            self.lag = None;
            return 0;
        }
        if !(FILLED_LATER_NS..FILLED_AT_ONCE_NS).contains(&gap_ns) {
            self.lag = None;
            return if gap_ns < FILLED_LATER_NS { 0 } else { gap_ns };
        }
        let now_ns = self.output.at_ns();
        let lag = self.lag.get_or_insert(Lag {
            since_ns: now_ns,
            least_ns: gap_ns,
        });
        lag.least_ns = lag.least_ns.min(gap_ns);
        let lag = *lag;
        if now_ns - lag.since_ns < LASTING_NS {
            return 0;
        }
        self.lag = None;
        lag.least_ns
    }

    /// Whether a stamp is damage rather than a gap.
    fn is_beyond(&self, at_ns: i64, gap_ns: i64) -> bool {
        match self.declared_ns {
            Some(ns) => at_ns > ns.saturating_add(ns / 10).saturating_add(EXCESS_NS),
            None => gap_ns > MAX_GAP_NS,
        }
    }

    fn fill(
        &mut self,
        gap_ns: i64,
        weights: &[f32],
        rate_hz: u32,
        out: &mut Out<'_>,
    ) -> Result<(), Refusal> {
        let rate_hz = match gap_ns {
            LONG_SILENCE_NS.. => SILENCE_RATE_HZ,
            _ => rate_hz,
        };
        let frames = ns_to_frames(gap_ns, rate_hz);
        if frames > 0 {
            out.silence(frames, weights, rate_hz)?;
            self.output.advance(frames, rate_hz);
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use crate::out::Sink;

    /// Collects mono at one rate.
    #[derive(Default)]
    struct Collected(Vec<f32>);

    impl Sink for Collected {
        fn push(&mut self, samples: &[f32], _: &[f32], rate_hz: u32) -> Result<(), Refusal> {
            assert_eq!(rate_hz, 16_000);
            self.0.extend_from_slice(samples);
            Ok(())
        }
    }

    /// Places blocks of 100 ms at these milliseconds; where each ended up, in milliseconds.
    fn placed(mut timeline: Timeline, stamps_ms: &[i64]) -> Vec<i64> {
        let mut sink = Collected::default();
        let mut out = Out::new(&mut sink);
        for (number, ms) in stamps_ms.iter().enumerate() {
            let decoded = Decoded {
                samples: vec![number as f32 + 1.0; 1_600],
                weights: vec![1.0],
                rate_hz: 16_000,
                skipped: 0,
            };
            let start_ns = ms * 1_000_000;
            timeline.place(start_ns, &decoded, &mut out).unwrap();
        }
        out.flush().unwrap();
        let position = |number: usize| {
            let value = number as f32 + 1.0;
            let found = sink.0.iter().position(|sample| *sample == value);
            found.map_or(-1, |at| at as i64 / 16)
        };
        (0..stamps_ms.len()).map(position).collect()
    }

    #[test]
    fn late_starts_and_gaps_become_silence() {
        let from_zero = Timeline::starting_at(0);
        assert_eq!(placed(from_zero, &[4_900, 5_000]), [4_900, 5_000]);
        // Without anything before it the first audio is the start.
        let alone = Timeline::default();
        assert_eq!(placed(alone, &[700, 800, 3_000]), [0, 100, 2_300]);
    }

    #[test]
    fn audio_before_the_start_is_dropped() {
        let timeline = Timeline::starting_at(0);
        assert_eq!(placed(timeline, &[-130, -30, 70]), [-1, 0, 70]);
    }

    #[test]
    fn jitter_is_left_alone_and_a_lasting_lag_is_filled() {
        let jitter: Vec<i64> = (0..20).map(|n| n * 100 + n % 2 * 60).collect();
        let even: Vec<i64> = (0..20).map(|n| n * 100).collect();
        assert_eq!(placed(Timeline::default(), &jitter), even);
        let lag: Vec<i64> = (0..20).map(|n| n * 100 + n.min(1) * 40).collect();
        let filled = placed(Timeline::default(), &lag);
        assert_eq!(filled[5], 500);
        assert_eq!(filled[19], 1_940);
    }

    #[test]
    fn stamps_that_jump_back_or_beyond_the_end_are_not_believed() {
        let back = placed(Timeline::default(), &[0, 5_000, 0, 100]);
        assert_eq!(back, [0, 5_000, 5_100, 5_200]);
        let mut declared = Timeline::default();
        declared.declare(3 * NS_PER_SEC);
        assert_eq!(
            placed(declared, &[0, 60_000, 60_100, 200]),
            [0, 100, 200, 300]
        );
        let hours = placed(Timeline::default(), &[0, 4_000_000]);
        assert_eq!(hours, [0, 100]);
    }

    #[test]
    fn a_chained_stream_continues_at_the_end() {
        let mut timeline = Timeline::starting_at(0);
        timeline.output.advance(16_000, 16_000);
        timeline.chain();
        let mut sink = Collected::default();
        let mut out = Out::new(&mut sink);
        let decoded = Decoded {
            samples: vec![0.5; 160],
            weights: vec![1.0],
            rate_hz: 16_000,
            skipped: 0,
        };
        timeline.place(77 * NS_PER_SEC, &decoded, &mut out).unwrap();
        assert_eq!(timeline.output.at_ns(), NS_PER_SEC + NS_PER_SEC / 100);
    }

    #[test]
    fn no_stamp_overflows() {
        for stamp in [i64::MIN, i64::MIN + 1, -1, i64::MAX] {
            for origin in [i64::MIN, 0, i64::MAX] {
                let mut timeline = Timeline::starting_at(origin);
                timeline.output.advance(1, 16_000);
                let gap = timeline.gap_ns(stamp.saturating_sub(origin));
                assert!(gap <= MAX_GAP_NS, "{gap}");
            }
        }
    }
}
