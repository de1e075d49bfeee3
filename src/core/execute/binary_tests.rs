//! Each opcode from the client's frame to the reply, on a real shard.

use super::super::testing::Session;
use super::*;
use crate::protocol::binary::Opcode;

/// A request frame.
fn frame(opcode: u8, cas: u64, extras: &[u8], key: &[u8], value: &[u8]) -> Vec<u8> {
    let body = extras.len() + key.len() + value.len();
    let mut out = vec![0x80, opcode, 0, key.len() as u8, extras.len() as u8, 0, 0, 0];
    out.extend((body as u32).to_be_bytes());
    out.extend(OPAQUE.to_be_bytes());
    out.extend(cas.to_be_bytes());
    [&out, extras, key, value].concat()
}

const OPAQUE: u32 = 0xdead_beef;

/// A reply, taken apart.
#[derive(Debug, PartialEq)]
struct Reply {
    opcode: u8,
    status: u16,
    cas: u64,
    extras: Vec<u8>,
    key: Vec<u8>,
    value: Vec<u8>,
}

/// Sends a request and takes the one reply apart; `None` if there is none.
fn ask(
    session: &mut Session,
    opcode: u8,
    cas: u64,
    extras: &[u8],
    key: &[u8],
    value: &[u8],
) -> Option<Reply> {
    let reply = session.send(&frame(opcode, cas, extras, key, value));
    if reply.is_empty() {
        return None;
    }
    let number = |at: usize, bytes: usize| {
        reply[at..at + bytes].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    };
    assert_eq!((reply[0], number(12, 4)), (0x81, u64::from(OPAQUE)));
    assert_eq!(reply.len() as u64, 24 + number(8, 4), "one whole reply");
    let (extras_at, key_at) = (24, 24 + usize::from(reply[4]));
    let value_at = key_at + number(2, 2) as usize;
    Some(Reply {
        opcode: reply[1],
        status: number(6, 2) as u16,
        cas: number(16, 8),
        extras: reply[extras_at..key_at].to_vec(),
        key: reply[key_at..value_at].to_vec(),
        value: reply[value_at..].to_vec(),
    })
}

fn set(session: &mut Session, opcode: u8, cas: u64, value: &[u8]) -> Option<(u16, u64)> {
    let extras = [0, 0, 0, 9, 0, 0, 0, 60];
    ask(session, opcode, cas, &extras, b"foo", value).map(|reply| (reply.status, reply.cas))
}

/// Status and value of a GET.
fn get(session: &mut Session) -> (u16, Vec<u8>) {
    let reply = ask(session, 0x00, 0, b"", b"foo", b"").expect("a reply");
    (reply.status, reply.value)
}

#[test]
fn stores_and_their_quiet_forms() {
    let mut session = Session::new();
    assert_eq!(set(&mut session, 0x03, 0, b"1"), Some((0x01, 0)), "REPLACE of nothing");
    assert_eq!(set(&mut session, 0x02, 0, b"1"), Some((0x00, 2)));
    assert_eq!(set(&mut session, 0x02, 0, b"2"), Some((0x02, 0)), "ADD of what is there");
    assert_eq!(set(&mut session, 0x01, 0, b"3"), Some((0x00, 3)));
    assert_eq!(set(&mut session, 0x01, 2, b"4"), Some((0x02, 0)), "another CAS id");
    assert_eq!(set(&mut session, 0x01, 3, b"5"), Some((0x00, 4)));
    assert_eq!(set(&mut session, 0x11, 0, b"6"), None);
    assert_eq!(set(&mut session, 0x12, 0, b"7"), Some((0x02, 0)), "errors of ADDQ are sent");
    assert_eq!(set(&mut session, 0x13, 0, b"8"), None);
    assert_eq!(get(&mut session), (0x00, b"8".to_vec()));
    let reply = ask(&mut session, 0x01, 9, &[0; 8], b"none", b"1").expect("a reply");
    assert_eq!((reply.status, &reply.value[..]), (0x01, &b"Not found"[..]));
}

