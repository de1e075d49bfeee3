//! Runs a plan: threads with connections, a common start, and one sum of what they saw.

mod conn;
mod source;
mod worker;

use std::fmt;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use conn::Conn;
use source::Source;
use worker::{Ended, Limits, Part, Run, Worker};

use crate::arrivals::Arrivals;
use crate::measure::cpu::CpuTime;
use crate::measure::tally::Tally;
use crate::net::ring::{Ring, RingConfig};
use crate::plan::{Load, Plan, share};
use crate::value::Values;
use crate::wire::Encoder;
use crate::workload::Generator;

/// What to do with the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Set every key once, as fast as it goes.
    Preload,
    /// Run the workload.
    Measure,
}

/// One row of the time series: all workers together.
#[derive(Clone, Default)]
pub struct Interval {
    /// What was seen; its latencies by command.
    pub tally: Tally,
}

/// What a run gave.
#[derive(Clone, Default)]
pub struct Outcome {
    /// Everything after the warm-up.
    pub tally: Tally,
    /// The same, interval by interval.
    pub intervals: Vec<Interval>,
    /// The length of the measured time.
    pub duration: Duration,
    /// CPU time of each worker thread, over the whole run.
    pub cpu_by_thread: Vec<CpuTime>,
}

impl Outcome {
    /// CPU time of all worker threads.
    pub fn cpu(&self) -> CpuTime {
        let mut sum = CpuTime::default();
        self.cpu_by_thread.iter().for_each(|time| sum.add(*time));
        sum
    }
}

/// Why a run could not be made.
#[derive(Debug)]
pub enum RunError {
    /// No connection to a server.
    Connect {
        /// The address tried.
        server: String,
        /// What the kernel said.
        error: io::Error,
    },
    /// The kernel refused io_uring or another thing every run needs.
    Setup(io::Error),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect { server, error } => write!(f, "cannot connect to {server}: {error}"),
            Self::Setup(error) => write!(f, "cannot set up io_uring: {error}{}", hint(error)),
        }
    }
}

impl std::error::Error for RunError {}

fn hint(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EPERM) => {
            " (forbidden here: see kernel.io_uring_disabled, or the container's seccomp profile)"
        }
        Some(libc::ENOMEM) => " (the limit on locked memory is too low: see ulimit -l)",
        Some(libc::EMFILE) => " (too many open files: see ulimit -n)",
        _ => "",
    }
}

/// Told of every interval as it becomes whole.
pub trait Observer {
    /// The `index`-th interval since the start of the measured time, of all workers.
    fn interval(&mut self, index: usize, interval: &Interval);
}

/// An observer that looks away.
pub struct Silent;

impl Observer for Silent {
    fn interval(&mut self, _index: usize, _interval: &Interval) {}
}

/// Runs a phase of a plan.
pub fn run(plan: &Plan, phase: Phase, observer: &mut dyn Observer) -> Result<Outcome, RunError> {
    let gate = Gate::new(plan.threads);
    let (parts, received) = channel();
    thread::scope(|scope| {
        let mut empties = Vec::new();
        let mut threads = Vec::new();
        for index in 0..plan.threads {
            let (give, take) = channel();
            empties.push(give);
            let (gate, parts) = (gate.clone(), parts.clone());
            threads.push(scope.spawn(move || work(plan, phase, index, &gate, parts, take)));
        }
        drop(parts);
        gate.open(plan.threads);
        let (tally, intervals) = collect(plan.threads, &received, &empties, observer);
        let mut outcome = Outcome { tally, intervals, ..Outcome::default() };
        let mut stopped_ns = 0;
        for thread in threads {
            let (ended, cpu) = thread.join().expect("a worker does not panic")?;
            stopped_ns = stopped_ns.max(ended.stopped_ns);
            outcome.cpu_by_thread.push(cpu);
        }
        let measured_from = warmup(plan, phase);
        outcome.duration = Duration::from_nanos(stopped_ns).saturating_sub(measured_from);
        Ok(outcome)
    })
}

fn warmup(plan: &Plan, phase: Phase) -> Duration {
    if phase == Phase::Measure { plan.warmup } else { Duration::ZERO }
}

/// Lets all workers start at one time, or none if one of them could not connect.
#[derive(Clone)]
struct Gate {
    barrier: Arc<Barrier>,
    ready: Arc<Mutex<usize>>,
    start: Arc<Mutex<Option<Instant>>>,
}

impl Gate {
    fn new(threads: usize) -> Self {
        Self {
            barrier: Arc::new(Barrier::new(threads + 1)),
            ready: Arc::default(),
            start: Arc::default(),
        }
    }

    /// The worker's side: `None` if the run is off.
    fn pass(&self, ready: bool) -> Option<Instant> {
        *self.ready.lock().expect("no panic under this lock") += usize::from(ready);
        self.barrier.wait();
        self.barrier.wait();
        *self.start.lock().expect("no panic under this lock")
    }

    /// The leader's side.
    fn open(&self, threads: usize) {
        self.barrier.wait();
        let all = *self.ready.lock().expect("no panic under this lock") == threads;
        let start = all.then(|| Instant::now() + Duration::from_millis(1));
        *self.start.lock().expect("no panic under this lock") = start;
        self.barrier.wait();
    }
}

