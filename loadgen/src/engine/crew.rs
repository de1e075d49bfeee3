//! Threads that stay: each keeps its ring for run after run.
//!
//! A ring lives as long as the process, so a search with thirty probes must not make thirty of
//! them. The threads are made when a run first needs them and wait for the next run in between.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use ringcached::ring::Ring;

/// Work for a thread and its ring, which is there after the first job made it.
type Job = Box<dyn FnOnce(&mut Option<Ring>) + Send>;

/// The threads.
#[derive(Default)]
pub struct Crew {
    members: Vec<Sender<Job>>,
}

impl Crew {
    /// Gives a job to member `index`, who is hired if need be.
    pub(super) fn give(&mut self, index: usize, job: Job) {
        while self.members.len() <= index {
            let (sender, jobs) = channel::<Job>();
            thread::Builder::new()
                .name(format!("worker-{}", self.members.len()))
                .spawn(move || {
                    let mut ring = None;
                    jobs.iter().for_each(|job| job(&mut ring));
                })
                .expect("a thread more");
            self.members.push(sender);
        }
        self.members[index].send(job).expect("members stay until the crew goes");
    }
}

/// When a run begins once all are ready.
pub enum Start {
    /// At once.
    Now,
    /// When this says so, which it does when other hosts are ready as well; `None` calls the run
    /// off.
    When(Box<dyn FnOnce() -> Option<Instant> + Send>),
}

impl Start {
    /// The time of the start, known when all are ready.
    pub fn at(self) -> Option<Instant> {
        match self {
            Self::Now => Some(Instant::now() + Duration::from_millis(1)),
            Self::When(agreed) => agreed(),
        }
    }
}

/// Lets all workers start at one time, or none if one of them could not connect.
#[derive(Clone)]
pub(super) struct Gate {
    barrier: Arc<Barrier>,
    state: Arc<Mutex<GateState>>,
}

#[derive(Default)]
struct GateState {
    ready: usize,
    start: Option<Instant>,
}

impl Gate {
    pub(super) fn new(threads: usize) -> Self {
        Self { barrier: Arc::new(Barrier::new(threads + 1)), state: Arc::default() }
    }

    /// The worker's side: `None` if the run is off.
    pub(super) fn pass(&self, ready: bool) -> Option<Instant> {
        self.state.lock().expect("no panic under this lock").ready += usize::from(ready);
        self.barrier.wait();
        self.barrier.wait();
        self.state.lock().expect("no panic under this lock").start
    }

    /// The leader's side.
    pub(super) fn open(&self, threads: usize, start: Start) {
        self.barrier.wait();
        let all = self.state.lock().expect("no panic under this lock").ready == threads;
        let at = if all { start.at() } else { None };
        self.state.lock().expect("no panic under this lock").start = at;
        self.barrier.wait();
    }
}
