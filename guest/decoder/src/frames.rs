//! MPEG audio and ADTS: finds the frames of a stream that has no container.
//!
//! Such a stream has no times either. What frames there are is counted, and what lies between them
//! in place of frames (damage, bytes that were overwritten) lasts as long as the frames that fitted
//! there: exactly at a constant bit rate, else by the table of contents of a Xing header, else by the
//! mean frame. Tags and the headers of joined files last no time. One frame is accepted where it is
//! expected; anywhere else it takes several in a row, so that damage is not taken for sound.
//!
//! Holds some [`AHEAD_BYTES`] of the file, and the last [`HELD_PACKETS`] frames, which may be padding.

use std::collections::VecDeque;
use std::io::Read;

use symphonia::core::audio::{Channels, Position};
use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::codecs::audio::well_known as id;
use symphonia::core::packet::Packet;
use symphonia::core::units::{Duration, Timestamp};

use crate::error::DecodeError;
use crate::sniff::mpeg::{self, Frame, Shape};
use crate::sniff::{Format, tag_bytes};
use crate::timeline::Clock;
use crate::window::Window;

mod info;

use self::info::Info;

/// Bytes that are looked at: four ADTS frames of 8 KiB.
const AHEAD_BYTES: usize = 32 * 1024;

/// Frames that are held back: an encoder pads less than four.
const HELD_PACKETS: usize = 4;

/// A piece of the stream.
pub(crate) enum Piece {
    /// Another kind of frames begins, which these describe.
    Codec(Box<AudioCodecParameters>),
    /// Earlier frames are missing: the next does not continue them.
    Break,
    /// A frame that is heard from this time on.
    Packet(Packet, i64),
}

/// The frames of a stream.
pub(crate) struct Frames<R> {
    window: Window<R>,
    held: VecDeque<Piece>,
    clock: Clock,
    shape: Option<Shape>,
    /// Bytes since the last frame that are not frames.
    lost_bytes: u64,
    part: Part,
    /// Of all frames so far, for their mean.
    frame_bytes: u64,
    frames: u64,
    /// Bit rate of all frames so far; `None` where it varies.
    kbit: Option<u32>,
}

/// One of the files that the stream was joined of; most are one.
#[derive(Default)]
struct Part {
    info: Option<Info>,
    start_byte: u64,
    /// Frames of the part so far, including missing ones.
    frames: u64,
    /// Samples of encoder delay that are still to be dropped.
    delay: u32,
}

impl<R: Read> Frames<R> {
    pub(crate) fn new(input: R) -> Self {
        Self {
            window: Window::new(input),
            held: VecDeque::new(),
            clock: Clock::default(),
            shape: None,
            lost_bytes: 0,
            part: Part::default(),
            frame_bytes: 0,
            frames: 0,
            kbit: None,
        }
    }

