//! The server: binds, starts the cores and the control plane, and waits for their end.
//!
//! The order is chosen so that a failure is told before anything is promised: ports, then memory,
//! new or that of a file (`-e`), then one thread per core, pinned before its first allocation; only
//! when every core has its ring does the server report that it is ready.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;

use crate::config::{Config, CpuId, Failure};
use crate::control;
use crate::core::{
    Administration, Core, CoreCounters, Guard, Handshakes, Inbox, Seen, Shared, Sockets,
    help_with_handshakes,
};
use crate::os::{affinity, announce, daemon};
use crate::shard::{LruConfig, MemoryFile, Shard, ShardConfig};
use crate::tls::Keeper;

mod describe;
mod listen;
mod memory_file;
mod supply;

pub use listen::Bound;
use memory_file::Memory;
use supply::Supplier;

/// Runs a server until a signal ends it. With TLS, `tls` holds its certificates.
///
/// # Errors
/// What kept it from starting: a socket, memory, a ring, a file it was to write.
pub fn run(config: Config, tls: Option<Keeper>) -> Result<(), Failure> {
    let server = Server::new(config, tls)?;
    let _announcement = announce::listening(
        &server.shared.config,
        &server.bound.addresses,
        &server.bound.udp_addresses,
    )?;
    let shared = Arc::clone(&server.shared);
    if shared.config.verbosity > 1 {
        eprint!("{}", describe::classes_and_cores(&shared));
    }
    server.run(|| daemon::ready(&shared.config))
}

/// A server whose sockets are bound and whose memory is there, about to start.
pub struct Server {
    shared: Arc<Shared>,
    bound: Bound,
    /// The file of `-e`, in which the shards lie.
    file: Option<MemoryFile>,
}

impl Server {
    /// Takes memory and binds.
    ///
    /// # Errors
    /// What the user has to know: which address or how much memory could not be had, and why.
    pub fn new(config: Config, tls: Option<Keeper>) -> Result<Self, Failure> {
        control::block_signals()?;
        let bound = Bound::new(&config)?;
        let Memory { shards, hash_seed, clock, file } = Memory::new(&config, hash_seed()?)?;
        // Locked memory is provided in the moment that it is opened.
        if !config.lock_memory {
            let supplier = Supplier::start()?;
            for (shard, cpu) in shards.iter().zip(&config.cpus) {
                shard.run(&mut |shard: &mut Shard| supplier.take_on(shard, *cpu));
            }
        }
        bound.listen(config.backlog)?;
        let threads = config.threads;
        let inboxes = (0..threads)
            .map(|_| Inbox::new().map_err(|error| Failure::os("eventfd", error)))
            .collect::<Result<_, _>>()?;
        let shared = Arc::new(Shared {
            shards,
            hash_seed,
            clock,
            inboxes,
            counters: (0..threads).map(|_| CoreCounters::default()).collect(),
            placement: Mutex::new(vec![0; threads]),
            upload_bytes: (0..threads).map(|_| AtomicUsize::new(0)).collect(),
            verbosity: AtomicU8::new(config.verbosity),
            stopping: AtomicBool::new(false),
            cores_running: AtomicUsize::new(threads),
            cores_draining: AtomicUsize::new(0),
            guard: Guard::of(&config)?,
            tls,
            handshakes: Handshakes::default(),
            seen: config.udp_port.map(|_| Seen::default()),
            admin: Administration::new(&config),
            config,
        });
        Ok(Self { shared, bound, file })
    }

    /// The addresses that it listens on.
    #[must_use]
    pub fn bound(&self) -> &Bound {
        &self.bound
    }

    /// Serves until a signal ends it. Calls `ready` once every core serves.
    ///
    /// # Errors
    /// When a core could not start.
    pub fn run(mut self, ready: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
        let (report, reports) = mpsc::channel();
        let mut cores = Vec::new();
        for index in 0..self.shared.config.threads {
            cores.push(self.spawn_core(index, report.clone())?);
        }
        drop(report);
        for outcome in reports.iter().take(cores.len()) {
            outcome?;
        }
        let helpers = self.spawn_helpers()?;
        control::spawn(&self.shared)?;
        ready()?;
        for core in cores {
            core.join().map_err(|_| Failure::os("a core", "panicked"))?;
        }
        self.shared.cores_running.store(0, Ordering::Release);
        self.shared.handshakes.close();
        for helper in helpers {
            helper.join().map_err(|_| Failure::os("a helper", "panicked"))?;
        }
        self.close_file()
    }

