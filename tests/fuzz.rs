//! Random streams of requests, whole and broken, mean the same however they arrive.
//!
//! Each case is a stream in the text, meta or binary protocol, made of requests of which some were
//! cut, doubled or overwritten. Two servers that have seen the same cases so far get it: one in one
//! piece, the other in pieces of random lengths. Their replies must be the same to the byte, but
//! for CAS ids, of which a large value that comes in pieces takes more than one; and each must end
//! the connection when it has answered. A run makes [`CASES`] cases a protocol, or as many as
//! `FUZZ_CASES` says; a failure names the seed, which `FUZZ_SEED` starts with:
//!
//! ```text
//! FUZZ_CASES=100000 cargo test --test fuzz
//! FUZZ_SEED=1234 FUZZ_CASES=1 cargo test --test fuzz text
//! ```

mod common;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use common::Server;
use common::random::Random;

/// Cases of each protocol unless `FUZZ_CASES` says otherwise.
const CASES: u64 = 150;

/// Requests that leave out what differs from server to server: times, addresses, CAS ids.
const TEXT: &[&[u8]] = &[
    b"set k 5 0 3\r\nabc\r\n",
    b"set n 0 0 2\r\n98\r\n",
    b"add k 0 0 1 noreply\r\nx\r\n",
    b"append k 0 0 2\r\nde\r\n",
    b"cas k 0 0 1 987654321\r\nx\r\n",
    b"get k\r\n",
    b"get k n none k\r\n",
    b"gat 0 k n\r\n",
    b"incr n 5\r\n",
    b"decr n 18446744073709551615\r\n",
    b"delete k\r\n",
    b"touch n 0 noreply\r\n",
    b"version\r\n",
    b"bogus\r\n",
    b"set k 0 0 -1\r\nabc\r\n",
    b"flush_all noreply\r\n",
    b"\r\n",
    b"\0\xff \r\n",
];
const META: &[&[u8]] = &[
    b"ms k 5 T0 F7\r\nhello\r\n",
    b"ms aw== 2 b k\r\nab\r\n",
    b"ms n 1 q\r\n7\r\n",
    b"mg k v f s k O12\r\n",
    b"mg none v q\r\n",
    b"mg n N0 v\r\n",
    b"ma n N0 J5 v\r\n",
    b"ma n MD D3\r\n",
    b"md k I T0\r\n",
    b"md k q\r\n",
    b"mn\r\n",
    b"ms k S3\r\nabc\r\n",
    b"mg\r\n",
];

fn from_environment(variable: &str, default: u64) -> u64 {
    let text = std::env::var(variable).ok();
    text.map_or(default, |text| text.parse().expect("the variable holds a number"))
}

/// A value in lines. Should it be taken for requests, no line is longer than one may be: how much
/// of a longer one is there when it is looked at decides whether it is answered or closed on, here
/// as in memcached.
fn value(bytes: usize) -> impl Iterator<Item = u8> {
    (0..bytes).map(|at| if at % 64 == 63 { b'\n' } else { b'a' + (at % 26) as u8 })
}

/// A store whose value is received straight into the cache, and a retrieval that sends it from
/// there, many times over.
fn large(random: &mut Random, meta: bool) -> Vec<u8> {
    let bytes = 8_000 + random.below(40_000);
    let head = if meta { format!("ms l {bytes}\r\n") } else { format!("set l 1 0 {bytes}\r\n") };
    let mut request = head.into_bytes();
    request.extend(value(bytes));
    let get = if meta { "mg l v\r\n".to_owned() } else { format!("get{}\r\n", " l".repeat(5)) };
    request.extend(b"\r\n");
    request.extend(get.into_bytes());
    request
}

fn line(random: &mut Random, requests: &[&[u8]], meta: bool) -> Vec<u8> {
    if random.chance(5) {
        return large(random, meta);
    }
    random.pick(requests).to_vec()
}

/// A request of the binary protocol whose parts are of no matter whose lengths.
fn frame(random: &mut Random) -> Vec<u8> {
    const STAT: u8 = 0x10;
    let opcode = random.below(0x26) as u8;
    let extras = random.pick(&[&b""[..], &[0; 4], &[0; 8], &[0; 8], &[0; 20]]);
    let key = random.pick(&[&b""[..], b"k", b"k", b"n", b"key"]);
    let numbers = vec![b'7'; random.below(4)];
    let value = if random.chance(5) { value(20_000).collect() } else { numbers };
    let mut frame = vec![0x80, if opcode == STAT { 0x0a } else { opcode }, 0, key.len() as u8];
    frame.extend([extras.len() as u8, 0, 0, 0]);
    frame.extend(((extras.len() + key.len() + value.len()) as u32).to_be_bytes());
    frame.extend([0; 12]);
    frame.extend_from_slice(extras);
    frame.extend_from_slice(key);
    frame.extend(value);
    frame
}

