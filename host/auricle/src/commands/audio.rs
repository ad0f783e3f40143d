//! What the verbs that read audio files share.

use std::fs::File;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use auricle_capability::{Channels, Media, MediaError, MediaHint, RequestScope, Services};
use auricle_speech::{Clip, KnownVoice, SpeakerOptions, TenantId};
use auricle_tenancy::Account;

use crate::args::SpeakerArgs;
use crate::assemble::Node;

/// The longest that one file may take.
const FILE_DEADLINE: Duration = Duration::from_secs(24 * 60 * 60);

/// Exit code when some of several files could not be read or heard.
const SOME_FAILED: u8 = 3;

/// The code of a command of which so many files failed.
pub(super) fn exit_code(failed: usize, files: usize) -> ExitCode {
    match failed {
        0 => ExitCode::SUCCESS,
        all if all == files => ExitCode::FAILURE,
        _ => ExitCode::from(SOME_FAILED),
    }
}

/// The scope of a file's work.
pub(super) fn scope(request_id: &str) -> RequestScope {
    RequestScope {
        tenant: TenantId::default_tenant(),
        account: Account::unlimited(),
        request_id: request_id.into(),
        deadline: Instant::now() + FILE_DEADLINE,
    }
}

/// Who may be speaking, with the clips of known speakers read.
pub(super) async fn speaker_options(node: &Node, args: &SpeakerArgs) -> Result<SpeakerOptions> {
    let mut known = Vec::with_capacity(args.known.len());
    for (name, file) in &args.known {
        let clip = clip(node, file)
            .await
            .with_context(|| format!("the known speaker '{name}'"))?;
        known.push(KnownVoice {
            name: name.clone(),
            clip,
        });
    }
    Ok(SpeakerOptions {
        num_speakers: args.num_speakers,
        min_speakers: args.min_speakers,
        max_speakers: args.max_speakers,
        known,
    })
}

/// Reads and decodes a file.
pub(super) async fn clip(node: &Node, file: &Path) -> Result<Clip> {
    let clips = clips(node, file, Channels::Mixed).await?;
    clips.into_iter().next().context("the file has no audio")
}

/// Reads and decodes a file, its channels mixed or each for itself.
pub(super) async fn clips(node: &Node, file: &Path, channels: Channels) -> Result<Vec<Clip>> {
    let media = match is_stdin(file) {
        true => Media::reader(std::io::stdin()),
        false => Media::reader(File::open(file).context("the file cannot be opened")?),
    };
    let file_name = file.file_name().and_then(|name| name.to_str());
    let hint = MediaHint {
        file_name: file_name.map(str::to_owned),
        content_type: None,
    };
    let (scope, longest) = (scope("decode"), Duration::MAX);
    let decoding = node.pipeline.decode(&scope, media, hint, channels, longest);
    match decoding.await {
        // Nobody sends it: it lies there.
        Err(MediaError::Source(_)) => bail!("the file cannot be read to its end"),
        decoded => Ok(decoded?),
    }
}

pub(super) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

pub(super) fn name(path: &Path) -> String {
    if is_stdin(path) {
        "standard input".into()
    } else {
        path.display().to_string()
    }
}