fn work(
    plan: &Plan,
    phase: Phase,
    index: usize,
    gate: &Gate,
    parts: Sender<Part>,
    empties: Receiver<Box<Tally>>,
) -> Result<(Ended, CpuTime), RunError> {
    pin(plan, index);
    let worker = prepare(plan, phase, index, parts, empties);
    let start = gate.pass(worker.is_ok());
    let worker = worker?;
    let Some(start) = start else {
        // Another worker tells why.
        return Ok((Ended { stopped_ns: 0 }, CpuTime::default()));
    };
    let before = CpuTime::of_this_thread();
    let ended = Run::new(worker, start).run().map_err(RunError::Setup)?;
    Ok((ended, CpuTime::of_this_thread().since(before)))
}

fn pin(plan: &Plan, index: usize) {
    // Timers otherwise fire up to 50 us late, on purpose. Refused, it is the kernel's default.
    let _ = nix::sys::prctl::set_timerslack(1);
    if plan.cpus.is_empty() {
        return;
    }
    let mut set = nix::sched::CpuSet::new();
    let cpu = plan.cpus[index % plan.cpus.len()];
    if set.set(cpu).and_then(|()| set_affinity(&set)).is_err() {
        eprintln!("loadgen: cannot pin a thread to CPU {cpu}");
    }
}

fn set_affinity(set: &nix::sched::CpuSet) -> nix::Result<()> {
    nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), set)
}

fn prepare(
    plan: &Plan,
    phase: Phase,
    index: usize,
    parts: Sender<Part>,
    empties: Receiver<Box<Tally>>,
) -> Result<Worker<'_>, RunError> {
    let clients = plan.clients_of(index).len();
    let limits = limits(plan, phase, index);
    let mut conns = Vec::with_capacity(clients * plan.servers.len());
    for client in 0..clients {
        for (server, at) in plan.servers.iter().enumerate() {
            let mut conn = Conn::new(conns.len() as u32, client as u32, server, limits.depth);
            let connected = at.target.connect(plan.transport, plan.no_delay, plan.connect_timeout);
            let connected = connected
                .map_err(|error| RunError::Connect { server: at.target.to_string(), error });
            conn.fd = Some(connected?);
            conns.push(conn);
        }
    }
    let buffers = conns.len().next_power_of_two().clamp(64, 4096) as u16;
    let config =
        RingConfig { entries: 1024, buffers, buffer_bytes: 16384, large_pages: plan.large_pages };
    Ok(Worker {
        plan,
        index,
        ring: Ring::new(config).map_err(RunError::Setup)?,
        encoder: Encoder {
            protocol: plan.protocol,
            keys: plan.spec.keys.clone(),
            values: Values::default(),
        },
        conns,
        source: source(plan, phase, index),
        arrivals: arrivals(plan, phase, index),
        limits,
        parts,
        empties,
        clients,
    })
}

fn source(plan: &Plan, phase: Phase, index: usize) -> Source {
    match phase {
        Phase::Preload => {
            let keys = share(plan.spec.keys.count as usize, index, plan.threads);
            Source::Preload { keys: keys.start as u64..keys.end as u64, current: [0] }
        }
        Phase::Measure => {
            let streams = plan.threads as u64;
            Source::Drawn(Box::new(Generator::new(&plan.spec, plan.seed, index as u64, streams)))
        }
    }
}

fn arrivals(plan: &Plan, phase: Phase, index: usize) -> Option<Arrivals> {
    match (phase, plan.load) {
        (Phase::Measure, Load::Open { rate, law }) => {
            Some(Arrivals::new(law, rate, plan.seed, index, plan.threads))
        }
        _ => None,
    }
}

/// Requests each client keeps under way while the server is filled.
const PRELOAD_DEPTH: usize = 32;

fn limits(plan: &Plan, phase: Phase, index: usize) -> Limits {
    let measure_ns = warmup(plan, phase).as_nanos() as u64;
    let time = plan.limit.time.filter(|_| phase == Phase::Measure);
    let requests = plan.limit.requests.filter(|_| phase == Phase::Measure);
    let depth = match (phase, plan.load) {
        (Phase::Preload, _) => PRELOAD_DEPTH,
        (Phase::Measure, Load::Closed { depth }) => depth,
        (Phase::Measure, Load::Open { .. }) => 0,
    };
    Limits {
        measure_ns,
        end_ns: time.map_or(u64::MAX, |time| measure_ns + time.as_nanos() as u64),
        requests: requests
            .map_or(u64::MAX, |all| share(all as usize, index, plan.threads).len() as u64),
        depth,
        in_flight: plan.in_flight_max.div_ceil(plan.threads).max(1),
    }
}

/// Sums the parts up as they come; an interval is whole when every worker has sent it or a later one.
fn collect(
    threads: usize,
    parts: &Receiver<Part>,
    empties: &[Sender<Box<Tally>>],
    observer: &mut dyn Observer,
) -> (Tally, Vec<Interval>) {
    let mut total = Tally::default();
    let mut intervals: Vec<Interval> = Vec::new();
    let mut reached = vec![0; threads];
    let mut shown = 0;
    loop {
        let mut part = match parts.recv_timeout(Duration::from_secs(1)) {
            Ok(part) => part,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => break,
        };
        if intervals.len() <= part.interval {
            intervals.resize_with(part.interval + 1, Interval::default);
        }
        total.merge(&part.tally);
        intervals[part.interval].tally.merge(&part.tally);
        reached[part.worker] = part.interval + 1;
        part.tally.clear();
        let _ = empties[part.worker].send(part.tally);
        let whole = reached.iter().copied().min().unwrap_or(0);
        for index in shown..whole {
            observer.interval(index, &intervals[index]);
        }
        shown = shown.max(whole);
    }
    (total, intervals)
}
