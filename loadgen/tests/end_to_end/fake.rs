//! A server of a few lines that does on purpose what no server should: lie, dawdle, babble, fail or
//! say nothing. It speaks the classic text protocol and lives as long as the test's process.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// How it behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// As it should.
    Honest,
    /// As it should, but no faster than so many requests a second.
    Paced(u32),
    /// Untrue.
    Lying(Lie),
    /// It takes requests and answers none.
    Silent,
    /// Its answers mean nothing.
    Babbling,
    /// It is out of memory for whatever is stored.
    Failing,
    /// It closes a connection after some requests.
    HangingUp,
}

/// What is untrue, every now and then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    /// A value that was overwritten comes back.
    Stale,
    /// A byte of a value is another.
    Corrupt,
    /// Another key's value comes back.
    Foreign,
    /// A value is not found: no lie for a cache, which may forget.
    Forgotten,
    /// A deleted value stays.
    Undead,
    /// A cas is accepted although the value has changed.
    BlindCas,
}

/// How far a paced server may fall behind and still catch up, as it must on a busy host.
const CATCH_UP: Duration = Duration::from_millis(300);
/// Every so many reads are untrue.
const TRUTHS: u64 = 10;
/// Requests before a connection is closed.
const REQUESTS_SERVED: usize = 500;

struct Item {
    value: Vec<u8>,
    unique: u64,
    former: Option<Vec<u8>>,
}

struct Shared {
    manner: Manner,
    items: Mutex<HashMap<String, Item>>,
    /// When the next request may be answered.
    free_at: Mutex<Instant>,
    uniques: AtomicU64,
    reads: AtomicU64,
}

/// Starts a server and returns its address.
pub(crate) fn start(manner: Manner) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    let shared = Arc::new(Shared {
        manner,
        items: Mutex::default(),
        free_at: Mutex::new(Instant::now()),
        uniques: AtomicU64::new(1),
        reads: AtomicU64::new(0),
    });
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let shared = shared.clone();
            // A client that is gone ends its thread.
            thread::spawn(move || shared.serve(stream));
        }
    });
    address
}

impl Shared {
    fn serve(&self, mut stream: TcpStream) -> Option<()> {
        stream.set_nodelay(true).ok()?;
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        for served in 0.. {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let words: Vec<_> = line.split_whitespace().collect();
            let value = read_value(&words, &mut reader)?;
            self.wait_turn();
            let reply = match self.manner {
                Manner::Silent => continue,
                Manner::Babbling => b"WHAT DO YOU MEAN\r\n".to_vec(),
                Manner::Failing if !value.is_empty() => b"SERVER_ERROR out of memory\r\n".to_vec(),
                Manner::HangingUp if served == REQUESTS_SERVED => return None,
                _ => self.reply(&words, value),
            };
            stream.write_all(&reply).ok()?;
        }
        None
    }

    /// Sleeps until the pace allows another answer.
    fn wait_turn(&self) {
        let Manner::Paced(per_second) = self.manner else { return };
        let turn = {
            let mut free_at = self.free_at.lock().expect("no panic under this lock");
            let turn = (*free_at).max(Instant::now() - CATCH_UP);
            *free_at = turn + Duration::from_secs(1) / per_second;
            turn
        };
        thread::sleep(turn.saturating_duration_since(Instant::now()));
    }

    fn reply(&self, words: &[&str], value: Vec<u8>) -> Vec<u8> {
        match *words {
            ["get", ref keys @ ..] => self.read(keys, false),
            ["gets", ref keys @ ..] => self.read(keys, true),
            ["set", key, ..] => self.store(key, value),
            ["cas", key, .., unique] => self.cas(key, value, unique),
            ["delete", key, ..] => self.delete(key),
            ["flush_all"] => b"OK\r\n".to_vec(),
            ["version"] => b"VERSION 0\r\n".to_vec(),
            _ => b"ERROR\r\n".to_vec(),
        }
    }

    fn read(&self, keys: &[&str], with_unique: bool) -> Vec<u8> {
        let items = self.items.lock().expect("no panic under this lock");
        let mut reply = Vec::new();
        for key in keys {
            let Some(item) = items.get(*key) else { continue };
            let truthful = !self.reads.fetch_add(1, Ordering::Relaxed).is_multiple_of(TRUTHS);
            let value = match self.manner {
                Manner::Lying(lie) if !truthful => untrue(lie, key, item, &items),
                _ => Some(item.value.clone()),
            };
            let Some(value) = value else { continue };
            let unique = if with_unique { format!(" {}", item.unique) } else { String::new() };
            reply.extend(format!("VALUE {key} 0 {}{unique}\r\n", value.len()).into_bytes());
            reply.extend(value);
            reply.extend(b"\r\n");
        }
        reply.extend(b"END\r\n");
        reply
    }

    fn store(&self, key: &str, value: Vec<u8>) -> Vec<u8> {
        let unique = self.uniques.fetch_add(1, Ordering::Relaxed);
        let mut items = self.items.lock().expect("no panic under this lock");
        let former = items.remove(key).map(|item| item.value);
        items.insert(key.to_owned(), Item { value, unique, former });
        b"STORED\r\n".to_vec()
    }

    fn cas(&self, key: &str, value: Vec<u8>, unique: &str) -> Vec<u8> {
        let found = {
            let items = self.items.lock().expect("no panic under this lock");
            items.get(key).map(|item| item.unique.to_string())
        };
        match found {
            None => b"NOT_FOUND\r\n".to_vec(),
            Some(found) if found != unique && self.manner != Manner::Lying(Lie::BlindCas) => {
                b"EXISTS\r\n".to_vec()
            }
            Some(_) => self.store(key, value),
        }
    }

    fn delete(&self, key: &str) -> Vec<u8> {
        let mut items = self.items.lock().expect("no panic under this lock");
        if self.manner == Manner::Lying(Lie::Undead) && items.contains_key(key) {
            return b"DELETED\r\n".to_vec();
        }
        items.remove(key).map_or_else(|| b"NOT_FOUND\r\n".to_vec(), |_| b"DELETED\r\n".to_vec())
    }
}

/// The bytes behind a storing command's line; none behind other lines.
fn read_value(words: &[&str], reader: &mut impl Read) -> Option<Vec<u8>> {
    if !matches!(words.first(), Some(&("set" | "cas"))) {
        return Some(Vec::new());
    }
    let bytes: usize = words.get(4)?.parse().ok()?;
    let mut value = vec![0; bytes + 2];
    reader.read_exact(&mut value).ok()?;
    value.truncate(bytes);
    Some(value)
}

fn untrue(lie: Lie, key: &str, item: &Item, items: &HashMap<String, Item>) -> Option<Vec<u8>> {
    let mut value = item.value.clone();
    match lie {
        Lie::Stale => value = item.former.clone().unwrap_or(value),
        Lie::Corrupt => value[30] ^= 1,
        Lie::Foreign => value = items.iter().find(|(other, _)| *other != key)?.1.value.clone(),
        Lie::Forgotten => return None,
        Lie::Undead | Lie::BlindCas => {}
    }
    Some(value)
}
