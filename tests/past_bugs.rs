//! memcached's past vulnerabilities, each as the packet that once brought it down, named by its
//! origin.
//!
//! The bugs were in C and many cannot be written in safe Rust. Their causes can: a length believed,
//! a state left implicit, an argument not there, a client that stops reading. After each of them
//! the server must run, answer others, and be in step with the client if it has not closed on it.
//! What came in by authentication, files and other transports is in `past_bugs/doors.rs`, more of
//! what single commands did in `past_bugs/wave_2026.rs`.

mod common;
#[path = "past_bugs/doors.rs"]
mod doors;
#[path = "past_bugs/wave_2026.rs"]
mod wave_2026;

use std::io::Write;
use std::time::Duration;

use common::{Server, Wire};

fn server(args: &[&str]) -> Server {
    let mut all = vec!["-t", "2", "-m", "64"];
    all.extend_from_slice(args);
    Server::ringcached(&all)
}

/// The server runs and serves a newcomer.
#[track_caller]
fn assert_serves(server: &mut Server) {
    assert!(server.runs(), "the server is gone:\n{}", server.log());
    let mut wire = server.connect();
    wire.expect(
        "set alive 0 0 3\r\nyes\r\nget alive\r\n",
        "STORED\r\nVALUE alive 0 3\r\nyes\r\nEND\r\n",
    );
    wire.assert_in_step();
}

/// Sends bytes that the server may close on before all are through, and waits until it has
/// answered.
fn throw(server: &Server, bytes: &[u8]) -> Wire {
    let mut wire = server.connect();
    let _ = wire.stream().write_all(bytes);
    let _ = wire.is_silent_for(Duration::from_millis(100));
    wire
}

/// A binary request whose header says what it likes.
fn packet(opcode: u8, key_bytes: u16, extras_bytes: u8, body_bytes: u32, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, opcode];
    packet.extend(key_bytes.to_be_bytes());
    packet.extend([extras_bytes, 0, 0, 0]);
    packet.extend(body_bytes.to_be_bytes());
    packet.extend([0; 12]);
    packet.extend(body);
    packet
}

#[test]
fn cve_2009_1255_no_reply_tells_an_address() {
    let mut server = server(&[]);
    let mut wire = server.connect();
    for command in ["stats maps\r\n", "stats malloc\r\n"] {
        wire.expect(command, "ERROR\r\n");
    }
    assert_serves(&mut server);
}

#[test]
fn cve_2010_1152_a_line_without_end_takes_no_memory() {
    let mut server = server(&[]);
    let before = server.process().resident_bytes();
    let wires: Vec<Wire> = (0..50).map(|_| throw(&server, &vec![b'a'; 1 << 20])).collect();
    let grown = server.process().resident_bytes().saturating_sub(before);
    assert!(grown < 16 << 20, "50 endless lines took {grown} bytes");
    drop(wires);
    assert_serves(&mut server);
}

#[test]
fn cve_2011_4971_a_body_longer_than_memory() {
    let mut server = server(&[]);
    for body_bytes in [u32::MAX, i32::MAX as u32, i32::MAX as u32 + 1, 1 << 30, u32::MAX - 23] {
        for opcode in [0x00, 0x01, 0x04, 0x0e, 0x11, 0x1c] {
            drop(throw(&server, &packet(opcode, 3, 8, body_bytes, b"\0\0\0\0\0\0\0\0keyvalue")));
        }
    }
    assert_serves(&mut server);
}

#[test]
fn cve_2016_8704_append_with_lengths_that_underflow() {
    let mut server = server(&[]);
    for opcode in [0x0e, 0x0f, 0x19, 0x1a] {
        drop(throw(&server, &packet(opcode, 0xfa, 0, 0, &[b'k'; 0xfa])));
        drop(throw(&server, &packet(opcode, 0xffff, 0, 1, &[b'k'; 100])));
    }
    assert_serves(&mut server);
}

#[test]
fn cve_2016_8705_store_with_lengths_that_underflow() {
    let mut server = server(&[]);
    for opcode in [0x01, 0x02, 0x03, 0x11, 0x12, 0x13] {
        drop(throw(&server, &packet(opcode, 0xfa, 8, 1, &[b'k'; 0xfa])));
        drop(throw(&server, &packet(opcode, 5, 8, 12, &[b'k'; 12])));
    }
    assert_serves(&mut server);
}

