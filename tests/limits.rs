//! The edges: what is just small enough, what is just too large, and lengths that lie.
//!
//! After each of them the connection must still be in step: the next command gets its own reply.
//! Lengths from the wire are where memcached's worst bugs came from, so every sign and width is
//! tried.

mod common;

use common::{Server, Wire};

const TOO_LARGE: &str = "SERVER_ERROR object too large for cache\r\n";
const BAD_FORMAT: &str = "CLIENT_ERROR bad command line format\r\n";

fn with_server(args: &[&str], test: impl Fn(&mut Wire)) {
    for cores in ["1", "2"] {
        let mut all = vec!["-t", cores];
        all.extend_from_slice(args);
        let server = Server::ringcached(&all);
        let mut wire = server.connect();
        test(&mut wire);
        wire.assert_in_step();
    }
}

fn set(key: &str, value: &[u8]) -> Vec<u8> {
    [format!("set {key} 0 0 {}\r\n", value.len()).as_bytes(), value, b"\r\n"].concat()
}

fn hit(key: &str, value: &[u8]) -> Vec<u8> {
    [format!("VALUE {key} 0 {}\r\n", value.len()).as_bytes(), value, b"\r\nEND\r\n"].concat()
}

#[test]
fn keys_have_at_most_250_bytes() {
    with_server(&[], |wire| {
        let (longest, too_long) = ("k".repeat(250), "k".repeat(251));
        wire.expect(set(&longest, b"value"), "STORED\r\n");
        wire.expect(format!("get {longest}\r\n"), hit(&longest, b"value"));
        wire.expect(format!("get {too_long}\r\n"), BAD_FORMAT);
        wire.expect(set(&too_long, b"value"), BAD_FORMAT);
        wire.assert_in_step();
        for command in ["delete {}", "incr {} 1", "touch {} 0"] {
            wire.expect(command.replace("{}", &too_long) + "\r\n", BAD_FORMAT);
        }
        wire.expect(format!("delete {longest}\r\n"), "DELETED\r\n");
    });
}

#[test]
fn values_may_be_empty_and_hold_any_byte() {
    with_server(&[], |wire| {
        wire.expect(set("empty", b""), "STORED\r\n");
        wire.expect("get empty\r\n", hit("empty", b""));
        let every: Vec<u8> = (0..=255).chain(*b"\r\nEND\r\nget x\r\n").collect();
        wire.expect(set("every", &every), "STORED\r\n");
        wire.expect("get every\r\n", hit("every", &every));
        wire.expect("append empty 0 0 0\r\n\r\n", "STORED\r\n");
        wire.expect("get empty\r\n", hit("empty", b""));
    });
}

#[test]
fn values_of_every_size_class_come_back() {
    with_server(&[], |wire| {
        let mut len = 1;
        while len < 1_040_000 {
            for len in [len - 1, len, len + 1] {
                let value: Vec<u8> = (0..len).map(|at| (at * 7 + len) as u8).collect();
                wire.expect(set("size", &value), "STORED\r\n");
                wire.expect("get size\r\n", hit("size", &value));
            }
            len = len * 5 / 4 + 1;
        }
    });
}

#[test]
fn items_end_at_the_limit() {
    assert_items_end_at("1m", 1 << 20);
    assert_items_end_at("2m", 2 << 20);
}

#[test]
fn small_items_end_at_the_limit() {
    assert_items_end_at("1024", 1024);
    assert_items_end_at("4k", 4096);
}

fn assert_items_end_at(argument: &str, limit: usize) {
    with_server(&["-I", argument, "-m", "64"], |wire| {
        let fits = vec![b'f'; limit - 200];
        wire.expect(set("k", &fits), "STORED\r\n");
        wire.expect("get k\r\n", hit("k", &fits));
        // The item is gone: what a client wanted replaced must not be found any more.
        wire.expect(set("k", &vec![b'x'; limit]), TOO_LARGE);
        wire.expect("get k\r\n", "END\r\n");
        wire.expect(set("k", &vec![b'x'; limit + 1]), TOO_LARGE);
        wire.expect(set("k", &fits), "STORED\r\n");
        let more = [b"append k 0 0 300\r\n", vec![b'a'; 300].as_slice(), b"\r\n"].concat();
        wire.expect(more, "NOT_STORED\r\n");
        wire.expect("get k\r\n", hit("k", &fits));
    });
}

