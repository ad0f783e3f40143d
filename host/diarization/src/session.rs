//! A diarization between its model calls.

use auricle_speech::{CancelFlag, Span, Turn};

use crate::assign::Heard;
use crate::cluster::{Group, Rule, cluster, normalised};
use crate::error::DiarizationError;
use crate::frames::{
    FRAME_STEP_SAMPLES, LOCAL_SPEAKERS, WINDOW_SAMPLES, Window, frames_of_secs, seen_by,
    window_starts,
};
use crate::options::{DiarizeOptions, KnownSpeaker, Tuning};
use crate::passages::{Passage, Run, passages, with_embeddings};
use crate::reconstruct::Evidence;

/// A sample below this (-80 dB of full scale) is silence; dither is not, nor is any room.
const SILENCE: f32 = 1e-4;

/// Whether there is no sound at all, so that no model need be asked.
#[must_use]
pub fn is_silent(samples: &[f32]) -> bool {
    samples.iter().all(|sample| sample.abs() < SILENCE)
}

/// A question to the speaker model: what does this stranger sound like?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoiceJob {
    /// The window in which the stranger was found.
    pub window: usize,
    /// Which of its strangers: 0..[`LOCAL_SPEAKERS`].
    pub local: usize,
    /// The sound, to be joined: in order, 0.2 s to 4 s together, inside the clip.
    pub spans: Vec<Span>,
    /// Frames in which the stranger speaks alone, also those that `spans` leaves out.
    frames: usize,
    /// The run of a passage; `None` for a voice.
    run: Option<Run>,
}

/// Somebody who speaks in the clip.
#[derive(Clone, Debug, PartialEq)]
pub struct Speaker {
    /// A known name, or `SPEAKER_00`, `SPEAKER_01`… in order of first appearance.
    pub label: String,
    /// The mean voice, of length 1; may serve as a [`KnownSpeaker`] of another clip. Empty for a
    /// third speaker who is heard only while others speak.
    pub embedding: Vec<f32>,
    /// How long they speak, overlaps counted.
    pub speech_secs: f64,
}

/// Who spoke when.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Diarized {
    /// In order of start. Turns of different speakers may overlap, those of one do not.
    pub turns: Vec<Turn>,
    /// In order of first appearance; each has a turn.
    pub speakers: Vec<Speaker>,
}

#[derive(Clone, Debug)]
struct Voice {
    window: usize,
    local: usize,
    frames: usize,
    embedding: Vec<f32>,
}

/// A diarization between its model calls: plain data that may wait in a queue or cross threads.
///
/// Windows may be segmented in any order and voices embedded in any order; the result does not
/// depend on it.
#[derive(Clone, Debug)]
pub struct Diarization {
    clip_samples: u64,
    starts: Vec<u64>,
    windows: Vec<Option<Window>>,
    voices: Vec<Voice>,
    /// Embeddings of passages, in order.
    passages: Vec<(Run, Vec<f32>)>,
}

impl Diarization {
    /// Begins with a clip (mono, 16 kHz) of so many samples.
    #[must_use]
    pub fn new(clip_samples: u64) -> Self {
        let starts = window_starts(clip_samples);
        Self {
            clip_samples,
            windows: vec![None; starts.len()],
            starts,
            voices: Vec::new(),
            passages: Vec::new(),
        }
    }

    /// Phase 1: the spans to segment, at most 10 s each. A shorter one is filled up with silence.
    #[must_use]
    pub fn windows(&self) -> Vec<Span> {
        let span = |start: &u64| Span {
            start: start * FRAME_STEP_SAMPLES,
            end: (start * FRAME_STEP_SAMPLES + WINDOW_SAMPLES).min(self.clip_samples),
        };
        self.starts.iter().map(span).collect()
    }

    /// Answers window `window` with the natural logarithms of the classes' probabilities:
    /// [`SEGMENT_CLASSES`](crate::SEGMENT_CLASSES) for each of [`WINDOW_FRAMES`](crate::WINDOW_FRAMES) frames.
    ///
    /// # Errors
    /// [`DiarizationError::WrongAnswer`] for another number of numbers;
    /// [`DiarizationError::Unasked`] for a window that there is not, or that was answered.
    pub fn segmented(
        &mut self,
        window: usize,
        log_probabilities: &[f32],
    ) -> Result<(), DiarizationError> {
        let (start, slot) = self.open_window(window)?;
        *slot = Some(Window::new(start, log_probabilities)?);
        Ok(())
    }

