//! Replays of traces: Twitter's cache-trace and Meta's CacheLib key-value traces, as CSV, plain or
//! compressed.
//!
//! A reader thread parses and deals the rows out to the workers by key, so that each key's requests
//! keep their order and no worker waits for a disk. What matters of a trace is kept (which keys
//! recur, how long keys and values are, which operation, which time to live) and its names are not:
//! a key becomes the hash of its name, written with the length it had.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use flate2::read::MultiGzDecoder;
use ruzstd::decoding::StreamingDecoder;
use xxhash_rust::xxh3::xxh3_64;

use super::Request;
use super::keys::KEY_BYTES_MAX;
use super::mix::Command;

/// Rows handed over at once.
const BATCH: usize = 4096;
/// Batches that may wait for a worker.
const BATCHES_WAITING: usize = 16;
/// Values above memcached's default limit are cut to what fits.
const VALUE_BYTES_MAX: usize = 1_000_000;

/// One row: a request and how often it was made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// The key's number.
    pub key: u64,
    /// What was asked.
    pub command: Command,
    /// Length of the key.
    pub key_bytes: usize,
    /// Length of the value.
    pub value_bytes: usize,
    /// Seconds to live, 0 for ever.
    pub expiry_s: u32,
    /// Requests that the row stands for.
    pub count: u32,
}

/// A worker's part of a trace.
pub struct Replay {
    batches: Receiver<Vec<Row>>,
    batch: std::vec::IntoIter<Row>,
    row: Option<Row>,
    keys: Vec<u64>,
}

impl Replay {
    /// The next request; `None` at the end of the trace.
    pub fn draw(&mut self) -> Option<Request> {
        let mut row = match self.row.take() {
            Some(row) => row,
            None => self.next_row()?,
        };
        row.count -= 1;
        self.row = Some(row).filter(|row| row.count > 0);
        self.keys.clear();
        self.keys.push(row.key);
        Some(Request {
            command: row.command,
            expiry_s: row.expiry_s,
            restart: false,
            value_bytes: row.value_bytes,
            key_bytes: row.key_bytes,
            counter: false,
        })
    }

    fn next_row(&mut self) -> Option<Row> {
        loop {
            if let Some(row) = self.batch.next() {
                return Some(row);
            }
            self.batch = self.batches.recv().ok()?.into_iter();
        }
    }

    /// The key of the request drawn last.
    pub fn keys(&mut self) -> &mut Vec<u64> {
        &mut self.keys
    }
}

/// Opens a trace and deals it out to so many workers.
pub fn replay(path: &Path, workers: usize) -> Result<Vec<Replay>, String> {
    let problem = |error: &dyn std::fmt::Display| format!("trace {}: {error}", path.display());
    let mut reader = open(path).map_err(|error| problem(&error))?;
    let mut first = String::new();
    reader.read_line(&mut first).map_err(|error| problem(&error))?;
    let format = Format::detect(first.trim_end());
    // A file in a wrong format is told now, not as a run of nothing.
    let row = format.parse(first.trim_end());
    if row.is_none() && !matches!(format, Format::Meta(_)) {
        return Err(problem(&"its first line is no row of Twitter's and no header of Meta's"));
    }
    let (mut senders, mut replays) = (Vec::new(), Vec::new());
    for _ in 0..workers {
        let (sender, batches) = sync_channel(BATCHES_WAITING);
        senders.push(sender);
        let batch = Vec::new().into_iter();
        replays.push(Replay { batches, batch, row: None, keys: Vec::with_capacity(1) });
    }
    let path = path.to_owned();
    thread::spawn(move || deal(&path, reader, &format, row, &senders));
    Ok(replays)
}

/// The bytes of a file, whatever it is packed with; the first of them tell.
fn open(path: &Path) -> Result<Box<dyn BufRead + Send>, String> {
    let mut file = BufReader::new(File::open(path).map_err(|error| error.to_string())?);
    let start = file.fill_buf().map_err(|error| error.to_string())?;
    let unpacked: Box<dyn Read + Send> = match start {
        [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(file)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            Box::new(StreamingDecoder::new(file).map_err(|error| error.to_string())?)
        }
        _ => return Ok(Box::new(file)),
    };
    Ok(Box::new(BufReader::with_capacity(1 << 20, unpacked)))
}

