//! Watchers: connections that receive the log.
//!
//! A line goes two ways before it is sent. The core that writes it has a buffer of its own, so
//! that writing takes no lock; at the end of its turn it hands the lines to every watcher that
//! wants them, into the watcher's buffer, and leaves a note for the watcher's core. That core
//! sends the buffer as soon as its previous send is done. Both buffers are bounded: lines that do
//! not fit are counted, and the watcher is told how many it missed (`skipped=`). So a slow
//! watcher costs lines, never time.

use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::conn::ConnId;
use crate::protocol::admin::WatchStreams;

/// Most watchers at a time, as in memcached.
const WATCHERS_MAX: usize = 20;

/// A watcher: where it is and what waits for it.
pub(in crate::core) struct Watcher {
    pub(in crate::core) core: usize,
    pub(in crate::core) conn: ConnId,
    streams: WatchStreams,
    bytes_max: usize,
    waiting: Mutex<Waiting>,
    /// Its core knows that lines wait.
    told: AtomicBool,
}

#[derive(Default)]
struct Waiting {
    text: Vec<u8>,
    /// Lines lost since the last that was taken in.
    skipped: u64,
}

/// All watchers.
#[derive(Default)]
pub(crate) struct Watch {
    /// What any watcher wants: the bits of [`WatchStreams`].
    streams: AtomicU16,
    /// The number of the latest line.
    line: AtomicU64,
    watchers: RwLock<Vec<Arc<Watcher>>>,
}

/// One line in a core's buffer.
pub(in crate::core) struct Line<'a> {
    pub(in crate::core) stream: WatchStreams,
    pub(in crate::core) text: &'a [u8],
}

/// What became of the lines offered to a watcher.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::core) struct Offered {
    pub(in crate::core) taken: u64,
    pub(in crate::core) skipped: u64,
}

impl Watch {
    /// Whether any watcher wants any of these streams.
    #[inline]
    pub(in crate::core) fn wants(&self, streams: WatchStreams) -> bool {
        self.streams.load(Ordering::Relaxed) & streams.0 != 0
    }

    /// A number for the next line. Lines of different cores can be put in order by it.
    pub(in crate::core) fn number_line(&self) -> u64 {
        self.line.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Takes in a watcher, unless there are too many.
    pub(super) fn add(
        &self,
        core: usize,
        conn: ConnId,
        streams: WatchStreams,
        bytes_max: usize,
    ) -> bool {
        let mut watchers = self.watchers.write().unwrap_or_else(PoisonError::into_inner);
        if watchers.len() >= WATCHERS_MAX {
            return false;
        }
        let (waiting, told) = (Mutex::default(), AtomicBool::new(false));
        watchers.push(Arc::new(Watcher { core, conn, streams, bytes_max, waiting, told }));
        self.streams.store(union(&watchers), Ordering::Relaxed);
        true
    }

    /// Lets a watcher go.
    pub(in crate::core) fn remove(&self, core: usize, conn: ConnId) {
        let mut watchers = self.watchers.write().unwrap_or_else(PoisonError::into_inner);
        watchers.retain(|watcher| (watcher.core, watcher.conn) != (core, conn));
        self.streams.store(union(&watchers), Ordering::Relaxed);
    }

    /// The watcher that a connection is.
    pub(in crate::core) fn find(&self, core: usize, conn: ConnId) -> Option<Arc<Watcher>> {
        let watchers = self.watchers.read().unwrap_or_else(PoisonError::into_inner);
        let found = watchers.iter().find(|watcher| (watcher.core, watcher.conn) == (core, conn));
        found.cloned()
    }

    /// The watchers now.
    pub(in crate::core) fn all(&self) -> Vec<Arc<Watcher>> {
        self.watchers.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn count(&self) -> usize {
        self.watchers.read().unwrap_or_else(PoisonError::into_inner).len()
    }
}

fn union(watchers: &[Arc<Watcher>]) -> u16 {
    watchers.iter().fold(0, |union, watcher| union | watcher.streams.0)
}

impl Watcher {
    /// Hands it those lines that it wants and has room for.
    pub(in crate::core) fn offer<'a>(&self, lines: impl Iterator<Item = Line<'a>>) -> Offered {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut offered = Offered::default();
        for line in lines.filter(|line| self.streams.0 & line.stream.0 != 0) {
            if waiting.take_in(line.text, self.bytes_max) {
                offered.taken += 1;
            } else {
                offered.skipped += 1;
            }
        }
        offered
    }

    /// Whether its core has yet to be told that lines wait.
    pub(in crate::core) fn must_be_told(&self) -> bool {
        !self.told.swap(true, Ordering::AcqRel)
    }

    /// Swaps what waits with an empty buffer. False if nothing waits.
    pub(in crate::core) fn swap(&self, buffer: &mut Vec<u8>) -> bool {
        // From here on a core that adds a line has to tell again.
        self.told.store(false, Ordering::Release);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut waiting.text, buffer);
        !buffer.is_empty()
    }
}

