//! whisper.cpp through whisper-rs and nothing else: what the server's overhead is measured against.
//!
//!     bare-whisper MODEL AUDIO SPANS WORKERS
//!
//! Decodes AUDIO with the server's decoder, recognises the spans that the file SPANS lists on WORKERS
//! threads with a state of their own each, and prints the text. Matrix products are the server's
//! too: what is measured is what lies around whisper.cpp. The parameters are those with which the
//! server first tries a window at temperature 0. It decodes every span once: no second pass over a
//! rest, no higher temperature, no probability of silence, no segments. Language is English. On
//! standard error: seconds of the whole, without loading the model.

use std::ffi::{c_int, c_void};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use auricle_audio::DecodeLimits;
use auricle_speech::{Clip, Span};
use whisper_rs::{
    FullParams, SamplingStrategy, WhisperContext, WhisperContextParameters, WhisperState,
    WhisperSysContext, WhisperSysState, WhisperTokenData,
};

/// The encoder hears the window, this many positions (of 20 ms) of silence, and what fills up the
/// multiple: the server's numbers.
const SILENCE_POSITIONS: usize = 200;
const POSITIONS_MULTIPLE: usize = 64;
const SAMPLES_PER_POSITION: usize = 320;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, audio, spans, workers] = arguments.as_slice() else {
        anyhow::bail!("usage: bare-whisper MODEL AUDIO SPANS WORKERS");
    };
    let spans = read_spans(spans)?;
    let workers: usize = workers.parse()?;
    one_blas_thread();
    auricle_backend_whisper::install_matmul();
    whisper_rs::install_logging_hooks();
    let mut parameters = WhisperContextParameters::new();
    parameters.use_gpu(false).flash_attn(false);
    let context = WhisperContext::new_with_params(model, parameters)?;
    let began = Instant::now();
    let clip = auricle_audio::decode_path(Path::new(audio), &DecodeLimits::default(), &|| false)?;
    let texts = recognise(&context, &clip, &spans, workers)?;
    eprintln!("secs={}", began.elapsed().as_secs_f64());
    println!("{}", texts.join(" "));
    Ok(())
}

fn read_spans(path: &str) -> Result<Vec<Span>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {path}"))?;
    text.lines()
        .map(|line| {
            let (start, end) = line.split_once(' ').context("a line is not 'START END'")?;
            Ok(Span {
                start: start.parse()?,
                end: end.parse()?,
            })
        })
        .collect()
}

fn recognise(
    context: &WhisperContext,
    clip: &Clip,
    spans: &[Span],
    workers: usize,
) -> Result<Vec<String>> {
    let next = AtomicUsize::new(0);
    let texts = Mutex::new(vec![String::new(); spans.len()]);
    let work = || -> Result<()> {
        let mut state = context.create_state()?;
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(span) = spans.get(number) else {
                return Ok(());
            };
            let text = decode(context, &mut state, clip.slice(*span))?;
            let mut texts = texts.lock().map_err(|_| anyhow!("a worker panicked"))?;
            if let Some(place) = texts.get_mut(number) {
                *place = text;
            }
        }
    };
    std::thread::scope(|scope| -> Result<()> {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            thread.join().map_err(|_| anyhow!("a worker panicked"))??;
        }
        Ok(())
    })?;
    texts.into_inner().map_err(|_| anyhow!("a worker panicked"))
}

fn decode(context: &WhisperContext, state: &mut WhisperState, samples: &[f32]) -> Result<String> {
    let filter = Filter {
        first_timestamp: context.token_beg(),
        vocabulary: usize::try_from(context.n_vocab())?,
    };
    let all = usize::try_from(context.n_audio_ctx())?;
    let mut params = params(audio_positions(samples.len(), all));
    install_filter(&mut params, &filter);
    state.full(params, samples)?;
    let mut text = String::new();
    for segment in (0..state.full_n_segments()).filter_map(|number| state.get_segment(number)) {
        text.push_str(&segment.to_str_lossy()?);
    }
    Ok(text.trim().to_owned())
}