#[test]
fn cve_2016_8706_sasl_with_lengths_that_underflow() {
    let mut server = server(&[]);
    for opcode in [0x20, 0x21, 0x22] {
        drop(throw(&server, &packet(opcode, 0xfa, 0, 1, &[b'k'; 0xfa])));
        drop(throw(&server, &packet(opcode, 33, 0, 40, &[b'k'; 40])));
    }
    assert_serves(&mut server);
}

#[test]
fn cve_2018_1000115_nothing_listens_on_udp() {
    let server = server(&[]);
    let port = format!(":{:04X} ", server.port());
    for table in ["udp", "udp6"] {
        let path = format!("/proc/{}/net/{table}", server.process().pid);
        let open = std::fs::read_to_string(path).unwrap_or_default();
        assert!(!open.contains(&port), "{table} is open on the port:\n{open}");
    }
}

#[test]
fn cve_2018_1000127_the_same_key_a_hundred_thousand_times() {
    let mut server = server(&[]);
    let mut wire = server.connect();
    wire.expect("set k 0 0 1\r\nx\r\n", "STORED\r\n");
    let gets = format!("get{}\r\n", " k".repeat(1000)).repeat(100);
    let replies = format!("{}END\r\n", "VALUE k 0 1\r\nx\r\n".repeat(1000)).repeat(100);
    wire.exchange(gets.as_bytes(), replies.as_bytes());
    wire.expect("delete k\r\n", "DELETED\r\n");
    assert_serves(&mut server);
}

#[test]
fn cve_2019_11596_administration_without_its_arguments() {
    let mut server = server(&[]);
    let mut wire = server.connect();
    for command in [
        "lru",
        "lru mode",
        "lru temp_ttl",
        "lru tune",
        "lru tune 1",
        "lru tune 1 2 3",
        "slabs",
        "slabs reassign",
        "slabs reassign 1",
        "slabs automove",
        "slabs automove ratio",
        "watch x",
        "lru_crawler",
        "lru_crawler crawl",
        "lru_crawler sleep",
        "lru_crawler metadump",
        "lru_crawler mgdump",
        "lru_crawler tocrawl",
        "cache_memlimit",
        "verbosity",
        "stats detail",
        "stats cachedump",
        "stats cachedump 1",
        "extstore",
        "refresh_certs",
        "shutdown",
        "me",
        "mg",
    ] {
        let reply = wire.ask(format!("{command}\r\n"));
        assert!(reply.to_uppercase().contains("ERROR"), "{command}: {reply}");
        wire.assert_in_step();
    }
    assert_serves(&mut server);
}

#[test]
fn cve_2020_10931_extras_of_every_length() {
    let mut server = server(&[]);
    for opcode in 0..=0x40 {
        for extras_bytes in [0, 1, 4, 20, 21, 0x50, 0xff] {
            let body = vec![b'e'; usize::from(extras_bytes) + 3];
            let body_bytes = body.len() as u32;
            let mut wire = server.connect();
            let bytes = packet(opcode, 3, extras_bytes, body_bytes, &body);
            let _ = wire.stream().write_all(&bytes);
            let _ = wire.stream().shutdown(std::net::Shutdown::Write);
            wire.read_to_end();
        }
    }
    assert_serves(&mut server);
}

#[test]
fn cve_2023_46852_spaces_without_end() {
    let mut server = server(&[]);
    let spaces = " ".repeat(65_536);
    for line in [format!("get{spaces}k\r\n"), format!("get k{spaces}\r\n"), spaces.clone()] {
        drop(throw(&server, line.as_bytes()));
    }
    // e8364b58b: spaces only, and no newline.
    drop(throw(&server, spaces.as_bytes()));
    assert_serves(&mut server);
}

#[test]
fn cve_2023_46853_newlines_without_returns() {
    let mut server = server(&[]);
    let mut wire = server.connect();
    wire.expect("set k 0 0 1\nx\r\nget k\n", "STORED\r\nVALUE k 0 1\r\nx\r\nEND\r\n");
    for line in ["\n", "\r\n", "\r\r\n", "\n\n\n", "get\n", "\0\n"] {
        drop(throw(&server, line.repeat(1000).as_bytes()));
    }
    assert_serves(&mut server);
}

