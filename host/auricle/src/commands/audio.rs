//! What the verbs that read audio files share.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use auricle_audio::{DecodeLimits, Hint};
use auricle_capability::RequestScope;
use auricle_speech::{Clip, KnownVoice, SpeakerOptions, TenantId};
use auricle_tenancy::Account;

use crate::args::SpeakerArgs;

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
pub(super) async fn speaker_options(
    args: &SpeakerArgs,
    limits: &DecodeLimits,
) -> Result<SpeakerOptions> {
    let mut known = Vec::with_capacity(args.known.len());
    for (name, file) in &args.known {
        let clip = clip(file, limits)
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
pub(super) async fn clip(file: &Path, limits: &DecodeLimits) -> Result<Clip> {
    let (path, limits) = (file.to_owned(), limits.clone());
    tokio::task::spawn_blocking(move || decode(&path, &limits)).await?
}

fn decode(path: &Path, limits: &DecodeLimits) -> Result<Clip> {
    let never = || false;
    let reader: Box<dyn Read + Send + Sync> = if is_stdin(path) {
        Box::new(std::io::stdin())
    } else {
        Box::new(File::open(path).context("the file cannot be opened")?)
    };
    let file_name = path.file_name().and_then(|name| name.to_str());
    let hint = Hint {
        file_name,
        content_type: None,
    };
    Ok(auricle_audio::decode(reader, hint, limits, &never)?)
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
