//! Memory that is provided before it is needed, by a thread that has the time.
//!
//! The first touch of a fresh huge page has the kernel find 2 MB in one piece and clear them. That
//! takes some 0.3 ms, and up to 10 ms where other memory has to be moved out of the way first. A
//! core that came upon such a page while it stores an item would keep all its clients waiting. So
//! the user of a region says in time how far it will get ([`Ahead::expect`]), and a thread beside
//! the cores, which nobody waits for, has the kernel provide the memory ([`Supply::provide`]), one
//! huge page after the other.
//!
//! If that thread comes too late, nothing is lost but time: the region's user opens the range by
//! itself and touches it, as it does where there is no such thread. Opening or populating a range
//! twice, even at the same time, changes nothing in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;

use super::region::{HUGE_PAGE_BYTES, Mapping, PageKind};

/// How far a region is provided with memory, and how far it should be.
#[derive(Debug)]
pub(in crate::shard) struct Ahead {
    mapping: Arc<Mapping>,
    kind: PageKind,
    /// Bytes from the start that are open and populated.
    ready: AtomicUsize,
    /// Bytes from the start that should be.
    wanted: AtomicUsize,
    waker: Waker,
}

impl Ahead {
    /// Nothing is wanted yet beyond the `ready` bytes that are in use.
    pub(super) fn new(mapping: Arc<Mapping>, kind: PageKind, ready: usize, waker: Waker) -> Self {
        let (ready, wanted) = (AtomicUsize::new(ready), AtomicUsize::new(ready));
        Self { mapping, kind, ready, wanted, waker }
    }

    /// Bytes from the start that may be accessed.
    pub(super) fn ready(&self) -> usize {
        self.ready.load(Ordering::Acquire)
    }

    /// Has memory provided up to `upto`.
    pub(super) fn expect(&self, upto: usize) {
        self.wanted.store(upto, Ordering::Release);
        self.waker.wake_by_ref();
    }

    fn is_wanted(&self) -> bool {
        self.ready() < self.wanted.load(Ordering::Acquire)
    }

    /// Provides what is wanted. Stops where the system has no memory: who needs it will be told.
    fn provide(&self) {
        loop {
            let (ready, wanted) = (self.ready(), self.wanted.load(Ordering::Acquire));
            if ready >= wanted {
                return;
            }
            let page_end = (ready + 1).next_multiple_of(HUGE_PAGE_BYTES);
            let next = ready..page_end.min(wanted);
            let is_open = self.mapping.open(next.clone(), self.kind).is_ok();
            if !is_open || !self.mapping.populate(next.clone()) {
                return;
            }
            self.ready.store(next.end, Ordering::Release);
        }
    }
}

/// What a shard will need soon, for the thread that provides it.
#[derive(Debug, Default)]
pub struct Supply {
    regions: Vec<Arc<Ahead>>,
}

impl Supply {
    /// Of the regions that are provided so.
    pub(in crate::shard) fn new(regions: impl IntoIterator<Item = Arc<Ahead>>) -> Self {
        Self { regions: regions.into_iter().collect() }
    }

    /// Whether anything is wanted now.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.regions.iter().any(|region| region.is_wanted())
    }

    /// Has the kernel provide all that is wanted now. Blocks meanwhile.
    pub fn provide(&self) {
        self.regions.iter().for_each(|region| region.provide());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;
    use std::task::Wake;

    use super::super::region::Region;
    use super::*;

    const MB: usize = 1 << 20;

    #[derive(Default)]
    struct Calls(AtomicU32);

    impl Wake for Calls {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn supplied() -> (Region, Supply, Arc<Calls>) {
        let calls = Arc::new(Calls::default());
        let mut region = Region::reserve(16 * MB, PageKind::Transparent).unwrap();
        region.commit(2 * MB).unwrap();
        let ahead = region.supply(&Waker::from(Arc::clone(&calls)));
        (region, Supply::new(ahead), calls)
    }

    #[test]
    fn what_is_expected_is_ready_when_it_is_needed() {
        let (mut region, supply, calls) = supplied();
        assert!(!supply.is_wanted());
        region.expect(5 * MB);
        region.expect(5 * MB);
        assert_eq!(calls.0.load(Ordering::Relaxed), 1);
        assert!(supply.is_wanted());
        supply.provide();
        assert!(!supply.is_wanted());
        assert_eq!(supply.regions[0].ready(), 5 * MB);
        region.commit(6 * MB).unwrap();
        assert!(region.slice(0, 6 * MB).iter().all(|byte| *byte == 0));
    }

    #[test]
    fn a_supply_that_comes_late_changes_nothing() {
        let (mut region, supply, _) = supplied();
        region.expect(8 * MB);
        region.commit(4 * MB).unwrap();
        region.slice_mut(4 * MB - 5, 5).copy_from_slice(b"early");
        std::thread::scope(|scope| {
            scope.spawn(|| supply.provide());
            region.commit(7 * MB).unwrap();
            region.slice_mut(7 * MB - 5, 5).copy_from_slice(b"while");
        });
        assert_eq!(region.slice(4 * MB - 5, 5), b"early");
        assert_eq!(region.slice(7 * MB - 5, 5), b"while");
        assert_eq!(supply.regions[0].ready(), 8 * MB);
    }
}
