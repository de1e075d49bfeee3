//! Requests and replies over TLS: every protocol, large values, deep pipelines, slow readers.

use std::time::Duration;

use crate::common::certificates::Certificates;
use crate::common::{Server, Wire, scratch_path};
use crate::{client_config_of, server, tunnel};

/// A frame of the binary protocol.
fn frame(opcode: u8, extras: &[u8], key: &[u8], value: &[u8]) -> Vec<u8> {
    let body = (extras.len() + key.len() + value.len()) as u32;
    let mut frame = vec![0x80, opcode, 0, key.len() as u8, extras.len() as u8, 0, 0, 0];
    frame.extend(body.to_be_bytes());
    frame.extend([0; 12]);
    frame.extend([extras, key, value].concat());
    frame
}

fn value(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| b'a' + (at % 23) as u8 + (at / 1000 % 3) as u8).collect()
}

fn store(wire: &mut Wire, key: &str, value: &[u8]) {
    let header = format!("set {key} 0 0 {}\r\n", value.len());
    wire.exchange(&[header.as_bytes(), value, b"\r\n"].concat(), b"STORED\r\n");
}

fn expect_value(wire: &mut Wire, key: &str, value: &[u8]) {
    let header = format!("VALUE {key} 0 {}\r\n", value.len());
    let reply = [header.as_bytes(), value, b"\r\nEND\r\n"].concat();
    wire.exchange(format!("get {key}\r\n").as_bytes(), &reply);
}

#[test]
fn all_protocols_on_one_port() {
    let certificates = Certificates::new("protocols");
    for cores in ["1", "2"] {
        let server = server(&certificates, &["-t", cores]);
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let config = client_config_of(&certificates, None, &[version]);
            let tunnel = crate::Tunnel::to(server.port(), config);
            let mut text = tunnel.connect();
            text.expect(
                "set k 5 0 3\r\nabc\r\nget k\r\n",
                "STORED\r\nVALUE k 5 3\r\nabc\r\nEND\r\n",
            );
            text.expect("mg k v f\r\nmn\r\n", "VA 3 f5\r\nabc\r\nMN\r\n");
            text.expect("nonsense\r\n", "ERROR\r\n");
            let mut binary = tunnel.connect();
            binary.send(frame(0x00, b"", b"k", b""));
            let reply = binary.read_exactly(24 + 4 + 3);
            assert_eq!((reply[0], &reply[24..]), (0x81, &b"\0\0\0\x05abc"[..]));
            // The client of a request that comes byte by byte, each in a record of its own.
            for byte in b"get k\r\n" {
                text.send([*byte]);
                std::thread::sleep(Duration::from_millis(1));
            }
            text.expect("", "VALUE k 5 3\r\nabc\r\nEND\r\n");
        }
    }
}

#[test]
fn large_values_both_ways() {
    let certificates = Certificates::new("large");
    for cores in ["1", "2"] {
        let server = server(&certificates, &["-t", cores, "-m", "256", "-I", "32m"]);
        let tunnel = tunnel(&certificates, &server);
        let mut wire = tunnel.connect();
        for bytes in [0, 1, 8_191, 16_319, 16_320, 16_321, 65_536, 1_000_000, 20_000_000] {
            let value = value(bytes);
            store(&mut wire, "k", &value);
            expect_value(&mut wire, "k", &value);
        }
        wire.assert_in_step();
    }
}

#[test]
fn deep_pipelines_are_answered_in_order() {
    const REQUESTS: usize = 20_000;
    let certificates = Certificates::new("pipelines");
    for cores in ["1", "2"] {
        let server = server(&certificates, &["-t", cores, "-m", "256"]);
        let tunnel = tunnel(&certificates, &server);
        let mut wire = tunnel.connect();
        let (mut requests, mut replies) = (Vec::new(), Vec::new());
        for n in 0..REQUESTS {
            let text = "v".repeat(n % 300);
            requests.extend(format!("set k{} 0 0 {}\r\n{text}\r\n", n % 700, text.len()).bytes());
            requests.extend(format!("get k{}\r\n", n % 700).bytes());
            replies.extend(b"STORED\r\n");
            replies.extend(
                format!("VALUE k{} 0 {}\r\n{text}\r\nEND\r\n", n % 700, text.len()).bytes(),
            );
        }
        wire.exchange(&requests, &replies);
        wire.assert_in_step();
    }
}

#[test]
fn a_pipeline_of_large_values_is_whole() {
    const GETS: usize = 200;
    let certificates = Certificates::new("pinned");
    let server = server(&certificates, &["-t", "2", "-m", "256"]);
    let tunnel = tunnel(&certificates, &server);
    let mut wire = tunnel.connect();
    let value = value(300_000);
    store(&mut wire, "k", &value);
    let one = [b"VALUE k 0 300000\r\n", value.as_slice(), b"\r\nEND\r\n"].concat();
    wire.exchange("get k\r\n".repeat(GETS).as_bytes(), &one.repeat(GETS));
    wire.assert_in_step();
}

