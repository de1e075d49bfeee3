//! Where the shards' memory comes from: the process's own, or the file of `-e`.
//!
//! A file is taken over in this order: open and lock it, judge its head, check every shard's book,
//! mark it as in use, restore the shards, all in parallel. Whatever is wrong is told in one line,
//! and the server starts with an empty cache in the same file.

use std::path::Path;
use std::time::Instant;

use crate::config::{Config, Failure};
use crate::mesh::Lent;
use crate::os::clock::{self, Clock};
use crate::os::memory_file;
use crate::shard::{ClassTable, Found, Geometry, MemoryFile, PageKind, Shard, Unusable, hash_key};

/// The shards, and what they agree on.
pub(super) struct Memory {
    pub(super) shards: Vec<Lent<Shard>>,
    pub(super) hash_seed: u64,
    pub(super) clock: Clock,
    pub(super) file: Option<MemoryFile>,
}

impl Memory {
    /// Takes the memory that the configuration asks for. `seed` is for a cache that starts empty.
    pub(super) fn new(config: &Config, seed: u64) -> Result<Self, Failure> {
        match &config.memory_file {
            None => Self::own(config, seed),
            Some(path) => Self::in_file(config, seed, path),
        }
    }

    fn own(config: &Config, seed: u64) -> Result<Self, Failure> {
        let shard = |index| {
            Shard::new(super::shard_config(config, index, seed)).map(Lent::new).map_err(|error| {
                Failure::os(format_args!("no memory for shard {index} (-m)"), error)
            })
        };
        let shards = (0..config.threads).map(shard).collect::<Result<_, _>>()?;
        Ok(Self { shards, hash_seed: seed, clock: Clock::start(), file: None })
    }

    fn in_file(config: &Config, seed: u64, path: &Path) -> Result<Self, Failure> {
        let boot = memory_file::boot().map_err(|error| Failure::os("boot_id", error))?;
        let opened = memory_file::open(path)?;
        let kind = if opened.is_huge { PageKind::Reserved } else { PageKind::Plain };
        let mut file = MemoryFile::new(opened.file, kind, geometry(config));
        let found = file.find(boot, clock::unix_s());
        match found.map_err(|error| memory_file::cannot(path, &error))? {
            Found::Nothing => {}
            Found::Unusable(reason) => refuse(path, &reason),
            Found::Cache { seed, zero_unix_s, is_closed } => {
                let old = Old { seed, zero_unix_s, is_closed, boot };
                match old.restore(config, &mut file, path) {
                    Ok((shards, clock)) => return Ok(Self::of_file(shards, seed, clock, file)),
                    Err(Unusable::Damaged(reason)) => refuse(path, reason),
                    Err(Unusable::System(error)) => return Err(no_room(path, &file, &error)),
                }
            }
        }
        let clock = Clock::start();
        let shards = begin(config, &mut file, seed, boot, &clock).map_err(|error| {
            let failure = no_room(path, &file, &error);
            file.abandon();
            failure
        })?;
        Ok(Self::of_file(shards, seed, clock, file))
    }

    fn of_file(shards: Vec<Shard>, hash_seed: u64, clock: Clock, file: MemoryFile) -> Self {
        let shards = shards.into_iter().map(Lent::new).collect();
        Self { shards, hash_seed, clock, file: Some(file) }
    }
}

/// Makes the file complete, so that it outlives the machine. Nobody uses the shards any more.
pub(super) fn close(shards: &[Lent<Shard>], file: &mut MemoryFile) -> std::io::Result<()> {
    std::thread::scope(|scope| {
        for shard in shards {
            scope.spawn(|| shard.run(&mut |shard: &mut Shard| shard.close()));
        }
    });
    file.close()
}

/// A cache that was found in a file.
struct Old {
    seed: u64,
    zero_unix_s: u64,
    is_closed: bool,
    boot: u64,
}

