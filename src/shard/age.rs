//! How old the items are that a class gives up, which tells which class needs its memory least.
//!
//! A class that evicts is as old as its items get: by Little's law an item stays for as long as it
//! takes to evict as many as the class holds. That is counted over the last evictions of the shard,
//! an eighth to a quarter of its memory; the ages of single items at the tail say little, for those
//! on probation go young and those that were used go old. A class that does not evict is as old as
//! the item that would go next.

use super::slab::{CLASS_COUNT_MAX, ClassId};

/// How long a class's next victim has been idle. Larger is older.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(super) struct Age {
    pub(super) idle_s: u32,
    /// Stores since it was stored, which tells ages apart within a second; 0 if it has been used
    /// since, which that number says nothing about.
    pub(super) stores: u64,
}

impl Age {
    pub(super) const MIN: Self = Self { idle_s: 0, stores: 0 };
    pub(super) const MAX: Self = Self { idle_s: u32::MAX, stores: u64::MAX };
}

/// Below this many seconds ages are compared by the number of stores.
const AGE_FINE_S: u32 = 4;

/// Whether a page is better used by the class with the younger items. A ratio below 1 keeps two
/// classes of equal age from exchanging pages for ever.
pub(super) fn clearly_older(giver: Age, taker: Age, ratio: f64) -> bool {
    if giver.idle_s <= AGE_FINE_S && taker.idle_s <= AGE_FINE_S {
        return giver.stores as f64 * ratio > taker.stores as f64;
    }
    f64::from(giver.idle_s) * ratio > f64::from(taker.idle_s)
}

/// What part of its age a class of so many pages keeps when it gives one of them to another, times
/// the part that the taker's age was of what it becomes. A page that both would want back then had
/// better stay.
pub(super) fn page_share(giver_pages: u32, taker_pages: u32) -> f64 {
    let (giver, taker) = (f64::from(giver_pages.max(1)), f64::from(taker_pages.max(1)));
    (giver - 1.0).max(0.5) / giver * taker / (taker + 1.0)
}

/// A moment, by the shard's clock and by its count of stores.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moment {
    pub(super) now_s: u32,
    pub(super) sequence: u64,
}

impl Moment {
    /// What has passed since another one.
    const fn since(self, earlier: Self) -> Self {
        Self {
            now_s: self.now_s.saturating_sub(earlier.now_s),
            sequence: self.sequence.saturating_sub(earlier.sequence),
        }
    }
}

/// An eviction, as far as it counts here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Eviction {
    pub(super) chunk_bytes: usize,
    /// Of all pages in classes.
    pub(super) shard_bytes: usize,
    pub(super) now: Moment,
}

/// Recent evictions of the classes of a shard.
#[derive(Debug)]
pub(super) struct Turnover {
    /// Bytes of chunks whose items were evicted.
    bytes: usize,
    /// Whether enough have been counted to tell something.
    is_full: bool,
    /// By class id.
    classes: [ClassTurnover; CLASS_COUNT_MAX + 1],
}

/// Evictions of a class since it has had so many pages, or the later half of them: a class does not
/// evict while it fills a page.
#[derive(Clone, Copy, Debug, Default)]
struct ClassTurnover {
    pages: u32,
    /// All evictions since it has had so many.
    settling: u32,
    /// Those since `since`.
    evictions: u32,
    since: Moment,
}

/// Evictions of a class from which on they tell an age.
const EVICTIONS_MIN: u32 = 32;
/// What part of the shard's memory has to be evicted before ages are told, and after what part the
/// earlier half is forgotten.
const WINDOW_PARTS: (usize, usize) = (8, 4);

impl Default for Turnover {
    fn default() -> Self {
        let classes = [ClassTurnover::default(); CLASS_COUNT_MAX + 1];
        Self { bytes: 0, is_full: false, classes }
    }
}

impl Turnover {
    /// Counts an eviction in a class that has so many pages.
    pub(super) fn count(&mut self, class: ClassId, pages: u32, eviction: &Eviction) {
        let one = &mut self.classes[usize::from(class.0)];
        if one.pages != pages || one.evictions == 0 {
            *one = ClassTurnover { pages, since: eviction.now, ..ClassTurnover::default() };
        }
        one.evictions += 1;
        one.settling += 1;
        self.bytes += eviction.chunk_bytes;
        self.is_full |= self.bytes >= eviction.shard_bytes / WINDOW_PARTS.0;
        if self.bytes >= eviction.shard_bytes / WINDOW_PARTS.1 {
            self.bytes /= 2;
            self.classes.iter_mut().for_each(|class| class.forget_half(eviction.now));
        }
    }

    /// Whether a class of so many pages has evicted enough, since it got or gave the last of them,
    /// to be given another.
    pub(super) fn is_settled(&self, class: ClassId, pages: u32, page_chunks: u32) -> bool {
        let class = &self.classes[usize::from(class.0)];
        class.pages == pages && class.settling >= EVICTIONS_MIN.max(page_chunks / 2)
    }

    /// Whether a class of so many pages evicts, but not for long enough since it got the last of
    /// them to tell its age: while it fills a page, it looks older than it is.
    pub(super) fn is_unsure(&self, class: ClassId, pages: u32, page_chunks: u32) -> bool {
        let known = &self.classes[usize::from(class.0)];
        let is_few = known.evictions < EVICTIONS_MIN;
        let is_new = pages >= known.pages && !self.is_settled(class, pages, page_chunks);
        known.evictions > 0 && (is_few || is_new)
    }

