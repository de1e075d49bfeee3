//! The binary protocol, as a client writes and reads it: 24-byte headers, big-endian.
//!
//! A multi-get is a row of quiet GETKQ with a NOOP behind it. Quiet stores use the quiet opcodes; a
//! failing one does answer, and names itself by the number it was sent with.

use super::{Body, Decoded, Element, Encoder, Status, Verb};

pub(super) const HEADER_BYTES: usize = 24;
const MAGIC_REQUEST: u8 = 0x80;
const MAGIC_REPLY: u8 = 0x81;
const NOOP: u8 = 0x0a;
const GETKQ: u8 = 0x0d;
const SASL_AUTH: u8 = 0x21;
/// An expiry that forbids incr and decr to make the item.
const NEVER_CREATE: u32 = u32::MAX;

/// The lengths of a packet's first two parts; the rest of it is the value.
#[derive(Default)]
pub(super) struct Parts {
    extras: usize,
    key: usize,
}

/// Appends one request.
pub(super) fn write(encoder: &Encoder, out: &mut Vec<u8>, verb: Verb, keys: &[u64], body: &Body) {
    if keys.len() < 2 {
        return packet(out, opcode(verb, body.quiet), body, |out| {
            let extras = write_extras(out, verb, body);
            let Some(number) = keys.first() else { return Parts { extras, key: 0 } };
            let key = measured(out, |out| encoder.write_key(out, *number, body));
            if verb.stores() {
                encoder.write_value(out, *number, body);
            }
            Parts { extras, key }
        });
    }
    for number in keys {
        packet(out, GETKQ, body, |out| Parts {
            extras: 0,
            key: measured(out, |out| encoder.write_key(out, *number, body)),
        });
    }
    packet(out, NOOP, body, |_| Parts::default());
}

/// Appends the request that shows credentials: SASL PLAIN.
pub(super) fn write_plain(out: &mut Vec<u8>, user: &str, password: &str) {
    packet(out, SASL_AUTH, &Body::default(), |out| {
        out.extend_from_slice(b"PLAIN");
        out.extend_from_slice(format!("\0{user}\0{password}").as_bytes());
        Parts { extras: 0, key: 5 }
    });
}

/// Writes a packet; `content` appends extras, key and value and says how long the first two are.
fn packet(out: &mut Vec<u8>, code: u8, body: &Body, content: impl FnOnce(&mut Vec<u8>) -> Parts) {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER_BYTES]);
    let parts = content(out);
    let total = out.len() - start - HEADER_BYTES;
    let header = &mut out[start..start + HEADER_BYTES];
    header[0] = MAGIC_REQUEST;
    header[1] = code;
    header[2..4].copy_from_slice(&(parts.key as u16).to_be_bytes());
    header[4] = parts.extras as u8;
    header[8..12].copy_from_slice(&(total as u32).to_be_bytes());
    header[12..16].copy_from_slice(&body.opaque.to_be_bytes());
    header[16..24].copy_from_slice(&body.unique.to_be_bytes());
}

fn measured(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) -> usize {
    let before = out.len();
    write(out);
    out.len() - before
}

fn write_extras(out: &mut Vec<u8>, verb: Verb, body: &Body) -> usize {
    measured(out, |out| match verb {
        Verb::Set | Verb::Add | Verb::Replace | Verb::Cas => {
            out.extend_from_slice(&body.flags.to_be_bytes());
            out.extend_from_slice(&body.expiry_s.to_be_bytes());
        }
        Verb::Touch | Verb::Gat => out.extend_from_slice(&body.expiry_s.to_be_bytes()),
        Verb::Incr | Verb::Decr => {
            out.extend_from_slice(&1u64.to_be_bytes());
            out.extend_from_slice(&0u64.to_be_bytes());
            out.extend_from_slice(&NEVER_CREATE.to_be_bytes());
        }
        _ => {}
    })
}

fn opcode(verb: Verb, quiet: bool) -> u8 {
    match (verb, quiet) {
        (Verb::Get | Verb::Gets, _) => 0x00,
        (Verb::Set | Verb::Cas, false) => 0x01,
        (Verb::Add, false) => 0x02,
        (Verb::Replace, false) => 0x03,
        (Verb::Delete, false) => 0x04,
        (Verb::Incr, false) => 0x05,
        (Verb::Decr, false) => 0x06,
        (Verb::FlushAll, _) => 0x08,
        (Verb::Noop, _) => NOOP,
        (Verb::Append, false) => 0x0e,
        (Verb::Prepend, false) => 0x0f,
        (Verb::Set | Verb::Cas, true) => 0x11,
        (Verb::Add, true) => 0x12,
        (Verb::Replace, true) => 0x13,
        (Verb::Delete, true) => 0x14,
        (Verb::Incr, true) => 0x15,
        (Verb::Decr, true) => 0x16,
        (Verb::Append, true) => 0x19,
        (Verb::Prepend, true) => 0x1a,
        (Verb::Touch, _) => 0x1c,
        (Verb::Gat, _) => 0x1d,
        (Verb::Auth, _) => SASL_AUTH,
    }
}

