//! One call of `whisper_full` on one window: encoder, then decoding from one temperature on.
//!
//! The window is decoded as a single segment whose tokens, timestamps among them, are read back
//! and cut by [`crate::split`]. Left to itself whisper.cpp seeks to the last timestamp and runs
//! the encoder again on whatever is left of the window, though it be one second of silence.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::{c_int, c_void};
use std::sync::Arc;

use auricle_speech::{EngineError, Language, SAMPLE_RATE, Task};
use whisper_rs::{
    FullParams, SamplingStrategy, WhisperError, WhisperState, WhisperSysContext, WhisperSysState,
    WhisperTokenData,
};

use crate::abort::{AbortSlot, abort_call};
use crate::encoder;
use crate::loader::Model;
use crate::text::{compression_ratio, utf8_of};

/// Decodings drawn at a temperature above 0, of which the most probable is taken. openai-whisper's
/// command line draws 5; each costs as much as a greedy one.
const BEST_OF: c_int = 2;

/// First temperature of the ladder.
pub(crate) const FIRST_TEMPERATURE: f32 = 0.2;

/// Step of the ladder (`temperature_increment_on_fallback`).
const TEMPERATURE_STEP: f32 = 0.2;

/// whisper.cpp's stand-in for the compression ratio while it climbs by itself: entropy of the last
/// 32 tokens below which they count as a repetition (its default).
const ENTROPY_THRESHOLD: f32 = 2.4;

/// One token of a decoding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Token {
    pub(crate) id: i32,
    pub(crate) probability: f32,
    pub(crate) logprob: f32,
    /// Time in hundredths of a second from the start of the window; -1 where there is none.
    pub(crate) time_cs: i64,
}

/// What one call yielded.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) tokens: Vec<Token>,
    pub(crate) avg_logprob: f32,
    pub(crate) compression_ratio: f32,
    pub(crate) temperature: f32,
    /// Without surrounding spaces.
    pub(crate) text: String,
    /// Whether the decoder ended the text itself, by a time at the window's end or by the token for
    /// the end; else it reached the limit of tokens.
    pub(crate) finished: bool,
}

/// What to decode and how.
pub(crate) struct Request<'a> {
    pub(crate) samples: &'a [f32],
    pub(crate) language: Language,
    pub(crate) task: Task,
    pub(crate) beam_size: u8,
    pub(crate) prompt: &'a [c_int],
    /// Encoder positions to compute; 0 is all of them.
    pub(crate) audio_positions: usize,
    /// Whether the state has the encoder's output for these samples and positions.
    pub(crate) encoded: bool,
    pub(crate) temperature: f32,
    /// Whether whisper.cpp goes up the ladder from `temperature` by itself, which spares the
    /// encoder, until the mean log-probability is above this.
    pub(crate) climb_until: Option<f32>,
    /// Tokens of one decoding at most.
    pub(crate) max_tokens: usize,
    /// Counts the tokens of all decodings.
    pub(crate) decoded: &'a Cell<usize>,
    /// As many tokens as `decoded` may reach; every decoding ends there.
    pub(crate) budget: usize,
}

impl Request<'_> {
    /// Whether tokens are drawn at random; whisper.cpp does so in beam search too.
    pub(crate) fn is_random(&self) -> bool {
        self.temperature > 0.0 || self.climb_until.is_some() || self.beam_size > 1
    }
}

