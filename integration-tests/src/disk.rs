//! A small file system in memory, to be filled. Mounting one needs root, as in CI.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system in memory; it goes with the value.
#[derive(Debug)]
pub struct Disk(PathBuf);

impl Disk {
    /// `None`, and a loud line, where it cannot be mounted.
    ///
    /// # Panics
    /// When it cannot be mounted in CI.
    #[must_use]
    pub fn mount(at: &Path, megabytes: u32) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let size = format!("size={megabytes}m,mode=0700");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).output().unwrap();
        if mounted.status.success() {
            return Some(Self(at.to_owned()));
        }
        println!("SKIPPED: no file system of its own: {}", String::from_utf8_lossy(&mounted.stderr));
        assert!(!is_ci(), "CI runs as root and must run this");
        None
    }

    /// Takes all the room that is left.
    pub fn fill(&self) {
        let mut free = self.free();
        let filler = self.0.join("filler");
        while free > 0 {
            let size = std::fs::metadata(&filler).map_or(0, |meta| meta.len()) + free;
            let filled =
                Command::new("fallocate").args(["-l", &size.to_string()]).arg(&filler).status().unwrap();
            assert!(filled.success());
            free = self.free();
        }
    }

    /// Gives back what [`Disk::fill`] took.
    pub fn empty(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }

    /// Bytes that are left.
    #[must_use]
    pub fn free(&self) -> u64 {
        let said = Command::new("df").args(["--output=avail", "-B1"]).arg(&self.0).output().unwrap();
        let text = String::from_utf8(said.stdout).unwrap();
        text.lines().nth(1).unwrap().trim().parse().unwrap()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(Command::new("umount").args(["-l"]).arg(&self.0).status());
    }
}

#[allow(clippy::disallowed_methods, reason = "whether this is CI is told by the environment")]
fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}