    /// The next piece; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Piece>, DecodeError> {
        while self.held.len() <= HELD_PACKETS && self.advance()? {}
        Ok(self.held.pop_front())
    }

    /// Reads one frame, tag or stretch of damage; whether there was any.
    fn advance(&mut self) -> Result<bool, DecodeError> {
        let rest = self.window.peek(AHEAD_BYTES)?;
        if rest.is_empty() {
            self.end_part();
            return Ok(false);
        }
        // Tags stand where a frame is expected: inside of damage their names mean nothing.
        if self.lost_bytes == 0
            && let Some(bytes) = tag_bytes(rest)
        {
            self.window.pass(bytes)?;
            return Ok(true);
        }
        let rest = self.window.ahead();
        match mpeg::parse(rest).filter(|frame| frame.len_bytes <= rest.len()) {
            Some(frame) if self.accepts(frame, rest) => self.take(frame)?,
            _ => {
                let next = rest.iter().skip(1).position(|byte| *byte == 0xFF);
                let lost = next.map_or(rest.len(), |at| at + 1) as u64;
                self.lost_bytes += lost;
                self.window.pass(lost)?;
            }
        }
        Ok(true)
    }

    fn accepts(&self, frame: Frame, rest: &[u8]) -> bool {
        match self.shape {
            // The sniffer has looked at the first one.
            None => self.lost_bytes == 0 || mpeg::is_run(rest, frame),
            Some(shape) => {
                (self.lost_bytes == 0 && shape == frame.shape) || mpeg::is_run(rest, frame)
            }
        }
    }

    fn take(&mut self, frame: Frame) -> Result<(), DecodeError> {
        let data = self.window.ahead().get(..frame.len_bytes);
        let data = data.unwrap_or_default().to_vec();
        let start_byte = self.window.position();
        self.window.pass(frame.len_bytes as u64)?;
        if self.shape != Some(frame.shape) {
            self.end_part();
            self.shape = Some(frame.shape);
            self.part = Part {
                start_byte,
                ..Part::default()
            };
            self.lost_bytes = 0;
            (self.frames, self.frame_bytes, self.kbit) = (0, 0, Some(frame.kbit));
            self.held
                .push_back(Piece::Codec(Box::new(codec(frame.shape))));
        }
        if let Some(info) = Info::parse(&data, frame) {
            self.end_part();
            self.part = Part {
                start_byte,
                delay: info.delay,
                info: Some(info),
                frames: 0,
            };
            self.lost_bytes = 0;
            return Ok(());
        }
        if self.lost_bytes > 0 {
            self.miss(start_byte, frame);
        }
        self.kbit = self.kbit.filter(|kbit| *kbit == frame.kbit);
        self.frames += 1;
        self.frame_bytes += frame.len_bytes as u64;
        self.push(frame, &data);
        Ok(())
    }

    /// Lets the time of the bytes between the last frame and this one pass.
    fn miss(&mut self, start_byte: u64, frame: Frame) {
        let lost = std::mem::take(&mut self.lost_bytes);
        let missing = self.missing_frames(lost, start_byte, frame);
        self.held.push_back(Piece::Break);
        self.part.frames += missing;
        let samples = missing.saturating_mul(u64::from(frame.samples));
        self.clock.advance(samples, frame.shape.rate_hz);
    }

    fn missing_frames(&self, lost: u64, start_byte: u64, frame: Frame) -> u64 {
        // What precedes the first frame is junk.
        if self.frames == 0 {
            return 0;
        }
        let bytes = match self.kbit.filter(|kbit| *kbit > 0) {
            Some(kbit) => {
                let bits = f64::from(kbit) * 1000.0 * f64::from(frame.samples);
                bits / 8.0 / f64::from(frame.shape.rate_hz)
            }
            None => {
                let offset = start_byte - self.part.start_byte;
                let info = self.part.info.as_ref();
                let listed =
                    info.and_then(|it| it.frames_between(offset.saturating_sub(lost), offset));
                if let Some(frames) = listed {
                    return frames;
                }
                self.frame_bytes as f64 / self.frames as f64
            }
        };
        (lost as f64 / bytes.max(1.0)).round() as u64
    }

    fn push(&mut self, frame: Frame, data: &[u8]) {
        let skipped = self.part.delay.min(frame.samples);
        self.part.delay -= skipped;
        self.part.frames += 1;
        let payload = data.get(frame.header_bytes..).unwrap_or_default();
        let start_ns = self.clock.at_ns();
        let kept = u64::from(frame.samples - skipped);
        let mut packet = Packet::new(0, Timestamp::ZERO, Duration::new(kept), payload);
        packet.trim_start = Duration::new(u64::from(skipped));
        self.clock.advance(kept, frame.shape.rate_hz);
        self.held.push_back(Piece::Packet(packet, start_ns));
    }

    /// Takes the padding off the last frames of a part, if it is whole.
    fn end_part(&mut self) {
        let part = std::mem::take(&mut self.part);
        let Some(info) = part
            .info
            .filter(|info| part.frames >= info.frames.unwrap_or(0))
        else {
            return;
        };
        let mut padding = u64::from(info.padding);
        let rate_hz = self.shape.map_or(0, |shape| shape.rate_hz);
        for piece in self.held.iter_mut().rev() {
            let Piece::Packet(packet, _) = piece else {
                break;
            };
            let trimmed = padding.min(packet.dur.get());
            packet.trim_end = Duration::new(trimmed);
            packet.dur = Duration::new(packet.dur.get() - trimmed);
            self.clock.retreat(trimmed, rate_hz);
            padding -= trimmed;
        }
    }
}

/// What a decoder must know of frames of this shape.
fn codec(shape: Shape) -> AudioCodecParameters {
    let mut params = AudioCodecParameters::new();
    let codec = match (shape.format, shape.layer) {
        (Format::Adts, _) => id::CODEC_ID_AAC,
        (_, 2) => id::CODEC_ID_MP2,
        _ => id::CODEC_ID_MP3,
    };
    params.for_codec(codec).with_sample_rate(shape.rate_hz);
    // The configuration 7 is that of 7.1.
    let channels = if shape.channels == 7 {
        8
    } else {
        shape.channels
    };
    if let Some(positions) = Position::from_count(u32::from(channels)).filter(|_| channels > 0) {
        params.with_channels(Channels::Positioned(positions));
    }
    params
}
