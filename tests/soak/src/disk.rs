//! A small disk that is full from time to time. Where none can be mounted, the folder is one of the usual disk, and files
//! there have limits (see `writers.rs`).

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use audit_testbed::Rng;

use crate::site::Site;

const SIZE: &str = "size=256m";

/// How much is written at once to fill it up.
const PIECE: usize = 64 << 10;

pub struct Disk {
    folder: PathBuf,
    pub is_mounted: bool,
}

impl Disk {
    pub fn new(folder: &Path) -> Self {
        fs::create_dir(folder).expect("the folder can be written");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", SIZE, "none"]).arg(folder).stderr(Stdio::null());
        let is_mounted = mount.status().is_ok_and(|status| status.success());
        Self { folder: folder.to_owned(), is_mounted }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn ballast(&self) -> PathBuf {
        self.folder.join("ballast")
    }

    /// Makes room.
    pub fn free(&self) {
        let _ = fs::remove_file(self.ballast());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.is_mounted {
            let _ = Command::new("umount").arg("--lazy").arg(&self.folder).status();
        }
    }
}

/// Fills the disk up, and makes room again.
pub fn fill(site: &Site, _: usize, mut rng: Rng) {
    while site.disk.is_mounted && !site.is_over() {
        site.sleep(Duration::from_millis(rng.u64(500..6_000)));
        let ballast = File::create(site.disk.ballast());
        // Up to the last byte: a line may then fit in part.
        let filled = ballast.and_then(|mut file| {
            loop {
                file.write_all(&[0; PIECE])?;
            }
        });
        let _: Result<(), _> = filled;
        site.count("full disks", 1);
        site.sleep(Duration::from_millis(rng.u64(100..2_000)));
        site.disk.free();
    }
    site.disk.free();
}
