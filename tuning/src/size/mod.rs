//! `tune size`: how much memory a data set takes, and the flags that make it take the least.
//!
//! The data set is given, or learnt from a running server ([`observed`]); the server's layout is
//! arithmetic ([`layout`]). What remains is to choose: flags away from their defaults only where
//! that saves what is worth a line in a configuration, and cores for the rate asked for.

pub mod layout;
pub mod observed;
pub mod sizes;

use std::fmt::Write;

use layout::{Footprint, Parts, Shape, footprint};
use serde_json::{Value, json};
use sizes::Sizes;

/// Below this saving the default -f and -n stay: a flag that must be understood has its price.
const SAVING_MIN: f64 = 0.02;
const FACTORS: &[f64] = &[1.25, 1.2, 1.15, 1.1, 1.08, 1.05];
const CHUNKS_MIN: &[usize] = &[48, 64, 80, 96, 128, 192];

/// A core is planned to be busy for this part of the time: beyond it queues grow in bursts.
const LOAD_PLANNED: f64 = 0.7;
/// Requests a second that one core surely serves, unless a sweep gives the true figure:
/// unpipelined, over the kernel's TCP, on a small virtual machine.
pub const CORE_REQUESTS_PER_S: f64 = 120_000.0;

/// A data set and how it is used.
#[derive(Debug, Clone)]
pub struct Demand {
    /// Items alive at a time.
    pub items: f64,
    /// Key and value together.
    pub payload: Sizes,
    /// Shares of items with client flags and expiry times.
    pub parts: Parts,
    /// Requests a second, 0 if unknown.
    pub requests_per_s: f64,
    /// Requests a second that one core serves.
    pub core_requests_per_s: f64,
    /// `-t`, if decided already.
    pub threads: Option<usize>,
    /// Share to add to the memory, for growth.
    pub headroom: f64,
}

/// What to start the server with.
#[derive(Debug, Clone)]
pub struct Plan {
    /// `-m`, in MB.
    pub memory_mb: u64,
    /// `-t`, `-f`, `-n`.
    pub shape: Shape,
    /// Where the memory goes.
    pub footprint: Footprint,
    /// What the default `-f` and `-n` would take, in MB, if they are not the ones chosen.
    pub default_mb: Option<u64>,
}

/// Chooses threads, then classes, then memory.
#[must_use]
pub fn plan(demand: &Demand) -> Plan {
    let threads = demand.threads.unwrap_or_else(|| cores(demand));
    let default = Shape { threads, ..Shape::default() };
    let of = |shape: &Shape| footprint(demand.items, &demand.payload, demand.parts, shape);
    let candidates = FACTORS.iter().flat_map(|&growth_factor| {
        let with = move |&chunk_bytes_min| Shape { growth_factor, chunk_bytes_min, threads };
        CHUNKS_MIN.iter().map(with)
    });
    let cost = |shape: &Shape| of(shape).total_bytes();
    let best = candidates.min_by(|a, b| cost(a).total_cmp(&cost(b))).unwrap_or(default);
    let saves = cost(&best) < cost(&default) * (1.0 - SAVING_MIN);
    let shape = if saves { best } else { default };
    let memory_mb = |shape: &Shape| {
        let mb = (cost(shape) * (1.0 + demand.headroom) / f64::from(1 << 20)).ceil() as u64;
        mb.max(least_mb(threads))
    };
    Plan {
        memory_mb: memory_mb(&shape),
        shape,
        footprint: of(&shape),
        default_mb: saves.then(|| memory_mb(&default)),
    }
}

fn cores(demand: &Demand) -> usize {
    (demand.requests_per_s / (demand.core_requests_per_s * LOAD_PLANNED)).ceil().max(1.0) as usize
}

/// A shard holds at least four pages, whatever it is given.
const SHARD_MB_MIN: u64 = 4;

fn least_mb(threads: usize) -> u64 {
    threads as u64 * SHARD_MB_MIN
}

