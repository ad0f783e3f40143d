//! `auricle transcribe`: the server's pipeline on files.

mod outputs;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use auricle_capability::{Channels, Event, Services};
use auricle_formats::SubtitleOptions;
use auricle_speech::{Clip, DecodeOptions, LanguageTag, Task, TranscribeOptions, Transcript};
use indicatif::{ProgressBar, ProgressStyle};

use crate::args::{Format, TranscribeArgs};
use crate::assemble::Node;
use crate::commands::audio::{clips, exit_code, name, scope, speaker_options};
use crate::config::Config;

/// Value of `--language` that has the language detected, as without the option.
const DETECT: &str = "auto";

/// Steps of the progress of one clip.
const STEPS: f64 = 1000.0;

/// Transcribes every file; goes on after one that cannot be.
pub(super) async fn run(mut config: Config, args: TranscribeArgs) -> Result<ExitCode> {
    if args.model.is_some() {
        config.set_model(args.model.clone());
    }
    if args.workers.is_some() {
        config.set_workers(args.workers)?;
    }
    config.file.audio.ffmpeg.enabled |= args.ffmpeg;
    let mut options = options(&args)?;
    let subtitles = args.subtitles.options()?;
    let mut outputs = Vec::new();
    if let Some(dir) = &args.output_dir {
        outputs = outputs::plan(&args.files, dir, args.format.extension())?;
        std::fs::create_dir_all(dir)
            .with_context(|| format!("the directory {} cannot be made", dir.display()))?;
    }
    let node = Node::assemble(&config)?;
    // Held to the end, so that the model is loaded once and before any file's time is taken.
    let _model = node
        .registry
        .lease(
            &config.default_model,
            options.decode.word_timestamps || args.diarize,
        )
        .await?;
    if args.diarize {
        options.diarize = Some(speaker_options(&node, &args.speakers).await?);
    }
    let mut failed = 0;
    for (number, file) in args.files.iter().enumerate() {
        let outcome = transcribe(&node, file, &options, &args)
            .await
            .and_then(|transcript| {
                let text = render(&transcript, &args, options.decode.task, &subtitles);
                write(&text, outputs.get(number).map(PathBuf::as_path))
            });
        if let Err(error) = outcome {
            eprintln!("{}: {error:#}", name(file));
            failed += 1;
        }
    }
    Ok(exit_code(failed, args.files.len()))
}

fn options(args: &TranscribeArgs) -> Result<TranscribeOptions> {
    let language = args
        .language
        .as_deref()
        .filter(|language| !language.eq_ignore_ascii_case(DETECT))
        .map(str::parse::<LanguageTag>)
        .transpose()?;
    Ok(TranscribeOptions {
        model: args.model.clone(),
        language: language.map(|tag| tag.language),
        script: language.and_then(|tag| tag.script),
        decode: DecodeOptions {
            task: args.task.parse::<Task>()?,
            prompt: args.prompt.clone(),
            temperature: args.temperature,
            beam_size: args.beam_size,
            word_timestamps: args.word_timestamps || args.format.is_subtitle(),
            ..DecodeOptions::default()
        },
        diarize: None,
        ..TranscribeOptions::default()
    })
}

async fn transcribe(
    node: &Node,
    file: &Path,
    options: &TranscribeOptions,
    args: &TranscribeArgs,
) -> Result<Transcript> {
    let began = Instant::now();
    let channels = match args.multichannel {
        true => Channels::Apart,
        false => Channels::Mixed,
    };
    let clips = clips(node, file, channels).await?;
    let bar = progress_bar(file, args.quiet, clips.len());
    let mut transcripts = Vec::with_capacity(clips.len());
    for clip in clips {
        transcripts.push(recognise(node, clip, options.clone(), &bar).await?);
    }
    bar.finish_and_clear();
    let transcript = match (channels, transcripts.pop()) {
        (Channels::Mixed, Some(only)) => only,
        (_, last) => Transcript::of_channels(transcripts.into_iter().chain(last).collect()),
    };
    tracing::info!(
        file = %name(file),
        audio_secs = transcript.duration_secs,
        secs = began.elapsed().as_secs_f64(),
        "transcribed"
    );
    Ok(transcript)
}

async fn recognise(
    node: &Node,
    clip: Clip,
    options: TranscribeOptions,
    bar: &ProgressBar,
) -> Result<Transcript> {
    let scope = scope("transcribe");
    let mut events = node.pipeline.transcribe(&scope, clip, options)?;
    let (mut segments, mut dropped, mut silence) = (Vec::new(), Vec::new(), Vec::new());
    let before = bar.position();
    while let Some(event) = events.next().await {
        match event? {
            Event::Language(_) => {}
            Event::Segments(more) => segments.extend(more),
            Event::Dropped(more) => dropped.extend(more),
            Event::Silence(more) => silence.extend(more),
            Event::Progress(share) => bar.set_position(before + (f64::from(share) * STEPS) as u64),
            Event::Finished(summary) => {
                return Ok(Transcript {
                    language: summary.language,
                    languages: summary.languages,
                    segments,
                    dropped,
                    silence,
                    speakers: summary.speakers,
                    channels: Vec::new(),
                    duration_secs: summary.duration_secs,
                });
            }
        }
    }
    bail!("the transcription ended early")
}

fn progress_bar(file: &Path, quiet: bool, clips: usize) -> ProgressBar {
    if quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(STEPS as u64 * clips as u64).with_message(name(file));
    let style =
        ProgressStyle::with_template("{msg:30!} {bar:40} {percent:>3} % {elapsed} left {eta}");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}

fn render(
    transcript: &Transcript,
    args: &TranscribeArgs,
    task: Task,
    subtitles: &SubtitleOptions,
) -> String {
    match args.format {
        Format::Text => auricle_formats::text(transcript),
        Format::Json => auricle_formats::json(transcript, auricle_formats::Plain::default()),
        Format::VerboseJson => {
            let parts = auricle_formats::Verbose::all_of(transcript, task);
            auricle_formats::verbose_json(transcript, parts)
        }
        Format::Srt => auricle_formats::srt(transcript, subtitles),
        Format::Vtt => auricle_formats::vtt(transcript, subtitles),
    }
}

/// Writes a transcript to `output`, or prints it.
fn write(text: &str, output: Option<&Path>) -> Result<()> {
    let Some(path) = output else {
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes())?;
        if !text.ends_with('\n') {
            out.write_all(b"\n")?;
        }
        return Ok(());
    };
    std::fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
}
