//! Clients that take what they can get: they send without end, never read, begin and don't finish,
//! come in thousands, break off.
//!
//! Beside each of them an honest client asks on, and must be answered; what the server holds for
//! the greedy ones stays bounded. memcached fills its memory with uploads that never end, and its
//! process with replies that nobody reads.

mod common;

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::{Server, Wire};
use nix::sys::socket::{setsockopt, sockopt};

const MIB: u64 = 1 << 20;

/// Long enough for the server to have taken in what it is going to.
const SETTLE: Duration = Duration::from_millis(500);

/// A server that has forgotten the connection by which it was seen to have started.
fn settled(args: &[&str]) -> Server {
    let server = Server::ringcached(args);
    thread::sleep(SETTLE);
    server
}

/// Runs `abuse` while an honest client asks for its key and gets it.
fn beside_an_honest_client(server: &Server, abuse: impl FnOnce()) {
    let done = AtomicBool::new(false);
    let mut honest = server.connect();
    thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut count = 0;
            while !done.load(Ordering::Relaxed) || count < 10 {
                honest.expect("set honest 0 0 2\r\nhi\r\n", "STORED\r\n");
                honest.expect("get honest\r\n", "VALUE honest 0 2\r\nhi\r\nEND\r\n");
                count += 1;
                thread::sleep(Duration::from_millis(2));
            }
        });
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(abuse));
        done.store(true, Ordering::Relaxed);
        asking.join().expect("the honest client was answered");
        if let Err(cause) = outcome {
            std::panic::resume_unwind(cause);
        }
    });
}

/// Sends as much as the sockets take, without waiting.
fn stuff(wire: &Wire, bytes: &[u8]) {
    wire.stream().set_nonblocking(true).expect("it can be set");
    let mut sent = 0;
    while sent < bytes.len() {
        match wire.stream().write(&bytes[sent..]) {
            Ok(count) => sent += count,
            // The socket is full, or the server has cut the client off.
            Err(_) => break,
        }
    }
    wire.stream().set_nonblocking(false).expect("it can be set");
}

/// By how much `abuse` has the server grow at most, in bytes.
fn growth(server: &Server, abuse: impl FnOnce()) -> u64 {
    // The first store has the cache's first pages touched, ahead of their use.
    beside_an_honest_client(server, || thread::sleep(SETTLE));
    let before = server.process().resident_bytes();
    beside_an_honest_client(server, abuse);
    server.process().resident_bytes_max().saturating_sub(before)
}

fn stat(wire: &mut Wire, list: &str, name: &str) -> u64 {
    wire.send(format!("{list}\r\n"));
    let text = String::from_utf8(wire.read_until(b"END\r\n")).expect("text");
    let values = text.lines().filter_map(|line| line.strip_prefix("STAT ")?.split_once(' '));
    let mine = values.filter(|(key, _)| *key == name || key.ends_with(&format!(":{name}")));
    mine.map(|(_, value)| value.parse::<u64>().expect("a number")).sum()
}

fn store(wire: &mut Wire, key: &str, bytes: usize) {
    let value = "v".repeat(bytes);
    wire.expect(format!("set {key} 0 0 {bytes}\r\n{value}\r\n"), "STORED\r\n");
}

#[test]
fn requests_that_never_end_cost_little() {
    const CLIENTS: u64 = 400;
    let server = Server::ringcached(&["-t", "1"]);
    let mut slow = Vec::new();
    let grown = growth(&server, || {
        for _ in 0..CLIENTS {
            let mut wire = server.connect();
            wire.send("g");
            slow.push(wire);
        }
        thread::sleep(SETTLE);
    });
    assert!(grown < CLIENTS * 2048, "{} bytes a client", grown / CLIENTS);
    for wire in &mut slow {
        wire.expect("et none\r\n", "END\r\n");
    }
}

#[test]
fn uploads_that_stall_leave_room_for_others() {
    let server = Server::ringcached(&["-t", "2", "-m", "64"]);
    let stalled: Vec<_> = (0..150)
        .map(|number| {
            let mut wire = server.connect();
            wire.send(format!("set k{number} 0 0 1000000\r\nx"));
            wire
        })
        .collect();
    thread::sleep(SETTLE);
    beside_an_honest_client(&server, || {
        let mut wire = server.connect();
        for number in 0..2000 {
            store(&mut wire, &format!("small{number}"), 2000);
        }
        for number in 0..50 {
            store(&mut wire, &format!("large{number}"), 500_000);
        }
        assert!(stat(&mut wire, "stats cores", "greedy") > 0, "some were cut off");
    });
    drop(stalled);
}

#[test]
fn readers_that_never_read_hold_no_more_than_the_budget() {
    let server = Server::ringcached(&["-t", "1", "-m", "64"]);
    store(&mut server.connect(), "mid", 10_000);
    let line = format!("get{}\r\n", " mid".repeat(600));
    let mut deaf = Vec::new();
    let grown = growth(&server, || {
        for _ in 0..150 {
            let mut wire = server.connect();
            wire.send(&line);
            deaf.push(wire);
        }
        thread::sleep(SETTLE);
    });
    assert!(grown < 24 * MIB, "{} MB for replies that nobody reads", grown / MIB);
    // Whoever reads in the end gets it all.
    let reply = format!("VALUE mid 0 10000\r\n{}\r\n", "v".repeat(10_000)).repeat(600) + "END\r\n";
    deaf[0].expect("", reply);
}

