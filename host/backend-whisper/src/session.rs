//! One thread's working memory on a model, and the passes over one chunk.

use std::cell::Cell;
use std::sync::Arc;

use auricle_speech::{
    CancelFlag, DecodeOptions, DetectedSegments, Detection, EngineError, EngineSession, Language,
    LanguageScore, MAX_CHUNK_SAMPLES, SAMPLE_RATE, Segment, Task, TokenLogprob,
};
use whisper_rs::WhisperState;

use crate::abort::{AbortSlot, with_slot};
use crate::attempt::{self, Attempt, FIRST_TEMPERATURE, Failure, Request, Token};
use crate::ladder::{MAX_CLIMB_TOKENS, Verdict, choose, judge, max_tokens};
use crate::loader::Model;
use crate::split::{Marks, Piece, Split, split};
use crate::text::{is_non_speech_tag, utf8_of};
use crate::window::{SAMPLES_PER_CS, audio_positions, cs, padded, secs};
use crate::words::{self, TextToken, has_spaces};
use crate::{encoder, rest};

/// A window without one sample above this (-80 dB, three steps of 16 bits) is silent,
/// and Whisper is not asked: it says "you" or "Thank you." to digital silence.
const SILENCE_AMPLITUDE: f32 = 1e-4;

/// Passes over one chunk at most, of which each runs the encoder.
const MAX_PASSES: usize = 4;

/// Mean log-probability from which a text of a fallback temperature is as good as a first one: half
/// of Whisper's threshold for a failed decoding.
const BELIEVED_LOGPROB: f32 = -0.5;

/// Longest chunk in which nothing is recognised: 0.2 s hold no word that Whisper could tell from
/// noise, and it writes "Thank you." whatever they hold.
const UNINTELLIGIBLE_SAMPLES: usize = SAMPLE_RATE as usize / 5;

/// Shortest rest of a window that is decoded with the prompt, which costs as much as some 30 tokens.
const MIN_PROMPTED_REST: usize = 5 * SAMPLE_RATE as usize;

/// One thread's working memory on a model.
pub struct WhisperSession {
    // Dropped before `slot`, to which its backends point.
    state: Option<WhisperState>,
    slot: Arc<AbortSlot>,
    model: Arc<Model>,
    /// `audio_positions` of the last request, which whisper.cpp remembers for language detection.
    last_positions: usize,
    /// Whether the state has the encoder's output for the window that is decoded next.
    encoded: bool,
}

impl std::fmt::Debug for WhisperSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WhisperSession")
            .field("open", &self.state.is_some())
            .finish()
    }
}

impl EngineSession for WhisperSession {
    fn transcribe(
        &mut self,
        samples: &[f32],
        language: Language,
        options: &DecodeOptions,
        cancel: &CancelFlag,
    ) -> Result<Vec<Segment>, EngineError> {
        let mut call = self.call(samples, language, options, cancel)?;
        let mut segments = Vec::new();
        let mut from = 0;
        if samples.len() <= UNINTELLIGIBLE_SAMPLES {
            return Ok(segments);
        }
        for _ in 0..MAX_PASSES {
            let window = samples.get(from..).unwrap_or_default();
            if window.iter().all(|sample| sample.abs() < SILENCE_AMPLITUDE) {
                break;
            }
            if from > 0 && window.len() < MIN_PROMPTED_REST {
                call.prompt = Arc::default();
            }
            let Some(decoded) = self.decode(window, &call, cancel)? else {
                break;
            };
            let cut = self.cut(&decoded.attempt, window.len());
            let done = segments.len();
            let mut place = Place {
                offset: secs(from),
                limit: secs(samples.len()),
                heard: secs(from),
            };
            for piece in &cut.pieces {
                segments.push(self.segment(piece, &decoded, &mut place, &call));
            }
            let (before, new) = segments.split_at_mut(done);
            words::finish(new, samples);
            if rest::repeats(new, before) && !rest::is_said_again(before, samples, from) {
                segments.truncate(done);
                break;
            }
            let samples_of = |cs: i64| cs as usize * SAMPLES_PER_CS;
            let stopped = cut.stopped_at_cs.map(samples_of);
            let silent_from = cut.silent_from_cs.map(samples_of);
            let new = segments.get(done..).unwrap_or_default();
            let rest = stopped
                .filter(|&stopped| rest::is_worth_a_pass(window, stopped))
                .or(silent_from.filter(|&from| rest::is_worth_a_doubt(window, from, new.iter())));
            match rest {
                // A text that had to be drawn at random and is doubtful even so is no reason to
                // believe in more of it. Words' times have no say: the text is the same without.
                Some(stopped)
                    if decoded.attempt.temperature <= options.temperature
                        || decoded.attempt.avg_logprob >= BELIEVED_LOGPROB =>
                {
                    from += stopped;
                }
                _ => break,
            }
        }
        segments.retain(|segment| !segment.text.is_empty() && !is_non_speech_tag(&segment.text));
        for (id, segment) in segments.iter_mut().enumerate() {
            segment.id = id as u32;
        }
        words::separate(&mut segments, secs(samples.len()));
        Ok(segments)
    }