fn deal(
    path: &Path,
    reader: Box<dyn BufRead + Send>,
    format: &Format,
    first: Option<Row>,
    senders: &[SyncSender<Vec<Row>>],
) {
    let mut batches: Vec<Vec<Row>> = vec![Vec::with_capacity(BATCH); senders.len()];
    let mut skipped = 0u64;
    let rows = first.into_iter().map(Some);
    let rows = rows.chain(reader.lines().map_while(Result::ok).map(|line| format.parse(&line)));
    for row in rows {
        let Some(row) = row else {
            skipped += 1;
            continue;
        };
        let worker = row.key as usize % senders.len();
        batches[worker].push(row);
        if batches[worker].len() == BATCH {
            let full = std::mem::replace(&mut batches[worker], Vec::with_capacity(BATCH));
            if senders[worker].send(full).is_err() {
                // The run is over.
                return;
            }
        }
    }
    for (batch, sender) in batches.into_iter().zip(senders) {
        let _ = sender.send(batch);
    }
    if skipped > 0 {
        eprintln!("loadgen: trace {}: {skipped} rows were not understood", path.display());
    }
}

/// How rows are written.
#[derive(Clone, Debug, PartialEq)]
enum Format {
    /// timestamp, key, key size, value size, client, operation, TTL. Keys may contain commas.
    Twitter,
    /// Columns by the names of a header.
    Meta(Columns),
}

/// Where Meta's columns stand; they differ between releases.
#[derive(Clone, Debug, PartialEq)]
struct Columns {
    key: usize,
    op: usize,
    size: usize,
    op_count: Option<usize>,
    key_size: Option<usize>,
    ttl: Option<usize>,
}

impl Format {
    fn detect(line: &str) -> Self {
        let names: Vec<_> = line.split(',').map(str::trim).collect();
        let at = |name: &str| names.iter().position(|found| *found == name);
        let columns = || {
            Some(Columns {
                key: at("key")?,
                op: at("op")?,
                size: at("size")?,
                op_count: at("op_count"),
                key_size: at("key_size"),
                ttl: at("ttl"),
            })
        };
        columns().map_or(Self::Twitter, Self::Meta)
    }

    fn parse(&self, line: &str) -> Option<Row> {
        match self {
            Self::Twitter => twitter(line),
            Self::Meta(columns) => meta(columns, line),
        }
    }
}

fn twitter(line: &str) -> Option<Row> {
    let mut fields = line.rsplitn(6, ',');
    let ttl = fields.next()?.trim().parse().ok()?;
    let op = fields.next()?;
    let _client = fields.next()?;
    let value_bytes = fields.next()?.parse().ok()?;
    let key_bytes = fields.next()?.parse().ok()?;
    let (time, key) = fields.next()?.split_once(',')?;
    time.parse::<u64>().ok()?;
    let command = match op {
        "gets" => Command::Get,
        op => Command::named(op)?,
    };
    Some(row(key, command, key_bytes, value_bytes, ttl, 1))
}

fn meta(columns: &Columns, line: &str) -> Option<Row> {
    let fields: Vec<_> = line.trim_end().split(',').collect();
    let number = |at: Option<usize>| at.and_then(|at| fields.get(at)?.trim().parse::<f64>().ok());
    let command = match *fields.get(columns.op)? {
        "GET" | "GET_LEASE" => Command::Get,
        "SET" | "SET_LEASE" => Command::Set,
        "DELETE" => Command::Delete,
        _ => return None,
    };
    let key = fields.get(columns.key)?;
    let key_bytes = number(columns.key_size).map_or(key.len(), |bytes| bytes as usize);
    let value_bytes = number(Some(columns.size))? as usize;
    let ttl = number(columns.ttl).unwrap_or(0.0).max(0.0) as u32;
    let count = number(columns.op_count).unwrap_or(1.0).max(1.0) as u32;
    Some(row(key, command, key_bytes, value_bytes, ttl, count))
}