    /// Answers window `window` without a model: nobody speaks. See [`is_silent`].
    ///
    /// # Errors
    /// [`DiarizationError::Unasked`] as for [`Diarization::segmented`].
    pub fn silent(&mut self, window: usize) -> Result<(), DiarizationError> {
        let (start, slot) = self.open_window(window)?;
        *slot = Some(Window::silent(start));
        Ok(())
    }

    fn open_window(
        &mut self,
        window: usize,
    ) -> Result<(u64, &mut Option<Window>), DiarizationError> {
        match (self.starts.get(window), self.windows.get_mut(window)) {
            (Some(&start), Some(slot)) if slot.is_none() => Ok((start, slot)),
            _ => Err(DiarizationError::Unasked {
                question: "segmentation",
                window,
            }),
        }
    }

    /// Phase 2: the voices to embed of a segmented window; none of one that is not segmented yet.
    #[must_use]
    pub fn voices(&self, window: usize) -> Vec<VoiceJob> {
        let Some(Some(segmented)) = self.windows.get(window) else {
            return Vec::new();
        };
        let job = |local| {
            let (spans, frames) = segmented.voice(local, self.clip_samples)?;
            Some(VoiceJob {
                window,
                local,
                spans,
                frames,
                run: None,
            })
        };
        (0..LOCAL_SPEAKERS).filter_map(job).collect()
    }

    /// Phase 2, when all windows are segmented: the passages to embed, in addition to the voices. A
    /// passage is what a stranger says alone for at least 0.6 s without a pause.
    #[must_use]
    pub fn passages(&self) -> Vec<VoiceJob> {
        let windows = self.windows.iter().enumerate();
        let windows = windows.filter_map(|(index, window)| Some((index, window.as_ref()?)));
        let found = passages(windows, self.clip_samples);
        let job = |passage: Passage| {
            let run = *passage.runs.first()?;
            passage.voice.is_none().then(|| VoiceJob {
                window: run.window,
                local: run.local,
                spans: vec![passage.span],
                frames: run.end - run.start,
                run: Some(run),
            })
        };
        found.into_iter().filter_map(job).collect()
    }

    /// Answers a question of [`Diarization::voices`] or [`Diarization::passages`] with an embedding
    /// of any length but 0. Questions that are not answered are left out.
    ///
    /// # Errors
    /// [`DiarizationError::WrongAnswer`] when the embedding is empty or not as long as those before;
    /// [`DiarizationError::Unasked`] when it was answered already.
    pub fn embedded(&mut self, job: &VoiceJob, embedding: &[f32]) -> Result<(), DiarizationError> {
        let voices = self.voices.iter().map(|voice| &voice.embedding);
        let mut others = voices.chain(self.passages.iter().map(|passage| &passage.1));
        let expected = others.next().map(Vec::len);
        if embedding.len() != expected.unwrap_or(embedding.len().max(2)) {
            return Err(DiarizationError::WrongAnswer {
                model: "speaker",
                found: embedding.len(),
                expected: expected.unwrap_or(1),
            });
        }
        let embedding = normalised(embedding);
        let is_new = job.window < self.windows.len()
            && match job.run {
                Some(run) => insert(&mut self.passages, (run, embedding), |(run, _)| run.key()),
                None => {
                    let voice = Voice {
                        window: job.window,
                        local: job.local,
                        frames: job.frames,
                        embedding,
                    };
                    insert(&mut self.voices, voice, |v| (v.window, v.local))
                }
            };
        is_new.then_some(()).ok_or(DiarizationError::Unasked {
            question: "voice",
            window: job.window,
        })
    }