    /// Completes the file of `-e`. If that fails, it is as after a kill.
    fn close_file(&mut self) -> Result<(), Failure> {
        let Some(file) = &mut self.file else { return Ok(()) };
        memory_file::close(&self.shared.shards, file)
            .map_err(|error| Failure::os("the memory file (-e) can't be completed", error))
    }

    /// With TLS: the threads that make handshakes, as many as cores.
    fn spawn_helpers(&self) -> Result<Vec<JoinHandle<()>>, Failure> {
        let count = if self.shared.tls.is_some() { self.shared.config.threads } else { 0 };
        let spawn = |index| {
            let shared = Arc::clone(&self.shared);
            std::thread::Builder::new()
                .name(format!("handshakes-{index}"))
                .spawn(move || help_with_handshakes(&shared))
                .map_err(|error| Failure::os("no thread for handshakes", error))
        };
        (0..count).map(spawn).collect()
    }

    fn spawn_core(
        &self,
        index: usize,
        report: mpsc::Sender<Result<(), Failure>>,
    ) -> Result<JoinHandle<()>, Failure> {
        let shared = Arc::clone(&self.shared);
        let sockets = self.bound.of_core(index);
        let cpu = shared.config.cpus[index];
        std::thread::Builder::new()
            .name(format!("core-{index}"))
            .spawn(move || core_main(index, cpu, shared, sockets, &report))
            .map_err(|error| Failure::os(format_args!("no thread for core {index}"), error))
    }
}

fn core_main(
    index: usize,
    cpu: CpuId,
    shared: Arc<Shared>,
    sockets: Sockets,
    report: &mpsc::Sender<Result<(), Failure>>,
) {
    // A CPU that went offline since start-up leaves the core unpinned, which serves all the same.
    let _ = affinity::pin(cpu);
    let core = match Core::new(index, shared, sockets) {
        Ok(core) => core,
        Err(error) => {
            let _ =
                report.send(Err(Failure::os(format_args!("no io_uring for core {index}"), error)));
            return;
        }
    };
    let _ = report.send(Ok(()));
    if let Err(error) = core.run() {
        // Without its loop a core's connections hang; the process can't go on honestly.
        panic!("core {index} can't enter the kernel: {error}");
    }
}

/// A seed that no client knows, so that none can choose keys that collide.
fn hash_seed() -> Result<u64, Failure> {
    use std::io::Read;
    let mut bytes = [0; 8];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|error| Failure::os("no random seed from /dev/urandom", error))?;
    Ok(u64::from_le_bytes(bytes))
}

fn shard_config(config: &Config, index: usize, hash_seed: u64) -> ShardConfig {
    let spread = usize::BITS - (config.threads - 1).leading_zeros();
    ShardConfig {
        index: index as u8,
        count: config.threads as u8,
        memory_bytes: config.shard_bytes(),
        chunk_bytes_min: config.chunk_bytes_min,
        growth_factor: config.growth_factor,
        slab_sizes: config.slab_sizes.clone(),
        item_bytes_max: config.item_bytes_max,
        slab_chunk_bytes_max: config.slab_chunk_bytes_max,
        evict: config.evict,
        cas: config.cas,
        large_pages: config.large_pages,
        hash_power: config.hash_power.saturating_sub(spread as u8),
        index_grows: config.index_grows,
        hash_seed,
        lru: LruConfig {
            hot_pct: config.lru.hot_pct,
            warm_pct: config.lru.warm_pct,
            hot_factor: config.lru.hot_factor,
            warm_factor: config.lru.warm_factor,
            temporary_ttl: config.lru.temporary_ttl,
            segmented: config.lru.segmented,
        },
        reassign: config.slab_reassign,
        automove: config.slab_automove,
        automove_ratio: config.slab_automove_ratio,
    }
}
