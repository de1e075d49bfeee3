//! Warm restart (`-e`): what a graceful stop keeps, and which files are refused.
//!
//! The real binary, on tmpfs, on hugetlbfs where root can mount one, and on the file system of the
//! build. What a kill leaves is shown by `tests/kill.rs`.

mod common;

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::server::run_to_end;
use common::{Server, Wire, scratch_path};
use nix::sys::signal::Signal;
use nix::unistd::Uid;

/// Bytes before the parts of the shards; of them the first 4096 say something.
const HEAD_BYTES: usize = 4096;
const PART_AT: usize = 2 << 20;

/// A memory file that goes with the test.
struct Cache {
    path: PathBuf,
}

impl Cache {
    fn on_disk(name: &str) -> Self {
        Self { path: scratch_path(name) }
    }

    fn on_tmpfs(name: &str) -> Self {
        Self { path: PathBuf::from(format!("/dev/shm/rc-{}-{name}", std::process::id())) }
    }

    fn name(&self) -> &str {
        self.path.to_str().expect("the path is text")
    }

    fn start(&self, args: &[&str]) -> Server {
        Server::ringcached(&[&["-e", self.name()], args].concat())
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(&self.path).expect("the memory file can be read")
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

#[track_caller]
fn stop(server: Server, signal: Signal) -> String {
    server.signal(signal);
    let ended = server.wait();
    assert!(ended.status.success(), "{}: {}", ended.status, ended.log);
    ended.log
}

fn kill(server: Server) {
    server.signal(Signal::SIGKILL);
    server.wait();
}

fn stat(wire: &mut Wire, name: &str) -> String {
    wire.send("stats\r\n");
    let text = String::from_utf8(wire.read_until(b"END\r\n")).expect("statistics are text");
    let start = format!("STAT {name} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&start));
    line.unwrap_or_else(|| panic!("no {name} in\n{text}")).to_owned()
}

// ---- What is kept ----

#[test]
fn a_stop_by_any_signal_keeps_everything() {
    for (signal, cores) in [(Signal::SIGUSR1, "2"), (Signal::SIGTERM, "1"), (Signal::SIGINT, "1")] {
        let cache = Cache::on_tmpfs(&format!("keeps-{signal}"));
        let args = ["-t", cores, "-m", "32", "-I", "4m"];
        let server = cache.start(&args);
        let before = fill(&mut server.connect());
        stop(server, signal);
        let server = cache.start(&args);
        assert!(server.log().contains("items are back after a stop"), "{}", server.log());
        compare(&mut server.connect(), &before);
    }
}

#[test]
fn shutdown_graceful_keeps_everything() {
    let cache = Cache::on_disk("shutdown.memory");
    let args = ["-t", "1", "-m", "32", "-I", "4m", "-A"];
    let server = cache.start(&args);
    let before = fill(&mut server.connect());
    server.connect().send("shutdown graceful\r\n");
    assert!(server.wait().status.success());
    compare(&mut cache.start(&args).connect(), &before);
}

/// Requests that show all there is to an item, and what they were answered.
struct Shown {
    requests: Vec<String>,
    replies: Vec<Vec<u8>>,
    bytes: String,
    items: String,
    cas: HashSet<u64>,
}

/// Stores items of all kinds and notes how they look.
fn fill(wire: &mut Wire) -> Shown {
    wire.expect("set plain 0 0 5\r\nhello\r\n", "STORED\r\n");
    wire.expect("set flags 4294967295 0 5\r\nworld\r\n", "STORED\r\n");
    wire.expect("set later 1 1000 0\r\n\r\n", "STORED\r\n");
    wire.expect("set number 0 0 2\r\n41\r\n", "STORED\r\n");
    wire.expect("incr number 1\r\n", "42\r\n");
    assert!(wire.ask("ms S8O2bmln 4 b\r\nking\r\n").starts_with("HD"));
    wire.expect("ms old 3 E77\r\nabc\r\n", "HD\r\n");
    wire.expect("md old I T500 E99999999999\r\n", "HD\r\n");
    wire.expect("ms wins 1\r\nx\r\n", "HD\r\n");
    wire.expect("md wins I\r\n", "HD\r\n");
    wire.expect("mg wins v\r\n", "VA 1 X W\r\nx\r\n");
    wire.expect("mg old\r\n", "HD X W\r\n");
    wire.expect("set gone 0 0 1\r\nx\r\n", "STORED\r\n");
    wire.expect("delete gone\r\n", "DELETED\r\n");
    let large = "0123456789abcdef".repeat(150_000);
    wire.expect(format!("set large 7 0 {}\r\n{large}\r\n", large.len()), "STORED\r\n");
    let middle = "x".repeat(80_000);
    wire.expect(format!("set middle 0 0 {}\r\n{middle}\r\n", middle.len()), "STORED\r\n");
    for number in 0..2000 {
        let value = format!("value {number}").repeat(1 + number % 50);
        wire.send(format!("set many-{number} {number} 0 {}\r\n{value}\r\n", value.len()));
        assert_eq!(wire.line(), "STORED");
    }
    let names = ["plain", "flags", "later", "number", "old", "wins", "gone", "large", "middle"];
    let many = (0..2000).map(|number| format!("many-{number}"));
    let names = names.iter().map(|&name| name.to_owned()).chain(many);
    let mut requests: Vec<String> =
        names.map(|name| format!("mg {name} k f c s v q\r\nmn\r\n")).collect();
    requests.push("mg S8O2bmln b k f c s v q\r\nmn\r\n".into());
    let replies: Vec<_> = requests.iter().map(|request| reply(wire, request)).collect();
    Shown {
        cas: replies.iter().filter_map(|reply| cas_of(reply)).collect(),
        bytes: stat(wire, "bytes"),
        items: stat(wire, "curr_items"),
        requests,
        replies,
    }
}

fn reply(wire: &mut Wire, request: &str) -> Vec<u8> {
    wire.send(request);
    wire.read_until(b"MN\r\n")
}

fn cas_of(reply: &[u8]) -> Option<u64> {
    let line = reply.split(|byte| *byte == b'\r').next()?;
    let word = line.split(|byte| *byte == b' ').find_map(|word| word.strip_prefix(b"c"))?;
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// All is as it was, and goes on.
#[track_caller]
fn compare(wire: &mut Wire, before: &Shown) {
    assert_eq!(stat(wire, "curr_items"), before.items);
    assert_eq!(stat(wire, "bytes"), before.bytes);
    for (request, expected) in before.requests.iter().zip(&before.replies) {
        common::assert_same_bytes(request, expected, &reply(wire, request));
    }
    let left = wire.ask("mg later t\r\n");
    let left: u32 = left.trim_start_matches("HD t").trim().parse().expect("a time to live");
    assert!((900..=1000).contains(&left), "{left} s are left of 1000");
    // A reader that was told to fetch the value has been told; the next one is not.
    wire.expect("mg wins v\r\n", "VA 1 Z X\r\nx\r\n");
    wire.expect("set plain 0 0 3\r\nnew\r\n", "STORED\r\n");
    let cas = cas_of(&reply(wire, "mg plain c q\r\nmn\r\n")).expect("the item is there");
    assert!(!before.cas.contains(&cas), "{cas} was given out before");
    wire.expect("incr number 8\r\n", "50\r\n");
    wire.expect("append plain 0 0 2\r\ner\r\n", "STORED\r\n");
    wire.expect("get plain\r\n", "VALUE plain 0 5\r\nnewer\r\nEND\r\n");
    wire.assert_in_step();
}

#[test]
fn time_passes_while_the_server_is_down() {
    let cache = Cache::on_tmpfs("time");
    let server = cache.start(&["-t", "1"]);
    let mut wire = server.connect();
    wire.expect("set short 0 2 1\r\nx\r\n", "STORED\r\n");
    wire.expect("set long 0 100 1\r\nx\r\n", "STORED\r\n");
    wire.expect("set soon 0 0 1\r\nx\r\nflush_all 1000\r\n", "STORED\r\nOK\r\n");
    stop(server, Signal::SIGUSR1);
    sleep(Duration::from_millis(4100));
    let server = cache.start(&["-t", "1"]);
    let mut wire = server.connect();
    wire.expect("get short\r\n", "END\r\n");
    let left: u32 = wire.ask("mg long t\r\n")[4..].trim().parse().expect("a time to live");
    assert!(left <= 97, "{left} s are left of 100");
    wire.expect("get soon\r\n", "VALUE soon 0 1\r\nx\r\nEND\r\n");
}

#[test]
fn a_flush_that_comes_due_while_the_server_is_down_is_made() {
    let cache = Cache::on_tmpfs("flush");
    let server = cache.start(&["-t", "2"]);
    let mut wire = server.connect();
    for number in 0..50 {
        wire.expect(format!("set key-{number} 0 0 1\r\nx\r\n"), "STORED\r\n");
    }
    wire.expect("flush_all 1\r\n", "OK\r\n");
    kill(server);
    sleep(Duration::from_millis(2100));
    let server = cache.start(&["-t", "2"]);
    let mut wire = server.connect();
    for number in 0..50 {
        wire.expect(format!("get key-{number}\r\n"), "END\r\n");
    }
    wire.expect("set key-1 0 0 1\r\ny\r\n", "STORED\r\n");
    wire.expect("get key-1\r\n", "VALUE key-1 0 1\r\ny\r\nEND\r\n");
}

#[test]
fn the_least_recently_used_still_goes_first() {
    let cache = Cache::on_tmpfs("order");
    let args = ["-t", "1", "-m", "8", "-I", "512k", "-o", "no_lru_maintainer"];
    let server = cache.start(&args);
    let mut wire = server.connect();
    let value = "x".repeat(10_000);
    let store = |wire: &mut Wire, name: &str| {
        wire.expect(format!("set {name} 0 0 10000\r\n{value}\r\n"), "STORED\r\n");
    };
    (0..100).for_each(|number| store(&mut wire, &format!("old-{number}")));
    sleep(Duration::from_millis(2100));
    (0..100).for_each(|number| store(&mut wire, &format!("new-{number}")));
    stop(server, Signal::SIGUSR1);
    let server = cache.start(&args);
    let mut wire = server.connect();
    while stat(&mut wire, "evictions").parse::<u32>().expect("a number") < 20 {
        let number = stat(&mut wire, "cmd_set");
        store(&mut wire, &format!("more-{number}"));
    }
    for number in 0..100 {
        wire.expect(
            format!("get new-{number}\r\n"),
            format!("VALUE new-{number} 0 10000\r\n{value}\r\nEND\r\n"),
        );
    }
}

// ---- Which files are refused ----

/// Starts with a file that must not be used, and expects an empty cache, which is kept from then
/// on. Returns the reason that was given.
#[track_caller]
fn refused(cache: &Cache, args: &[&str]) -> String {
    let server = cache.start(args);
    let log = server.log();
    let line = log.lines().find(|line| line.contains("is not used: "));
    let line = line.unwrap_or_else(|| panic!("not refused: {log}")).to_owned();
    assert!(line.ends_with("; starting with an empty cache"), "{line}");
    let mut wire = server.connect();
    assert_eq!(stat(&mut wire, "curr_items"), "0");
    wire.expect("get key\r\n", "END\r\n");
    wire.expect("set key 0 0 5\r\nfresh\r\n", "STORED\r\n");
    stop(server, Signal::SIGUSR1);
    let server = cache.start(args);
    server.connect().expect("get key\r\n", "VALUE key 0 5\r\nfresh\r\nEND\r\n");
    kill(server);
    line
}

/// A file with one item, from a server that was stopped or killed.
fn file_of(cache: &Cache, args: &[&str], is_closed: bool) -> Vec<u8> {
    let _ = fs::remove_file(&cache.path);
    let server = cache.start(args);
    server.connect().expect("set key 0 0 5\r\nvalue\r\n", "STORED\r\n");
    if is_closed {
        stop(server, Signal::SIGUSR1);
    } else {
        kill(server);
    }
    cache.bytes()
}

const SMALL: [&str; 6] = ["-t", "1", "-m", "8", "-I", "512k"];

#[test]
fn another_geometry_is_refused_by_name() {
    let cache = Cache::on_tmpfs("geometry");
    for (args, flag) in [
        (["-t", "1", "-m", "9", "-I", "512k"], "-m"),
        (["-t", "2", "-m", "8", "-I", "512k"], "-t"),
        (["-t", "1", "-m", "8", "-I", "256k"], "-I"),
        (["-t", "1", "-m", "8", "-n", "100"], "-I"),
        (["-t1", "-m8", "-I", "512k", "-n", "100"], "-n"),
        (["-t1", "-m8", "-I", "512k", "-f", "1.3"], "-f"),
        (["-t1", "-m8", "-I", "512k", "-o", "slab_chunk_max=256"], "-o slab_chunk_max"),
        (["-t1", "-m8", "-I512k", "-C", "-c", "500"], "-C"),
    ] {
        file_of(&cache, &SMALL, true);
        let line = refused(&cache, &args);
        assert!(line.contains(&format!("made with another {flag};")), "{args:?}: {line}");
    }
    // What says nothing about where items lie may change.
    file_of(&cache, &SMALL, true);
    let server = cache.start(&[&SMALL[..], &["-c", "77", "-M", "-o", "hashpower=18"]].concat());
    server.connect().expect("get key\r\n", "VALUE key 0 5\r\nvalue\r\nEND\r\n");
}

#[test]
fn another_length_is_refused() {
    let cache = Cache::on_tmpfs("length");
    let bytes = file_of(&cache, &SMALL, true);
    for length in [1, 4095, 4096, PART_AT, PART_AT + 1, bytes.len() - 1, bytes.len() / 2] {
        fs::write(&cache.path, &bytes[..length]).unwrap();
        let line = refused(&cache, &SMALL);
        assert!(line.contains(&format!("has {length} bytes where")), "{length}: {line}");
    }
    fs::write(&cache.path, [&bytes[..], &[0]].concat()).unwrap();
    assert!(refused(&cache, &SMALL).contains("bytes where"));
    fs::write(&cache.path, vec![b'x'; bytes.len()]).unwrap();
    assert!(refused(&cache, &SMALL).contains("no memory file"));
    // An empty file is a new one.
    fs::write(&cache.path, []).unwrap();
    let server = cache.start(&SMALL);
    assert!(!server.log().contains("not used"), "{}", server.log());
}

#[test]
fn another_version_is_refused() {
    let cache = Cache::on_tmpfs("version");
    let mut bytes = file_of(&cache, &SMALL, true);
    bytes[8..16].copy_from_slice(&word(1, 1).to_le_bytes());
    fs::write(&cache.path, bytes).unwrap();
    let line = refused(&cache, &SMALL);
    assert!(line.contains("it has version 1 and this server reads 2"), "{line}");
}

#[test]
fn a_file_in_use_when_the_machine_went_down_is_refused() {
    let cache = Cache::on_tmpfs("boot");
    let mut bytes = file_of(&cache, &SMALL, false);
    bytes[16..24].copy_from_slice(&word(2, 123_456_789).to_le_bytes());
    fs::write(&cache.path, bytes).unwrap();
    let line = refused(&cache, &SMALL);
    assert!(line.contains("the machine went down while it was in use"), "{line}");
}

/// Word `number` of a head with a value, as the server writes it: 48 bits and their CRC.
fn word(number: u32, value: u64) -> u64 {
    let mut crc: u16 = 0xFFFF;
    for byte in number.to_le_bytes().into_iter().chain(value.to_le_bytes()) {
        crc ^= u16::from(byte) << 8;
        for _ in 0..8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 };
        }
    }
    value | u64::from(crc) << 48
}

/// Bytes all over the head, and of what is written down about the pages, are changed one at a time.
/// (That every change of a byte of a word is noticed is shown in `slab::book`.)
#[test]
fn a_damaged_file_is_refused_and_never_believed() {
    let cache = Cache::on_tmpfs("damage");
    for (is_closed, first) in [(true, 0), (false, 1)] {
        let bytes = file_of(&cache, &SMALL, is_closed);
        let book_bytes = (8 + 2 * 10) * 8;
        let places = (0..64).chain((64..HEAD_BYTES).step_by(509));
        let places = places.chain((PART_AT..PART_AT + book_bytes).step_by(7));
        for (count, at) in places.skip(first).step_by(2).enumerate() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (count % 8);
            fs::write(&cache.path, damaged).unwrap();
            let server = cache.start(&SMALL);
            assert!(server.log().contains("is not used: "), "byte {at}: {}", server.log());
            server.connect().expect("get key\r\n", "END\r\n");
            kill(server);
        }
    }
}

#[test]
fn a_closed_file_with_one_changed_byte_in_a_page_is_refused() {
    let cache = Cache::on_tmpfs("page");
    let bytes = file_of(&cache, &SMALL, true);
    let at = bytes.windows(8).position(|window| window == b"keyvalue").expect("the item is there");
    for at in [at - 22, at - 1, at, at + 3, at + 500_000] {
        let mut damaged = bytes.clone();
        damaged[at] ^= 4;
        fs::write(&cache.path, damaged).unwrap();
        assert!(refused(&cache, &SMALL).contains("a page has another sum"));
    }
}

/// Of a killed server's pages there are no sums, but what contradicts itself is not believed and
/// nothing makes the server fall.
#[test]
fn a_killed_servers_file_with_changed_heads_brings_nobody_down() {
    let cache = Cache::on_tmpfs("heads");
    let bytes = file_of(&cache, &SMALL, false);
    let key_at = bytes.windows(8).position(|window| window == b"keyvalue").expect("it is there");
    for at in key_at - 22..key_at {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0xFF;
        fs::write(&cache.path, damaged).unwrap();
        let server = cache.start(&SMALL);
        let mut wire = server.connect();
        for request in ["get key\r\n", "delete key\r\n", "set key 0 0 1\r\nx\r\n", "get key\r\n"] {
            wire.send(request);
        }
        wire.read_until(b"VALUE key 0 1\r\nx\r\nEND\r\n");
        kill(server);
    }
}

// ---- The file itself ----

#[test]
fn a_file_is_for_its_owner_and_for_one_server() {
    let cache = Cache::on_disk("owner.memory");
    fs::write(&cache.path, []).unwrap();
    fs::set_permissions(&cache.path, fs::Permissions::from_mode(0o644)).unwrap();
    let server = cache.start(&SMALL);
    let mode = fs::metadata(&cache.path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut wire = server.connect();
    wire.expect("set key 0 0 1\r\nx\r\n", "STORED\r\n");
    let second = with_user(&["-p", "-1", "-e", cache.name()], &SMALL);
    assert_eq!(second.0, Some(73), "{}", second.1);
    assert!(second.1.contains(cache.name()), "{}", second.1);
    assert!(second.1.contains("another process has it"), "{}", second.1);
    wire.expect("get key\r\n", "VALUE key 0 1\r\nx\r\nEND\r\n");
    wire.send("stats settings\r\n");
    let settings = String::from_utf8(wire.read_until(b"END\r\n")).unwrap();
    assert!(settings.contains(&format!("STAT memory_file {}\r\n", cache.name())), "{settings}");
}

/// Runs to the end: the exit code and the last line on stderr.
fn with_user(first: &[&str], then: &[&str]) -> (Option<i32>, String) {
    let user: &[&str] = if Uid::effective().is_root() { &["-u", "root"] } else { &[] };
    let (status, _, errors) = run_to_end(&[first, then, user].concat());
    (status.code(), errors.lines().last().unwrap_or_default().to_owned())
}

#[test]
fn a_file_that_cannot_be_is_one_clear_line() {
    let folder = scratch_path("folder.memory");
    fs::create_dir_all(&folder).unwrap();
    for (path, part) in [
        ("/nowhere/at/all", "No such file"),
        (folder.to_str().unwrap(), "directory"),
        ("/dev/null", "no regular file"),
    ] {
        let (code, line) = with_user(&["-p", "-1", "-e", path], &SMALL);
        assert_eq!(code, Some(73), "{path}: {line}");
        let start = format!("ringcached: cannot use the memory file {path} (-e): ");
        assert!(line.starts_with(&start) && line.contains(part), "{path}: {line}");
    }
    fs::remove_dir(folder).unwrap();
}

/// A file system that root mounts for a test, and takes away.
struct Mount {
    path: PathBuf,
}

impl Mount {
    /// `None`, and the reason on stderr, where that cannot be done.
    fn new(name: &str, kind: &str, options: &str) -> Option<Self> {
        let path = scratch_path(name);
        fs::create_dir_all(&path).unwrap();
        let target = path.to_str().expect("the path is text");
        let arguments = ["-t", kind, "-o", options, "none", target];
        match Command::new("mount").args(arguments).output() {
            Ok(output) if output.status.success() => Some(Self { path }),
            other => {
                eprintln!("left out: no {kind} can be mounted ({other:?})");
                let _ = fs::remove_dir(&path);
                None
            }
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.path).output();
        let _ = fs::remove_dir(&self.path);
    }
}

#[test]
fn a_full_file_system_is_told_at_start() {
    let Some(mount) = Mount::new("small.mount", "tmpfs", "size=6m") else { return };
    let cache = Cache { path: mount.path.join("memory") };
    let (code, line) = with_user(&["-p", "-1", "-e", cache.name()], &SMALL);
    assert_eq!(code, Some(73), "{line}");
    assert!(line.contains("No space left") && line.contains("MB are needed"), "{line}");
    assert_eq!(fs::metadata(&cache.path).unwrap().len(), 0, "what was taken is given back");
}

#[test]
fn huge_pages_hold_a_cache_over_restart_and_kill() {
    let Some(_pages) = HugePages::reserve(24) else { return };
    let Some(mount) = Mount::new("huge.mount", "hugetlbfs", "pagesize=2M") else { return };
    let cache = Cache { path: mount.path.join("memory") };
    let args = ["-t", "1", "-m", "32", "-I", "4m", "-vv"];
    let server = cache.start(&args);
    assert!(server.log().contains("arena on reserved 2 MB pages"), "{}", server.log());
    let before = fill(&mut server.connect());
    stop(server, Signal::SIGUSR1);
    let server = cache.start(&args);
    assert!(server.log().contains("items are back after a stop"), "{}", server.log());
    compare(&mut server.connect(), &before);
    kill(server);
    let server = cache.start(&args);
    assert!(server.log().contains("items are back after a kill"), "{}", server.log());
    server.connect().expect("get plain\r\n", "VALUE plain 0 5\r\nnewer\r\nEND\r\n");
}

/// Huge pages that were reserved for a test.
struct HugePages {
    before: String,
}

impl HugePages {
    const FILE: &str = "/proc/sys/vm/nr_hugepages";

    /// `None`, and the reason on stderr, where there are none to be had.
    fn reserve(count: u32) -> Option<Self> {
        let before = fs::read_to_string(Self::FILE).unwrap_or_default();
        let more = before.trim().parse::<u32>().unwrap_or(0) + count;
        let since = Instant::now();
        // Memory in pieces may take a moment to be joined.
        while since.elapsed() < Duration::from_secs(5) {
            if let Err(error) = fs::write(Self::FILE, more.to_string()) {
                eprintln!("left out: no huge pages can be reserved ({error})");
                return None;
            }
            let reserved = fs::read_to_string(Self::FILE).unwrap_or_default();
            if reserved.trim().parse::<u32>().unwrap_or(0) >= more {
                return Some(Self { before });
            }
        }
        let _ = fs::write(Self::FILE, &before);
        eprintln!("left out: the machine has no {count} huge pages");
        None
    }
}

impl Drop for HugePages {
    fn drop(&mut self) {
        let _ = fs::write(Self::FILE, &self.before);
    }
}

#[test]
fn a_cache_that_gives_pages_back_to_its_index_is_restored() {
    // Small items need a large index, so pages of the file are given back for it.
    let cache = Cache::on_tmpfs("index");
    let args = ["-t", "1", "-m", "16", "-I", "512k", "-o", "hashpower=12"];
    let server = cache.start(&args);
    let mut wire = server.connect();
    for start in (0..200_000).step_by(1000) {
        let batch: String = (start..start + 1000)
            .map(|number| format!("set k{number} 0 0 6 noreply\r\n{number:06}\r\n"))
            .collect();
        wire.send(batch + "mn\r\n");
        assert_eq!(wire.line(), "MN");
    }
    let items = stat(&mut wire, "curr_items");
    let limit: u64 = stat(&mut wire, "limit_maxbytes").parse().unwrap();
    let on_file = fs::metadata(&cache.path).unwrap();
    let used = std::os::unix::fs::MetadataExt::blocks(&on_file) * 512;
    let index: u64 = stat(&mut wire, "hash_bytes").parse().unwrap();
    assert!(used + index <= limit + (1 << 20), "{used} and {index} are more than {limit}");
    kill(server);
    let server = cache.start(&args);
    let mut wire = server.connect();
    assert_eq!(stat(&mut wire, "curr_items"), items);
    wire.expect("get k199999\r\n", "VALUE k199999 0 6\r\n199999\r\nEND\r\n");
}
