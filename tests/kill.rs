//! A server with `-e` is killed again and again under load, and never tells a lie.
//!
//! Several clients store, change and delete values of all sizes over one connection each. Each key
//! belongs to one client, which therefore knows what every acknowledged command has left there, and
//! what the commands without an answer may have. The server is killed (SIGKILL) at a random moment
//! and started on the same file and port; then every key is read. With memory to spare a key of
//! which all commands were answered must be exactly as it was; with little memory it may have been
//! evicted, but never be another. A file that is refused fails the test too.

mod common;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::{Random, Server, Wire};
use nix::sys::signal::Signal;

const CLIENTS: usize = 3;
const KEYS_PER_CLIENT: usize = 250;
/// Commands sent at once; a key occurs at most once among them.
const BATCH: usize = 40;
/// Time to live of items that are to expire soon, and how long after their answer they must have:
/// clocks of whole seconds, here and on the wall, make two more of it.
const SHORT_S: u32 = 1;
const SHORT_MAX: Duration = Duration::from_millis(3100);
/// One key in so many is left alone until it has expired.
const SLEEPER_ONE_IN: usize = 25;

/// An item as a reader sees it.
#[derive(Clone, Debug, PartialEq)]
struct Item {
    value: Vec<u8>,
    flags: u32,
    /// When it was stored at the latest, if it lives for a short time only.
    short_since: Option<Instant>,
}

/// What is known of a key.
#[derive(Clone, Debug, Default)]
struct Known {
    acknowledged: Option<Item>,
    /// What commands without a clear answer may have left.
    perhaps: Vec<Option<Item>>,
}

impl Known {
    /// Whether it waits for its end.
    fn is_sleeping(&self, key: usize) -> bool {
        let is_short = |item: &Item| item.short_since.is_some();
        key.is_multiple_of(SLEEPER_ONE_IN) && self.acknowledged.as_ref().is_some_and(is_short)
    }
}

/// One command and what it leaves if it is executed.
struct Command {
    key: usize,
    text: Vec<u8>,
    after: Option<Item>,
}

/// A client and its keys, over all lives of the server.
struct Client {
    number: usize,
    random: Random,
    keys: Vec<Known>,
    version: u64,
    answered: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum Memory {
    Ample,
    Scarce,
}

#[test]
fn one_core_never_lies_after_a_kill() {
    kill_often(50, "1", Memory::Ample);
}

#[test]
fn two_cores_never_lie_after_a_kill() {
    kill_often(50, "2", Memory::Ample);
}

#[test]
fn a_full_cache_never_lies_after_a_kill() {
    kill_often(20, "2", Memory::Scarce);
}

fn kill_often(times: u32, cores: &str, memory: Memory) {
    let seed = u64::from(std::process::id()) << 8 | u64::from(times);
    println!("seed {seed}");
    let megabytes = if memory == Memory::Ample { "128" } else { "16" };
    let file =
        PathBuf::from(format!("/dev/shm/rc-{}-kill-{cores}-{megabytes}", std::process::id()));
    let name = file.to_str().expect("the path is text");
    let args = ["-e", name, "-t", cores, "-m", megabytes, "-I", "2m"];
    let mut random = Random::new(seed);
    let mut clients: Vec<_> = (0..CLIENTS).map(|number| Client::new(number, seed)).collect();
    let mut numbers = HashMap::new();
    let mut server = Server::ringcached(&args);
    let port = server.port();
    for round in 0..times {
        load_and_kill(&server, &mut clients, Duration::from_millis(20 + random.next() % 180));
        drop(server.wait());
        server = Server::ringcached_at(port, &args);
        assert_restored(&server, round);
        let mut wire = server.connect();
        for client in &mut clients {
            client.verify(&mut wire, memory, round, &mut numbers);
        }
        if round % 5 == 4 {
            flush(&mut wire, &mut clients);
        }
    }
    let answered: u64 = clients.iter().map(|client| client.answered).sum();
    println!("{times} kills, {answered} commands answered");
    assert!(answered > u64::from(times) * 100, "there was hardly any load: {answered}");
    drop(server);
    std::fs::remove_file(&file).expect("the memory file is there");
}

/// The connection that a start waits for may have been one to the server that was killed.
fn assert_restored(server: &Server, round: u32) {
    let since = Instant::now();
    while !server.log().contains("items are back after a kill") {
        let log = server.log();
        let is_over = since.elapsed() > Duration::from_secs(20) || log.contains("is not used");
        assert!(!is_over, "round {round}: {log}");
        sleep(Duration::from_millis(2));
    }
}

/// All clients at work until the server is killed.
fn load_and_kill(server: &Server, clients: &mut [Client], after: Duration) {
    std::thread::scope(|scope| {
        for client in clients {
            let port = server.port();
            scope.spawn(move || client.work(port));
        }
        sleep(after);
        server.signal(Signal::SIGKILL);
    });
}

/// Flushes all, which must hold over the next kill.
fn flush(wire: &mut Wire, clients: &mut [Client]) {
    wire.expect("flush_all\r\n", "OK\r\n");
    for known in clients.iter_mut().flat_map(|client| &mut client.keys) {
        *known = Known::default();
    }
}

impl Client {
    fn new(number: usize, seed: u64) -> Self {
        let random = Random::new(seed ^ (number as u64 + 1) << 32);
        let keys = vec![Known::default(); KEYS_PER_CLIENT];
        Self { number, random, keys, version: 0, answered: 0 }
    }