impl Plan {
    /// The command line.
    #[must_use]
    pub fn command(&self) -> String {
        let Shape { threads, growth_factor, chunk_bytes_min } = self.shape;
        let mut command = format!("ringcached -m {} -t {threads}", self.memory_mb);
        let default = Shape::default();
        if growth_factor != default.growth_factor {
            let _ = write!(command, " -f {growth_factor}");
        }
        if chunk_bytes_min != default.chunk_bytes_min {
            let _ = write!(command, " -n {chunk_bytes_min}");
        }
        command
    }

    /// What a person reads: the command, then where each item's bytes go.
    #[must_use]
    pub fn text(&self) -> String {
        let Footprint { items, payload_bytes, header_bytes, .. } = self.footprint;
        let each = |bytes: f64| bytes / items;
        let row = |name: &str, bytes: f64| {
            let mb = bytes / f64::from(1 << 20);
            format!("  {name:<18} {:>9.1} bytes an item {mb:>11.1} MB\n", each(bytes))
        };
        let mut text = format!("{}\n\n{items:.0} items:\n", self.command());
        text += &row("key and value", payload_bytes);
        text += &row("header and flags", header_bytes);
        text += &row("class rounding", self.footprint.rounding_bytes);
        text += &row("pages", self.footprint.page_bytes);
        text += &row("index", self.footprint.index_bytes);
        text += &row("together", self.footprint.total_bytes());
        let overhead = self.footprint.overhead_bytes();
        let share = 100.0 * overhead / self.footprint.total_bytes();
        let _ = writeln!(text, "  overhead {:.1} bytes an item, {share:.0} %", each(overhead));
        if let Some(default_mb) = self.default_mb {
            let _ = writeln!(text, "\nWith the default -f and -n it would be -m {default_mb}.");
        }
        let pages = self.memory_mb.div_ceil(2) + self.shape.threads as u64;
        let _ = writeln!(text, "For -L first: sysctl -w vm.nr_hugepages={pages}");
        text
    }

    /// The same for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let found = &self.footprint;
        json!({
            "command": self.command(),
            "memory_mb": self.memory_mb,
            "threads": self.shape.threads,
            "growth_factor": self.shape.growth_factor,
            "chunk_bytes_min": self.shape.chunk_bytes_min,
            "items": found.items,
            "total_bytes": found.total_bytes(),
            "payload_bytes": found.payload_bytes,
            "header_bytes": found.header_bytes,
            "rounding_bytes": found.rounding_bytes,
            "page_bytes": found.page_bytes,
            "index_bytes": found.index_bytes,
            "overhead_bytes_per_item": found.overhead_bytes() / found.items,
            "default_memory_mb": self.default_mb,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demand(items: f64, payload: &str) -> Demand {
        Demand {
            items,
            payload: payload.parse().expect("a spread"),
            parts: Parts { flagged: 0.0, expiring: 1.0 },
            requests_per_s: 0.0,
            core_requests_per_s: CORE_REQUESTS_PER_S,
            threads: None,
            headroom: 0.0,
        }
    }

    #[test]
    fn defaults_stay_where_nothing_is_to_gain() {
        // 26 + 78 = 104 bytes are a default class.
        let plan = plan(&demand(5e6, "78"));
        assert_eq!(plan.command(), format!("ringcached -m {} -t 1", plan.memory_mb));
        assert_eq!(plan.default_mb, None);
    }

    #[test]
    fn a_finer_factor_is_advised_where_rounding_is_dear() {
        // 26 + 120 = 146 bytes waste 30 of a default chunk of 176.
        let plan = plan(&demand(5e6, "120"));
        let default = plan.default_mb.expect("a saving");
        assert!((plan.memory_mb as f64) < default as f64 * 0.98, "{}", plan.text());
    }

    #[test]
    fn cores_follow_the_rate_with_room_to_spare() {
        let mut busy = demand(1e6, "100");
        busy.requests_per_s = 400_000.0;
        busy.core_requests_per_s = 200_000.0;
        assert_eq!(plan(&busy).shape.threads, 3);
        busy.threads = Some(2);
        assert_eq!(plan(&busy).shape.threads, 2);
    }

    #[test]
    fn a_tiny_set_still_gets_what_the_server_starts_with() {
        let mut tiny = demand(10.0, "10");
        tiny.threads = Some(4);
        assert_eq!(plan(&tiny).memory_mb, 16);
    }
}
