//! Prints the spans into which the first-party chunker cuts a file: `START END` in samples, one
//! span a line. `bare-whisper` is given them, so that both sides recognise the same pieces.

use std::path::Path;

use anyhow::{Context, Result};
use auricle_audio::DecodeLimits;
use auricle_benches::{FirstParty, scope};

#[tokio::main]
async fn main() -> Result<()> {
    let file = std::env::args_os()
        .nth(1)
        .context("usage: cut-spans FILE")?;
    let clip = auricle_audio::decode_path(Path::new(&file), &DecodeLimits::default(), &|| false)?;
    let first_party = FirstParty::start()?;
    let spans = first_party
        .guests
        .split(&first_party.chunker, &scope(), &clip)
        .await?;
    for span in spans {
        println!("{} {}", span.start, span.end);
    }
    Ok(())
}
