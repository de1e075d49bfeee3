//! The bytes of a pipeline mean the same however they are cut into packets.
//!
//! A pipeline is sent whole, then cut in two at every byte, then a byte at a time; the replies must
//! be the same each time. What the pipelines hold is chosen so that every kind of state can be cut:
//! command lines, values, data of a refused store, a barrier, and errors of every sort.

mod common;

use std::time::Duration;

use common::wire::{BARRIER, BARRIER_REPLY};
use common::{Server, Wire, assert_same_bytes};

/// Long enough that the server most often sees the first part alone.
const PAUSE: Duration = Duration::from_micros(150);

/// How long the replies must have ended when the barrier is not answered.
const QUIET: Duration = Duration::from_millis(500);

const STORES: &[u8] =
    b"set k 5 0 10\r\n0123456789\r\nadd k 0 0 1\r\nx\r\nreplace k 6 0 3 \r\nabc\r\n\
    append k 0 0 2\r\nde\r\nprepend k 0 0 2 noreply\r\n>>\r\nget k\r\ngets none k\n";
const NUMBERS: &[u8] =
    b"set n 0 0 2\r\n98\r\nincr n 1\r\nincr n 5\r\ndecr n 100\r\nget n\r\ntouch n 0\r\n\
    gat 0 n none\r\ndelete n\r\ndelete n noreply\r\nincr n 1\r\n";
const ERRORS: &[u8] = b"set k 0 0 3\r\nabcdefgh\r\nbogus\r\nset k 0 0 -1\r\nabcd\r\n\
    set k 0 0 30\r\nget k\r\nget k\r\nget k\r\nget k\r\n12\r\nget k\r\nset k x 0 4\r\nabcd\r\n\
    get\r\nincr k 1\r\nincr k x\r\ntouch k x\r\nset k 0 0 2 noreply\r\nabcdefgh\r\n";
const ADMINISTRATION: &[u8] =
    b"verbosity 0\r\nversion\r\nflush_all\r\nstats reset\r\nlru bogus\r\n\
    cache_memlimit 1\r\nslabs reassign 1 1\r\nflush_all noreply\r\nget k\r\n";

const META: &[u8] =
    b"ms k 5 T0 F7 MS\r\nhello\r\nmg k v f t s k\r\nmg none v q\r\nmg none k O9\r\n\
    ms k 3 q\r\nabc\r\nmg aw== b k v\r\nma n N0 J5 v\r\nma n D3 v\r\n\
     md k I T30\r\nmg k v\r\nmd k q\r\n\
    md none q\r\nms k 2 MX\r\nab\r\nmg k !\r\nms k 9\r\nmn\r\nmn\r\n\r\nmn\r\n";

/// SET, GETK, GETQ of nothing, ADDQ refused, INCR that makes its number, DELETEQ, VERSION-free,
/// NOOP.
const BINARY: &[u8] =
    b"\x80\x01\0\x01\x08\0\0\0\0\0\0\x0c\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\x05\0\0\0\0kabc\
    \x80\x0c\0\x01\0\0\0\0\0\0\0\x01\0\0\0\x02\0\0\0\0\0\0\0\0k\
    \x80\x09\0\x04\0\0\0\0\0\0\0\x04\0\0\0\x03\0\0\0\0\0\0\0\0none\
    \x80\x12\0\x01\x08\0\0\0\0\0\0\x0a\0\0\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0kx\
    \x80\x05\0\x01\x14\0\0\0\0\0\0\x15\0\0\0\x05\0\0\0\0\0\0\0\0\
    \0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x28\0\0\0\0n\
    \x80\x14\0\x01\0\0\0\0\0\0\0\x01\0\0\0\x06\0\0\0\0\0\0\0\0k\
    \x80\x0a\0\0\0\0\0\0\0\0\0\0last\0\0\0\0\0\0\0\0";

/// Runs `pipeline` cut at `cuts`; `prepare` brings the keys into the same state before.
fn replies(server: &Server, pipeline: &[u8], cuts: &[usize]) -> Vec<u8> {
    let mut prepared = server.connect();
    prepared.expect("flush_all\r\n", "OK\r\n");
    let mut pieces = Vec::new();
    let mut from = 0;
    for &cut in cuts {
        pieces.push(&pipeline[from..cut]);
        from = cut;
    }
    pieces.push(&pipeline[from..]);
    let pause = if pieces.len() > 2 { Duration::from_micros(20) } else { PAUSE };
    let wire: Wire = server.connect();
    let is_binary = pipeline[0] == 0x80;
    let ending = if is_binary { b"last\0\0\0\0\0\0\0\0" } else { BARRIER_REPLY.as_bytes() };
    let (replies, _) = wire.converse(&pieces, pause, ending, QUIET);
    if is_binary { without_binary_ids(replies) } else { without_ids(&replies) }
}

/// CAS ids go up from run to run; every one is the fifth word of a VALUE line.
fn without_ids(replies: &[u8]) -> Vec<u8> {
    let lines = replies.split_inclusive(|&byte| byte == b'\n');
    let without_id = |line: &[u8]| {
        let words: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
        let keeps = if words[0] == b"VALUE" { words.len().min(4) } else { words.len() };
        words[..keeps].join(&b' ')
    };
    lines.flat_map(without_id).collect()
}

/// The same for packets, where the id is the last third of the header.
fn without_binary_ids(mut replies: Vec<u8>) -> Vec<u8> {
    let mut at = 0;
    while at + 24 <= replies.len() {
        let body = u32::from_be_bytes(replies[at + 8..at + 12].try_into().expect("four bytes"));
        replies[at + 16..at + 24].fill(0);
        at += 24 + body as usize;
    }
    replies
}

fn assert_cut_anywhere(cores: &str, pipeline: &[u8]) {
    let server = Server::ringcached(&["-t", cores]);
    let pipeline = match pipeline {
        BINARY => pipeline.to_vec(),
        _ => [pipeline, BARRIER.as_bytes()].concat(),
    };
    let whole = replies(&server, &pipeline, &[]);
    assert!(!whole.is_empty(), "the pipeline is answered");
    for cut in 1..pipeline.len() {
        let found = replies(&server, &pipeline, &[cut]);
        assert_same_bytes(&format!("cut at byte {cut}"), &whole, &found);
    }
    let everywhere: Vec<usize> = (1..pipeline.len()).collect();
    let found = replies(&server, &pipeline, &everywhere);
    assert_same_bytes("cut at every byte", &whole, &found);
}

#[test]
fn stores_may_be_cut_anywhere() {
    assert_cut_anywhere("1", STORES);
    assert_cut_anywhere("2", STORES);
}

#[test]
fn numbers_may_be_cut_anywhere() {
    assert_cut_anywhere("1", NUMBERS);
    assert_cut_anywhere("2", NUMBERS);
}

#[test]
fn meta_commands_may_be_cut_anywhere() {
    assert_cut_anywhere("1", META);
    assert_cut_anywhere("2", META);
}

#[test]
fn binary_packets_may_be_cut_anywhere() {
    assert_cut_anywhere("1", BINARY);
    assert_cut_anywhere("2", BINARY);
}

#[test]
fn administration_may_be_cut_anywhere() {
    assert_cut_anywhere("2", ADMINISTRATION);
}

#[test]
fn errors_may_be_cut_anywhere() {
    assert_cut_anywhere("1", ERRORS);
    assert_cut_anywhere("2", ERRORS);
}