#[test]
fn append_and_prepend() {
    let mut session = Session::new();
    let join = |session: &mut Session, opcode, cas, value: &[u8]| {
        ask(session, opcode, cas, b"", b"foo", value).map(|reply| reply.status)
    };
    assert_eq!(join(&mut session, 0x0e, 0, b"1"), Some(0x05));
    assert_eq!(join(&mut session, 0x1a, 0, b"1"), Some(0x05));
    set(&mut session, 0x01, 0, b"b");
    assert_eq!(join(&mut session, 0x0e, 0, b"c"), Some(0));
    assert_eq!(join(&mut session, 0x1a, 0, b"a"), None);
    assert_eq!(join(&mut session, 0x0f, 1, b"x"), Some(0x02));
    assert_eq!(get(&mut session).1, b"abc");
}

#[test]
fn gets_with_and_without_key() {
    let mut session = Session::new();
    let miss = ask(&mut session, 0x00, 0, b"", b"foo", b"").expect("a reply");
    assert_eq!((miss.status, &miss.value[..]), (0x01, &b"Not found"[..]));
    let miss = ask(&mut session, 0x0c, 0, b"", b"foo", b"").expect("a reply");
    assert_eq!((miss.status, &miss.key[..], miss.value.len()), (0x01, &b"foo"[..], 0));
    assert_eq!(ask(&mut session, 0x09, 0, b"", b"foo", b""), None);
    assert_eq!(ask(&mut session, 0x0d, 0, b"", b"foo", b""), None);
    set(&mut session, 0x01, 0, b"bar");
    for opcode in [0x00, 0x09, 0x0c, 0x0d] {
        let hit = ask(&mut session, opcode, 0, b"", b"foo", b"").expect("hits are never hidden");
        assert_eq!((hit.opcode, hit.status, hit.cas), (opcode, 0, 2));
        assert_eq!((&hit.extras[..], &hit.value[..]), (&[0, 0, 0, 9][..], &b"bar"[..]));
        assert_eq!(hit.key.is_empty(), opcode & 0x0c == 0 || opcode == 0x09);
    }
}

#[test]
fn touches() {
    let mut session = Session::new();
    let ten = 10u32.to_be_bytes();
    for opcode in [0x1c, 0x1d, 0x23] {
        assert_eq!(ask(&mut session, opcode, 0, &ten, b"foo", b"").expect("a reply").status, 1);
    }
    assert_eq!(ask(&mut session, 0x1e, 0, &ten, b"foo", b""), None);
    assert_eq!(ask(&mut session, 0x24, 0, &ten, b"foo", b""), None);
    set(&mut session, 0x01, 0, b"bar");
    let touched = ask(&mut session, 0x1c, 0, &ten, b"foo", b"").expect("a reply");
    assert_eq!((&touched.extras[..], touched.value.len()), (&[0, 0, 0, 9][..], 0));
    session.wait(9);
    let got = ask(&mut session, 0x24, 0, &ten, b"foo", b"").expect("a reply");
    assert_eq!((&got.key[..], &got.value[..]), (&b"foo"[..], &b"bar"[..]));
    session.wait(9);
    assert_eq!(get(&mut session).0, 0);
    session.wait(1);
    assert_eq!(get(&mut session).0, 1);
}

#[test]
fn deletes() {
    let mut session = Session::new();
    let delete = |session: &mut Session, opcode, cas| {
        ask(session, opcode, cas, b"", b"foo", b"").map(|reply| reply.status)
    };
    assert_eq!(delete(&mut session, 0x14, 0), Some(0x01));
    set(&mut session, 0x01, 0, b"bar");
    assert_eq!(delete(&mut session, 0x04, 77), Some(0x02));
    assert_eq!(delete(&mut session, 0x04, 2), Some(0x00));
    set(&mut session, 0x01, 0, b"bar");
    assert_eq!(delete(&mut session, 0x14, 0), None);
    assert_eq!(get(&mut session).0, 0x01);
}

