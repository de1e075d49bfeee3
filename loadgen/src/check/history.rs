//! Histories: everything that was asked and answered about each key, and whether a cache may behave
//! so.
//!
//! A cache may forget at any time but must not lie. Each key is a register whose values all differ
//! (every write has its own version), so the test of Gibbons and Korach (1997) for atomic registers
//! decides it in the time of a sort. All operations on one value form a *cluster*: its write and
//! the reads that returned it. If some operation of the cluster ended before another began, the key
//! certainly held the value all the time between the two: the cluster's *zone*. Two zones of
//! different values must not overlap, and an operation on another value, or one that found nothing,
//! must not lie wholly within a zone. Two additions make it fit caches. An operation that finds
//! nothing is a cluster of its own, since forgetting needs no request. And a `cas` that was
//! accepted is also a read of the value whose number it named: so that value must have held until
//! then. An operation without an answer may take effect at any time from its start on, or never.

use std::collections::HashMap;

use serde::Serialize;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A value was read: `version`, and `unique` if it was asked for.
    Read,
    /// Bytes were read that are no value of the key.
    Garbage,
    /// Nothing was there: a read, delete, touch, replace or cas found no item.
    Absent,
    /// `version` was stored.
    Write,
    /// `version` was stored in place of the value with the number `unique`.
    Cas,
    /// A cas on the value with the number `unique` was told that it had changed.
    CasRefused,
    /// The item was deleted.
    Delete,
}

impl Kind {
    const ALL: [(Self, &'static str); 7] = [
        (Self::Read, "read"),
        (Self::Garbage, "garbage"),
        (Self::Absent, "absent"),
        (Self::Write, "write"),
        (Self::Cas, "cas"),
        (Self::CasRefused, "refused"),
        (Self::Delete, "delete"),
    ];

    fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

/// When an operation without an answer ended.
pub const NEVER_NS: u64 = u64::MAX;

/// One operation on one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The key's number.
    pub key: u64,
    /// What was done.
    pub kind: Kind,
    /// The version read or written.
    pub version: u64,
    /// The unique number read or named; 0 for none.
    pub unique: u64,
    /// When the request was handed to the kernel.
    pub start_ns: u64,
    /// When its answer was there, or [`NEVER_NS`].
    pub end_ns: u64,
}

impl Event {
    /// The event as a line of a history file.
    pub fn line(&self) -> String {
        let Self { key, kind, version, unique, start_ns, end_ns } = self;
        format!("{key} {} {version} {unique} {start_ns} {end_ns}", kind.name())
    }

    /// The event of a line.
    pub fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split(' ');
        let key = fields.next()?.parse().ok()?;
        let name = fields.next()?;
        let kind = Kind::ALL.into_iter().find(|(_, known)| *known == name)?.0;
        let mut number = || fields.next()?.parse::<u64>().ok();
        let event = Self {
            key,
            kind,
            version: number()?,
            unique: number()?,
            start_ns: number()?,
            end_ns: number()?,
        };
        fields.next().is_none().then_some(event)
    }
}

/// A lie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The key's number.
    pub key: u64,
    /// What is wrong, in a sentence.
    pub what: String,
}

/// What the checker found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Events looked at.
    pub events: usize,
    /// Keys they were about.
    pub keys: usize,
    /// Reads that found nothing: allowed, and told because too many are no use.
    pub absences: usize,
    /// Lies.
    pub violations: Vec<Violation>,
}

/// Checks a history. Versions up to `initial` were there before it began.
pub fn check(events: &[Event], initial: u64) -> Report {
    let mut by_key: HashMap<u64, Vec<Event>> = HashMap::new();
    events.iter().for_each(|event| by_key.entry(event.key).or_default().push(*event));
    let mut report = Report {
        events: events.len(),
        keys: by_key.len(),
        absences: events.iter().filter(|event| event.kind == Kind::Absent).count(),
        violations: Vec::new(),
    };
    let mut keys: Vec<_> = by_key.into_iter().collect();
    keys.sort_unstable_by_key(|(key, _)| *key);
    for (key, events) in keys {
        let found = check_key(&events, initial);
        report.violations.extend(found.into_iter().map(|what| Violation { key, what }));
    }
    report
}

