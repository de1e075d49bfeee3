//! The file that a cache lies in: a head, and a part for each shard.
//!
//! ```text
//!   0       2 MB                             each part: 2 MB with the book, then pages
//!   | head  | part of shard 0        | part of shard 1        | ...
//! ```
//!
//! The head is 512 checked words (see `slab::book`): what the file is, the geometry of the cache
//! that it was made for, the seed of the key hash, what the wall clock showed at zero of the shard
//! clock, and whether it is in use. All of them must be right, and the geometry that of the server
//! that opens it, or the file is not used.
//!
//! *In use* names the boot of the machine in which it is: what a killed process has stored is all
//! there, in order, for as long as the machine runs, and may be there in any part once it went
//! down. A file that was closed tells the sum of each of its pages instead and outlives the
//! machine.

use std::fs::File;
use std::io;
use std::sync::Arc;

use super::slab::{FilePart, HUGE_PAGE_BYTES, PAGE_BYTES, PageKind, Region, set_word, word};
use super::{PAGES_MIN, pages_bytes_max};

/// Changes when what lies in a file changes its form or meaning.
const VERSION: u64 = 2;
/// "ringca" as a number.
const MAGIC: u64 = u64::from_le_bytes(*b"ringca\0\0");
/// How old a file may get, in seconds: four years. An item's time has 28 bits.
const AGE_S_MAX: u64 = 1 << 27;
/// Bytes of the head that hold something.
const HEAD_BYTES: usize = 4096;
const WORDS: usize = HEAD_BYTES / size_of::<u64>();

/// What each word of the head says.
#[derive(Clone, Copy)]
enum Head {
    Magic,
    Version,
    /// 0: closed. Else the boot of the machine in which it is in use.
    InUse,
    ZeroUnix,
    SeedLow,
    SeedHigh,
    GeometryCount,
    /// The values of the geometry follow.
    Geometry,
}

/// What a cache must have in common with the one that made a file.
#[derive(Clone, Debug)]
pub struct Geometry {
    /// Shards.
    pub shards: usize,
    /// Bytes of memory of each.
    pub shard_bytes: usize,
    /// Everything that matters for where an item lies, by the flag that sets it: a number below
    /// 2^48 that differs when the setting does.
    pub settings: Vec<(&'static str, u64)>,
}

impl Geometry {
    /// Bytes of a shard's part.
    fn part_bytes(&self) -> usize {
        let pages_bytes = self.shard_bytes.min(pages_bytes_max(self.shard_bytes));
        let pages = (pages_bytes / PAGE_BYTES).max(PAGES_MIN);
        HUGE_PAGE_BYTES + (pages * PAGE_BYTES).next_multiple_of(HUGE_PAGE_BYTES)
    }

    /// Bytes of the file.
    fn file_bytes(&self) -> u64 {
        (HUGE_PAGE_BYTES + self.shards * self.part_bytes()) as u64
    }
}

/// What was found in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It is empty.
    Nothing,
    /// Something else than a cache that this server can go on with, and what.
    Unusable(String),
    /// A cache.
    Cache {
        /// Seed of its key hash.
        seed: u64,
        /// What the wall clock showed at zero of its clock, in Unix seconds.
        zero_unix_s: u64,
        /// Whether it was closed, so that the sums of its pages are right.
        is_closed: bool,
    },
}

/// A file for the memory of all shards. Whoever opens it sees to it that no other process has it.
#[derive(Debug)]
pub struct MemoryFile {
    file: Arc<File>,
    kind: PageKind,
    geometry: Geometry,
    head: Option<Region>,
}

impl MemoryFile {
    /// A file, open for reading and writing, that is to hold a cache of this geometry. `kind` is
    /// [`PageKind::Reserved`] for a file of a hugetlbfs.
    #[must_use]
    pub fn new(file: File, kind: PageKind, geometry: Geometry) -> Self {
        Self { file: Arc::new(file), kind, geometry, head: None }
    }

