//! A data set learnt from a running server: its items, their sizes, its rates.
//!
//! `stats slabs` gives, for each class, how many chunks are in use, and `stats items` (before
//! version 1.6 `stats slabs` too) how many bytes their items asked for. Sizes within a class are
//! taken to lie evenly about their mean, as wide as the class allows, because our classes have
//! other borders. What the server stores beside key and value is subtracted first; of a ringcached
//! that depends on how many items expire, which has to be told. Rates come from two looks at the
//! counters, one second apart.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::thread;
use std::time::Duration;

use ringcached::config::limits::CHUNK_BYTES_MIN_MOST;
use ringcached::shard::{ClassId, TABLE_MEMORY_BYTES};

use super::layout::{ITEM_HEADER_BYTES, PART_BYTES, Shape, classes as classes_of};
use super::sizes::Sizes;

/// A server that does not answer is given up after this.
const ANSWER_S_MAX: Duration = Duration::from_secs(5);
const LOOK_APART: Duration = Duration::from_secs(1);

/// memcached's header, CAS id, the zero after the key and the line's end after the value.
const MEMCACHED_ITEM_BYTES: f64 = 48.0 + 8.0 + 1.0 + 2.0;
const MEMCACHED_CAS_BYTES: f64 = 8.0;
/// Points that stand for the sizes within one class.
const POINTS_PER_CLASS: u32 = 16;

/// What a running server holds and does.
#[derive(Debug, Clone)]
pub struct Observed {
    /// Live items.
    pub items: f64,
    /// Key and value together, in bytes.
    pub payload: Sizes,
    /// Gets and sets, a second.
    pub requests_per_s: f64,
    /// Items evicted since the start: above 0 the memory was too small for the data.
    pub evictions: u64,
    /// The server's own bytes an item: header, class and page, without its hash table.
    pub slab_bytes_per_item: f64,
}

type Stats = HashMap<String, String>;

/// Asks the server at `address` (host:port), of whose items a share of `expiring` has an expiry
/// time.
///
/// # Errors
/// If it cannot be reached, does not answer within seconds, answers with anything but statistics
/// (`InvalidData`), or holds no items.
pub fn observe(address: &str, expiring: f64) -> io::Result<Observed> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{address}: {error}"));
    let mut connection = Connection::open(address).map_err(named)?;
    let before = connection.stats("")?;
    thread::sleep(LOOK_APART);
    let after = connection.stats("")?;
    let mut slabs = connection.stats("slabs")?;
    let total_malloced = number(&slabs, "total_malloced");
    slabs.extend(connection.stats("items")?);
    let settings = connection.stats("settings")?;
    let classes = classes(&slabs);
    let payload = payload(&classes, item_bytes(&slabs, &settings, expiring))
        .ok_or_else(|| io::Error::other(format!("{address} holds no items to learn from")))?;
    let items = number(&after, "curr_items");
    let rate = requests(&after) - requests(&before);
    Ok(Observed {
        items,
        payload,
        requests_per_s: rate / LOOK_APART.as_secs_f64(),
        evictions: number(&after, "evictions") as u64,
        slab_bytes_per_item: total_malloced / items,
    })
}

struct Connection {
    reader: BufReader<TcpStream>,
}

impl Connection {
    fn open(address: &str) -> io::Result<Self> {
        let mut last = io::Error::other(format!("{address} is no address"));
        for candidate in address.to_socket_addrs()? {
            match TcpStream::connect_timeout(&candidate, ANSWER_S_MAX) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(ANSWER_S_MAX))?;
                    return Ok(Self { reader: BufReader::new(stream) });
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn stats(&mut self, which: &str) -> io::Result<Stats> {
        let request = format!("stats {which}").trim().to_owned() + "\r\n";
        self.reader.get_mut().write_all(request.as_bytes())?;
        let mut stats = Stats::new();
        loop {
            let mut line = String::new();
            if self.reader.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let line = line.trim_end();
            if line == "END" {
                return Ok(stats);
            }
            let mut words = line.splitn(3, ' ');
            let (Some("STAT"), Some(name), value) = (words.next(), words.next(), words.next())
            else {
                let reason = format!("{request:?} was answered with {line:?}");
                return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
            };
            stats.insert(name.to_owned(), value.unwrap_or_default().to_owned());
        }
    }
}

fn number(stats: &Stats, name: &str) -> f64 {
    stats.get(name).and_then(|text| text.parse().ok()).unwrap_or(0.0)
}

fn requests(stats: &Stats) -> f64 {
    number(stats, "cmd_get") + number(stats, "cmd_set") + number(stats, "cmd_touch")
}

/// What the server stores beside key and value.
fn item_bytes(slabs: &Stats, settings: &Stats, expiring: f64) -> f64 {
    if has_our_classes(slabs, settings) {
        return ITEM_HEADER_BYTES as f64 + PART_BYTES as f64 * expiring;
    }
    let cas = settings.get("cas_enabled").is_none_or(|word| word == "yes");
    MEMCACHED_ITEM_BYTES - if cas { 0.0 } else { MEMCACHED_CAS_BYTES }
}

/// Statistics bear the same names in both servers, but from the same -n and -f they make other
/// classes, and a class of the same number never has the same size.
fn has_our_classes(slabs: &Stats, settings: &Stats) -> bool {
    let (minimum, factor) = (number(settings, "chunk_size"), number(settings, "growth_factor"));
    if minimum < 1.0 || factor <= 1.0 {
        return false;
    }
    let shape = Shape {
        chunk_bytes_min: (minimum as usize).min(CHUNK_BYTES_MIN_MOST),
        growth_factor: factor,
        ..Shape::default()
    };
    let seen = slabs.iter().filter_map(|(name, bytes)| {
        let class = ClassId(name.strip_suffix(":chunk_size")?.parse().ok()?);
        Some((class, bytes.parse::<usize>().ok()?))
    });
    TABLE_MEMORY_BYTES.into_iter().any(|shard_bytes| {
        let ours = classes_of(&shape, shard_bytes);
        let has = |class: ClassId| (1..=ours.count()).contains(&class.0.into());
        seen.clone().all(|(class, bytes)| has(class) && ours.chunk_bytes(class) == bytes)
    })
}

/// One slab class in use.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Class {
    chunk_bytes: f64,
    chunks_used: f64,
    requested_bytes: f64,
}