    /// Sends batches of commands until the connection breaks.
    fn work(&mut self, port: u16) {
        // The kill may have come first.
        let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) else { return };
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout can be set");
        let mut stream = BufReader::new(stream);
        loop {
            let mut commands: Vec<Command> = Vec::new();
            let first = self.random.below(KEYS_PER_CLIENT);
            for step in 0..BATCH {
                let key = (first + step * 7) % KEYS_PER_CLIENT;
                let is_new = commands.iter().all(|command| command.key != key);
                if is_new && !self.keys[key].is_sleeping(key) {
                    commands.push(self.command(key));
                }
            }
            if !self.exchange(&mut stream, &commands) {
                return;
            }
        }
    }

    /// Sends a batch and reads its answers. False when the connection broke: what was not answered
    /// may have been executed or not.
    fn exchange(&mut self, stream: &mut BufReader<TcpStream>, commands: &[Command]) -> bool {
        for command in commands {
            self.keys[command.key].perhaps.push(command.after.clone());
        }
        let text: Vec<u8> = commands.iter().flat_map(|command| command.text.clone()).collect();
        if stream.get_mut().write_all(&text).is_err() {
            return false;
        }
        for command in commands {
            let Some(line) = read_line(stream) else { return false };
            let starts = |words: &[&str]| words.iter().any(|word| line.starts_with(word));
            assert!(!starts(&["ERROR", "CLIENT_ERROR"]), "{line}");
            let known = &mut self.keys[command.key];
            let before = known.acknowledged.take();
            if starts(&["SERVER_ERROR"]) {
                // No memory: what was there may have stayed.
                known.perhaps.push(before);
            } else if starts(&["NOT_", "NF"]) {
                // What was to be changed was not there: it had expired or was evicted.
                known.perhaps.clear();
            } else {
                known.perhaps.clear();
                known.acknowledged = command.after.clone().map(|item| Item {
                    short_since: item.short_since.map(|_| Instant::now()),
                    ..item
                });
            }
            self.answered += 1;
        }
        true
    }

    /// Makes up a command that fits what is known of the key.
    fn command(&mut self, key: usize) -> Command {
        self.version += 1;
        let name = self.name(key);
        let present = self.keys[key].acknowledged.clone();
        let present = present.filter(|item| item.short_since.is_none());
        let Some(item) = present else { return self.store(key, &name) };
        let is_number = item.value.iter().all(u8::is_ascii_digit) && item.value.len() < 18;
        match self.random.below(100) {
            0..12 => Command { key, text: format!("delete {name}\r\n").into_bytes(), after: None },
            12..20 => {
                let text = format!("touch {name} 1000\r\n").into_bytes();
                Command { key, text, after: Some(item) }
            }
            20..30 => {
                let more = format!("+{}", self.version);
                let bytes = more.len();
                let text = format!("append {name} 0 0 {bytes}\r\n{more}\r\n").into_bytes();
                let value = [&item.value[..], more.as_bytes()].concat();
                Command { key, text, after: Some(Item { value, ..item }) }
            }
            30..36 => {
                let text = format!("md {name} I\r\n").into_bytes();
                Command { key, text, after: Some(item) }
            }
            36..40 => {
                let text = format!("md {name} x\r\n").into_bytes();
                let after = Item { value: Vec::new(), flags: 0, short_since: None };
                Command { key, text, after: Some(after) }
            }
            40..70 if is_number && !item.value.is_empty() => {
                let number: u64 = str_of(&item.value).parse().expect("digits");
                let delta = self.random.next() % 1_000_000_000;
                let text = format!("incr {name} {delta}\r\n").into_bytes();
                let value = (number + delta).to_string().into_bytes();
                Command { key, text, after: Some(Item { value, ..item }) }
            }
            _ => self.store(key, &name),
        }
    }