/// Whether a command of this code answers only when it fails.
fn is_quiet_store(code: u8) -> bool {
    matches!(code, 0x11..=0x16 | 0x19 | 0x1a)
}

/// Reads the next element of the reply to `verb`.
pub(super) fn decode(verb: Verb, many: bool, input: &[u8]) -> Decoded<'_> {
    let Some(header) = input.first_chunk::<HEADER_BYTES>() else {
        return Decoded::Need(HEADER_BYTES);
    };
    let word = |at: usize| u32::from_be_bytes([0, 1, 2, 3].map(|i| header[at + i]));
    let (code, extras) = (header[1], usize::from(header[4]));
    let key_bytes = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let status = status(u16::from_be_bytes([header[6], header[7]]));
    let end = HEADER_BYTES + word(8) as usize;
    if header[0] != MAGIC_REPLY || extras + key_bytes > end - HEADER_BYTES || end > 1 << 30 {
        return Decoded::Malformed;
    }
    let Some(content) = input.get(HEADER_BYTES..end) else { return Decoded::Need(end) };
    let element = if is_quiet_store(code) {
        Element::QuietFailure { status, opaque: word(12) }
    } else if many && code == GETKQ && status == Status::Success {
        value(header, &content[extras..], key_bytes, false)
    } else if code != if many { NOOP } else { opcode(verb, false) } {
        return Decoded::Malformed;
    } else if verb.reads() && !many && status == Status::Success {
        value(header, &content[extras..], key_bytes, true)
    } else {
        Element::End(status)
    };
    Decoded::Element(element, end)
}

fn value<'a>(header: &[u8; 24], content: &'a [u8], key_bytes: usize, last: bool) -> Element<'a> {
    let unique = u64::from_be_bytes([0, 1, 2, 3, 4, 5, 6, 7].map(|i| header[16 + i]));
    let (key, data) = content.split_at(key_bytes);
    Element::Value { key, data, unique, last }
}

fn status(code: u16) -> Status {
    match code {
        0x00 => Status::Success,
        0x01 => Status::NotFound,
        0x02 => Status::Exists,
        0x05 => Status::NotStored,
        // Bad arguments, not a number, wrong server, credentials, unknown command.
        0x04 | 0x06 | 0x07 | 0x08 | 0x09 | 0x20 | 0x21 | 0x81 => Status::ClientError,
        // Too large, out of memory, busy and all others.
        _ => Status::ServerError,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::tests::written;
    use crate::wire::{Protocol, decode};

    fn reply(
        code: u8,
        status: u16,
        extras: &[u8],
        key: &[u8],
        value: &[u8],
        unique: u64,
    ) -> Vec<u8> {
        let mut out = vec![MAGIC_REPLY, code, 0, key.len() as u8, extras.len() as u8, 0];
        out.extend(status.to_be_bytes());
        out.extend(((extras.len() + key.len() + value.len()) as u32).to_be_bytes());
        out.extend(7u32.to_be_bytes());
        out.extend(unique.to_be_bytes());
        out.extend([extras, key, value].concat());
        out
    }

    #[test]
    fn a_set_is_laid_out_as_documented() {
        let set = written(Protocol::Binary, Verb::Set, &[1]);
        let header = [0x80, 1, 0, 3, 8, 0, 0, 0, 0, 0, 0, 14, 0, 0, 0, 0];
        assert_eq!(set[..16], header);
        assert_eq!(set[24..], [0, 0, 0, 5, 0, 0, 0, 60, b'k', b'0', b'1', b'0', b'0', b'1']);
    }

    #[test]
    fn a_multi_get_is_quiet_gets_and_a_noop() {
        let many = written(Protocol::Binary, Verb::Get, &[1, 2]);
        assert_eq!((many.len(), many[1], many[28], many[55]), (78, GETKQ, GETKQ, NOOP));
    }

    #[test]
    fn replies_are_told_apart() {
        let hit = reply(0x00, 0, &[0; 4], b"", b"abc", 9);
        let value = Element::Value { key: b"", data: b"abc", unique: 9, last: true };
        let decoded = decode(Protocol::Binary, Verb::Get, false, &hit);
        assert_eq!(decoded, Decoded::Element(value, hit.len()));
        for cut in 0..hit.len() {
            let cut = decode(Protocol::Binary, Verb::Get, false, &hit[..cut]);
            assert!(matches!(cut, Decoded::Need(_)));
        }
        let miss = reply(0x00, 1, b"", b"", b"Not found", 0);
        let end = Decoded::Element(Element::End(Status::NotFound), miss.len());
        assert_eq!(decode(Protocol::Binary, Verb::Get, false, &miss), end);
        let failure = reply(0x11, 0x82, b"", b"", b"", 0);
        let quiet = Element::QuietFailure { status: Status::ServerError, opaque: 7 };
        let decoded = decode(Protocol::Binary, Verb::Noop, false, &failure);
        assert_eq!(decoded, Decoded::Element(quiet, 24));
        assert_eq!(decode(Protocol::Binary, Verb::Set, false, &miss), Decoded::Malformed);
        assert_eq!(decode(Protocol::Binary, Verb::Set, false, &[0; 24]), Decoded::Malformed);
    }
}
