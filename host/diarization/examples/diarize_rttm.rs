//! Writes who spoke when in audio files as RTTM, with two threads that have models of their own:
//!     diarize_rttm [--models DIR] [--set NAME=VALUE]... OUT_DIR FILE...
//! Prints a line for each file: its stem, its seconds, seconds taken after decoding, speakers. The
//! two networks are converted from the installed checkpoints into DIR, by default a temporary one.
//! `--set` changes a number of `Tuning` or of the options; `--set repeat=N` plays a file N times.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, bail};
use auricle_backend_onnx::{Embedder, OnnxRuntime, Segmenter};
use auricle_diarization::{Diarization, DiarizeOptions, Diarized, VoiceJob, is_silent};
use auricle_models::convert::onnx;
use auricle_models::{Store, StoreDirs};
use auricle_speech::{CancelFlag, Clip, Span};

/// As many as the machines have cores on which the tables are made.
const WORKERS: usize = 2;

struct Worker {
    segmenter: Segmenter,
    embedder: Embedder,
}

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1).peekable();
    let (mut options, mut repeat, mut models) = (DiarizeOptions::default(), 1, None);
    while let Some(flag) = arguments.next_if(|argument| argument.starts_with("--")) {
        let value = arguments
            .next()
            .with_context(|| format!("{flag} wants a value"))?;
        match flag.as_str() {
            "--models" => models = Some(PathBuf::from(value)),
            "--set" => set(&mut options, &mut repeat, &value)?,
            _ => bail!("there is no {flag}"),
        }
    }
    let out = PathBuf::from(arguments.next().context("no OUT_DIR")?);
    std::fs::create_dir_all(&out)?;
    let temporary = tempfile::tempdir()?;
    let mut workers = load(models.as_deref().unwrap_or(temporary.path()))?;
    for file in arguments.map(PathBuf::from) {
        let limits = auricle_audio::DecodeLimits::default();
        let clip = auricle_decoder::native::decode_path(&file, &limits)?;
        let clip = if repeat > 1 {
            Clip::new(clip.samples().repeat(repeat))
        } else {
            clip
        };
        let stem = file
            .file_stem()
            .and_then(|stem| stem.to_str())
            .unwrap_or("audio");
        let began = Instant::now();
        let found = diarize(&clip, &mut workers, &options)?;
        let secs = began.elapsed().as_secs_f64();
        std::fs::write(out.join(format!("{stem}.rttm")), rttm(stem, &found))?;
        let (length, speakers) = (clip.duration().as_secs_f64(), found.speakers.len());
        println!("{stem}\t{length:.2}\t{secs:.3}\t{speakers}");
    }
    Ok(())
}

fn set(options: &mut DiarizeOptions, repeat: &mut usize, setting: &str) -> anyhow::Result<()> {
    let (name, value) = setting.split_once('=').context("--set wants NAME=VALUE")?;
    let tuning = &mut options.tuning;
    match name {
        "repeat" => *repeat = value.parse()?,
        "num_speakers" => options.num_speakers = Some(value.parse()?),
        "min_speakers" => options.min_speakers = Some(value.parse()?),
        "max_speakers" => options.max_speakers = Some(value.parse()?),
        "same_speaker_cosine" => tuning.same_speaker_cosine = value.parse()?,
        "same_window_penalty" => tuning.same_window_penalty = value.parse()?,
        "min_voice_secs" => tuning.min_voice_secs = value.parse()?,
        "min_speaker_secs" => tuning.min_speaker_secs = value.parse()?,
        "min_speaker_share" => tuning.min_speaker_share = value.parse()?,
        "third_speaker_share" => tuning.third_speaker_share = value.parse()?,
        "max_pause_secs" => tuning.max_pause_secs = value.parse()?,
        "min_turn_secs" => tuning.min_turn_secs = value.parse()?,
        "speech_threshold" => tuning.speech_threshold = value.parse()?,
        "overlap_threshold" => tuning.overlap_threshold = value.parse()?,
        "move_cosine" => tuning.move_cosine = value.parse()?,
        "move_margin" => tuning.move_margin = value.parse()?,
        "overlap" => tuning.overlap = value.parse()?,
        _ => bail!("there is no setting {name}"),
    }
    Ok(())
}