impl Waiting {
    fn take_in(&mut self, line: &[u8], bytes_max: usize) -> bool {
        const SKIPPED_BYTES_MAX: usize = 32;
        if self.text.len() + line.len() + SKIPPED_BYTES_MAX > bytes_max {
            self.skipped += 1;
            return false;
        }
        if self.skipped > 0 {
            self.text.extend_from_slice(format!("skipped={}\n", self.skipped).as_bytes());
            self.skipped = 0;
        }
        self.text.extend_from_slice(line);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONN: ConnId = ConnId { index: 1, generation: 0 };

    fn lines(stream: WatchStreams, count: usize) -> impl Iterator<Item = Line<'static>> {
        (0..count).map(move |_| Line { stream, text: b"0123456789\n" })
    }

    #[test]
    fn a_watcher_gets_its_streams_only() {
        let watch = Watch::default();
        assert!(!watch.wants(WatchStreams::EVICTIONS));
        assert!(watch.add(0, CONN, WatchStreams::EVICTIONS, 1000));
        assert!(watch.wants(WatchStreams::EVICTIONS) && !watch.wants(WatchStreams::FETCHERS));
        let watcher = watch.all().remove(0);
        let offered = watcher.offer(lines(WatchStreams::FETCHERS, 3));
        assert_eq!(offered, Offered::default());
        watch.remove(0, CONN);
        assert!(!watch.wants(WatchStreams::EVICTIONS) && watch.count() == 0);
    }

    #[test]
    fn lines_without_room_are_counted_and_told() {
        let watch = Watch::default();
        assert!(watch.add(0, CONN, WatchStreams::FETCHERS, 100));
        let watcher = watch.all().remove(0);
        let offered = watcher.offer(lines(WatchStreams::FETCHERS, 10));
        assert_eq!(offered, Offered { taken: 6, skipped: 4 });
        let mut buffer = Vec::new();
        assert!(watcher.swap(&mut buffer) && buffer.len() == 66);
        watcher.offer(lines(WatchStreams::FETCHERS, 1));
        buffer.clear();
        assert!(watcher.swap(&mut buffer));
        assert_eq!(buffer, b"skipped=4\n0123456789\n");
    }

    #[test]
    fn a_core_is_told_once_until_it_looks() {
        let watch = Watch::default();
        assert!(watch.add(0, CONN, WatchStreams::FETCHERS, 100));
        let watcher = watch.all().remove(0);
        assert!(watcher.must_be_told() && !watcher.must_be_told());
        assert!(!watcher.swap(&mut Vec::new()));
        assert!(watcher.must_be_told());
    }

    #[test]
    fn there_is_a_most_of_watchers() {
        let watch = Watch::default();
        for index in 0..WATCHERS_MAX as u32 {
            let conn = ConnId { index, generation: 0 };
            assert!(watch.add(0, conn, WatchStreams::FETCHERS, 100));
        }
        assert!(!watch.add(0, CONN, WatchStreams::FETCHERS, 100));
    }
}