    fn detect_language(
        &mut self,
        samples: &[f32],
        cancel: &CancelFlag,
    ) -> Result<Vec<LanguageScore>, EngineError> {
        if !self.model.header.is_multilingual() {
            return Ok(vec![LanguageScore {
                language: Language::ENGLISH,
                probability: 1.0,
            }]);
        }
        let head = samples.len().min(MAX_CHUNK_SAMPLES as usize);
        let window = padded(samples.get(..head).unwrap_or_default());
        self.slot.arm(cancel);
        let probabilities = self.language_probabilities(&window);
        self.slot.disarm_graphs();
        if cancel.is_cancelled() {
            return Err(EngineError::Cancelled);
        }
        Ok(ranked(&probabilities?, self.model.header.languages()))
    }

    fn transcribe_detected(
        &mut self,
        samples: &[f32],
        detection: &Detection,
        options: &DecodeOptions,
        cancel: &CancelFlag,
    ) -> Result<DetectedSegments, EngineError> {
        let scores = self.detect_language(samples, cancel)?;
        let detected = detection.choose(&scores, samples.len());
        self.encoded = self.model.header.is_multilingual();
        let segments = self.transcribe(samples, detected.language, options, cancel);
        self.encoded = false;
        Ok(DetectedSegments {
            detected,
            segments: segments?,
        })
    }
}

/// What holds for all passes of one call.
struct Call<'a> {
    language: Language,
    options: &'a DecodeOptions,
    prompt: Arc<[i32]>,
    /// Tokens decoded since the chunk began, at all temperatures.
    decoded: Cell<usize>,
}

/// Where in the chunk a window lies, in seconds.
struct Place {
    offset: f64,
    /// End of the chunk.
    limit: f64,
    /// End of the last word so far. Words are not held to their segment's timestamp tokens, which
    /// are far off at times; warping looks at the sound.
    heard: f64,
}

/// An accepted decoding of a window.
struct Decoded {
    attempt: Attempt,
    no_speech_prob: f32,
}

impl WhisperSession {
    /// Sets up the working memory.
    pub(crate) fn open(model: Arc<Model>) -> Result<Self, EngineError> {
        let mut session = Self {
            state: None,
            slot: Arc::default(),
            model,
            last_positions: 0,
            encoded: false,
        };
        session.state()?;
        Ok(session)
    }

    /// The whisper state, made anew after a failure that cost it.
    fn state(&mut self) -> Result<&mut WhisperState, EngineError> {
        let state = match self.state.take() {
            Some(state) => state,
            None => {
                self.last_positions = 0;
                with_slot(&self.slot, || self.model.context.create_state()).map_err(|error| {
                    EngineError::Failed(format!("whisper.cpp cannot set up its state: {error}"))
                })?
            }
        };
        Ok(self.state.insert(state))
    }

