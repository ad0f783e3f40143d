//! Decodes the packets of one track and places what they become on the timeline.
//!
//! A damaged packet is left out, and its time is filled by the timeline. Runs of packets without
//! audio are bounded: a container may claim four billion packets of no bytes, and each costs time.

use symphonia::core::packet::Packet;

use crate::codec::{Decoded, Decoder};
use crate::error::DecodeError;
use crate::out::{Out, Refusal};
use crate::timeline::Timeline;

/// Packets in a row that may fail or hold nothing. Real damage is a few, or some seconds of them:
/// 10,000 are 26 s of the shortest.
const MAX_BARREN_PACKETS: u32 = 10_000;

/// One track on its way.
pub(crate) struct Player<'o, 's> {
    decoder: Decoder,
    pub(crate) timeline: Timeline,
    decoded: Decoded,
    out: &'o mut Out<'s>,
    first_failure: Option<&'static str>,
    barren: u32,
}

impl<'o, 's> Player<'o, 's> {
    pub(crate) fn new(decoder: Decoder, timeline: Timeline, out: &'o mut Out<'s>) -> Self {
        Self {
            decoder,
            timeline,
            decoded: Decoded::default(),
            out,
            first_failure: None,
            barren: 0,
        }
    }

    /// Goes on with another decoder.
    pub(crate) fn change(&mut self, decoder: Decoder) {
        self.decoder = decoder;
        self.barren += 1;
    }

    /// Forgets earlier packets.
    pub(crate) fn reset(&mut self) {
        self.decoder.reset();
    }

    /// Decodes a packet; whether it held audio, which is to be placed.
    pub(crate) fn decode(&mut self, packet: &Packet) -> Result<bool, DecodeError> {
        match self.decoder.decode(packet, &mut self.decoded) {
            Ok(()) if self.decoded.samples.is_empty() => {
                self.barren += 1;
                // Reports an unsupported layout even without samples.
                self.place(0)?;
                Ok(false)
            }
            Ok(()) => Ok(true),
            Err(reason) => {
                self.note(reason);
                Ok(false)
            }
        }
    }

    /// What the last packet became.
    pub(crate) fn decoded(&mut self) -> &mut Decoded {
        &mut self.decoded
    }

    /// Places what the last packet became, from the stamp `start_ns` on.
    pub(crate) fn place(&mut self, start_ns: i64) -> Result<(), DecodeError> {
        match self.timeline.place(start_ns, &self.decoded, self.out) {
            Ok(()) => {
                if !self.decoded.samples.is_empty() {
                    self.barren = 0;
                }
                Ok(())
            }
            // A flipped bit in a frame's header must not cost the rest of the file.
            Err(Refusal::Unfit(_)) if !self.out.is_empty() => {
                self.note("its layout changes");
                Ok(())
            }
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// Notes that a packet failed.
    pub(crate) fn note(&mut self, reason: &'static str) {
        self.barren += 1;
        self.first_failure.get_or_insert(reason);
    }

    /// Notes that the file lacks a packet; whether to go on.
    pub(crate) fn note_missing(&mut self) -> bool {
        self.note("it ends too early");
        !self.is_hopeless()
    }

    /// Whether too many packets in a row held nothing.
    pub(crate) fn is_hopeless(&self) -> bool {
        self.barren > MAX_BARREN_PACKETS
    }

    /// The end: an error, if there was no audio and a reason why.
    pub(crate) fn finish(self) -> Result<(), DecodeError> {
        match self.first_failure {
            Some(reason) if self.out.is_empty() => Err(DecodeError::undecodable(reason)),
            _ => Ok(()),
        }
    }
}
