//! Memory that is provided before it is needed, by a thread that has the time.
//!
//! The first touch of a fresh huge page has the kernel find 2 MB in one piece and clear them. That
//! takes some 0.3 ms, and up to 10 ms where other memory has to be moved out of the way first. A
//! core that came upon such a page while it stores an item would keep all its clients waiting. So
//! the user of a region says in time how far it will get ([`Ahead::expect`]), and a thread beside
//! the cores, which nobody waits for, has the kernel provide the memory ([`Supply::provide`]), one
//! huge page after the other.
//!
//! That thread may come late, or never on a CPU that is wanted by others: then the region's user
//! touches the memory first, as it does where there is no such thread, and no lock makes it wait.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;

use super::region::{HUGE_PAGE_BYTES, Mapping};

/// How far a region is provided with memory, and how far it should be.
#[derive(Debug)]
pub(in crate::shard) struct Ahead {
    mapping: Arc<Mapping>,
    /// The open part of the region, in which memory can be provided.
    open: Range<usize>,
    /// Bytes from the region's start that have been provided.
    ready: AtomicUsize,
    /// Bytes from the region's start that should be.
    wanted: AtomicUsize,
    waker: Waker,
}

impl Ahead {
    /// Of a part of a region that has been opened, of which memory is provided from byte `from` on.
    /// Nothing is wanted yet.
    pub(super) fn new(
        mapping: Arc<Mapping>,
        open: Range<usize>,
        from: usize,
        waker: Waker,
    ) -> Self {
        let (ready, wanted) = (AtomicUsize::new(from), AtomicUsize::new(from));
        Self { mapping, open, ready, wanted, waker }
    }

    /// Whether all of these bytes have been opened beforehand.
    pub(super) fn covers(&self, bytes: Range<usize>) -> bool {
        self.open.start <= bytes.start && bytes.end <= self.open.end
    }

    /// Has memory provided up to `upto`.
    pub(super) fn expect(&self, upto: usize) {
        let upto = upto.min(self.open.end);
        if upto > self.wanted.load(Ordering::Relaxed) {
            self.wanted.store(upto, Ordering::Release);
            self.waker.wake_by_ref();
        }
    }

    fn is_wanted(&self) -> bool {
        self.ready.load(Ordering::Relaxed) < self.wanted.load(Ordering::Acquire)
    }

    fn provide(&self) {
        let mut ready = self.ready.load(Ordering::Relaxed);
        while ready < self.wanted.load(Ordering::Acquire) {
            self.mapping.touch(ready..ready + HUGE_PAGE_BYTES);
            ready += HUGE_PAGE_BYTES;
            self.ready.store(ready, Ordering::Relaxed);
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

    use super::super::region::{PageKind, Region};
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
        let ahead = region.supply(8 * MB, &Waker::from(Arc::clone(&calls)));
        (region, Supply::new(ahead), calls)
    }

    #[test]
    fn what_is_expected_is_provided_once() {
        let (mut region, supply, calls) = supplied();
        assert!(!supply.is_wanted());
        region.expect(6 * MB);
        region.expect(6 * MB);
        assert_eq!(calls.0.load(Ordering::Relaxed), 1);
        assert!(supply.is_wanted());
        supply.provide();
        assert!(!supply.is_wanted());
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
            region.commit(8 * MB).unwrap();
            region.slice_mut(7 * MB, 5).copy_from_slice(b"while");
        });
        assert_eq!(region.slice(4 * MB - 5, 5), b"early");
        assert_eq!(region.slice(7 * MB, 5), b"while");
        assert!(!supply.is_wanted());
    }

    #[test]
    fn beyond_what_was_opened_memory_comes_as_without_a_supply() {
        let (mut region, supply, _) = supplied();
        region.expect(16 * MB);
        supply.provide();
        region.commit(12 * MB).unwrap();
        region.slice_mut(12 * MB - 1, 1)[0] = 7;
        assert_eq!(region.slice(12 * MB - 1, 1), [7]);
    }
}