#[test]
fn pipelines_behind_unread_replies_hold_no_more_than_the_budget() {
    let server = Server::ringcached(&["-t", "1", "-m", "64"]);
    store(&mut server.connect(), "mid", 10_000);
    let pipeline = b"get mid\r\n".repeat(100_000);
    let mut deaf = Vec::new();
    let grown = growth(&server, || {
        for _ in 0..100 {
            let wire = server.connect();
            stuff(&wire, &pipeline);
            deaf.push(wire);
        }
        thread::sleep(SETTLE);
    });
    assert!(grown < 32 * MIB, "{} MB for requests that wait", grown / MIB);
}

#[test]
fn one_endless_pipeline_starves_nobody() {
    let server = Server::ringcached(&["-t", "1"]);
    let pipeline = b"get nothing\r\n".repeat(50_000);
    beside_an_honest_client(&server, || {
        let hog = server.connect();
        thread::scope(|scope| {
            let mut reading = hog.stream().try_clone().expect("a second handle");
            let reader = scope.spawn(move || std::io::copy(&mut reading, &mut std::io::sink()));
            let until = Instant::now() + Duration::from_secs(2);
            while Instant::now() < until {
                (&mut hog.stream()).write_all(&pipeline).expect("the server takes it");
            }
            hog.stream().shutdown(std::net::Shutdown::Write).expect("it can be ended");
            reader.join().expect("the reader ends").expect("nothing was lost");
        });
    });
}

#[test]
fn clients_above_the_limit_are_told_so_and_let_go() {
    let server = settled(&["-t", "2", "-c", "50"]);
    let mut served = Vec::new();
    let mut refused = 0;
    for _ in 0..200 {
        let mut wire = server.connect();
        // One that is refused may be closed before its request arrives.
        let _ = wire.stream().write_all(b"mn\r\n");
        let (line, _) = wire.take_until_end_or("MN\r\n".len());
        if line == b"MN\r\n" {
            served.push(wire);
        } else {
            let (rest, _) = wire.take_until_end_or(64);
            let told = String::from_utf8([line, rest].concat()).expect("text");
            assert!(told.is_empty() || told == "ERROR Too many open connections\r\n", "{told:?}");
            refused += 1;
        }
    }
    assert_eq!((served.len(), refused), (50, 150));
    assert_eq!(stat(&mut served[0], "stats", "rejected_connections"), 150);
    served.truncate(25);
    thread::sleep(SETTLE);
    server.connect().expect("mn\r\n", "MN\r\n");
}

#[test]
fn connections_that_break_off_leave_nothing_behind() {
    let server = settled(&["-t", "2"]);
    let mut wire = server.connect();
    wire.assert_in_step();
    let files = server.process().open_files();
    beside_an_honest_client(&server, || {
        for round in 0..2000 {
            let broken = server.connect();
            let begun: &[u8] = match round % 3 {
                0 => b"set k 0 0 100000\r\nabc",
                1 => b"get k\r\nget ",
                _ => b"",
            };
            (&mut broken.stream()).write_all(begun).expect("the server takes it");
            let linger = libc::linger { l_onoff: 1, l_linger: 0 };
            setsockopt(broken.stream(), sockopt::Linger, &linger).expect("it can be set");
        }
    });
    thread::sleep(SETTLE);
    assert_eq!(stat(&mut wire, "stats", "curr_connections"), 1);
    assert_eq!(stat(&mut wire, "stats cores", "connections"), 1);
    assert!(stat(&mut wire, "stats cores", "resets") > 0, "resets are counted");
    assert_eq!(server.process().open_files(), files);
}

/// However connections come and go, the cores have equally many.
#[test]
fn connections_are_spread_evenly() {
    let server = settled(&["-t", "2"]);
    let mut asking = server.connect();
    let mut wires = Vec::new();
    for (opened, closed) in [(1, 0), (2, 0), (5, 0), (8, 5), (40, 20), (60, 47)] {
        for _ in 0..opened {
            let mut wire = server.connect();
            wire.assert_in_step();
            wires.push(wire);
        }
        asking.send("stats cores\r\n");
        let text = String::from_utf8(asking.read_until(b"END\r\n")).expect("text");
        let counts: Vec<usize> = text
            .lines()
            .filter(|line| line.contains(":connections "))
            .map(|line| line.rsplit(' ').next().and_then(|n| n.parse().ok()).expect("a number"))
            .collect();
        let (least, most) = (counts.iter().min().expect("cores"), counts.iter().max().expect("c"));
        assert!(most - least <= 1, "{counts:?} connections");
        assert_eq!(counts.iter().sum::<usize>(), wires.len() + 1);
        // Those that go may all have been of one core.
        let mut number = 0;
        wires.retain(|_| {
            number += 1;
            number % 2 == 0 || number > closed * 2
        });
        thread::sleep(SETTLE);
    }
}