    /// Bytes that its contents take at most.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.geometry.file_bytes()
    }

    /// Looks what the file holds. `boot` is a number of the machine's current boot, `now_unix_s`
    /// the time.
    ///
    /// # Errors
    /// When the system can't say.
    pub fn find(&mut self, boot: u64, now_unix_s: u64) -> io::Result<Found> {
        let (length, expected) = (self.file.metadata()?.len(), self.bytes());
        if length == 0 {
            return Ok(Found::Nothing);
        }
        if length < HUGE_PAGE_BYTES as u64 {
            return Ok(Found::Unusable(format!("it has {length} bytes where {expected} belong")));
        }
        self.map_head()?;
        if let Err(reason) = self.judge(boot, now_unix_s) {
            return Ok(Found::Unusable(reason));
        }
        if length != expected {
            return Ok(Found::Unusable(format!("it has {length} bytes where {expected} belong")));
        }
        Ok(Found::Cache {
            seed: self.word(Head::SeedLow) | self.word(Head::SeedHigh) << 32,
            zero_unix_s: self.word(Head::ZeroUnix),
            is_closed: self.word(Head::InUse) == 0,
        })
    }

    /// Why the head can't be used, if it can't.
    fn judge(&self, boot: u64, now_unix_s: u64) -> Result<(), String> {
        if word(self.head(), Head::Magic as usize) != Some(MAGIC) {
            return Err("it is no memory file, or its head is damaged".into());
        }
        if (0..WORDS).any(|number| word(self.head(), number).is_none()) {
            return Err("its head is damaged".into());
        }
        let version = self.word(Head::Version);
        if version != VERSION {
            return Err(format!("it has version {version} and this server reads {VERSION}"));
        }
        self.compare_geometry()?;
        let in_use = self.word(Head::InUse);
        if in_use != 0 && in_use != boot {
            return Err("the machine went down while it was in use".into());
        }
        if now_unix_s.saturating_sub(self.word(Head::ZeroUnix)) > AGE_S_MAX {
            return Err("it is older than four years".into());
        }
        Ok(())
    }

    fn compare_geometry(&self) -> Result<(), String> {
        let settings = &self.geometry.settings;
        if self.word(Head::GeometryCount) != settings.len() as u64 {
            return Err("it was made by another release".into());
        }
        for (at, (flag, value)) in settings.iter().enumerate() {
            if self.word_at(Head::Geometry as usize + at) != *value {
                return Err(format!("it was made with another {flag}"));
            }
        }
        Ok(())
    }

    /// Empties the file and gives it a head. The parts of the shards are all zeroes.
    ///
    /// # Errors
    /// What the file system said, above all that it has not the room.
    pub fn create(&mut self, seed: u64) -> io::Result<()> {
        self.head = None;
        self.file.set_len(0)?;
        self.file.set_len(self.bytes())?;
        self.map_head()?;
        (0..WORDS).for_each(|number| self.set_word_at(number, 0));
        self.set_word(Head::Version, VERSION);
        self.set_word(Head::SeedLow, seed & u64::from(u32::MAX));
        self.set_word(Head::SeedHigh, seed >> 32);
        let settings = std::mem::take(&mut self.geometry.settings);
        self.set_word(Head::GeometryCount, settings.len() as u64);
        for (at, (_, value)) in settings.iter().enumerate() {
            self.set_word_at(Head::Geometry as usize + at, *value);
        }
        self.geometry.settings = settings;
        Ok(())
    }

    /// Gives back what a file that could not be made already took.
    pub fn abandon(&mut self) {
        self.head = None;
        // What remains is found to be no memory file.
        let _ = self.file.set_len(0);
    }

    /// Where a shard's memory lies.
    #[must_use]
    pub fn part(&self, shard: usize) -> FilePart {
        let bytes = self.geometry.part_bytes();
        let offset = (HUGE_PAGE_BYTES + shard * bytes) as u64;
        FilePart { file: Arc::clone(&self.file), offset, bytes, kind: self.kind }
    }

    /// Says that the file is in use from now on, before anything in it is changed.
    ///
    /// # Errors
    /// When that can't be written.
    pub fn begin(&mut self, boot: u64, zero_unix_s: u64) -> io::Result<()> {
        assert!(boot != 0, "0 says that nobody uses it");
        self.set_word(Head::InUse, boot);
        self.set_word(Head::ZeroUnix, zero_unix_s);
        self.set_word(Head::Magic, MAGIC);
        self.file.sync_data()
    }

    /// Says that the file is complete, after every shard has [closed](super::Shard::close).
    ///
    /// # Errors
    /// When the file can't be written; it is then as after a kill.
    pub fn close(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        self.set_word(Head::InUse, 0);
        self.file.sync_data()
    }

    fn map_head(&mut self) -> io::Result<()> {
        let file = Arc::clone(&self.file);
        let part = FilePart { file, offset: 0, bytes: HUGE_PAGE_BYTES, kind: self.kind };
        let mut head = Region::of_file(part)?;
        head.provide(0, HEAD_BYTES)?;
        self.head = Some(head);
        Ok(())
    }

    fn head(&self) -> &Region {
        self.head.as_ref().expect("the head was mapped")
    }

    fn word(&self, which: Head) -> u64 {
        self.word_at(which as usize)
    }

    fn word_at(&self, number: usize) -> u64 {
        word(self.head(), number).expect("the head was judged")
    }

    fn set_word(&mut self, which: Head, value: u64) {
        self.set_word_at(which as usize, value);
    }

    fn set_word_at(&mut self, number: usize, value: u64) {
        set_word(self.head.as_mut().expect("the head was mapped"), number, value);
    }
}