    /// Whether a class has evicted of late.
    pub(super) const fn evicts(&self, class: ClassId) -> bool {
        self.classes[class.0 as usize].evictions > 0
    }

    /// By what part the quotient of two classes' ages may be wrong, because they are told by
    /// counting: twice its standard error. A class that does not evict adds nothing to it.
    pub(super) fn error(&self, one: ClassId, other: ClassId) -> f64 {
        let variance = [one, other].map(|class| {
            let evictions = self.classes[usize::from(class.0)].evictions;
            if evictions == 0 { 0.0 } else { 1.0 / f64::from(evictions) }
        });
        2.0 * variance.iter().sum::<f64>().sqrt()
    }

    /// How long the items of a class that holds so many stay, if that can be told.
    pub(super) fn age(&self, class: ClassId, items: u32, now: Moment) -> Option<Age> {
        let class = &self.classes[usize::from(class.0)];
        let stay =
            |elapsed: u64| elapsed.saturating_mul(u64::from(items)) / u64::from(class.evictions);
        let elapsed = now.since(class.since);
        (self.is_full && class.evictions >= EVICTIONS_MIN).then(|| Age {
            idle_s: stay(elapsed.now_s.into()).try_into().unwrap_or(u32::MAX),
            stores: stay(elapsed.sequence),
        })
    }
}

impl ClassTurnover {
    fn forget_half(&mut self, now: Moment) {
        self.evictions /= 2;
        let elapsed = now.since(self.since);
        self.since.now_s += elapsed.now_s / 2;
        self.since.sequence += elapsed.sequence / 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_moves_only_when_the_ages_differ_by_the_ratio() {
        let age = |idle_s, stores| Age { idle_s, stores };
        assert!(clearly_older(age(100, 0), age(79, 0), 0.8));
        assert!(!clearly_older(age(100, 0), age(80, 0), 0.8));
        assert!(clearly_older(age(100, 0), age(99, 0), 1.0));
        assert!(!clearly_older(age(100, 0), age(20, 0), 0.1));
        assert!(clearly_older(age(1, 1000), age(1, 799), 0.8), "within seconds, stores tell");
        assert!(!clearly_older(age(1, 1000), age(1, 800), 0.8));
    }

    #[test]
    fn a_page_does_not_move_to_and_fro() {
        // Two pages against one: the taker would be the older one afterwards.
        assert!(!clearly_older(
            Age { idle_s: 190, stores: 0 },
            Age { idle_s: 100, stores: 0 },
            page_share(2, 1)
        ));
        assert!(page_share(1000, 1000) > 0.99);
    }

    fn eviction(round: u32) -> Eviction {
        let now = Moment { now_s: round / 10, sequence: 3 * u64::from(round) };
        Eviction { chunk_bytes: 1_000, shard_bytes: 4_000_000, now }
    }

    #[test]
    fn items_stay_for_as_long_as_it_takes_to_evict_as_many() {
        let mut turnover = Turnover::default();
        let (quick, slow) = (ClassId(1), ClassId(2));
        for round in 0..5_000 {
            turnover.count(quick, 4, &eviction(round));
            if round % 10 == 0 {
                turnover.count(slow, 4, &eviction(round));
            }
        }
        let age = |class, round| turnover.age(class, 1_000, eviction(round).now);
        let (one, other) = (age(quick, 5_000).unwrap(), age(slow, 5_000).unwrap());
        assert!((90..=110).contains(&one.idle_s), "{one:?}");
        assert!((2_900..=3_100).contains(&one.stores), "{one:?}");
        assert!((9..=11).contains(&(other.stores / one.stores)), "{other:?}");
        assert!(age(quick, 50_000).unwrap().stores > 10 * one.stores, "it has stopped evicting");
        assert_eq!(age(ClassId(3), 5_000), None, "it has never begun");
    }

    #[test]
    fn the_error_of_an_age_falls_with_the_evictions_it_is_told_by() {
        let (mut turnover, few, many) = (Turnover::default(), ClassId(1), ClassId(2));
        assert!(!turnover.evicts(few));
        // So small that none is forgotten.
        let eviction = Eviction { chunk_bytes: 8, ..eviction(0) };
        (0..32).for_each(|_| turnover.count(few, 4, &eviction));
        (0..1_600).for_each(|_| turnover.count(many, 4, &eviction));
        assert!(turnover.evicts(few));
        assert!((0.35..0.37).contains(&turnover.error(few, many)), "2 / sqrt(32), and a little");
        assert!((0.05..0.08).contains(&turnover.error(many, many)));
        let idle = ClassId(3);
        assert!(turnover.error(idle, many) < turnover.error(few, many), "it has not counted");
    }

    #[test]
    fn a_class_settles_before_it_is_given_the_next_page() {
        let (mut turnover, class) = (Turnover::default(), ClassId(1));
        (0..50).for_each(|_| turnover.count(class, 4, &eviction(0)));
        assert!(turnover.is_settled(class, 4, 100));
        assert!(!turnover.is_settled(class, 5, 100), "it has just got one");
        turnover.count(class, 5, &eviction(0));
        assert!(!turnover.is_settled(class, 5, 100));
    }
}