#[test]
fn commit_0240ddee0_reassign_of_classes_out_of_range() {
    let mut server = server(&[]);
    let mut wire = server.connect();
    for classes in
        ["-2 1", "1 -1", "0 0", "64 1", "1 64", "255 256", "4294967297 1", "-1 2147483647"]
    {
        let reply = wire.ask(format!("slabs reassign {classes}\r\n"));
        assert_ne!(reply, "OK", "slabs reassign {classes}");
    }
    wire.assert_in_step();
    assert_serves(&mut server);
}

#[test]
fn commit_6ab74b585_automove_windows_out_of_range() {
    let mut server = server(&[]);
    let mut wire = server.connect();
    for window in ["0", "-1", "4294967295", "18446744073709551616", "x"] {
        let reply = wire.ask(format!("slabs automove window {window}\r\n"));
        assert!(reply.starts_with("CLIENT_ERROR"), "window {window}: {reply}");
    }
    assert_serves(&mut server);
}

#[test]
fn commit_7eeac6e9a_a_dump_for_a_client_that_stops_reading() {
    let mut server = server(&[]);
    let mut wire = server.connect();
    for n in 0..200 {
        let sets: String = (0..200).map(|m| format!("set key_{n}_{m} 0 0 1\r\nx\r\n")).collect();
        wire.exchange(sets.as_bytes(), "STORED\r\n".repeat(200).as_bytes());
    }
    let stuck: Vec<Wire> = ["metadump all", "mgdump all", "metadump hash"]
        .iter()
        .map(|dump| throw(&server, format!("lru_crawler {dump}\r\n").as_bytes()))
        .collect();
    assert_serves(&mut server);
    drop(stuck);
    assert_serves(&mut server);
}

#[test]
fn commit_e7793811f_watchers_that_leave_while_lines_come() {
    let mut server = server(&[]);
    for round in 0..10 {
        let mut watcher = server.connect();
        let _ = watcher.stream().write_all(b"watch mutations fetchers\r\n");
        let mut wire = server.connect();
        let sets = format!("set w{round} 0 0 1\r\nx\r\nget w{round}\r\n").repeat(500);
        wire.send(sets);
        if round % 2 == 0 {
            let _ = watcher.is_silent_for(Duration::from_millis(5));
        }
        drop(watcher);
        let last = format!("VALUE w{round} 0 1\r\nx\r\nEND\r\n");
        for _ in 0..500 {
            wire.expect("", format!("STORED\r\n{last}"));
        }
    }
    assert_serves(&mut server);
}

#[test]
fn commit_93b5e10fd_refused_meta_sets_leak_no_memory() {
    let mut server = server(&["-I", "1m"]);
    let mut wire = server.connect();
    let value = "v".repeat(100_000);
    for _ in 0..100 {
        for flags in ["MX", "O01234567890123456789012345678901", "q q"] {
            let request = format!("ms k 100000 {flags}\r\n{value}\r\n");
            assert!(wire.ask(request).starts_with("CLIENT_ERROR"), "{flags}");
        }
    }
    // 30 MB were refused, and there is room for nearly all of the 64.
    for n in 0..400 {
        wire.expect(format!("set k{n} 0 0 100000\r\n{value}\r\n"), "STORED\r\n");
    }
    assert_serves(&mut server);
}

#[test]
fn commit_28f4abf8e_pipelined_sets_while_replies_cannot_be_sent() {
    let mut server = server(&[]);
    let mut wire = server.connect();
    let value = "v".repeat(100_000);
    let pair = format!("set k 0 0 100000\r\n{value}\r\nget k\r\n").repeat(200);
    let replies = format!("STORED\r\nVALUE k 0 100000\r\n{value}\r\nEND\r\n").repeat(200);
    wire.exchange(pair.as_bytes(), replies.as_bytes());
    wire.assert_in_step();
    assert_serves(&mut server);
}

#[test]
fn commit_76dc58c6b_prefix_statistics_have_a_bound() {
    let mut server = server(&[]);
    let mut wire = server.connect();
    wire.expect("stats detail on\r\n", "OK\r\n");
    for n in 0..100 {
        let gets: String = (0..1000).map(|m| format!("get p{n}_{m}:k\r\n")).collect();
        wire.exchange(gets.as_bytes(), "END\r\n".repeat(1000).as_bytes());
    }
    wire.send("stats detail dump\r\n");
    let dump = wire.read_until(b"END\r\n");
    let prefixes = memchr::memmem::find_iter(&dump, b"PREFIX ").count();
    assert!((1000..=65_536).contains(&prefixes), "{prefixes} prefixes are kept");
    assert_serves(&mut server);
}