/// The classes with items, by chunk size.
fn classes(slabs: &Stats) -> Vec<Class> {
    let of = |id: &str, field: &str| number(slabs, &format!("{id}:{field}"));
    let ids = slabs.keys().filter_map(|key| key.strip_suffix(":chunk_size"));
    let class = |id: &str| Class {
        chunk_bytes: of(id, "chunk_size"),
        chunks_used: of(id, "used_chunks"),
        requested_bytes: of(id, "mem_requested").max(of(&format!("items:{id}"), "mem_requested")),
    };
    let mut classes: Vec<Class> = ids.map(class).filter(|class| class.chunks_used > 0.0).collect();
    classes.sort_by(|a, b| a.chunk_bytes.total_cmp(&b.chunk_bytes));
    classes
}

/// Sizes of key and value, given what the server stores beside them.
fn payload(classes: &[Class], beside: f64) -> Option<Sizes> {
    let mut points = Vec::new();
    for class in classes {
        let mean = class.requested_bytes / class.chunks_used;
        // As wide as the class allows on the narrower side, so that the mean stays the mean.
        let reach = (class.chunk_bytes - mean).clamp(0.0, mean / 8.0);
        let step = 2.0 * reach / f64::from(POINTS_PER_CLASS);
        let weight = class.chunks_used / f64::from(POINTS_PER_CLASS);
        points.extend((0..POINTS_PER_CLASS).map(|index| {
            let size = mean - reach + (f64::from(index) + 0.5) * step;
            ((size - beside).max(1.0), weight)
        }));
    }
    Sizes::weighted(points)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(pairs: &[(&str, &str)]) -> Stats {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_mean_of_each_class_is_kept() {
        let slabs = stats(&[
            ("5:chunk_size", "240"),
            ("5:used_chunks", "1000"),
            ("5:mem_requested", "220000"),
            ("9:chunk_size", "600"),
            ("9:used_chunks", "3000"),
            ("items:9:mem_requested", "1650000"),
            ("10:chunk_size", "752"),
            ("10:used_chunks", "0"),
            ("active_slabs", "2"),
        ]);
        let classes = classes(&slabs);
        assert_eq!(classes.iter().map(|class| class.chunk_bytes).collect::<Vec<_>>(), [240., 600.]);
        let payload = payload(&classes, MEMCACHED_ITEM_BYTES).expect("items");
        let mean = (220_000.0 + 1_650_000.0) / 4000.0 - 59.0;
        assert!((payload.mean() - mean).abs() < 1e-6, "{}", payload.mean());
    }

    #[test]
    fn without_cas_an_item_is_smaller() {
        let none = Stats::new();
        assert_eq!(item_bytes(&none, &stats(&[("cas_enabled", "yes")]), 1.0), 59.0);
        assert_eq!(item_bytes(&none, &stats(&[("cas_enabled", "no")]), 1.0), 51.0);
    }

    #[test]
    fn a_server_is_known_by_its_classes() {
        let settings = stats(&[("chunk_size", "48"), ("growth_factor", "1.25")]);
        let ours = stats(&[("1:chunk_size", "64"), ("10:chunk_size", "104")]);
        let theirs = stats(&[("1:chunk_size", "96"), ("3:chunk_size", "152")]);
        assert_eq!(item_bytes(&ours, &settings, 0.0), 22.0);
        assert_eq!(item_bytes(&ours, &settings, 1.0), 26.0);
        assert_eq!(item_bytes(&theirs, &settings, 1.0), MEMCACHED_ITEM_BYTES);
        let beyond = stats(&[("64:chunk_size", "524288")]);
        assert_eq!(item_bytes(&beyond, &settings, 1.0), MEMCACHED_ITEM_BYTES);
    }

    #[test]
    fn an_empty_server_teaches_nothing() {
        assert_eq!(payload(&[], 59.0), None);
    }
}
