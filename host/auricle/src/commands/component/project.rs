//! A project's files on disk: all of them or none.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::template::File;

/// Writes the files into `target`, which must not be there, or be an empty directory.
///
/// They are written beside it and moved into its place at once.
///
/// # Errors
/// When `target` holds something, or the disk refuses; nothing is left behind then.
pub(super) fn write(target: &Path, files: &[File]) -> Result<()> {
    if !is_free(target)? {
        bail!(
            "{} is there and not empty: choose another name or remove it",
            target.display()
        );
    }
    let part = PathBuf::from(format!("{}.part-{}", target.display(), std::process::id()));
    let written = fill(&part, files)
        .and_then(|()| fs::rename(&part, target))
        .with_context(|| format!("{} cannot be written", target.display()));
    if written.is_err() {
        // What is not there need not go.
        let _ = fs::remove_dir_all(&part);
    }
    written
}

fn is_free(target: &Path) -> Result<bool> {
    match fs::read_dir(target) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(false),
        Err(error) => {
            Err(error).with_context(|| format!("{} cannot be looked into", target.display()))
        }
    }
}

fn fill(dir: &Path, files: &[File]) -> io::Result<()> {
    fs::create_dir(dir)?;
    for file in files {
        let path = dir.join(&file.path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let mode = if file.executable { 0o777 } else { 0o666 };
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true).mode(mode);
        options.open(&path)?.write_all(file.text.as_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn file(path: &str, executable: bool) -> File {
        File {
            path: path.to_owned(),
            text: "text\n".to_owned(),
            executable,
        }
    }

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn an_empty_directory_is_filled_and_scripts_can_be_run() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("mine");
        fs::create_dir(&target).unwrap();
        write(&target, &[file("a/b", false), file("run.sh", true)]).unwrap();
        assert_eq!(fs::read_to_string(target.join("a/b")).unwrap(), "text\n");
        let mode = target.join("run.sh").metadata().unwrap().permissions();
        assert_eq!(mode.mode() & 0o100, 0o100);
        assert_eq!(names(dir.path()), ["mine"]);
    }

    #[test]
    fn a_directory_with_anything_in_it_and_a_file_are_left_as_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let (full, plain) = (dir.path().join("full"), dir.path().join("plain"));
        fs::create_dir(&full).unwrap();
        fs::write(full.join(".hidden"), "mine").unwrap();
        fs::write(&plain, "mine").unwrap();
        for target in [&full, &plain] {
            let error = write(target, &[file("a", false)]).unwrap_err().to_string();
            assert!(error.contains("not empty"), "{error}");
        }
        assert_eq!(names(&full), [".hidden"]);
        assert_eq!(fs::read_to_string(&plain).unwrap(), "mine");
    }

    #[test]
    fn nothing_is_left_of_a_project_that_could_not_be_written() {
        let dir = tempfile::tempdir().unwrap();
        let twice = [file("a", false), file("a", false)];
        assert!(write(&dir.path().join("mine"), &twice).is_err());
        assert!(names(dir.path()).is_empty());
    }
}
