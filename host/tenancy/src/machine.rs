//! What the machine has to share: memory, as far as this process may use it, and disk.
//!
//! Memory is the machine's, or the limit of a control group that the process is in (version 2, or the
//! memory controller of version 1), whichever is less. A group's limit is found from the process's own
//! group upwards; in a container whose namespace hides the path, at the root of the mount.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

/// `f_type` of tmpfs and ramfs (linux/magic.h).
const MEMORY_FILE_SYSTEMS: [rustix::fs::FsWord; 2] = [0x0102_1994, 0x8584_58f6];

/// Bytes of memory that this process may use; nothing where the system does not say.
#[must_use]
pub fn memory_bytes() -> Option<u64> {
    memory_bytes_below(Path::new("/"))
}

/// The same of a system whose `proc` and `sys` are below `root`.
fn memory_bytes_below(root: &Path) -> Option<u64> {
    let installed = meminfo_total(&read(root.join("proc/meminfo"))?);
    let group = read(root.join("proc/self/cgroup"))
        .and_then(|groups| group_limit(&groups, &root.join("sys/fs/cgroup")));
    [installed, group].into_iter().flatten().min()
}

fn read(path: PathBuf) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// `MemTotal` of `/proc/meminfo`, in bytes.
fn meminfo_total(text: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    kib.checked_mul(1024)
}

/// The least limit of the groups that `/proc/self/cgroup` names; nothing without one.
fn group_limit(groups: &str, mount: &Path) -> Option<u64> {
    let limits = groups.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        if controllers.is_empty() {
            // Version 2, alone or beside controllers of version 1.
            let alone = least_limit(mount, path, "memory.max");
            return alone.or_else(|| least_limit(&mount.join("unified"), path, "memory.max"));
        }
        let is_memory = controllers.split(',').any(|one| one == "memory");
        is_memory.then(|| least_limit(&mount.join("memory"), path, "memory.limit_in_bytes"))?
    });
    limits.min()
}

/// The least number in the files called `file` from the group at `path` up to the root of `mount`.
fn least_limit(mount: &Path, path: &str, file: &str) -> Option<u64> {
    let mut names: Vec<&OsStr> = Path::new(path)
        .components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name),
            _ => None,
        })
        .collect();
    let mut least: Option<u64> = None;
    loop {
        let dir = names
            .iter()
            .fold(mount.to_owned(), |dir, name| dir.join(name));
        // "max", or a group that is not to be seen from here, is no limit.
        let limit = read(dir.join(file)).and_then(|text| text.trim().parse().ok());
        least = least.into_iter().chain(limit).min();
        if names.pop().is_none() {
            return least;
        }
    }
}

/// A disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Bytes that are free on it.
    pub free_bytes: u64,
    /// Whether it is memory (tmpfs).
    pub is_memory: bool,
}

/// The disk that a directory is on.
///
/// # Errors
/// When the directory is not there.
pub fn disk(dir: &Path) -> std::io::Result<Disk> {
    let found = rustix::fs::statfs(dir)?;
    let block_bytes = u64::try_from(found.f_bsize).unwrap_or(0);
    Ok(Disk {
        free_bytes: found.f_bavail.saturating_mul(block_bytes),
        is_memory: MEMORY_FILE_SYSTEMS.contains(&found.f_type),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    /// A system with these files, and the memory that a process in it may use.
    fn memory_with(files: &[(&str, &str)]) -> Option<u64> {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        memory_bytes_below(root.path())
    }

    const EIGHT_GIB: (&str, &str) = ("proc/meminfo", "MemFree: 1 kB\nMemTotal:  8388608 kB\n");

    #[test]
    fn memory_is_the_machines_without_a_group() {
        assert_eq!(memory_with(&[EIGHT_GIB]), Some(8 << 30));
        assert_eq!(memory_with(&[]), None);
    }

    #[test]
    fn memory_is_the_least_limit_of_a_version_2_group_and_its_parents() {
        let own = ("proc/self/cgroup", "0::/system.slice/auricle.service\n");
        let limits = [
            EIGHT_GIB,
            own,
            ("sys/fs/cgroup/system.slice/memory.max", "3221225472\n"),
            (
                "sys/fs/cgroup/system.slice/auricle.service/memory.max",
                "max\n",
            ),
        ];
        assert_eq!(memory_with(&limits), Some(3 << 30));
        // A container sees its own group as the root of the mount.
        let contained = [EIGHT_GIB, own, ("sys/fs/cgroup/memory.max", "1073741824")];
        assert_eq!(memory_with(&contained), Some(1 << 30));
        let larger = [
            EIGHT_GIB,
            own,
            ("sys/fs/cgroup/memory.max", "99999999999999"),
        ];
        assert_eq!(memory_with(&larger), Some(8 << 30));
    }

    #[test]
    fn memory_is_the_least_limit_of_a_version_1_controller() {
        let groups = "9:name=systemd:/x\n5:cpu,cpuacct:/a\n4:memory:/a/b\n0::/\n";
        let limit = |path| (path, "2147483648\n");
        let limits = |path| {
            [
                EIGHT_GIB,
                ("proc/self/cgroup", groups),
                (
                    "sys/fs/cgroup/memory/memory.limit_in_bytes",
                    "9223372036854771712",
                ),
                limit(path),
            ]
        };
        for path in [
            "sys/fs/cgroup/memory/a/memory.limit_in_bytes",
            "sys/fs/cgroup/memory/a/b/memory.limit_in_bytes",
        ] {
            assert_eq!(memory_with(&limits(path)), Some(2 << 30), "{path}");
        }
        // Another controller's, and another group's, do not count.
        for path in [
            "sys/fs/cgroup/cpu/a/memory.limit_in_bytes",
            "sys/fs/cgroup/memory/c/memory.limit_in_bytes",
        ] {
            assert_eq!(memory_with(&limits(path)), Some(8 << 30), "{path}");
        }
    }

    #[test]
    fn a_disk_has_room_and_a_missing_directory_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert!(disk(dir.path()).unwrap().free_bytes > 0);
        assert!(disk(&dir.path().join("missing")).is_err());
    }
}
