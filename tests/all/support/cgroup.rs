//! A control group with a memory limit, for a server that must stay within it.
//!
//! A child of the test's own group, by whichever version of the interface this machine has. Where
//! none can be made (no root, a read-only mount) there is none, and tests say so.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// Files of the interface's two versions.
struct Version {
    limit: &'static str,
    events: &'static str,
}

const V1: Version = Version {
    limit: "memory.limit_in_bytes",
    events: "memory.oom_control",
};

const V2: Version = Version {
    limit: "memory.max",
    events: "memory.events",
};

/// A group. Dropping it ends what runs in it and removes it.
pub struct MemoryCgroup {
    dir: PathBuf,
    version: Version,
}

impl MemoryCgroup {
    /// A group whose processes may use so many bytes together.
    pub fn new(limit_bytes: u64) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("auricle-test-{}-{number}", std::process::id());
        let own = |controller: &str| {
            let line = groups.lines().find(|line| {
                let mut fields = line.splitn(3, ':').skip(1);
                let named = fields.next().unwrap_or_default();
                named.split(',').any(|one| one == controller)
            });
            line.and_then(|line| line.splitn(3, ':').nth(2))
                .map(|path| path.trim_start_matches('/').to_owned())
        };
        let root = Path::new("/sys/fs/cgroup");
        let v1 = own("memory").map(|path| (root.join("memory").join(path), V1));
        let v2 = own("").map(|path| (root.join(path), V2));
        [v1, v2]
            .into_iter()
            .flatten()
            .find_map(|(parent, version)| {
                let dir = parent.join(&name);
                std::fs::create_dir(&dir).ok()?;
                let group = Self { dir, version };
                let limited = group.write(group.version.limit, &limit_bytes.to_string());
                limited.then_some(group)
            })
    }

    /// Where a process writes its number to enter.
    pub fn entrance(&self) -> PathBuf {
        self.dir.join("cgroup.procs")
    }

    /// Processes that the kernel has ended because the group was at its limit.
    pub fn kills(&self) -> u64 {
        let text = std::fs::read_to_string(self.dir.join(self.version.events)).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        line.unwrap().trim().parse().unwrap()
    }

    fn write(&self, file: &str, text: &str) -> bool {
        // Opened without creating: a missing file means that the controller is not there.
        let file = std::fs::OpenOptions::new()
            .write(true)
            .open(self.dir.join(file));
        file.is_ok_and(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()).is_ok())
    }
}

impl Drop for MemoryCgroup {
    fn drop(&mut self) {
        for _ in 0..100 {
            if std::fs::remove_dir(&self.dir).is_ok() {
                return;
            }
            let inside = std::fs::read_to_string(self.entrance()).unwrap_or_default();
            let inside = inside.lines().filter_map(|line| line.parse().ok());
            for pid in inside.filter_map(Pid::from_raw) {
                let _ = kill_process(pid, Signal::KILL);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