/// Does damage to a request: cuts its end off, writes over a byte, or doubles a part. No digit
/// comes of it, lest a time to live should end between the two servers.
fn damage(random: &mut Random, request: &mut Vec<u8>) {
    match random.below(3) {
        0 => request.truncate(random.below(request.len() + 1)),
        1 => {
            let at = random.below(request.len());
            request[at] = *b" \r\n\tqkx\0\x80\xff".get(random.below(10)).expect("there are ten");
        }
        _ => {
            let (at, count) = (random.below(request.len()), random.below(20));
            let part = request[at..].iter().copied().filter(|byte| !byte.is_ascii_digit());
            let part: Vec<u8> = part.take(count).collect();
            request.splice(at..at, part);
        }
    }
}

fn stream(random: &mut Random, mut request: impl FnMut(&mut Random) -> Vec<u8>) -> Vec<u8> {
    let mut stream = Vec::new();
    for _ in 0..1 + random.below(12) {
        let mut next = request(random);
        if random.chance(15) {
            damage(random, &mut next);
        }
        stream.extend(next);
    }
    stream
}

/// What a server answers to a stream that arrives in such pieces, until it ends the connection.
fn replies<'a>(server: &Server, pieces: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut wire = TcpStream::connect(server.address()).expect("it listens");
    wire.set_nodelay(true).expect("a socket option");
    wire.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket option");
    for piece in pieces {
        // A server that has closed on the stream takes no more.
        if wire.write_all(piece).is_err() {
            break;
        }
        std::thread::yield_now();
    }
    let _ = wire.shutdown(Shutdown::Write);
    let mut replies = Vec::new();
    match wire.read_to_end(&mut replies) {
        Err(error) if error.kind() != std::io::ErrorKind::ConnectionReset => {
            panic!("the connection does not end: {error}")
        }
        _ => replies,
    }
}

/// Random pieces: bytes one by one, or some dozens, or thousands.
fn cut<'a>(random: &mut Random, stream: &'a [u8]) -> Vec<&'a [u8]> {
    let length_max = [1, 40, 6_000][random.below(3)].max(stream.len() / 400);
    let mut pieces = Vec::new();
    let mut rest = stream;
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(rest.len().min(1 + random.below(length_max)));
        pieces.push(piece);
        rest = behind;
    }
    pieces
}

/// Binary replies without their CAS ids.
fn without_cas(mut replies: Vec<u8>) -> Vec<u8> {
    let mut at = 0;
    while let Some(header) = replies.get_mut(at..at + 24).filter(|header| header[0] == 0x81) {
        header[16..].fill(0);
        let body = u32::from_be_bytes([header[8], header[9], header[10], header[11]]);
        at += 24 + body as usize;
    }
    replies
}

fn fuzz(request: impl Fn(&mut Random) -> Vec<u8>) {
    let start = from_environment("FUZZ_SEED", 1);
    let servers = [(); 2].map(|()| Server::ringcached(&["-t", "1", "-m", "64"]));
    for seed in start..start + from_environment("FUZZ_CASES", CASES) {
        let mut random = Random::new(seed);
        for server in &servers {
            server.connect().expect("flush_all\r\n", "OK\r\n");
        }
        let stream = stream(&mut random, &request);
        let whole = without_cas(replies(&servers[0], std::iter::once(&stream[..])));
        let pieces = cut(&mut random, &stream);
        let cut = without_cas(replies(&servers[1], pieces.iter().copied()));
        assert!(
            cut == whole,
            "FUZZ_SEED={seed}: {}\nwhole: {}\ncut into {}: {}",
            stream.escape_ascii(),
            whole.escape_ascii(),
            pieces.len(),
            cut.escape_ascii()
        );
    }
}

#[test]
fn text_means_the_same_in_pieces() {
    fuzz(|random| line(random, TEXT, false));
}

#[test]
fn meta_means_the_same_in_pieces() {
    fuzz(|random| line(random, META, true));
}

#[test]
fn both_on_one_connection_mean_the_same_in_pieces() {
    fuzz(|random| {
        let meta = random.chance(50);
        line(random, if meta { META } else { TEXT }, meta)
    });
}

#[test]
fn binary_means_the_same_in_pieces() {
    fuzz(frame);
}
