//! What leaves a transcription: segments with their speakers, what was left out, how far it is.
//!
//! Lives as long as the transcription. Where speakers were asked for, segments wait here until the
//! turns are known, and go on in the batches in which they came.

use auricle_capability::{Assigner, Event, RequestScope, SpeechError, Summary};
use auricle_speech::{DroppedSegment, Language, Segment, Silence, Span, Turn};

use crate::script::Script;
use crate::speakers::Diarizing;
use crate::spoken::SpeechTimes;
use crate::transcribe::{Events, failed, send};

/// The end of the line.
pub(crate) struct Out<'a> {
    pub(crate) scope: &'a RequestScope,
    pub(crate) events: &'a Events,
    /// Once it was sent.
    pub(crate) language: Option<Language>,
    /// That of Chinese text.
    pub(crate) script: Script,
    /// The stretches that are not recognised, until they were sent.
    pub(crate) silence: Vec<Silence>,
    /// What was spoken so far.
    pub(crate) times: SpeechTimes,
    pub(crate) done: Done,
    pub(crate) assigner: Assigner,
    /// Whether the caller asked for words; else they were recognised for the assigner alone.
    pub(crate) keeps_words: bool,
    pub(crate) turns: Turns,
    /// Labels that have been sent, in order of first appearance.
    pub(crate) speakers: Vec<String>,
}

/// Who spoke when, as far as that is known.
pub(crate) enum Turns {
    /// Nobody asked, or all of them.
    Known(Vec<Turn>),
    /// Not yet; with the batches that wait.
    Awaited(Diarizing, Vec<Vec<Segment>>),
}

impl Turns {
    pub(crate) fn new(diarizing: Option<Diarizing>) -> Self {
        match diarizing {
            Some(diarizing) => Self::Awaited(diarizing, Vec::new()),
            None => Self::Known(Vec::new()),
        }
    }
}

impl Out<'_> {
    /// The language of the first chunk, and what is not recognised; later calls do nothing.
    pub(crate) async fn begin(&mut self, language: Language) -> Result<(), SpeechError> {
        if self.language.is_some() {
            return Ok(());
        }
        self.language = Some(language);
        send(self.events, Event::Language(language)).await?;
        let silence = std::mem::take(&mut self.silence);
        if silence.is_empty() {
            return Ok(());
        }
        send(self.events, Event::Silence(silence)).await
    }

    /// A batch that is recognised, in order of time.
    pub(crate) async fn segments(&mut self, segments: Vec<Segment>) -> Result<(), SpeechError> {
        self.times.add(&segments);
        if let Turns::Awaited(diarizing, waiting) = &mut self.turns {
            waiting.push(segments);
            return match diarizing.is_finished() {
                true => self.await_turns().await,
                false => Ok(()),
            };
        }
        self.assign(segments).await
    }

    /// Takes the turns, and sends what waited for them.
    async fn await_turns(&mut self) -> Result<(), SpeechError> {
        let known = Turns::Known(Vec::new());
        let Turns::Awaited(diarizing, waiting) = std::mem::replace(&mut self.turns, known) else {
            return Ok(());
        };
        self.turns = Turns::Known(diarizing.turns().await?);
        for segments in waiting {
            self.assign(segments).await?;
        }
        Ok(())
    }

    async fn assign(&mut self, segments: Vec<Segment>) -> Result<(), SpeechError> {
        let turns: &[Turn] = match &self.turns {
            Turns::Known(turns) => turns,
            Turns::Awaited(..) => &[],
        };
        let mut segments = self
            .assigner
            .assign(segments, turns)
            .await
            .map_err(failed("speaker-assigner", self.scope))?;
        for segment in &mut segments {
            if !self.keeps_words {
                segment.words.clear();
            }
            if let Some(label) = &segment.speaker
                && !self.speakers.contains(label)
            {
                self.speakers.push(label.clone());
            }
        }
        if segments.is_empty() {
            return Ok(());
        }
        let segments = self.done.number(segments);
        send(self.events, Event::Segments(segments)).await
    }

    /// What the guards left out of a batch.
    pub(crate) async fn drop(&mut self, dropped: Vec<DroppedSegment>) -> Result<(), SpeechError> {
        if dropped.is_empty() {
            return Ok(());
        }
        let dropped = self.done.drop(self.scope, dropped);
        send(self.events, Event::Dropped(dropped)).await
    }

    /// `span` is recognised.
    pub(crate) async fn recognised(&mut self, span: Span) -> Result<(), SpeechError> {
        self.done.done_samples += span.len_samples();
        self.progress().await
    }

    async fn progress(&mut self) -> Result<(), SpeechError> {
        let diarized = match &self.turns {
            Turns::Known(_) => 1.0,
            Turns::Awaited(diarizing, _) => diarizing.share(),
        };
        send(self.events, Event::Progress(self.done.share(diarized))).await
    }

    /// Waits for the turns where they are awaited, and ends the transcription. A clip without a chunk is
    /// in `language`.
    pub(crate) async fn finish(
        mut self,
        language: Language,
        duration_secs: f64,
    ) -> Result<(), SpeechError> {
        self.begin(language).await?;
        while let Turns::Awaited(diarizing, _) = &mut self.turns {
            match diarizing.grows().await {
                true => self.progress().await?,
                false => self.await_turns().await?,
            }
        }
        let languages = self.times.languages();
        let most = languages.first().copied().or(self.language);
        let summary = Summary {
            language: most.unwrap_or(language),
            languages,
            speakers: self.speakers,
            duration_secs,
        };
        send(self.events, Event::Finished(summary)).await
    }
}

/// How far a transcription is.
pub(crate) struct Done {
    total_samples: u64,
    done_samples: u64,
    /// Whether telling the speakers apart is half of the work.
    diarizes: bool,
    segments: u32,
    dropped: u32,
}

impl Done {
    pub(crate) fn new(spans: &[Span], diarizes: bool) -> Self {
        Self {
            total_samples: spans.iter().map(|span| span.len_samples()).sum(),
            done_samples: 0,
            diarizes,
            segments: 0,
            dropped: 0,
        }
    }

    /// Numbers segments through the whole transcript.
    fn number(&mut self, mut segments: Vec<Segment>) -> Vec<Segment> {
        for segment in &mut segments {
            segment.id = self.segments;
            self.segments += 1;
        }
        segments
    }

    /// Numbers what is left out, and tells the operator of it.
    fn drop(
        &mut self,
        scope: &RequestScope,
        mut dropped: Vec<DroppedSegment>,
    ) -> Vec<DroppedSegment> {
        for one in &mut dropped {
            one.segment.id = self.dropped;
            self.dropped += 1;
            auricle_telemetry::metrics().dropped_segment(one.reason.as_str());
            let (tenant, request_id, segment) = (&scope.tenant, &scope.request_id, &one.segment);
            tracing::debug!(
                %tenant, %request_id, reason = one.reason.as_str(), score = one.score,
                start = segment.start, end = segment.end, text = segment.text,
                "segment dropped"
            );
        }
        dropped
    }

    /// The share that is done, 0.0..=1.0, when so much of the diarization is.
    fn share(&self, diarized: f32) -> f32 {
        let recognised = match self.total_samples {
            0 => 1.0,
            total => (self.done_samples as f64 / total as f64) as f32,
        };
        match self.diarizes {
            true => f32::midpoint(recognised, diarized),
            false => recognised,
        }
    }
}