impl Old {
    fn restore(
        &self,
        config: &Config,
        file: &mut MemoryFile,
        path: &Path,
    ) -> Result<(Vec<Shard>, Clock), Unusable> {
        let since = Instant::now();
        let mut shards = each(config, file, self.seed, |shard| {
            shard.check_book(self.is_closed)?;
            Ok(())
        })?;
        let latest = shards.iter().map(Shard::latest_second).max().unwrap_or(0);
        let clock = Clock::resume(self.zero_unix_s, latest);
        file.begin(self.boot, clock.zero_unix_s())?;
        let now = clock.now_s();
        let items = std::thread::scope(|scope| {
            let restore = |shard: &'_ mut Shard| shard.restore(now);
            let threads: Vec<_> =
                shards.iter_mut().map(|shard| scope.spawn(move || restore(shard))).collect();
            let results = threads.into_iter().map(|thread| thread.join().expect("no panic"));
            results.sum::<Result<u64, Unusable>>()
        })?;
        let after = if self.is_closed { "a stop" } else { "a kill" };
        eprintln!(
            "ringcached: memory file {}: {items} items are back after {after}, in {:.2} s",
            path.display(),
            since.elapsed().as_secs_f64()
        );
        Ok((shards, clock))
    }
}

/// Makes all shards at once, each in its part of the file, and does `work` to it.
fn each(
    config: &Config,
    file: &MemoryFile,
    seed: u64,
    work: impl Fn(&mut Shard) -> Result<(), Unusable> + Sync,
) -> Result<Vec<Shard>, Unusable> {
    let make = |shard_config, part| {
        let mut shard = Shard::in_file(shard_config, part)?;
        work(&mut shard)?;
        Ok(shard)
    };
    let make = &make;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..config.threads)
            .map(|index| {
                let shard_config = super::shard_config(config, index, seed);
                let part = file.part(index);
                scope.spawn(move || make(shard_config, part))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    })
}

/// Starts with an empty cache in an emptied file.
fn begin(
    config: &Config,
    file: &mut MemoryFile,
    seed: u64,
    boot: u64,
    clock: &Clock,
) -> std::io::Result<Vec<Shard>> {
    file.create(seed)?;
    let shards = each(config, file, seed, |shard| Ok(shard.begin()?));
    let shards = shards.map_err(|error| match error {
        Unusable::System(error) => error,
        Unusable::Damaged(reason) => std::io::Error::other(reason),
    })?;
    file.begin(boot, clock.zero_unix_s())?;
    Ok(shards)
}

/// What must agree between the server that made a file and one that goes on with it.
fn geometry(config: &Config) -> Geometry {
    let chunk_bytes_max = config.slab_chunk_bytes_max;
    let (min, factor) = (config.chunk_bytes_min, config.growth_factor);
    let classes = ClassTable::new(min, factor, chunk_bytes_max, config.shard_bytes());
    let sizes: Vec<u8> =
        classes.ids().flat_map(|id| classes.chunk_bytes(id).to_le_bytes()).collect();
    let asked: Vec<u8> = config.slab_sizes.iter().flat_map(|size| size.to_le_bytes()).collect();
    let settings = vec![
        ("-t", config.threads as u64),
        ("-m", config.memory_bytes as u64),
        ("-I", config.item_bytes_max as u64),
        ("-n", config.chunk_bytes_min as u64),
        ("-f", config.growth_factor.to_bits() >> 16),
        ("-o slab_chunk_max", chunk_bytes_max as u64),
        ("-o slab_sizes", hash_key(0, &asked) >> 16),
        ("-C", u64::from(!config.cas)),
        ("set of chunk sizes", hash_key(0, &sizes) >> 16),
    ];
    Geometry { shards: config.threads, shard_bytes: config.shard_bytes(), settings }
}

fn refuse(path: &Path, reason: &str) {
    eprintln!(
        "ringcached: memory file {} is not used: {reason}; starting with an empty cache",
        path.display()
    );
}

fn no_room(path: &Path, file: &MemoryFile, error: &std::io::Error) -> Failure {
    let megabytes = file.bytes().div_ceil(1 << 20);
    memory_file::cannot(path, &format_args!("{error} ({megabytes} MB are needed)"))
}