fn params(audio_positions: usize) -> FullParams<'static, 'static> {
    let mut params = FullParams::new(SamplingStrategy::Greedy { best_of: 5 });
    params.set_language(Some("en"));
    params.set_n_threads(1);
    params.set_no_context(true);
    params.set_single_segment(true);
    params.set_print_special(false);
    params.set_print_progress(false);
    params.set_print_realtime(false);
    params.set_print_timestamps(false);
    params.set_suppress_blank(true);
    params.set_suppress_nst(true);
    params.set_no_speech_thold(2.0);
    params.set_temperature(0.0);
    params.set_temperature_inc(0.0);
    params.set_audio_ctx(c_int::try_from(audio_positions).unwrap_or(0));
    params
}

/// Encoder positions for a window; 0 is all of them.
fn audio_positions(samples: usize, all: usize) -> usize {
    let heard = samples.div_ceil(SAMPLES_PER_POSITION) + SILENCE_POSITIONS;
    let rounded = heard.next_multiple_of(POSITIONS_MULTIPLE);
    if rounded < all { rounded } else { 0 }
}

struct Filter {
    first_timestamp: c_int,
    vocabulary: usize,
}

/// `params` must not be used after `filter` is gone.
#[allow(unsafe_code, reason = "a C callback with user data")]
fn install_filter(params: &mut FullParams<'_, '_>, filter: &Filter) {
    // SAFETY: the callback runs inside `whisper_full` only, while the caller holds `filter`.
    unsafe {
        params.set_filter_logits_callback(Some(filter_logits));
        params.set_filter_logits_callback_user_data(
            std::ptr::from_ref(filter).cast_mut().cast::<c_void>(),
        );
    }
}

/// Forbids timestamps that go back or make an empty segment, as openai-whisper does.
///
/// # Safety
/// Called by whisper.cpp with `count` tokens, one logit per vocabulary entry and a [`Filter`].
#[allow(unsafe_code, reason = "a C callback with user data")]
unsafe extern "C" fn filter_logits(
    _: *mut WhisperSysContext,
    _: *mut WhisperSysState,
    tokens: *const WhisperTokenData,
    count: c_int,
    logits: *mut f32,
    data: *mut c_void,
) {
    // SAFETY: by the contract above.
    let (filter, tokens, logits) = unsafe {
        let Some(filter) = data.cast::<Filter>().as_ref() else {
            return;
        };
        let tokens = match usize::try_from(count) {
            Ok(count) if count > 0 && !tokens.is_null() => {
                std::slice::from_raw_parts(tokens, count)
            }
            _ => &[],
        };
        (
            filter,
            tokens,
            std::slice::from_raw_parts_mut(logits, filter.vocabulary),
        )
    };
    let first = filter.first_timestamp;
    let is_time = |token: &WhisperTokenData| token.id >= first;
    let Some(last) = tokens.iter().rev().find(|token| is_time(token)) else {
        return;
    };
    let ends_with_time = tokens.last().is_some_and(is_time);
    let before_is_time = tokens.iter().rev().nth(1).is_none_or(is_time);
    let may_repeat = ends_with_time && !before_is_time;
    let allowed = if may_repeat { last.id } else { last.id + 1 };
    if let Some(past) = logits.get_mut(first.max(0) as usize..allowed.max(0) as usize) {
        past.fill(f32::NEG_INFINITY);
    }
}

/// OpenBLAS computes on the calling thread, as in the server.
#[allow(unsafe_code, reason = "a C function of OpenBLAS")]
fn one_blas_thread() {
    unsafe extern "C" {
        fn openblas_set_num_threads(threads: c_int);
    }
    // SAFETY: takes a number, may be called at any time.
    unsafe { openblas_set_num_threads(1) }
}
