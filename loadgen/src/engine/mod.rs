//! Runs a plan: threads with connections, a common start, and one sum of what they saw.

mod book;
mod conn;
mod crew;
mod link;
mod prepare;
mod source;
mod start;
mod traffic;
mod worker;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use ringcached::ring::{Ring, Setup};

use crew::Gate;
pub use crew::{Crew, Start};
pub use prepare::flush;
use worker::{Ended, Part};

use crate::check::history::Event;
use crate::measure::cpu::CpuTime;
use crate::measure::series::{self, Row};
use crate::measure::tally::Tally;
use crate::net::target::Transport;
use crate::plan::Plan;

/// What to do with the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Set every key once, as fast as it goes.
    Preload,
    /// Look some keys up, to see what the server kept.
    Probe,
    /// Run the workload.
    Measure,
}

impl Phase {
    fn warmup(self, plan: &Plan) -> Duration {
        if self == Self::Measure { plan.warmup } else { Duration::ZERO }
    }
}

/// What a run gave.
#[derive(Clone, Default)]
pub struct Outcome {
    /// Everything after the warm-up.
    pub tally: Tally,
    /// The same, interval by interval.
    pub series: Vec<Row>,
    /// The length of the measured time.
    pub duration: Duration,
    /// CPU time of each worker thread, over the whole run.
    pub cpu_by_thread: Vec<CpuTime>,
    /// What was asked and answered, if a history was recorded.
    pub events: Vec<Event>,
    /// Nothing was answered any more, and the run was ended for it.
    pub gave_up: bool,
}

impl Outcome {
    /// Adds what another host saw at the same time. Counts of an interval are summed; its
    /// percentiles become those of the host that fared worse, since they can't be summed.
    pub fn merge(&mut self, other: Self) {
        self.tally.merge(&other.tally);
        self.duration = self.duration.max(other.duration);
        self.cpu_by_thread.extend(other.cpu_by_thread);
        self.gave_up |= other.gave_up;
        for (index, row) in other.series.into_iter().enumerate() {
            match self.series.get_mut(index) {
                Some(mine) => mine.merge(&row),
                None => self.series.push(row),
            }
        }
    }

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
    /// A connection made anew was not let in any more.
    Denied,
    /// The servers could not be filled: they did not answer any more.
    Unanswered,
    /// Another host called the run off.
    CalledOff,
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect { server, error } => write!(f, "cannot connect to {server}: {error}"),
            Self::Setup(error) => write!(f, "cannot drive io_uring: {error}{}", hint(error)),
            Self::Denied => f.write_str("the server refused the user or the password"),
            Self::Unanswered => {
                f.write_str("no server could be filled: they did not answer (see --timeout)")
            }
            Self::CalledOff => f.write_str("another host called the run off"),
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
    /// The next interval, of all workers together.
    fn interval(&mut self, row: &Row, tally: &Tally);
}

/// An observer that looks away.
pub struct Silent;

impl Observer for Silent {
    fn interval(&mut self, _row: &Row, _tally: &Tally) {}
}

