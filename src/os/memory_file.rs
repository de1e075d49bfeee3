//! The file of `-e`: opened, locked, and what kind of memory it is.
//!
//! Only its owner may read it, since it holds what clients stored and the seed of the key hash. One
//! process at a time may have it: the lock is the kernel's and goes with the process, however that
//! ends.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::hash::Hasher;
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::statfs::{HUGETLBFS_MAGIC, fstatfs};

use crate::config::{Failure, exit};

/// Permission bits of the file.
const MODE: u32 = 0o600;
/// Pages of a hugetlbfs that can be used.
const HUGE_PAGE_BYTES: i64 = 2 << 20;
/// How long to wait for a process that was killed to be gone.
const LOCK_WAIT: Duration = Duration::from_secs(1);

/// A file that nobody else has.
#[derive(Debug)]
pub struct Opened {
    /// Open for reading and writing, and locked.
    pub file: File,
    /// Whether it lies on huge pages.
    pub is_huge: bool,
}

/// Opens or makes the file and locks it.
///
/// # Errors
/// Exit code 73, and why it can't be had.
pub fn open(path: &Path) -> Result<Opened, Failure> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(MODE)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .map_err(|error| cannot(path, &error))?;
    let is_regular = file.metadata().is_ok_and(|known| known.is_file());
    if !is_regular {
        return Err(cannot(path, &"it is no regular file"));
    }
    lock(path, &file)?;
    file.set_permissions(Permissions::from_mode(MODE)).map_err(|error| cannot(path, &error))?;
    let system = fstatfs(&file).map_err(|error| cannot(path, &error))?;
    let is_huge = system.filesystem_type() == HUGETLBFS_MAGIC;
    if is_huge && system.block_size() != HUGE_PAGE_BYTES {
        return Err(cannot(path, &"of hugetlbfs only pages of 2 MB are used (pagesize=2M)"));
    }
    Ok(Opened { file, is_huge })
}

fn lock(path: &Path, file: &File) -> Result<(), Failure> {
    let since = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if since.elapsed() < LOCK_WAIT => {
                sleep(Duration::from_millis(10));
            }
            Err(TryLockError::WouldBlock) => {
                return Err(cannot(path, &"another process has it: is a server running with it?"));
            }
            Err(TryLockError::Error(error)) => return Err(cannot(path, &error)),
        }
    }
}

/// The failure to use the file at all.
pub fn cannot(path: &Path, why: &dyn std::fmt::Display) -> Failure {
    Failure {
        code: exit::CANT_CREATE,
        message: format!("cannot use the memory file {} (-e): {why}", path.display()),
    }
}

/// A number of 48 bits that stands for the machine's current boot; never 0.
///
/// # Errors
/// When the kernel does not tell.
pub fn boot() -> io::Result<u64> {
    let id = fs::read("/proc/sys/kernel/random/boot_id")?;
    let mut hasher = xxhash_rust::xxh3::Xxh3::new();
    hasher.write(&id);
    Ok((hasher.finish() >> 16).max(1))
}