/// Runs one attempt. `None` when whisper.cpp found no text at all.
pub(crate) fn run(
    state: &mut WhisperState,
    model: &Model,
    slot: &Arc<AbortSlot>,
    request: &Request<'_>,
) -> Result<Option<Attempt>, Failure> {
    let filter = Filter {
        slot,
        first_timestamp: model.context.token_beg(),
        notes: &model.notes,
        vocab: usize::try_from(model.context.n_vocab()).unwrap_or_default(),
        ladder_steps: Cell::new(0),
        // What is drawn at random begins on a fresh state.
        encoded: Cell::new(request.encoded && !request.is_random()),
        decoded: request.decoded,
        budget: request.budget,
        end: model.context.token_eot(),
    };
    let mut params = params(request);
    install_callbacks(&mut params, &filter);
    let done = state.full(params, request.samples);
    encoder::end();
    done.map_err(|error| {
        if slot.is_cancelled() {
            Failure::Cancelled
        } else if matches!(error, WhisperError::GenericError(-7)) {
            Failure::StateFreed
        } else {
            Failure::Failed(error.to_string())
        }
    })?;
    let climbed = filter.ladder_steps.get().saturating_sub(1);
    let temperature = request.temperature + climbed as f32 * TEMPERATURE_STEP;
    Ok(read(state, model, temperature))
}

/// Makes the state use this many encoder positions (0 for all) in what follows: starts a
/// transcription and stops it before the encoder.
#[allow(unsafe_code, reason = "a C callback")]
pub(crate) fn set_audio_positions(
    state: &mut WhisperState,
    positions: usize,
) -> Result<(), Failure> {
    unsafe extern "C" fn stop(
        _: *mut WhisperSysContext,
        _: *mut WhisperSysState,
        _: *mut c_void,
    ) -> bool {
        false
    }
    let mut params = FullParams::new(SamplingStrategy::Greedy { best_of: 1 });
    params.set_n_threads(1);
    params.set_no_context(true);
    params.set_print_progress(false);
    params.set_audio_ctx(positions as c_int);
    // SAFETY: the callback uses none of its arguments.
    unsafe { params.set_start_encoder_callback(Some(stop)) };
    state
        .full(params, &[0.0; SAMPLE_RATE as usize / 2])
        .map_err(|error| Failure::Failed(error.to_string()))
}

/// Why an attempt gave nothing.
pub(crate) enum Failure {
    /// The flag was set.
    Cancelled,
    /// whisper.cpp could not enlarge its cache and has freed the state itself: the caller must
    /// not free it again.
    StateFreed,
    /// Anything else.
    Failed(String),
}

impl From<Failure> for EngineError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Cancelled => Self::Cancelled,
            Failure::StateFreed => {
                Self::Failed("whisper.cpp found no memory for its decoders".to_owned())
            }
            Failure::Failed(what) => Self::Failed(what),
        }
    }
}

thread_local! {
    /// Parameters by language and beam size. whisper-rs turns the language into a C string that
    /// nobody frees, so each is made once per thread and copied from then on.
    static TEMPLATES: RefCell<HashMap<(Language, u8), FullParams<'static, 'static>>> =
        RefCell::new(HashMap::new());
}

/// whisper.cpp's parameters for a request.
fn params<'p>(request: &Request<'p>) -> FullParams<'static, 'p> {
    // At temperatures above 0 the beam search is off, as in openai-whisper.
    let beam_size = if request.temperature > 0.0 {
        1
    } else {
        request.beam_size.clamp(1, 8)
    };
    let template = TEMPLATES.with_borrow_mut(|templates| {
        templates
            .entry((request.language, beam_size))
            .or_insert_with(|| template(request.language, beam_size))
            .clone()
    });
    let mut params: FullParams<'static, 'p> = template;
    params.set_translate(request.task == Task::Translate);
    params.set_audio_ctx(request.audio_positions as c_int);
    params.set_temperature(request.temperature);
    params.set_max_tokens(request.max_tokens as c_int);
    match request.climb_until {
        Some(logprob_threshold) => {
            params.set_temperature_inc(TEMPERATURE_STEP);
            params.set_logprob_thold(logprob_threshold);
            params.set_entropy_thold(ENTROPY_THRESHOLD);
        }
        None => params.set_temperature_inc(0.0),
    }
    if !request.prompt.is_empty() {
        params.set_tokens(request.prompt);
    }
    params
}

