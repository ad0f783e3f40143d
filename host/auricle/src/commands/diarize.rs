//! `auricle diarize`: who speaks when in files, as RTTM.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use auricle_capability::Services;
use auricle_speech::SpeakerOptions;

use crate::args::DiarizeArgs;
use crate::assemble::Node;
use crate::commands::audio::{clip, exit_code, is_stdin, name, scope, speaker_options};
use crate::config::Config;

/// Diarizes every file; goes on after one that cannot be.
pub(super) async fn run(mut config: Config, args: DiarizeArgs) -> Result<ExitCode> {
    config.file.audio.ffmpeg.enabled |= args.ffmpeg;
    let node = Node::assemble(&config)?;
    let options = speaker_options(&node, &args.speakers).await?;
    let mut failed = 0;
    for file in &args.files {
        if let Err(error) = diarize(&node, file, &options).await {
            eprintln!("{}: {error:#}", name(file));
            failed += 1;
        }
    }
    Ok(exit_code(failed, args.files.len()))
}

async fn diarize(node: &Node, file: &Path, options: &SpeakerOptions) -> Result<()> {
    let clip = clip(node, file).await?;
    let turns = node
        .pipeline
        .diarize(&scope("diarize"), clip, options.clone());
    let stem = match is_stdin(file) {
        true => "stdin".into(),
        false => file.file_stem().unwrap_or_default().to_string_lossy(),
    };
    let rttm = auricle_formats::rttm(&stem, &turns.await?);
    Ok(std::io::stdout().lock().write_all(rttm.as_bytes())?)
}