#[test]
fn arithmetic() {
    let mut session = Session::new();
    let extras = |delta: u64, initial: u64, exptime: u32| {
        [&delta.to_be_bytes()[..], &initial.to_be_bytes(), &exptime.to_be_bytes()].concat()
    };
    let count = |session: &mut Session, opcode, cas, extras: &[u8]| {
        let reply = ask(session, opcode, cas, extras, b"foo", b"")?;
        let number = reply.value.try_into().map_or(0, u64::from_be_bytes);
        Some((reply.status, number, reply.cas))
    };
    assert_eq!(count(&mut session, 0x05, 0, &extras(1, 5, u32::MAX)), Some((0x01, 0, 0)));
    assert_eq!(count(&mut session, 0x05, 0, &extras(1, 5, 0)), Some((0, 5, 2)));
    assert_eq!(count(&mut session, 0x05, 0, &extras(1, 5, 0)), Some((0, 6, 3)));
    assert_eq!(count(&mut session, 0x05, 2, &extras(1, 5, 0)), Some((0x02, 0, 0)));
    assert_eq!(count(&mut session, 0x06, 3, &extras(9, 5, 0)), Some((0, 0, 4)));
    assert_eq!(count(&mut session, 0x15, 0, &extras(7, 5, 0)), None);
    assert_eq!(count(&mut session, 0x16, 0, &extras(1, 5, 0)), None);
    assert_eq!(get(&mut session).1, b"6");
    set(&mut session, 0x01, 0, b"text");
    assert_eq!(count(&mut session, 0x15, 0, &extras(1, 5, 0)), Some((0x06, 0, 0)));
}

#[test]
fn what_is_too_large_is_refused_and_a_set_takes_the_present_item_along() {
    let mut session = Session::new();
    let mut value = vec![b'x'; 1 << 20];
    set(&mut session, 0x01, 0, b"bar");
    assert_eq!(set(&mut session, 0x13, 0, &value), Some((0x03, 0)));
    assert_eq!(get(&mut session).0, 0);
    assert_eq!(set(&mut session, 0x11, 0, &value), Some((0x03, 0)));
    assert_eq!(get(&mut session).0, 1);
    value.truncate(500_000);
    assert_eq!(set(&mut session, 0x01, 0, &value), Some((0, 3)));
    assert_eq!(get(&mut session), (0, value));
}

#[test]
fn commands_without_a_key() {
    let mut session = Session::new();
    let noop = ask(&mut session, 0x0a, 0, b"", b"", b"").expect("a reply");
    assert_eq!((noop.status, noop.value.len()), (0, 0));
    let version = ask(&mut session, 0x0b, 0, b"", b"", b"").expect("a reply");
    assert!(version.value.starts_with(b"1.6.45"));
    assert_eq!(ask(&mut session, 0x07, 0, b"", b"", b"").map(|reply| reply.status), Some(0));
    assert_eq!(ask(&mut session, 0x17, 0, b"", b"", b""), None);
    let unknown = ask(&mut session, 0x99, 0, b"", b"", b"").expect("a reply");
    assert_eq!((unknown.status, &unknown.value[..]), (0x81, &b"Unknown command"[..]));
}

#[test]
fn a_multi_get_is_quiet_gets_and_a_noop() {
    let mut session = Session::new();
    set(&mut session, 0x01, 0, b"bar");
    let request = [
        frame(0x0d, 0, b"", b"none", b""),
        frame(0x0d, 0, b"", b"foo", b""),
        frame(0x0a, 0, b"", b"", b""),
    ];
    let reply = session.send(&request.concat());
    assert_eq!(reply.len(), (24 + 4 + 3 + 3) + 24);
    assert_eq!((reply[1], reply[34 + 1]), (0x0d, 0x0a));
}

#[test]
fn only_commands_on_keys_have_one() {
    let binary = |command| Binary { opcode: Opcode(0), opaque: 0, quiet: false, cas: 0, command };
    let key = Key::new(b"k").expect("legal");
    assert_eq!(key_of(&binary(BinaryCommand::Delete { key })), Some(key));
    assert_eq!(key_of(&binary(BinaryCommand::Noop)), None);
}