    /// Phase 3: who spoke when. Takes some 0.1 s an hour of audio.
    ///
    /// # Errors
    /// [`DiarizationError::Unfinished`] when a window was not segmented;
    /// [`DiarizationError::InvalidOption`]; [`DiarizationError::WrongAnswer`] when a known
    /// speaker's voice has another length; [`DiarizationError::Cancelled`].
    pub fn finish(
        self,
        options: &DiarizeOptions,
        cancel: &CancelFlag,
    ) -> Result<Diarized, DiarizationError> {
        let speakers = options.speakers()?;
        let known = self.known(&options.known)?;
        let mut windows = Vec::with_capacity(self.windows.len());
        for (window, segmented) in self.windows.into_iter().enumerate() {
            windows.push(segmented.ok_or(DiarizationError::Unfinished { window })?);
        }
        let tuning = &options.tuning;
        let groups = groups(&windows, &self.starts, &self.voices, tuning.min_voice_secs);
        let rule = Rule {
            cosine: tuning.same_speaker_cosine,
            penalty: tuning.same_window_penalty,
            min_weight: min_weight(&groups, tuning),
            speakers,
        };
        let of_known =
            |(index, known): (usize, &KnownSpeaker)| Group::of_known(&known.embedding, index);
        let seeds = known.iter().enumerate().map(of_known).collect();
        let clustered = cluster(groups, seeds, rule, cancel)?;
        let heard: Vec<_> = self.voices.into_iter().map(Heard::from).collect();
        let evidence = Evidence {
            clip_samples: self.clip_samples,
            starts: &self.starts,
            windows: &windows,
            heard: &heard,
            passages: with_embeddings(&windows, self.clip_samples, &self.passages, &heard),
            known: &known,
            options,
        };
        evidence.with_enough_speakers(&clustered, speakers, cancel)
    }

    fn known(&self, known: &[KnownSpeaker]) -> Result<Vec<KnownSpeaker>, DiarizationError> {
        let expected = self.voices.first().map(|voice| voice.embedding.len());
        let mut out = Vec::with_capacity(known.len());
        for speaker in known {
            let found = speaker.embedding.len();
            if expected.is_some_and(|expected| expected != found) {
                return Err(DiarizationError::WrongAnswer {
                    model: "speaker",
                    found,
                    expected: expected.unwrap_or_default(),
                });
            }
            out.push(KnownSpeaker {
                name: speaker.name.clone(),
                embedding: normalised(&speaker.embedding),
            });
        }
        Ok(out)
    }
}

/// Inserts into a list in order; false when there is one with that key. Most answers come in
/// order, so the place is near the end.
fn insert<T, K: Ord>(list: &mut Vec<T>, value: T, key: impl Fn(&T) -> K) -> bool {
    let place = list.binary_search_by_key(&key(&value), key);
    if let Err(place) = place {
        list.insert(place, value);
    }
    place.is_err()
}

impl From<Voice> for Heard {
    fn from(voice: Voice) -> Self {
        Self {
            window: voice.window,
            local: voice.local,
            voice: voice.embedding,
        }
    }
}

/// Voices that are long enough to cluster, each weighing its clean frames divided by how many
/// windows see them; all of them when none is long enough.
fn groups(windows: &[Window], starts: &[u64], voices: &[Voice], min_secs: f64) -> Vec<Group> {
    let min_frames = frames_of_secs(min_secs) as usize;
    let any_long = voices.iter().any(|voice| voice.frames >= min_frames);
    let chosen = voices
        .iter()
        .filter(|voice| !any_long || voice.frames >= min_frames);
    let group = |voice: &Voice| {
        let window = windows.get(voice.window)?;
        let share = |frame: usize| 1.0 / seen_by(starts, window.start_frame + frame as u64) as f32;
        let weight: f32 = window.clean_frames(voice.local).map(share).sum();
        (weight > 0.0).then(|| Group::new(&voice.embedding, weight, voice.window))
    };
    chosen.filter_map(group).collect()
}

/// Frames of clean speech from which a group is a speaker.
fn min_weight(groups: &[Group], tuning: &Tuning) -> f32 {
    let all: f64 = groups.iter().map(|group| f64::from(group.speech())).sum();
    let most = frames_of_secs(Tuning::MAX_MIN_SPEAKER_SECS);
    let share = (all * tuning.min_speaker_share).min(most);
    frames_of_secs(tuning.min_speaker_secs).max(share) as f32
}