impl Crew {
    /// Runs a phase of a plan.
    pub fn run(
        &mut self,
        plan: &Arc<Plan>,
        phase: Phase,
        start: Start,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, RunError> {
        let gate = Gate::new(plan.threads);
        let (parts, received) = channel();
        let (results, ended) = channel();
        let mut empties = Vec::new();
        for index in 0..plan.threads {
            let (give, take) = channel();
            empties.push(give);
            let (plan, gate) = (plan.clone(), gate.clone());
            let (parts, results) = (parts.clone(), results.clone());
            let job = move |ring: &mut Option<Ring>| {
                let ended = work(&plan, phase, index, ring, &gate, parts, take);
                let _ = results.send((index, ended));
            };
            self.give(index, Box::new(job));
        }
        drop((parts, results));
        gate.open(plan.threads, start);
        let (tally, series) = collect(plan, &received, &empties, observer);
        let outcome = Outcome { tally, series, ..Outcome::default() };
        finish(plan, phase, outcome, &ended)
    }

    /// Runs a phase at once and unseen.
    pub fn run_quietly(&mut self, plan: &Arc<Plan>, phase: Phase) -> Result<Outcome, RunError> {
        self.run(plan, phase, Start::Now, &mut Silent)
    }
}

/// `None` if the run was called off before it began.
type WorkerResult = Result<Option<(Ended, CpuTime)>, RunError>;

/// Puts together what the workers told at their ends.
fn finish(
    plan: &Plan,
    phase: Phase,
    mut outcome: Outcome,
    ended: &Receiver<(usize, WorkerResult)>,
) -> Result<Outcome, RunError> {
    let mut stopped_ns = 0;
    let mut called_off = false;
    outcome.cpu_by_thread = vec![CpuTime::default(); plan.threads];
    for (index, result) in ended.iter().collect::<Vec<_>>() {
        let Some((mut ended, cpu)) = result? else {
            // Another worker tells why.
            called_off = true;
            continue;
        };
        stopped_ns = stopped_ns.max(ended.stopped_ns);
        outcome.cpu_by_thread[index] = cpu;
        outcome.events.append(&mut ended.events);
        outcome.gave_up |= ended.gave_up;
        if ended.denied {
            return Err(RunError::Denied);
        }
    }
    if called_off {
        return Err(RunError::CalledOff);
    }
    let stopped = Duration::from_nanos(stopped_ns);
    outcome.duration = stopped.saturating_sub(phase.warmup(plan));
    series::trim(&mut outcome.series, outcome.duration);
    Ok(outcome)
}

fn work(
    plan: &Arc<Plan>,
    phase: Phase,
    index: usize,
    ring: &mut Option<Ring>,
    gate: &Gate,
    parts: Sender<Part>,
    empties: Receiver<Box<Tally>>,
) -> WorkerResult {
    pin(plan, index);
    let ready = ready_ring(ring, plan)
        .map_err(RunError::Setup)
        .and_then(|ring| Ok((ring, prepare::worker(plan, phase, index, parts, empties)?)));
    let start = gate.pass(ready.is_ok());
    let (ring_ready, mut worker) = ready?;
    let Some(start) = start else { return Ok(None) };
    worker.clock = start;
    std::thread::sleep(start.saturating_duration_since(Instant::now()));
    let before = CpuTime::of_this_thread();
    match worker.run(ring_ready) {
        Ok(ended) => Ok(Some((ended, CpuTime::of_this_thread().since(before)))),
        Err(error) => {
            // What the kernel still does with it is unknown: the next run gets a new one.
            *ring = None;
            Err(RunError::Setup(error))
        }
    }
}

/// The thread's ring, made if there is none that fits. A crew runs one kind of transport all its
/// life, so it is made once.
fn ready_ring<'a>(ring: &'a mut Option<Ring>, plan: &Plan) -> io::Result<&'a mut Ring> {
    if ring.is_none() {
        let conns = plan.clients.div_ceil(plan.threads) * plan.servers.len();
        let completions = (conns as u32 * 8).next_power_of_two().clamp(4096, 65536);
        let datagrams = plan.transport == Transport::Udp;
        let setup = Setup {
            completions,
            buffers: if datagrams { DATAGRAM_BUFFERS } else { Setup::default().buffers },
            buffers_shared: !datagrams,
            large_pages: plan.large_pages,
            ..Setup::default()
        };
        *ring = Some(Ring::new(&setup)?);
    }
    Ok(ring.as_mut().expect("just made"))
}

/// Each datagram takes a whole buffer until the turn ends.
const DATAGRAM_BUFFERS: u16 = 256;

fn pin(plan: &Plan, index: usize) {
    // Timers otherwise fire up to 50 us late, on purpose. Refused, it is the kernel's default.
    let _ = nix::sys::prctl::set_timerslack(1);
    if plan.cpus.is_empty() {
        return;
    }
    let mut set = nix::sched::CpuSet::new();
    let cpu = plan.cpus[index % plan.cpus.len()];
    let this_thread = nix::unistd::Pid::from_raw(0);
    let pinned = set.set(cpu).and_then(|()| nix::sched::sched_setaffinity(this_thread, &set));
    if pinned.is_err() {
        eprintln!("loadgen: cannot pin a thread to CPU {cpu}");
    }
}

/// Sums the parts up as they come; an interval is whole when every worker has sent it or a later
/// one.
fn collect(
    plan: &Plan,
    parts: &Receiver<Part>,
    empties: &[Sender<Box<Tally>>],
    observer: &mut dyn Observer,
) -> (Tally, Vec<Row>) {
    let mut total = Tally::default();
    let mut open: VecDeque<Tally> = VecDeque::new();
    let mut rows = Vec::new();
    let mut close = |rows: &mut Vec<Row>, interval: Option<Tally>| {
        let interval = interval.unwrap_or_default();
        let row = Row::new(rows.len(), plan.interval, &interval);
        observer.interval(&row, &interval);
        rows.push(row);
    };
    let mut reached = vec![0; plan.threads];
    for mut part in parts {
        total.merge(&part.tally);
        let place = part.interval.saturating_sub(rows.len());
        while open.len() <= place {
            open.push_back(Tally::default());
        }
        open[place].merge(&part.tally);
        reached[part.worker] = part.interval + 1;
        part.tally.clear();
        // A worker that has ended needs no empty tally.
        let _ = empties[part.worker].send(part.tally);
        let whole = reached.iter().copied().min().unwrap_or(0);
        while rows.len() < whole {
            close(&mut rows, open.pop_front());
        }
    }
    while let Some(interval) = open.pop_front() {
        close(&mut rows, Some(interval));
    }
    (total, rows)
}
