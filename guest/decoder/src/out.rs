//! Decoded samples on their way out, in pieces of a useful size.

/// Samples that are gathered before they go out: a crossing of the sandbox's border costs as much
/// as decoding some dozens of them.
const PIECE_SAMPLES: usize = 32 * 1024;

/// Why samples were not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Nobody takes this many channels or this rate; the text is for the client.
    Unfit(String),
    /// No more is wanted.
    Stopped,
}

/// Takes samples.
pub trait Sink {
    /// Takes interleaved samples of as many channels as there are `weights`: how much of each goes
    /// into the mix. No samples at all ask whether such would be taken.
    ///
    /// # Errors
    /// [`Refusal`].
    fn push(&mut self, interleaved: &[f32], weights: &[f32], rate_hz: u32) -> Result<(), Refusal>;
}

/// What is decoded and not gone out.
pub(crate) struct Out<'a> {
    sink: &'a mut dyn Sink,
    samples: Vec<f32>,
    weights: Vec<f32>,
    rate_hz: u32,
    /// Whether the sink was asked for this layout and rate.
    asked: bool,
    is_empty: bool,
}

impl<'a> Out<'a> {
    pub(crate) fn new(sink: &'a mut dyn Sink) -> Self {
        Self {
            sink,
            samples: Vec::with_capacity(2 * PIECE_SAMPLES),
            weights: Vec::new(),
            rate_hz: 0,
            asked: false,
            is_empty: true,
        }
    }

    /// Whether no sample has come.
    pub(crate) fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// Adds interleaved samples, which may be of another layout or rate than those before.
    pub(crate) fn push(
        &mut self,
        interleaved: &[f32],
        weights: &[f32],
        rate_hz: u32,
    ) -> Result<(), Refusal> {
        if !self.asked || self.rate_hz != rate_hz || self.weights != weights {
            self.sink.push(&[], weights, rate_hz)?;
            self.asked = true;
            self.flush()?;
            self.weights = weights.to_vec();
            self.rate_hz = rate_hz;
        }
        self.is_empty &= interleaved.is_empty();
        self.samples.extend_from_slice(interleaved);
        if self.samples.len() >= PIECE_SAMPLES {
            self.flush()?;
        }
        Ok(())
    }

    /// Adds `frames` frames of silence, a piece at a time.
    pub(crate) fn silence(
        &mut self,
        frames: u64,
        weights: &[f32],
        rate_hz: u32,
    ) -> Result<(), Refusal> {
        let channels = weights.len().max(1);
        let zeros = vec![0.0; PIECE_SAMPLES / channels * channels];
        let mut left = frames.saturating_mul(channels as u64);
        while left > 0 {
            let length = usize::try_from(left).map_or(zeros.len(), |left| left.min(zeros.len()));
            self.push(zeros.get(..length).unwrap_or_default(), weights, rate_hz)?;
            left -= length as u64;
        }
        Ok(())
    }

    /// Lets out what waits.
    pub(crate) fn flush(&mut self) -> Result<(), Refusal> {
        if !self.samples.is_empty() {
            self.sink.push(&self.samples, &self.weights, self.rate_hz)?;
            self.samples.clear();
        }
        Ok(())
    }
}
