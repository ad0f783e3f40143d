//! whisper.cpp and the passes over a chunk, and nothing else: what the server's overhead is measured
//! against.
//!
//!     bare-whisper MODEL SHA256 AUDIO SPANS WORKERS
//!
//! Decodes AUDIO with the server's decoder, recognises the spans that the file SPANS lists on WORKERS
//! threads with a whisper state of their own each, and prints the text. Each chunk is decoded with the
//! server's parameters, higher temperatures and second passes included, so that both sides have the
//! same work. There is no server, no component, no queue, no voice activity. Language is English. On
//! standard error: seconds of the whole, without loading the model.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use auricle_audio::DecodeLimits;
use auricle_backend_whisper::WhisperLoader;
use auricle_speech::{
    CancelFlag, Clip, DecodeOptions, Engine, EngineLoader, Language, ModelFiles, Span,
};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, sha256, audio, spans, workers] = arguments.as_slice() else {
        anyhow::bail!("usage: bare-whisper MODEL SHA256 AUDIO SPANS WORKERS");
    };
    let spans = read_spans(spans)?;
    let workers: usize = workers.parse()?;
    let engine = WhisperLoader.load(&ModelFiles {
        name: "base".to_owned(),
        path: model.into(),
        sha256: sha256.clone(),
        word_timestamps: false,
    })?;
    let began = Instant::now();
    let clip = auricle_decoder::native::decode_path(Path::new(audio), &DecodeLimits::default())?;
    let texts = recognise(engine.as_ref(), &clip, &spans, workers)?;
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
    engine: &dyn Engine,
    clip: &Clip,
    spans: &[Span],
    workers: usize,
) -> Result<Vec<String>> {
    let next = AtomicUsize::new(0);
    let texts = Mutex::new(vec![String::new(); spans.len()]);
    let work = || -> Result<()> {
        let mut session = engine.open_session()?;
        let (options, cancel) = (DecodeOptions::default(), CancelFlag::new());
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(span) = spans.get(number) else {
                return Ok(());
            };
            let samples = clip.slice(*span);
            let segments = session.transcribe(samples, Language::ENGLISH, &options, &cancel)?;
            let text: Vec<&str> = segments.iter().map(|s| s.text.as_str()).collect();
            let mut texts = texts.lock().map_err(|_| anyhow!("a worker panicked"))?;
            if let Some(place) = texts.get_mut(number) {
                *place = text.join(" ");
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