/// What all requests have in common.
fn template(language: Language, beam_size: u8) -> FullParams<'static, 'static> {
    let strategy = if beam_size > 1 {
        SamplingStrategy::BeamSearch {
            beam_size: c_int::from(beam_size),
            patience: -1.0,
        }
    } else {
        SamplingStrategy::Greedy { best_of: BEST_OF }
    };
    let mut params = FullParams::new(strategy);
    params.set_language(Some(language.code()));
    params.set_n_threads(1);
    params.set_no_context(true);
    params.set_single_segment(true);
    params.set_print_special(false);
    params.set_print_progress(false);
    params.set_print_realtime(false);
    params.set_print_timestamps(false);
    params.set_suppress_blank(true);
    params.set_suppress_nst(true);
    // whisper.cpp 1.8.3 reads the no-speech probability from a row of the logits that it has not
    // filled when the prompt is longer than one token. Above 1 its own decisions ignore it; the
    // session computes the real one.
    params.set_no_speech_thold(2.0);
    params
}

/// Hangs our callbacks on `params`, which must not be used after `filter` is gone.
#[allow(unsafe_code, reason = "C callbacks with user data")]
fn install_callbacks(params: &mut FullParams<'_, '_>, filter: &Filter<'_>) {
    // SAFETY: the callbacks only run inside `whisper_full`, on this thread (`n_threads` is 1),
    // while the caller holds `filter` and through it the slot. They do not unwind.
    unsafe {
        params.set_start_encoder_callback(Some(begin_encoder));
        params.set_start_encoder_callback_user_data(
            std::ptr::from_ref(filter).cast_mut().cast::<c_void>(),
        );
        params.set_abort_callback(Some(abort_call));
        params.set_abort_callback_user_data(filter.slot.as_user_data());
        params.set_filter_logits_callback(Some(filter_logits));
        params.set_filter_logits_callback_user_data(
            std::ptr::from_ref(filter).cast_mut().cast::<c_void>(),
        );
    }
}

/// What the logits callback knows.
struct Filter<'a> {
    slot: &'a Arc<AbortSlot>,
    /// `<|0.00|>`; all later tokens are times too.
    first_timestamp: c_int,
    notes: &'a [c_int],
    /// How many logits there are.
    vocab: usize,
    /// How many decodings began: 1 + the steps climbed.
    ladder_steps: Cell<u32>,
    /// Tokens of all decodings, and how many there may be.
    decoded: &'a Cell<usize>,
    budget: usize,
    /// The token that ends a text.
    end: c_int,
    /// Whether the next encoder pass need not be computed.
    encoded: Cell<bool>,
}