/// The record in which a value ends brings the next request with it, after which nothing comes
/// that could remind the server of it.
#[test]
fn a_request_in_the_record_that_ends_a_value_is_answered() {
    let certificates = Certificates::new("pinned");
    let server = server(&certificates, &["-t", "2"]);
    let tunnel = tunnel(&certificates, &server);
    let mut wire = tunnel.connect();
    for bytes in (200_000..202_000).step_by(97) {
        let head = format!("set k 0 0 {bytes}\r\n");
        let both = [head.as_bytes(), &value(bytes), b"\r\nget none\r\n"].concat();
        wire.exchange(&both, b"STORED\r\nEND\r\n");
    }
}

/// Clients that ask for 1.5 GB and read nothing cost at most what they may by the manual; others
/// are served meanwhile, and what was asked for comes when it is read.
#[test]
fn who_does_not_read_costs_little() {
    const CLIENTS: usize = 15;
    const GETS: usize = 100;
    let certificates = Certificates::new("slow");
    let server = server(&certificates, &["-t", "1", "-m", "64"]);
    let tunnel = tunnel(&certificates, &server);
    let mut other = tunnel.connect();
    let value = value(1_000_000);
    store(&mut other, "k", &value);
    let before = server.process().resident_bytes();
    let mut stuck: Vec<Wire> = (0..CLIENTS).map(|_| tunnel.connect()).collect();
    for wire in &mut stuck {
        wire.send("get k\r\n".repeat(GETS));
    }
    std::thread::sleep(Duration::from_millis(500));
    for _ in 0..100 {
        expect_value(&mut other, "k", &value);
    }
    let grown = server.process().resident_bytes().saturating_sub(before);
    assert!(grown < 48 << 20, "{} MB more", grown >> 20);
    let one = [b"VALUE k 0 1000000\r\n", value.as_slice(), b"\r\nEND\r\n"].concat();
    let found = stuck[0].read_exactly(one.len() * GETS);
    assert!(found == one.repeat(GETS), "a late reader gets all that it asked for");
}

#[test]
fn passwords_are_asked_for_by_tls_too() {
    let certificates = Certificates::new("passwords");
    let users = scratch_path("tls-users");
    std::fs::write(&users, "ann:secret\n").expect("a file can be written");
    let server_text = server(&certificates, &["-Y", users.to_str().expect("text")]);
    let through = tunnel(&certificates, &server_text);
    let mut wire = through.connect();
    wire.expect("get k\r\n", "CLIENT_ERROR unauthenticated\r\n");
    wire.expect("set auth 0 0 9\r\nann wrong\r\n", "CLIENT_ERROR authentication failure\r\n");
    wire.expect("set auth 0 0 10\r\nann secret\r\nget k\r\n", "STORED\r\nEND\r\n");

    let option = certificates.option();
    let server =
        Server::ringcached_with(&[("MEMCACHED_SASL_PWDB", &users)], &["-Z", "-S", "-o", &option]);
    let through = tunnel(&certificates, &server);
    let mut wire = through.connect();
    let status = |wire: &mut Wire, request: Vec<u8>| {
        wire.send(request);
        let header = wire.read_exactly(24);
        let body = u32::from_be_bytes([header[8], header[9], header[10], header[11]]);
        wire.read_exactly(body as usize);
        u16::from_be_bytes([header[6], header[7]])
    };
    assert_eq!(status(&mut wire, frame(0x00, b"", b"k", b"")), 0x20);
    let mut wire = through.connect();
    assert_eq!(status(&mut wire, frame(0x21, b"", b"PLAIN", b"\0ann\0secret")), 0);
    assert_eq!(status(&mut wire, frame(0x00, b"", b"k", b"")), 1);
    let _ = std::fs::remove_file(&users);
}

#[test]
fn dumps_and_the_log_come_by_tls() {
    let certificates = Certificates::new("dumps");
    let server = server(&certificates, &["-t", "2"]);
    let tunnel = tunnel(&certificates, &server);
    let (mut wire, mut watcher) = (tunnel.connect(), tunnel.connect());
    watcher.expect("watch mutations\r\n", "OK\r\n");
    for n in 0..2_000 {
        wire.expect(format!("set dumped{n} 0 0 1\r\nx\r\n"), "STORED\r\n");
    }
    wire.send("lru_crawler metadump all\r\n");
    let dump = String::from_utf8(wire.read_until(b"END\r\n")).expect("text");
    assert_eq!(dump.matches("key=dumped").count(), 2_000);
    let log = watcher.read_until(b"key=dumped1999");
    assert!(log.windows(15).any(|part| part == b"type=item_store"));
}