    fn store(&mut self, key: usize, name: &str) -> Command {
        let flags = if self.random.chance(30) { self.random.next() as u32 } else { 0 };
        let short = self.random.chance(10) || key.is_multiple_of(SLEEPER_ONE_IN);
        let value = self.value(key);
        let exptime = if short { SHORT_S } else { 0 };
        let head = format!("set {name} {flags} {exptime} {}\r\n", value.len());
        let text = [head.as_bytes(), &value, b"\r\n"].concat();
        let short_since = short.then(Instant::now);
        Command { key, text, after: Some(Item { value, flags, short_since }) }
    }

    /// A value that tells its key and version all over, or a number.
    fn value(&mut self, key: usize) -> Vec<u8> {
        let bytes = match self.random.below(1000) {
            0..5 => 600_000 + self.random.below(900_000),
            5..30 => 10_000 + self.random.below(60_000),
            30..300 => 100 + self.random.below(2000),
            300..500 => return (self.random.next() % 1_000_000_000).to_string().into_bytes(),
            _ => 10 + self.random.below(90),
        };
        let unit = format!("<{}.{key}.{}>", self.number, self.version);
        unit.bytes().cycle().take(bytes).collect()
    }

    fn name(&self, key: usize) -> String {
        format!("client-{}-key-{key}", self.number)
    }

    /// Reads every key and goes on from what is there.
    fn verify(
        &mut self,
        wire: &mut Wire,
        memory: Memory,
        round: u32,
        numbers: &mut HashMap<u64, Vec<u8>>,
    ) {
        for key in 0..KEYS_PER_CLIENT {
            let name = self.name(key);
            let before = Instant::now();
            let found = read(wire, &name);
            let known = &mut self.keys[key];
            let lie = lie(known, found.as_ref().map(|found| &found.0), memory, before);
            if let Some(lie) = lie {
                let found = found.map(|(item, cas)| (short(&item), cas));
                panic!(
                    "round {round}, {name}: {lie}: found {found:?}, acknowledged {:?}, \
                     perhaps {:?}",
                    known.acknowledged.as_ref().map(short),
                    known.perhaps.iter().map(|item| item.as_ref().map(short)).collect::<Vec<_>>(),
                );
            }
            known.acknowledged = found.map(|(item, cas)| {
                // An item that was emptied keeps its number.
                if !item.value.is_empty() {
                    let first = numbers.entry(cas).or_insert_with(|| item.value.clone());
                    assert!(*first == item.value, "{name}: CAS id {cas} stands for two values");
                }
                let same = |other: &&Item| other.value == item.value;
                let kept = known.acknowledged.iter().find(same).and_then(|item| item.short_since);
                let short = known.perhaps.iter().flatten().find(same);
                let short = short.and_then(|item| item.short_since).map(|_| before);
                Item { short_since: short.or(kept), ..item }
            });
            known.perhaps.clear();
        }
    }
}

/// What is wrong with what was found for a key, if anything is.
fn lie(
    known: &Known,
    found: Option<&Item>,
    memory: Memory,
    read_at: Instant,
) -> Option<&'static str> {
    let acknowledged = known.acknowledged.as_ref();
    let Some(found) = found else {
        let lives = acknowledged.is_some_and(|item| item.short_since.is_none());
        let must_be = lives && known.perhaps.is_empty() && memory == Memory::Ample;
        return must_be.then_some("it is gone");
    };
    let same = |item: &&Item| item.value == found.value && item.flags == found.flags;
    if known.perhaps.iter().flatten().any(|item| same(&item)) {
        return None;
    }
    let Some(item) = acknowledged.filter(same) else { return Some("it was never so") };
    let dead = item.short_since.is_some_and(|since| read_at.duration_since(since) > SHORT_MAX);
    dead.then_some("it had expired")
}

/// An item with its CAS id.
fn read(wire: &mut Wire, name: &str) -> Option<(Item, u64)> {
    wire.send(format!("gets {name}\r\n"));
    let line = wire.line();
    if line == "END" {
        return None;
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!((words[0], words[1]), ("VALUE", name));
    let flags = words[2].parse().expect("flags");
    let value = wire.read_exactly(words[3].parse().expect("a length"));
    assert_eq!(wire.read_exactly(7), b"\r\nEND\r\n");
    let item = Item { value, flags, short_since: None };
    Some((item, words[4].parse().expect("a CAS id")))
}

/// A whole line; `None` when the connection broke.
fn read_line(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    match stream.read_line(&mut line) {
        Ok(_) if line.ends_with("\r\n") => Some(line),
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
            panic!("the server answers no more")
        }
        Ok(_) | Err(_) => None,
    }
}

fn str_of(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("it is text")
}

fn short(item: &Item) -> String {
    let head = &item.value[..item.value.len().min(40)];
    format!("{} bytes {:?} flags {}", item.value.len(), str_of(head), item.flags)
}
