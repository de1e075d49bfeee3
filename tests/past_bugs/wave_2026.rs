//! Of the fixes of 2026 those that are about one client's commands.

use std::io::Write;

use super::{assert_serves, packet, server, throw};
use crate::common::Server;

#[test]
fn cve_2009_2415_lengths_whose_sum_overflows() {
    let mut server = server(&[]);
    for length in ["2147483645", "2147483647", "4294967294", "18446744073709551615"] {
        for command in ["set k 0 0", "append k 0 0", "add k 0 0", "ms k"] {
            drop(throw(&server, format!("{command} {length}\r\nx\r\n").as_bytes()));
        }
        drop(throw(&server, format!("cas k 0 0 {length} 1\r\nx\r\n").as_bytes()));
    }
    assert_serves(&mut server);
}

#[test]
fn cve_2013_0179_keys_are_logged_by_their_length() {
    let mut server = server(&["-vv"]);
    let mut wire = server.connect();
    let key = "k".repeat(250);
    for opcode in [0x00, 0x04, 0x0c] {
        wire.send(packet(opcode, 250, 0, 250, key.as_bytes()));
        let header = wire.read_exactly(24);
        let body = u32::from_be_bytes(header[8..12].try_into().expect("four bytes"));
        wire.read_exactly(body as usize);
    }
    assert_serves(&mut server);
}

/// The first mending of CVE-2016-8705 left other lengths open.
#[test]
fn cve_2017_9951_stores_with_every_wrong_length() {
    let mut server = server(&[]);
    for opcode in [0x01, 0x02, 0x03, 0x05, 0x0e, 0x11, 0x15, 0x19] {
        for (key_bytes, extras_bytes, body_bytes) in
            [(0, 8, 0), (250, 8, 8), (250, 8, 257), (0xffff, 8, 0xffff), (1, 0xff, 2), (1, 8, 8)]
        {
            let body = vec![b'k'; 300];
            drop(throw(&server, &packet(opcode, key_bytes, extras_bytes, body_bytes, &body)));
        }
    }
    assert_serves(&mut server);
}

#[test]
fn cve_2020_22570_meta_commands_cut_and_crowded() {
    let mut server = server(&[]);
    let mut wire = server.connect();
    let crowded = format!("mg k{}\r\n", " v".repeat(100));
    for command in
        ["mg k \r\n", "mg k -\r\n", "ms k S\r\n", "md k \x01\r\n", "ma k N\r\n", &crowded]
    {
        let reply = wire.ask(command);
        assert!(!reply.is_empty(), "{command:?}");
        wire.assert_in_step();
    }
    for letter in 0..=255u8 {
        let mut request = b"mg none ".to_vec();
        request.extend([letter, b'\r', b'\n']);
        throw_quickly(&server, &request);
    }
    assert_serves(&mut server);
}

fn throw_quickly(server: &Server, bytes: &[u8]) {
    let mut wire = server.connect();
    let _ = wire.stream().write_all(bytes);
    let _ = wire.stream().shutdown(std::net::Shutdown::Write);
    wire.read_to_end();
}

#[test]
fn commit_32ea7d8b5_stores_fail_while_mutations_are_watched() {
    let mut server = server(&["-I", "1m"]);
    let mut watcher = server.connect();
    watcher.expect("watch mutations\r\n", "OK\r\n");
    let mut wire = server.connect();
    let value = "x".repeat(2 << 20);
    for verb in ["set", "add", "replace", "append"] {
        let request = format!("{verb} large 0 0 {}\r\n{value}\r\n", value.len());
        wire.expect(request, "SERVER_ERROR object too large for cache\r\n");
        let line = String::from_utf8(watcher.read_until(b"\n")).expect("text");
        assert!(line.contains("key=large status=too_large"), "{line}");
    }
    wire.expect("set k 0 0 1\r\nabc\r\n", "CLIENT_ERROR bad data chunk\r\n");
    assert_serves(&mut server);
}

#[test]
fn commit_e3b7d33ce_one_value_for_very_many_replies() {
    let mut server = server(&["-I", "1m"]);
    let mut wire = server.connect();
    let value = "v".repeat(100_000);
    wire.expect(format!("set k 0 0 100000\r\n{value}\r\n"), "STORED\r\n");
    // More replies that refer to one item than a counter of 16 bits can hold.
    let readers: Vec<_> = (0..70)
        .map(|_| {
            let reader = server.connect();
            let _ = reader.stream().write_all(format!("get{}\r\n", " k".repeat(1000)).as_bytes());
            reader
        })
        .collect();
    wire.expect("delete k\r\nget k\r\n", "DELETED\r\nEND\r\n");
    drop(readers);
    assert_serves(&mut server);
}

#[test]
fn commit_229cf41be_a_body_beyond_31_bits_leaves_nothing_behind() {
    let mut server = server(&[]);
    for body_bytes in [0x7fff_ffff, 0x8000_0000, 0xffff_fff0, 0xffff_ffff] {
        let mut wire = server.connect();
        let mut bytes = packet(0x01, 1, 8, body_bytes, b"\0\0\0\0\0\0\0\0k");
        bytes.extend(b"\x80\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        let _ = wire.stream().write_all(&bytes);
        let _ = wire.stream().shutdown(std::net::Shutdown::Write);
        wire.read_to_end();
    }
    server.connect().expect("stats\r\n", "STAT pid ");
    assert_serves(&mut server);
}

#[test]
fn commit_152ddb68f_opaques_too_long_leave_items_free() {
    let mut server = server(&["-t", "1", "-m", "8"]);
    let mut wire = server.connect();
    wire.expect("set k 0 0 1\r\nx\r\n", "STORED\r\n");
    let opaque = "O".repeat(40);
    for _ in 0..1000 {
        for command in ["mg k v", "md none", "ma none", "mg none"] {
            let refusal = "CLIENT_ERROR opaque token too long\r\n";
            wire.expect(format!("{command} {opaque}\r\n"), refusal);
        }
    }
    wire.expect("delete k\r\n", "DELETED\r\n");
    assert_serves(&mut server);
}

#[test]
fn commit_8b852b61f_a_get_without_end_on_little_memory() {
    let mut server = server(&["-t", "1", "-m", "8"]);
    let before = server.process().resident_bytes();
    let wire = server.connect();
    let mut writer = wire.stream().try_clone().expect("a second handle");
    let keys = format!("get{}", " some_key".repeat(10_000));
    for _ in 0..100 {
        // The server stops reading when nobody reads it, or goes on: both are well.
        writer.set_write_timeout(Some(std::time::Duration::from_millis(100))).expect("a time-out");
        if writer.write_all(&keys.as_bytes()[3..]).is_err() {
            break;
        }
    }
    let grown = server.process().resident_bytes().saturating_sub(before);
    assert!(grown < 32 << 20, "an endless get took {grown} bytes");
    drop(wire);
    assert_serves(&mut server);
}
