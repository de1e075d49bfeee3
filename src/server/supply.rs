//! The thread that provides the shards with memory before they need it.
//!
//! It sleeps until a shard wakes it, which happens once every 2 MB, and it has the lowest priority
//! that there is: on a CPU that it shares with a core, the core always goes first. So clearing a
//! huge page delays nobody. Where the host has several memory nodes, it goes to the node of the
//! shard's core first, because the kernel takes memory from where it is asked.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Wake, Waker};
use std::thread::{self, Thread};

use crate::config::{CpuId, Failure};
use crate::os::{affinity, priority};
use crate::shard::{Shard, Supply};

/// Wakes the thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The thread, for as long as shards are still being made.
pub(super) struct Supplier {
    waker: Waker,
    customers: Sender<Customer>,
}

/// A shard, as the thread knows it.
struct Customer {
    supply: Supply,
    /// The CPUs of the shard's memory node, if there are several nodes.
    node: Option<Vec<CpuId>>,
}

impl Supplier {
    /// Starts the thread. It lives as long as the process.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub(super) fn start() -> Result<Self, Failure> {
        let (customers, received) = channel();
        let thread = thread::Builder::new()
            .name("memory".to_owned())
            .spawn(move || serve(&received))
            .map_err(|error| Failure::os("no thread for the supply of memory", error))?;
        let waker = Waker::from(Arc::new(Unpark(thread.thread().clone())));
        Ok(Self { waker, customers })
    }

    /// Provides the shard of the core on `cpu` from now on.
    pub(super) fn take_on(&self, shard: &mut Shard, cpu: CpuId) {
        let supply = shard.supply(&self.waker);
        let customer = Customer { supply, node: affinity::node_of(cpu) };
        self.customers.send(customer).expect("the thread receives until the supplier is gone");
    }
}

fn serve(received: &Receiver<Customer>) {
    priority::lowest();
    let customers = Vec::from_iter(received);
    loop {
        for Customer { supply, node } in &customers {
            if !supply.is_wanted() {
                continue;
            }
            if let Some(cpus) = node {
                // Where that is refused, memory of another node is better than none.
                let _ = affinity::stay_on(cpus);
            }
            supply.provide();
        }
        thread::park();
    }
}
