//! One measurement: fill, run, and read the CPU time of the servers around it. Every experiment is
//! made of these.

use std::net::{IpAddr, UdpSocket};
use std::sync::{Arc, Mutex};

use crate::engine::{Crew, Observer, Outcome, Phase, RunError, Start};
use crate::measure::cpu::CpuTime;
use crate::measure::process;
use crate::measure::series::Row;
use crate::measure::tally::Tally;
use crate::net::target::Target;
use crate::plan::{Plan, Server};
use crate::report::summary::{Preloaded, Summary};

/// Threads that measure.
#[derive(Default)]
pub struct Bench {
    crew: Crew,
}

/// A run and its numbers.
pub struct Measured {
    /// The numbers.
    pub summary: Summary,
    /// Everything they were made of.
    pub outcome: Outcome,
    /// CPU time of the servers on this host.
    pub server_cpu: Option<CpuTime>,
}

impl Bench {
    /// Sets every key once and looks some of them up.
    pub fn preload(&mut self, plan: &Arc<Plan>) -> Result<Preloaded, RunError> {
        let filled = self.answered(plan, Phase::Preload)?;
        let probed = self.answered(plan, Phase::Probe)?;
        let (hits, misses) = probed.tally.hits_and_misses();
        Ok(Preloaded {
            keys: filled.tally.keys(),
            errors: filled.tally.errors_total(),
            duration_s: filled.duration.as_secs_f64(),
            hit_rate: hits as f64 / (hits + misses).max(1) as f64,
        })
    }

    fn answered(&mut self, plan: &Arc<Plan>, phase: Phase) -> Result<Outcome, RunError> {
        let outcome = self.crew.run_quietly(plan, phase)?;
        if outcome.gave_up { Err(RunError::Unanswered) } else { Ok(outcome) }
    }

    /// Measures once, beginning at once.
    pub fn measure(
        &mut self,
        plan: &Arc<Plan>,
        pids: &[u32],
        observer: &mut dyn Observer,
    ) -> Result<Measured, RunError> {
        self.measure_from(plan, pids, Start::Now, observer)
    }

    /// Measures once, beginning when `start` says.
    ///
    /// The CPU time of the servers is read when all connections are up and when the last reply has
    /// come: what it costs to open and to close ten thousand of them is no part of a request.
    pub fn measure_from(
        &mut self,
        plan: &Arc<Plan>,
        pids: &[u32],
        start: Start,
        observer: &mut dyn Observer,
    ) -> Result<Measured, RunError> {
        let before = Arc::new(Mutex::new(None));
        let start = reading_cpu(start, pids.to_vec(), Arc::clone(&before));
        let mut observer = CpuObserver { pids, latest: None, observer };
        let outcome = self.crew.run(plan, Phase::Measure, start, &mut observer)?;
        let before = *before.lock().expect("no panic under this lock");
        let server_cpu = observer.latest.zip(before).map(|(after, before)| after.since(before));
        let summary = Summary::new(plan, &outcome, server_cpu);
        Ok(Measured { summary, outcome, server_cpu })
    }
}

/// The same start, with the servers' CPU time read just before it.
fn reading_cpu(start: Start, pids: Vec<u32>, into: Arc<Mutex<Option<CpuTime>>>) -> Start {
    Start::When(Box::new(move || {
        let at = start.at();
        *into.lock().expect("no panic under this lock") = cpu_of(&pids);
        at
    }))
}

/// Reads the servers' CPU time whenever an interval is whole, so at the end of the last one too,
/// which is before the workers let go of their connections.
struct CpuObserver<'a> {
    pids: &'a [u32],
    latest: Option<CpuTime>,
    observer: &'a mut dyn Observer,
}

impl Observer for CpuObserver<'_> {
    fn interval(&mut self, row: &Row, tally: &Tally) {
        self.latest = cpu_of(self.pids);
        self.observer.interval(row, tally);
    }
}

/// CPU time of all of these processes together; `None` if one of them can't be read.
fn cpu_of(pids: &[u32]) -> Option<CpuTime> {
    let mut sum = None;
    for pid in pids {
        let time = CpuTime::of_process(*pid).ok()?;
        sum.get_or_insert_with(CpuTime::default).add(time);
    }
    sum
}

/// The process of a server on this host, if it can be found.
pub fn process_of(server: &Server) -> Option<u32> {
    match &server.target {
        Target::Inet(address) if is_of_this_host(address.ip()) => {
            process::listening_at_port(address.port())
        }
        Target::Inet(_) => None,
        Target::Unix(path) => process::listening_at_path(path),
    }
}

/// Only an address of this host can be bound to.
fn is_of_this_host(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}
