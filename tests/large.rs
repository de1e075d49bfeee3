//! Values far larger than a page: stored, fetched and joined in all three protocols, without a copy
//! of the whole in the connection.

mod common;

use common::{Server, Wire};

const VALUE_BYTES: usize = 48 << 20;

/// A server with room for a few large values.
fn server() -> Server {
    Server::ringcached(&["-t", "1", "-m", "512", "-I", "128m"])
}

/// Bytes that tell where in a value they stand.
fn value() -> Vec<u8> {
    let word = |n: usize| (n as u64).wrapping_mul(0x9e37_79b9).to_le_bytes();
    (0..VALUE_BYTES / 8).flat_map(word).collect()
}

#[track_caller]
fn expect_value(wire: &mut Wire, request: &[u8], head: &str, value: &[u8], tail: &str) {
    wire.send(request);
    wire.expect("", head);
    let found = wire.read_exactly(value.len());
    assert!(found == value, "the value has changed");
    wire.expect("", tail);
}

fn packet(opcode: u8, extras: &[u8], key: &[u8], value_bytes: usize) -> Vec<u8> {
    let body_bytes = (extras.len() + key.len() + value_bytes) as u32;
    let mut packet = vec![0x80, opcode, 0, key.len() as u8, extras.len() as u8, 0, 0, 0];
    packet.extend(body_bytes.to_be_bytes());
    packet.extend([0; 12]);
    packet.extend(extras);
    packet.extend(key);
    packet
}

#[test]
fn large_values_come_back_in_every_protocol() {
    let server = server();
    let value = value();
    let mut text = server.connect();
    text.send(format!("set k 7 0 {VALUE_BYTES}\r\n"));
    text.send(&value);
    text.expect("\r\n", "STORED\r\n");
    let head = format!("VALUE k 7 {VALUE_BYTES}\r\n");
    expect_value(&mut text, b"get k\r\n", &head, &value, "\r\nEND\r\n");
    text.send(format!("ms m {VALUE_BYTES} F5\r\n"));
    text.send(&value);
    text.expect("\r\n", "HD\r\n");
    expect_value(&mut text, b"mg m v f\r\n", &format!("VA {VALUE_BYTES} f5\r\n"), &value, "\r\n");

    let mut binary = server.connect();
    binary.send(packet(0x01, &[0; 8], b"b", VALUE_BYTES));
    binary.send(&value);
    assert_eq!(binary.read_exactly(24)[..8], [0x81, 0x01, 0, 0, 0, 0, 0, 0]);
    binary.send(packet(0x00, &[], b"b", 0));
    let head = binary.read_exactly(28);
    assert_eq!(head[8..12], (VALUE_BYTES as u32 + 4).to_be_bytes());
    assert!(binary.read_exactly(VALUE_BYTES) == value, "the value has changed");
}

#[test]
fn large_values_are_joined_and_replaced() {
    let server = server();
    let value = value();
    let mut wire = server.connect();
    wire.send(format!("set k 0 0 {VALUE_BYTES}\r\n"));
    wire.send(&value);
    wire.expect("\r\n", "STORED\r\n");
    wire.expect("append k 0 0 3\r\nend\r\nprepend k 0 0 5\r\nbegin\r\n", "STORED\r\nSTORED\r\n");
    let joined = [b"begin", value.as_slice(), b"end"].concat();
    let head = format!("VALUE k 0 {}\r\n", joined.len());
    expect_value(&mut wire, b"get k\r\n", &head, &joined, "\r\nEND\r\n");
    // One that lies about its length leaves the old value as it is.
    wire.send(format!("set k 0 0 {}\r\n", VALUE_BYTES - 4));
    wire.send(&value);
    let refusal = wire.line();
    assert_eq!(refusal, "CLIENT_ERROR bad data chunk");
    let mut other = server.connect();
    expect_value(&mut other, b"get k\r\n", &head, &joined, "\r\nEND\r\n");
    other.expect("delete k\r\nincr k 1\r\n", "DELETED\r\nNOT_FOUND\r\n");
}

/// Neither a value on its way in nor one on its way out is copied into the connection's memory.
#[test]
fn connections_hold_no_copy() {
    let server = server();
    let value = value();
    let mut wire = server.connect();
    wire.send(format!("set k 0 0 {VALUE_BYTES}\r\n"));
    wire.send(&value);
    wire.expect("\r\n", "STORED\r\n");
    let stored = server.process().resident_bytes();
    let mut readers: Vec<Wire> = (0..8).map(|_| server.connect()).collect();
    for reader in &mut readers {
        reader.send("get k\r\n");
    }
    let mut writer = server.connect();
    writer.send(format!("set half 0 0 {VALUE_BYTES}\r\n"));
    writer.send(&value[..VALUE_BYTES / 2]);
    wire.expect("mg k s\r\n", format!("HD s{VALUE_BYTES}\r\n"));
    let grown = server.process().resident_bytes().saturating_sub(stored);
    let allowed = VALUE_BYTES + (8 << 20);
    assert!(grown < allowed as u64, "eight readers and half a value took {grown} bytes");
    drop(writer);
    let head = format!("VALUE k 0 {VALUE_BYTES}\r\n");
    for reader in &mut readers {
        expect_value(reader, b"", &head, &value, "\r\nEND\r\n");
    }
}

/// Memory for a value is taken as its bytes come. Where it ends amid a value, that is refused as a
/// whole, and the rest of its bytes are no requests.
#[test]
fn memory_that_ends_amid_a_value_refuses_it() {
    let server = Server::ringcached(&["-t", "1", "-m", "16", "-I", "8m", "-M"]);
    let (mut one, mut other) = (server.connect(), server.connect());
    let size = 6 << 20;
    let value = vec![b'\n'; size];
    let headers = [format!("set one 0 0 {size}\r\n"), format!("ms other {size}\r\n")];
    one.send(&headers[0]);
    one.send(&value[..1 << 20]);
    other.expect("mn\r\n", "MN\r\n");
    let small = "x".repeat(1 << 19);
    let mut stored = 0;
    while other.ask(format!("set small{stored} 0 0 {}\r\n{small}\r\n", small.len())) == "STORED" {
        stored += 1;
        assert!(stored < 100, "memory never ends");
    }
    one.send(&value[1 << 20..]);
    one.expect("\r\n", "SERVER_ERROR out of memory storing object\r\n");
    one.expect("get one\r\n", "END\r\n");
    one.send(&headers[1]);
    one.send(&value);
    one.expect("\r\n", "SERVER_ERROR out of memory storing object\r\n");
    one.assert_in_step();
    for n in 0..stored {
        one.expect(format!("delete small{n}\r\n"), "DELETED\r\n");
    }
    one.send(&headers[0]);
    one.send(&value);
    one.expect("\r\n", "STORED\r\n");
    one.assert_in_step();
}