#[test]
fn lengths_that_lie_are_refused() {
    with_server(&[], |wire| {
        for length in [
            "-1",
            "-2147483648",
            "2147483646",
            "2147483647",
            "2147483648",
            "4294967295",
            "4294967296",
            "18446744073709551615",
            "18446744073709551616",
            "99999999999999999999999",
            "0x10",
            "1e3",
            "",
        ] {
            wire.expect(format!("set k 0 0 {length}\r\n"), BAD_FORMAT);
            wire.assert_in_step();
        }
    });
}

#[test]
fn data_longer_or_shorter_than_said_is_found_out() {
    with_server(&[], |wire| {
        wire.expect(set("k", b"before"), "STORED\r\n");
        let bad_chunk = "CLIENT_ERROR bad data chunk\r\n";
        wire.expect("set k 0 0 4\r\nabcdefgh\r\n", format!("{bad_chunk}ERROR\r\n"));
        wire.expect("get k\r\n", hit("k", b"before"));
        wire.expect("set k 0 0 12\r\nabcdefgh\r\nversion\r\n", format!("{bad_chunk}ERROR\r\n"));
        wire.expect("get k\r\n", hit("k", b"before"));
    });
}

#[test]
fn a_value_too_large_is_swallowed_however_long() {
    with_server(&["-I", "1m"], |wire| {
        for len in [1 << 20, 5 << 20, 20 << 20] {
            wire.expect(set("k", &vec![b'x'; len]), TOO_LARGE);
        }
        // With noreply nothing is said, and nothing is stored.
        let silent = [b"set k 0 0 3000000 noreply\r\n".as_slice(), &vec![b'x'; 3_000_000], b"\r\n"];
        wire.send(silent.concat());
    });
}

#[test]
fn multi_gets_have_no_end() {
    with_server(&[], |wire| {
        let keys: Vec<String> = (0..10_000).map(|n| format!("key_number_{n}")).collect();
        for chunk in keys.chunks(500) {
            let sets: Vec<u8> = chunk.iter().flat_map(|key| set(key, key.as_bytes())).collect();
            wire.expect(sets, "STORED\r\n".repeat(chunk.len()));
        }
        let mut expected: Vec<u8> = Vec::new();
        for key in &keys {
            expected.extend(format!("VALUE {key} 0 {}\r\n{key}\r\n", key.len()).bytes());
        }
        expected.extend(b"END\r\n");
        wire.expect(format!("get {}\r\n", keys.join(" ")), &expected);
        // 500 KB of keys that nobody stored.
        let strangers = " stranger".repeat(55_000);
        wire.expect(format!("get{strangers}\r\n"), "END\r\n");
    });
}

#[test]
fn long_lines_that_are_no_get_close_the_connection() {
    let server = Server::ringcached(&["-t", "1"]);
    for line in
        [vec![b'x'; 65_536], vec![b' '; 65_536], [b"set ", vec![b'k'; 65_536].as_slice()].concat()]
    {
        let mut wire = server.connect();
        // The server may have closed before all was sent.
        let _ = std::io::Write::write_all(&mut wire.stream(), &line);
        let closed = wire.closes_within(std::time::Duration::from_secs(3));
        assert!(closed, "{} bytes of {:?} kept the connection", line.len(), line[0] as char);
    }
    server.connect().assert_in_step();
}

#[test]
fn deep_pipelines_are_answered_in_order() {
    with_server(&[], |wire| {
        const DEPTH: usize = 20_000;
        let mut requests = Vec::new();
        let mut replies = Vec::new();
        for n in 0..DEPTH {
            let key = format!("k{}", n % 97);
            requests.extend(format!("set {key} {n} 0 5\r\n{n:05}\r\nget {key}\r\n").bytes());
            replies.extend(format!("STORED\r\nVALUE {key} {n} 5\r\n{n:05}\r\nEND\r\n").bytes());
        }
        wire.exchange(&requests, &replies);
    });
}
