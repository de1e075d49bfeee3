//! The classic text protocol, as a client writes and reads it.

use memchr::memchr;

use super::{Body, Decoded, Element, Encoder, Status, Verb};
use crate::workload::keys::write_decimal;

/// No line of a reply is longer: `VALUE`, a key of 250 bytes and three numbers, or an error's
/// reason.
pub(super) const LINE_BYTES_MAX: usize = 2048;

/// Appends one request.
pub(super) fn write(encoder: &Encoder, out: &mut Vec<u8>, verb: Verb, keys: &[u64], body: &Body) {
    out.extend_from_slice(name(verb));
    if verb == Verb::Gat {
        number(out, u64::from(body.expiry_s));
    }
    for key in keys {
        out.push(b' ');
        encoder.write_key(out, *key, body);
    }
    match verb {
        _ if verb.stores() => {
            number(out, u64::from(body.flags));
            number(out, u64::from(body.expiry_s));
            number(out, body.value_bytes as u64);
            if verb == Verb::Cas {
                number(out, body.unique);
            }
            noreply(out, body);
            out.extend_from_slice(b"\r\n");
            encoder.write_value(out, keys[0], body);
        }
        Verb::Touch => number(out, u64::from(body.expiry_s)),
        Verb::Incr | Verb::Decr => number(out, 1),
        _ => {}
    }
    if !verb.stores() {
        noreply(out, body);
    }
    out.extend_from_slice(b"\r\n");
}

fn noreply(out: &mut Vec<u8>, body: &Body) {
    if body.quiet {
        out.extend_from_slice(b" noreply");
    }
}

fn name(verb: Verb) -> &'static [u8] {
    match verb {
        Verb::Get => b"get",
        Verb::Gets => b"gets",
        Verb::Set => b"set",
        Verb::Add => b"add",
        Verb::Replace => b"replace",
        Verb::Append => b"append",
        Verb::Prepend => b"prepend",
        Verb::Cas => b"cas",
        Verb::Touch => b"touch",
        Verb::Gat => b"gat",
        Verb::Delete => b"delete",
        Verb::Incr => b"incr",
        Verb::Decr => b"decr",
        Verb::FlushAll => b"flush_all",
        // The text protocol's request that changes nothing and is always answered.
        Verb::Noop => b"version",
        // Credentials have a form of their own.
        Verb::Auth => b"set",
    }
}

pub(super) fn number(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0; 20];
    let first = write_decimal(&mut digits, number);
    out.push(b' ');
    out.extend_from_slice(&digits[first..]);
}

/// Reads the next element of the reply to `verb`.
pub(super) fn decode(verb: Verb, input: &[u8]) -> Decoded<'_> {
    let Some(newline) = memchr(b'\n', input) else {
        let whole = input.len() < LINE_BYTES_MAX;
        return if whole { Decoded::Need(input.len() + 1) } else { Decoded::Malformed };
    };
    let line = input[..newline].strip_suffix(b"\r").unwrap_or(&input[..newline]);
    let after = newline + 1;
    if matches!(verb, Verb::Get | Verb::Gets | Verb::Gat) {
        if let Some(fields) = line.strip_prefix(b"VALUE ") {
            return value(fields, input, after);
        }
        if line == b"END" {
            return Decoded::Element(Element::End(Status::Success), after);
        }
    }
    match status(verb, line) {
        Some(status) => Decoded::Element(Element::End(status), after),
        None => Decoded::Malformed,
    }
}

/// `<key> <flags> <bytes>[ <unique>]`, then the data and an end of line.
fn value<'a>(fields: &'a [u8], input: &'a [u8], after: usize) -> Decoded<'a> {
    let Some((key, bytes, unique)) = value_fields(fields) else {
        return Decoded::Malformed;
    };
    let end = after + bytes;
    match input.get(end..end + 2) {
        None => Decoded::Need(end + 2),
        Some(b"\r\n") => {
            let data = &input[after..end];
            Decoded::Element(Element::Value { key, data, unique, last: false }, end + 2)
        }
        Some(_) => Decoded::Malformed,
    }
}

fn value_fields(fields: &[u8]) -> Option<(&[u8], usize, u64)> {
    let key_end = memchr(b' ', fields)?;
    let (_flags, at) = decimal(fields, key_end + 1)?;
    let (bytes, at) = decimal(fields, at + 1)?;
    let unique = if at < fields.len() { decimal(fields, at + 1)?.0 } else { 0 };
    // No server has values above a gibibyte: a larger number is a damaged one.
    (bytes <= 1 << 30).then_some((&fields[..key_end], bytes as usize, unique))
}