fn row(
    key: &str,
    command: Command,
    key_bytes: usize,
    value_bytes: usize,
    expiry_s: u32,
    count: u32,
) -> Row {
    let key_bytes = key_bytes.clamp(1, KEY_BYTES_MAX);
    // As many digits as the key has room for, so that its length stays what it was.
    let digits = key_bytes.min(19) as u32;
    let key = xxh3_64(key.as_bytes()) % 10u64.pow(digits);
    Row { key, command, key_bytes, value_bytes: value_bytes.min(VALUE_BYTES_MAX), expiry_s, count }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::path::PathBuf;

    const TWITTER: &str = "0,q:q:1:8WTfjZU14ee,17,213,4,get,0\n\
                           1,yDqF,3q,A:1AJrrJ1nnCJKKrnGx1A,27,27,5,add,3600\n\
                           2,q:q:1:8WTfjZU14ee,17,213,4,gets,0\n";
    const META: &str = "op_time,key,key_size,op,op_count,size,cache_hits,ttl\n\
                        0,123,30,GET,3,500,3,0\n1,9,12,SET_LEASE,1,80,0,60\n";

    fn file(name: &str, bytes: &[u8]) -> PathBuf {
        let path = std::env::temp_dir().join(format!("loadgen-{}-{name}", std::process::id()));
        File::create(&path).and_then(|mut file| file.write_all(bytes)).expect("a file");
        path
    }

    fn drawn(path: &Path, workers: usize) -> Vec<(Command, u64, usize, usize, u32)> {
        let mut drawn = Vec::new();
        for mut replay in replay(path, workers).expect("a trace") {
            while let Some(request) = replay.draw() {
                let key = replay.keys()[0];
                let Request { command, key_bytes, value_bytes, expiry_s, .. } = request;
                drawn.push((command, key, key_bytes, value_bytes, expiry_s));
            }
        }
        std::fs::remove_file(path).expect("the file");
        drawn
    }

    #[test]
    fn twitters_rows_are_read_keys_with_commas_too() {
        let drawn = drawn(&file("twitter", TWITTER.as_bytes()), 1);
        assert_eq!(drawn.len(), 3);
        assert_eq!((drawn[0].0, drawn[0].2, drawn[0].3, drawn[0].4), (Command::Get, 17, 213, 0));
        assert_eq!((drawn[1].0, drawn[1].2, drawn[1].3, drawn[1].4), (Command::Add, 27, 27, 3600));
        assert_eq!(drawn[2].0, Command::Get);
        assert_eq!(drawn[0].1, drawn[2].1, "the same key has the same number");
    }

    #[test]
    fn metas_rows_stand_for_several_requests() {
        let drawn = drawn(&file("meta", META.as_bytes()), 1);
        assert_eq!(drawn.len(), 4);
        assert!(drawn[..3].iter().all(|row| (row.0, row.2) == (Command::Get, 30)));
        assert_eq!((drawn[3].0, drawn[3].2, drawn[3].3, drawn[3].4), (Command::Set, 12, 80, 60));
    }

    #[test]
    fn packed_traces_are_unpacked() {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(TWITTER.as_bytes()).expect("packed");
        assert_eq!(drawn(&file("gz", &packer.finish().expect("packed")), 2).len(), 3);
        let packed = ruzstd::encoding::compress_to_vec(
            TWITTER.as_bytes(),
            ruzstd::encoding::CompressionLevel::Fastest,
        );
        assert_eq!(drawn(&file("zst", &packed), 2).len(), 3);
    }

    #[test]
    fn another_format_is_told() {
        let path = file("other", b"hello\nworld\n");
        assert!(replay(&path, 1).is_err());
        std::fs::remove_file(path).expect("the file");
        assert!(replay(Path::new("/no/such/file"), 1).is_err());
    }
}