fn load(dir: &Path) -> anyhow::Result<Vec<Worker>> {
    let store = Store::open(StoreDirs::from_env()?)?;
    let checkpoint = |set: &str, name: &str| {
        let files = store.file(set)?;
        let file = files
            .get(name)
            .with_context(|| format!("no {name} in {set}"))?;
        anyhow::Ok(file.path.clone())
    };
    std::fs::create_dir_all(dir)?;
    let segmentation = dir.join("segmentation.onnx");
    let set = "pyannote-segmentation-3.0";
    onnx::segmentation(&checkpoint(set, "pytorch_model.bin")?, &segmentation)?;
    let campplus = dir.join("campplus.onnx");
    onnx::campplus(
        &checkpoint("campplus", "campplus_cn_en_common.pt")?,
        &campplus,
    )?;
    let runtime = OnnxRuntime::load(&store.library("onnxruntime")?.path)?;
    let worker = |_| {
        anyhow::Ok(Worker {
            segmenter: Segmenter::load(&runtime, &segmentation, onnx::SEGMENTATION_SHA256)?,
            embedder: Embedder::load(&runtime, &campplus, onnx::CAMPPLUS_SHA256)?,
        })
    };
    (0..WORKERS).map(worker).collect()
}

fn diarize(
    clip: &Clip,
    workers: &mut [Worker],
    options: &DiarizeOptions,
) -> anyhow::Result<Diarized> {
    let diarization = Diarization::new(clip.len_samples());
    let windows = diarization.windows();
    let (shared, next) = (Mutex::new(diarization), AtomicUsize::new(0));
    in_parallel(workers, |worker| {
        work(clip, &windows, &next, &shared, worker)
    })?;
    let passages = shared.lock().ok().context("a worker panicked")?.passages();
    let next = AtomicUsize::new(0);
    in_parallel(workers, |worker| {
        while let Some(job) = passages.get(next.fetch_add(1, Ordering::Relaxed)) {
            embed(clip, job, &shared, worker)?;
        }
        Ok(())
    })?;
    let diarization = shared.into_inner().ok().context("a worker panicked")?;
    Ok(diarization.finish(options, &CancelFlag::new())?)
}

/// Runs a function with each worker at the same time.
fn in_parallel(
    workers: &mut [Worker],
    run: impl Fn(&mut Worker) -> anyhow::Result<()> + Sync,
) -> anyhow::Result<()> {
    std::thread::scope(|scope| {
        let run = &run;
        let spawn = |worker| scope.spawn(move || run(worker));
        let threads: Vec<_> = workers.iter_mut().map(spawn).collect();
        for thread in threads {
            match thread.join() {
                Ok(result) => result?,
                Err(_) => bail!("a worker panicked"),
            }
        }
        Ok(())
    })
}

fn embed(
    clip: &Clip,
    job: &VoiceJob,
    shared: &Mutex<Diarization>,
    worker: &mut Worker,
) -> anyhow::Result<()> {
    let embeddings = worker
        .embedder
        .embed(&[&job.sound(clip)], &CancelFlag::new())?;
    for embedding in embeddings {
        let mut diarization = shared.lock().ok().context("a worker panicked")?;
        diarization.embedded(job, embedding.values())?;
    }
    Ok(())
}

/// Takes windows, two at a time, until none is left.
fn work(
    clip: &Clip,
    windows: &[Span],
    next: &AtomicUsize,
    shared: &Mutex<Diarization>,
    worker: &mut Worker,
) -> anyhow::Result<()> {
    let cancel = CancelFlag::new();
    let lock = || shared.lock().ok().context("a worker panicked");
    loop {
        let first = next.fetch_add(2, Ordering::Relaxed);
        let mut loud = Vec::new();
        for (window, span) in windows.iter().enumerate().skip(first).take(2) {
            let sound = clip.slice(*span);
            if is_silent(sound) {
                lock()?.silent(window)?;
            } else {
                loud.push((window, sound));
            }
        }
        if first >= windows.len() {
            return Ok(());
        }
        let sounds: Vec<_> = loud.iter().map(|&(_, sound)| sound).collect();
        let answers = worker.segmenter.segment(&sounds, &cancel)?;
        for ((window, _), answer) in loud.into_iter().zip(answers) {
            let jobs = {
                let mut diarization = lock()?;
                diarization.segmented(window, answer.log_probabilities())?;
                diarization.voices(window)
            };
            for job in jobs {
                embed(clip, &job, shared, worker)?;
            }
        }
    }
}

fn rttm(stem: &str, found: &Diarized) -> String {
    let line = |turn: &auricle_speech::Turn| {
        let (start, length) = (turn.start, turn.end - turn.start);
        let speaker = &turn.speaker;
        format!("SPEAKER {stem} 1 {start:.3} {length:.3} <NA> <NA> {speaker} <NA> <NA>\n")
    };
    found.turns.iter().map(line).collect()
}