/// All operations on one value.
#[derive(Clone, Copy, Debug)]
struct Cluster {
    version: Option<u64>,
    /// Start of its write.
    written_ns: u64,
    first_end_ns: u64,
    last_start_ns: u64,
}

impl Cluster {
    fn new(version: Option<u64>, event: &Event) -> Self {
        let (start, end) = (event.start_ns, event.end_ns);
        Self { version, written_ns: start, first_end_ns: end, last_start_ns: start }
    }

    /// The value was there during some moment of this operation.
    fn saw(&mut self, event: &Event) {
        self.first_end_ns = self.first_end_ns.min(event.end_ns);
        self.last_start_ns = self.last_start_ns.max(event.start_ns);
    }

    /// Whether the key held the value for a whole stretch of time.
    fn has_zone(&self) -> bool {
        self.first_end_ns < self.last_start_ns
    }

    fn name(&self) -> String {
        self.version.map_or_else(|| "no value".into(), |version| format!("version {version}"))
    }
}

fn check_key(events: &[Event], initial: u64) -> Vec<String> {
    let mut lies = Vec::new();
    let mut clusters = written(events, initial);
    let versions_of = unique_numbers(events, &mut lies);
    for event in events {
        let version = match event.kind {
            Kind::Read => Some(event.version),
            Kind::Cas => versions_of.get(&event.unique).copied(),
            Kind::Garbage => {
                lies.push(format!("bytes that were never written, read at {} ns", event.start_ns));
                None
            }
            _ => None,
        };
        let Some(version) = version else { continue };
        // A cas without an answer may not have happened, so it proves nothing about what it
        // replaced.
        if event.end_ns == NEVER_NS {
            continue;
        }
        match clusters.get_mut(&version) {
            None => lies.push(format!("version {version} was read and never written")),
            Some(cluster) if event.end_ns < cluster.written_ns => {
                lies.push(format!("version {version} was read before it was written"));
            }
            Some(cluster) => cluster.saw(event),
        }
    }
    check_cas(events, &versions_of, &clusters, &mut lies);
    check_zones(events, clusters.into_values().collect(), &mut lies);
    lies
}

/// A cluster for every value that was written, or may have been, or was there before.
fn written(events: &[Event], initial: u64) -> HashMap<u64, Cluster> {
    let mut clusters = HashMap::new();
    for event in events {
        let before = matches!(event.kind, Kind::Read) && event.version <= initial;
        let start = Event { start_ns: 0, end_ns: 0, ..*event };
        if before {
            clusters
                .entry(event.version)
                .or_insert_with(|| Cluster::new(Some(event.version), &start));
        } else if matches!(event.kind, Kind::Write | Kind::Cas) {
            clusters.insert(event.version, Cluster::new(Some(event.version), event));
        }
    }
    clusters
}

/// Which version each unique number stands for; one for two is a lie.
fn unique_numbers(events: &[Event], lies: &mut Vec<String>) -> HashMap<u64, u64> {
    let mut versions: HashMap<u64, u64> = HashMap::new();
    for event in events.iter().filter(|event| event.kind == Kind::Read && event.unique != 0) {
        let known = *versions.entry(event.unique).or_insert(event.version);
        if known != event.version {
            let unique = event.unique;
            lies.push(format!("number {unique} stands for versions {known} and {}", event.version));
        }
    }
    versions
}

