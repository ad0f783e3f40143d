//! Writes the seeds into the folder that is named: one folder for each target.

use std::io;
use std::path::PathBuf;

fn main() -> io::Result<()> {
    let Some(corpus) = std::env::args_os().nth(1).map(PathBuf::from) else {
        return Err(io::Error::other(
            "name the folder that they are written into",
        ));
    };
    for (target, seeds) in auricle_fuzz_seeds::all() {
        let folder = corpus.join(target);
        std::fs::create_dir_all(&folder)?;
        for (number, seed) in seeds.iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{number}")), seed)?;
        }
    }
    Ok(())
}