/// Runs before each encoder pass.
///
/// # Safety
/// Called by whisper.cpp with the [`Filter`] of the call.
#[allow(unsafe_code, reason = "a C callback with user data")]
unsafe extern "C" fn begin_encoder(
    _context: *mut WhisperSysContext,
    _state: *mut WhisperSysState,
    data: *mut c_void,
) -> bool {
    // SAFETY: `data` is the filter, alive for the call.
    let filter = unsafe { data.cast::<Filter<'_>>().as_ref() };
    encoder::begin(filter.is_some_and(|filter| filter.encoded.take()));
    true
}

/// Adjusts the scores of the next token.
///
/// # Safety
/// Called by whisper.cpp with `n_tokens` tokens, `n_vocab` logits and the [`Filter`] of the call.
#[allow(unsafe_code, reason = "a C callback with user data")]
unsafe extern "C" fn filter_logits(
    _context: *mut WhisperSysContext,
    _state: *mut WhisperSysState,
    tokens: *const WhisperTokenData,
    n_tokens: c_int,
    logits: *mut f32,
    data: *mut c_void,
) {
    // SAFETY: `data` is the filter, alive for the call; whisper.cpp passes an array of `n_tokens`
    // tokens (possibly null when empty) and one logit per vocabulary entry, ours to change.
    let (filter, tokens, logits) = unsafe {
        let Some(filter) = data.cast::<Filter<'_>>().as_ref() else {
            return;
        };
        let tokens = match usize::try_from(n_tokens) {
            Ok(n) if n > 0 && !tokens.is_null() => std::slice::from_raw_parts(tokens, n),
            _ => &[],
        };
        let logits = std::slice::from_raw_parts_mut(logits, filter.vocab);
        (filter, tokens, logits)
    };
    filter.decoded.set(filter.decoded.get() + 1);
    if tokens.is_empty() {
        filter.ladder_steps.set(filter.ladder_steps.get() + 1);
        filter.slot.disarm_graphs();
    }
    if filter.decoded.get() > filter.budget {
        for (id, logit) in logits.iter_mut().enumerate() {
            let ends = usize::try_from(filter.end).is_ok_and(|end| end == id);
            *logit = if ends { 0.0 } else { f32::NEG_INFINITY };
        }
        return;
    }
    for &note in filter.notes {
        if let Some(logit) = usize::try_from(note).ok().and_then(|n| logits.get_mut(n)) {
            *logit = f32::NEG_INFINITY;
        }
    }
    let ids = tokens.iter().map(|token| token.id);
    let allowed = first_allowed_timestamp(ids, filter.first_timestamp);
    let range = filter.first_timestamp.max(0) as usize..allowed.max(0) as usize;
    if let Some(past) = logits.get_mut(range) {
        past.fill(f32::NEG_INFINITY);
    }
}

/// The earliest timestamp token that may come next: times increase, so that no segment is empty,
/// but the next segment may start where the last one ended (`ApplyTimestampRules` of
/// openai-whisper; whisper.cpp lets segments be empty).
fn first_allowed_timestamp(
    ids: impl DoubleEndedIterator<Item = i32> + Clone,
    first_timestamp: i32,
) -> i32 {
    let mut from_end = ids.clone().rev();
    let last_is_time = from_end.next().is_some_and(|id| id >= first_timestamp);
    let before_is_time = from_end.next().is_none_or(|id| id >= first_timestamp);
    match ids.rev().find(|&id| id >= first_timestamp) {
        Some(last) if last_is_time && !before_is_time => last,
        Some(last) => last + 1,
        None => first_timestamp,
    }
}

/// Reads the result of the call out of the state.
fn read(state: &WhisperState, model: &Model, temperature: f32) -> Option<Attempt> {
    let segment = state.get_segment(0)?;
    let tokens: Vec<Token> = (0..segment.n_tokens())
        .filter_map(|index| segment.get_token(index))
        .map(|token| {
            let data = token.token_data();
            Token {
                id: data.id,
                probability: data.p,
                logprob: data.plog,
                time_cs: data.t_dtw,
            }
        })
        .collect();
    let eot = model.context.token_eot();
    let mut bytes = Vec::new();
    for token in tokens.iter().filter(|token| token.id < eot) {
        bytes.extend_from_slice(model.context.token_to_bytes(token.id).unwrap_or_default());
    }
    let sum: f32 = tokens.iter().map(|token| token.logprob).sum();
    let text = utf8_of(&bytes).trim().to_owned();
    Some(Attempt {
        avg_logprob: sum / tokens.len().max(1) as f32,
        compression_ratio: compression_ratio(&text),
        temperature,
        finished: tokens.last().is_some_and(|token| token.id >= eot),
        text,
        tokens,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_increase_but_segments_may_touch() {
        let allowed = |ids: &[i32]| first_allowed_timestamp(ids.iter().copied(), 100);
        assert_eq!(allowed(&[]), 100);
        assert_eq!(allowed(&[100]), 101, "a segment must not be empty");
        assert_eq!(allowed(&[100, 1, 2]), 101);
        assert_eq!(allowed(&[100, 1, 2, 150]), 150, "the next may start there");
        assert_eq!(allowed(&[100, 1, 2, 150, 150]), 151);
        assert_eq!(allowed(&[1, 2]), 100);
    }
}