/// One number is good for one cas, and a refusal needs a change.
fn check_cas(
    events: &[Event],
    versions_of: &HashMap<u64, u64>,
    clusters: &HashMap<u64, Cluster>,
    lies: &mut Vec<String>,
) {
    let mut accepted: HashMap<u64, u64> = HashMap::new();
    for event in events.iter().filter(|event| event.end_ns != NEVER_NS) {
        match event.kind {
            Kind::Cas => {
                if let Some(other) = accepted.insert(event.unique, event.version) {
                    let (unique, version) = (event.unique, event.version);
                    lies.push(format!(
                        "versions {other} and {version} both replaced number {unique}"
                    ));
                }
            }
            Kind::CasRefused => {
                let cluster = versions_of.get(&event.unique).and_then(|at| clusters.get(at));
                let held = |cluster: &&Cluster| {
                    cluster.first_end_ns <= event.start_ns && cluster.last_start_ns >= event.end_ns
                };
                if let Some(cluster) = cluster.filter(held) {
                    lies.push(format!("a cas on {} was refused while it held", cluster.name()));
                }
            }
            _ => {}
        }
    }
}

fn check_zones(events: &[Event], mut clusters: Vec<Cluster>, lies: &mut Vec<String>) {
    let absent = |event: &&Event| {
        matches!(event.kind, Kind::Absent | Kind::Delete) && event.end_ns != NEVER_NS
    };
    clusters.extend(events.iter().filter(absent).map(|event| Cluster::new(None, event)));
    // A write without an answer that nobody read may never have happened.
    clusters.retain(|cluster| cluster.first_end_ns != NEVER_NS);
    let (mut zones, points): (Vec<_>, Vec<_>) = clusters.into_iter().partition(Cluster::has_zone);
    zones.sort_unstable_by_key(|zone| zone.first_end_ns);
    for pair in zones.windows(2) {
        if pair[1].first_end_ns < pair[0].last_start_ns {
            let names = (pair[0].name(), pair[1].name());
            lies.push(format!("{} and {} held at the same time", names.0, names.1));
        }
    }
    for point in points {
        // Its only possible moments lie between its start and its end.
        let (from, to) = (point.last_start_ns, point.first_end_ns);
        let after = zones.partition_point(|zone| zone.first_end_ns < from);
        let inside =
            after.checked_sub(1).map(|at| &zones[at]).filter(|zone| to < zone.last_start_ns);
        if let Some(zone) = inside {
            lies.push(format!("{} was there while {} held", point.name(), zone.name()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: Kind, version: u64, unique: u64, start_ns: u64, end_ns: u64) -> Event {
        Event { key: 1, kind, version, unique, start_ns, end_ns }
    }

    fn write(version: u64, start: u64, end: u64) -> Event {
        event(Kind::Write, version, 0, start, end)
    }

    fn read(version: u64, start: u64, end: u64) -> Event {
        event(Kind::Read, version, 0, start, end)
    }

    fn absent(start: u64, end: u64) -> Event {
        event(Kind::Absent, 0, 0, start, end)
    }

    fn lies(events: &[Event]) -> Vec<String> {
        check(events, 0).violations.into_iter().map(|violation| violation.what).collect()
    }

    #[test]
    fn truth_is_accepted() {
        let histories: [&[Event]; 8] = [
            &[write(1, 0, 10), read(1, 20, 30), write(2, 40, 50), read(2, 60, 70)],
            // Forgotten at any time, and gone for good.
            &[write(1, 0, 10), read(1, 20, 30), absent(40, 50), absent(60, 70)],
            // Concurrent writes in either order.
            &[write(1, 0, 50), write(2, 10, 40), read(1, 60, 70)],
            &[write(1, 0, 50), write(2, 10, 40), read(2, 60, 70)],
            // A read beside a write may see the old or the new value.
            &[write(1, 0, 10), write(2, 20, 60), read(1, 30, 40), read(2, 45, 50)],
            // A write without an answer may show later.
            &[write(1, 0, 10), write(2, 20, NEVER_NS), read(1, 30, 40), read(2, 90, 99)],
            // A miss beside a write.
            &[write(1, 0, 50), absent(20, 30), read(1, 60, 70)],
            &[event(Kind::Delete, 0, 0, 0, 10), absent(20, 30), write(1, 40, 50), read(1, 60, 70)],
        ];
        for history in histories {
            assert_eq!(lies(history), [""; 0], "{history:?}");
        }
    }

    #[test]
    fn lies_are_found() {
        let histories: [(&[Event], &str); 9] = [
            (&[write(1, 0, 10), write(2, 20, 30), read(1, 40, 50)], "version 2 was there while"),
            (&[write(1, 0, 10), read(3, 20, 30)], "never written"),
            (&[write(1, 40, 50), read(1, 20, 30)], "before it was written"),
            // A value that was gone comes back.
            (&[write(1, 0, 10), absent(20, 30), read(1, 40, 50)], "no value was there while"),
            (
                &[write(1, 0, 10), event(Kind::Delete, 0, 0, 20, 30), read(1, 40, 50)],
                "no value was there while",
            ),
            // Two values flicker.
            (
                &[
                    write(1, 0, 30),
                    write(2, 0, 30),
                    read(1, 40, 41),
                    read(2, 50, 51),
                    read(1, 60, 61),
                ],
                "held at the same time",
            ),
            (&[event(Kind::Garbage, 0, 0, 20, 30)], "never written"),
            // New, then old again, beside an unfinished write.
            (
                &[write(1, 0, 10), write(2, 20, 90), read(2, 30, 40), read(1, 50, 60)],
                "version 2 was there while version 1 held",
            ),
            (
                &[write(1, 0, NEVER_NS), read(1, 20, 30), absent(40, 50), read(1, 60, 70)],
                "no value",
            ),
        ];
        for (history, what) in histories {
            let found = lies(history);
            assert!(found.iter().any(|lie| lie.contains(what)), "{history:?} gave {found:?}");
        }
    }

    fn seen(version: u64, unique: u64, start: u64, end: u64) -> Event {
        event(Kind::Read, version, unique, start, end)
    }

    fn cas(version: u64, unique: u64, start: u64, end: u64) -> Event {
        event(Kind::Cas, version, unique, start, end)
    }

    #[test]
    fn cas_must_be_exact() {
        let good = [write(1, 0, 10), seen(1, 7, 20, 30), cas(2, 7, 40, 50), read(2, 60, 70)];
        assert_eq!(lies(&good), [""; 0]);
        // Accepted although the value had changed.
        let changed = [write(1, 0, 10), seen(1, 7, 20, 30), write(3, 35, 36), cas(2, 7, 40, 50)];
        assert!(lies(&changed)[0].contains("version 3 was there while version 1 held"));
        let twice = [write(1, 0, 10), seen(1, 7, 20, 30), cas(2, 7, 40, 50), cas(3, 7, 40, 50)];
        assert!(lies(&twice).iter().any(|lie| lie.contains("both replaced number 7")));
        let refused = [
            write(1, 0, 10),
            seen(1, 7, 20, 30),
            event(Kind::CasRefused, 0, 7, 40, 50),
            seen(1, 7, 60, 70),
        ];
        assert!(lies(&refused)[0].contains("refused while it held"));
        let reused = [write(1, 0, 10), seen(1, 7, 20, 30), write(2, 40, 50), seen(2, 7, 60, 70)];
        assert!(lies(&reused)[0].contains("number 7 stands for versions 1 and 2"));
    }

    #[test]
    fn values_from_before_are_no_lies() {
        assert!(check(&[read(5, 10, 20), read(5, 30, 40)], 5).violations.is_empty());
        assert!(
            !check(&[read(5, 10, 20), absent(30, 40), read(5, 50, 60)], 5).violations.is_empty()
        );
        assert!(!check(&[read(6, 10, 20)], 5).violations.is_empty());
    }

    #[test]
    fn an_event_is_read_back_from_its_line() {
        for event in [write(1, 2, 3), cas(4, 5, 6, NEVER_NS), absent(7, 8)] {
            assert_eq!(Event::parse(&event.line()), Some(event));
        }
        assert_eq!(Event::parse("1 read 2"), None);
        assert_eq!(Event::parse("1 jump 2 3 4 5"), None);
    }
}