/// The number that starts at `at`, and where it ends.
pub(super) fn decimal(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    let digits = bytes.get(at..)?.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 || digits > 20 {
        return None;
    }
    let digit =
        |number: u64, byte: &u8| number.checked_mul(10)?.checked_add(u64::from(byte - b'0'));
    Some((bytes[at..at + digits].iter().try_fold(0, digit)?, at + digits))
}

fn status(verb: Verb, line: &[u8]) -> Option<Status> {
    Some(match line {
        b"STORED" | b"DELETED" | b"TOUCHED" | b"OK" => Status::Success,
        b"NOT_FOUND" => Status::NotFound,
        b"NOT_STORED" => Status::NotStored,
        b"EXISTS" => Status::Exists,
        _ if line.starts_with(b"SERVER_ERROR") => Status::ServerError,
        _ if line.starts_with(b"CLIENT_ERROR") || line.starts_with(b"ERROR") => Status::ClientError,
        _ if verb == Verb::Noop && line.starts_with(b"VERSION") => Status::Success,
        // Decrementing may leave spaces behind the digits.
        _ if matches!(verb, Verb::Incr | Verb::Decr) && decimal(line, 0).is_some() => {
            Status::Success
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Protocol;
    use crate::wire::tests::written;

    fn text(verb: Verb, keys: &[u64]) -> String {
        String::from_utf8(written(Protocol::Text, verb, keys)).expect("text")
    }

    #[test]
    fn requests_read_as_documented() {
        assert_eq!(text(Verb::Get, &[1, 2]), "get k01 k02\r\n");
        assert_eq!(text(Verb::Set, &[1]), "set k01 5 60 3\r\n001\r\n");
        assert_eq!(text(Verb::Cas, &[1]), "cas k01 5 60 3 77\r\n001\r\n");
        assert_eq!(text(Verb::Touch, &[1]), "touch k01 60\r\n");
        assert_eq!(text(Verb::Gat, &[1]), "gat 60 k01\r\n");
        assert_eq!(text(Verb::Incr, &[1]), "incr k01 1\r\n");
        assert_eq!(text(Verb::Delete, &[1]), "delete k01\r\n");
        assert_eq!(text(Verb::FlushAll, &[]), "flush_all\r\n");
    }

    #[test]
    fn a_reply_is_read_element_by_element() {
        let input = b"VALUE k01 0 5 12\r\na\r\nbc\r\nEND\r\n";
        let Decoded::Element(element, used) = decode(Verb::Gets, input) else {
            panic!("no element")
        };
        assert_eq!(
            element,
            Element::Value { key: b"k01", data: b"a\r\nbc", unique: 12, last: false }
        );
        let end = Decoded::Element(Element::End(Status::Success), 5);
        assert_eq!(decode(Verb::Gets, &input[used..]), end);
    }

    #[test]
    fn every_cut_reply_asks_for_more() {
        let input = b"VALUE k01 0 5\r\nabcde\r\n";
        for cut in 0..input.len() {
            let Decoded::Need(bytes) = decode(Verb::Get, &input[..cut]) else {
                panic!("cut at {cut}")
            };
            assert!(bytes > cut && bytes <= input.len());
        }
    }

    #[test]
    fn statuses_are_told_apart() {
        let cases: [(Verb, &[u8], Status); 8] = [
            (Verb::Set, b"STORED\r\n", Status::Success),
            (Verb::Add, b"NOT_STORED\r\n", Status::NotStored),
            (Verb::Cas, b"EXISTS\r\n", Status::Exists),
            (Verb::Delete, b"NOT_FOUND\r\n", Status::NotFound),
            (Verb::Incr, b"18\r\n", Status::Success),
            (Verb::Decr, b"9 \r\n", Status::Success),
            (Verb::Get, b"SERVER_ERROR out of memory\r\n", Status::ServerError),
            (Verb::Set, b"CLIENT_ERROR bad\r\n", Status::ClientError),
        ];
        for (verb, line, status) in cases {
            assert_eq!(decode(verb, line), Decoded::Element(Element::End(status), line.len()));
        }
    }

    #[test]
    fn nonsense_is_malformed() {
        for line in [&b"VALUE k01 0 x\r\n"[..], b"HELLO\r\n", b"VALUE k 0 2\r\nabcd\r\n"] {
            assert_eq!(decode(Verb::Get, line), Decoded::Malformed);
        }
        assert_eq!(decode(Verb::Set, b"12\r\n"), Decoded::Malformed);
        assert_eq!(decode(Verb::Get, &[b'a'; 4096]), Decoded::Malformed);
    }
}