    /// Checks a request and prepares what its passes share.
    fn call<'a>(
        &self,
        samples: &[f32],
        language: Language,
        options: &'a DecodeOptions,
        cancel: &CancelFlag,
    ) -> Result<Call<'a>, EngineError> {
        if samples.len() as u64 > MAX_CHUNK_SAMPLES {
            return Err(EngineError::Failed(format!(
                "a chunk of {} samples is longer than the model's window of {MAX_CHUNK_SAMPLES}",
                samples.len()
            )));
        }
        let header = self.model.header;
        if header.is_multilingual() && language.index() >= header.languages() {
            return Err(EngineError::Failed(format!(
                "the model does not know {}: use a large-v3 model",
                language.name()
            )));
        }
        if options.word_timestamps && !self.model.word_times {
            return Err(EngineError::Failed(
                "word times need an engine loaded for them".to_owned(),
            ));
        }
        if cancel.is_cancelled() {
            return Err(EngineError::Cancelled);
        }
        Ok(Call {
            language,
            options,
            prompt: self.model.prompts.tokens(&self.model.context, options),
            decoded: Cell::default(),
        })
    }

    /// Decodes one window by Whisper's rules. `None` means that it holds no speech.
    fn decode(
        &mut self,
        window: &[f32],
        call: &Call<'_>,
        cancel: &CancelFlag,
    ) -> Result<Option<Decoded>, EngineError> {
        let options = call.options;
        let padded = padded(window);
        let mut request = Request {
            samples: &padded,
            language: call.language,
            task: options.task,
            beam_size: options.beam_size,
            prompt: &call.prompt,
            audio_positions: audio_positions(padded.len(), self.model.audio_positions),
            encoded: std::mem::take(&mut self.encoded),
            temperature: options.temperature.clamp(0.0, 1.0),
            climb_until: None,
            max_tokens: max_tokens(window.len()),
            decoded: &call.decoded,
            budget: usize::MAX,
        };
        let Some(mut first) = self.attempt(&request, cancel)? else {
            return Ok(None);
        };
        let no_speech_prob = self.no_speech_prob()?;
        let mut verdict = judge(&first, window, no_speech_prob, options);
        if verdict == Verdict::Climb && !request.prompt.is_empty() {
            request.prompt = &[];
            request.encoded = false;
            let Some(unprompted) = self.attempt(&request, cancel)? else {
                return Ok(None);
            };
            verdict = judge(&unprompted, window, no_speech_prob, options);
            first = unprompted;
        }
        let attempt = match verdict {
            Verdict::Silence => return Ok(None),
            Verdict::Climb if call.decoded.get() < MAX_CLIMB_TOKENS => {
                // What leaving silence out may have spoiled gets a full hearing first.
                if request.audio_positions == 0 {
                    request.temperature = FIRST_TEMPERATURE;
                }
                request.audio_positions = 0;
                request.climb_until = Some(options.logprob_threshold);
                request.budget = MAX_CLIMB_TOKENS;
                let second = self.attempt(&request, cancel)?;
                let is_whole = call.decoded.get() <= MAX_CLIMB_TOKENS;
                choose(first, second.filter(|_| is_whole), window, options)
            }
            Verdict::Accept | Verdict::Climb => first,
        };
        Ok(Some(Decoded {
            attempt,
            no_speech_prob,
        }))
    }

    /// One call of whisper.cpp.
    fn attempt(
        &mut self,
        request: &Request<'_>,
        cancel: &CancelFlag,
    ) -> Result<Option<Attempt>, EngineError> {
        if cancel.is_cancelled() {
            return Err(EngineError::Cancelled);
        }
        let (model, slot) = (Arc::clone(&self.model), Arc::clone(&self.slot));
        if request.is_random() {
            // whisper.cpp seeds the first decoder when a state is made and never again: the text
            // would depend on what the worker has decoded before.
            self.state = None;
        }
        let state = self.state()?;
        slot.arm(cancel);
        let result = attempt::run(state, &model, &slot, request);
        slot.disarm_graphs();
        self.last_positions = request.audio_positions;
        if matches!(result, Err(Failure::StateFreed)) {
            // whisper.cpp freed it; dropping it here would free it twice.
            if let Some(state) = self.state.take() {
                std::mem::forget(state);
            }
        }
        Ok(result?)
    }

    /// The model's probability that the window just decoded holds no speech: that of the token
    /// for it right after `<|startoftranscript|>`.
    fn no_speech_prob(&mut self) -> Result<f32, EngineError> {
        let context = &self.model.context;
        let (start, no_speech) = (context.token_sot(), context.token_nosp());
        let state = self.state()?;
        let failed = |error| EngineError::Failed(format!("no-speech probability: {error}"));
        state.decode(&[start], 0, 1).map_err(failed)?;
        let logits = state.get_logits().map_err(failed)?;
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f32 = logits.iter().map(|logit| (logit - max).exp()).sum();
        let own = usize::try_from(no_speech).ok().and_then(|n| logits.get(n));
        Ok(own.map_or(0.0, |logit| (logit - max).exp() / sum))
    }

    /// Cuts an attempt's tokens at their timestamps.
    fn cut(&self, attempt: &Attempt, window_samples: usize) -> Split {
        let ids: Vec<i32> = attempt.tokens.iter().map(|token| token.id).collect();
        let marks = Marks {
            eot: self.model.context.token_eot(),
            first_timestamp: self.model.context.token_beg(),
        };
        split(&ids, marks, cs(window_samples))
    }

    /// A piece of a window as a segment.
    fn segment(
        &self,
        piece: &Piece,
        decoded: &Decoded,
        place: &mut Place,
        call: &Call<'_>,
    ) -> Segment {
        let context = &self.model.context;
        let attempt = &decoded.attempt;
        let at = |cs: i64| (place.offset + cs as f64 / 100.0).min(place.limit);
        let all = attempt.tokens.get(piece.tokens.clone()).unwrap_or_default();
        let own = || all.iter().filter(|token| token.id < context.token_eot());
        let bytes_of = |token: &Token| context.token_to_bytes(token.id).unwrap_or_default();
        let tokens: Vec<TextToken<'_>> = own()
            .map(|token| TextToken {
                bytes: bytes_of(token),
                probability: token.probability,
                end: (token.time_cs >= 0).then(|| at(token.time_cs)),
            })
            .collect();
        let logprob = |token: &Token| TokenLogprob {
            token: bytes_of(token).to_vec(),
            logprob: token.logprob.min(0.0),
        };
        let logprobs = match call.options.logprobs {
            true => own().map(logprob).collect(),
            false => Vec::new(),
        };
        let bytes: Vec<u8> = tokens.iter().flat_map(|t| t.bytes).copied().collect();
        let (start, end) = (at(piece.start_cs), at(piece.end_cs));
        let mut timed = Vec::new();
        if call.options.word_timestamps {
            let spaces = call.options.task == Task::Translate || has_spaces(call.language.code());
            timed = words::words(&tokens, place.heard, place.limit, spaces);
            place.heard = timed.last().map_or(place.heard, |word| word.end);
        }
        Segment {
            id: 0,
            start,
            end,
            text: utf8_of(&bytes).trim().to_owned(),
            tokens: own().map(|token| token.id.unsigned_abs()).collect(),
            logprobs,
            temperature: attempt.temperature,
            avg_logprob: attempt.avg_logprob.min(0.0),
            compression_ratio: attempt.compression_ratio,
            no_speech_prob: decoded.no_speech_prob,
            words: timed,
            speaker: None,
            channel: None,
            language: Some(call.language),
        }
    }

    /// Probability of each language by its index.
    fn language_probabilities(&mut self, window: &[f32]) -> Result<Vec<f32>, EngineError> {
        // Detection has no parameters: it listens to as much of a window as the last
        // transcription on the state did.
        let positions = audio_positions(window.len(), self.model.audio_positions);
        if self.last_positions != positions {
            attempt::set_audio_positions(self.state()?, positions)?;
            self.last_positions = positions;
        }
        let state = self.state()?;
        let failed =
            |error| EngineError::Failed(format!("whisper.cpp cannot detect the language: {error}"));
        state.pcm_to_mel(window, 1).map_err(failed)?;
        encoder::begin(false);
        let detected = state.lang_detect(0, 1);
        encoder::end();
        detected
            .map(|(_, probabilities)| probabilities)
            .map_err(failed)
    }
}

/// Best first. whisper.cpp scores 100 languages on every model, but older ones know 99: the last
/// score is then that of another token and is left out.
fn ranked(probabilities: &[f32], known: usize) -> Vec<LanguageScore> {
    let known = probabilities.get(..known).unwrap_or(probabilities);
    let sum: f32 = known.iter().sum();
    let mut scores: Vec<LanguageScore> = known
        .iter()
        .enumerate()
        .filter_map(|(index, &probability)| {
            Some(LanguageScore {
                language: Language::from_index(index)?,
                probability: if sum > 0.0 { probability / sum } else { 0.0 },
            })
        })
        .collect();
    scores.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    scores
}
