//! The meta commands: `mg`, `ms`, `md`, `ma`, `mn`, as a client writes and reads them.
//!
//! A multi-get is a row of quiet `mg` with an `mn` behind it: misses say nothing, and `MN` ends the
//! reply. Quiet writes say nothing when all goes well; they carry a number that comes back in the
//! other cases, such as `NF O17` for a delete that found nothing, to tell which of them it was.

use memchr::memchr;

use super::text::{LINE_BYTES_MAX, decimal, number};
use super::{Body, Decoded, Element, Encoder, Status, Verb};

/// Appends one request.
pub(super) fn write(encoder: &Encoder, out: &mut Vec<u8>, verb: Verb, keys: &[u64], body: &Body) {
    match verb {
        Verb::Noop => return out.extend_from_slice(b"mn\r\n"),
        Verb::FlushAll => return out.extend_from_slice(b"flush_all\r\n"),
        _ => {}
    }
    let many = keys.len() > 1;
    for key in keys {
        out.extend_from_slice(name(verb));
        encoder.write_key(out, *key, body);
        write_flags(out, verb, many, body);
        out.extend_from_slice(b"\r\n");
        if verb.stores() {
            encoder.write_value(out, *key, body);
            out.extend_from_slice(b"\r\n");
        }
    }
    if many {
        out.extend_from_slice(b"mn\r\n");
    }
}

fn name(verb: Verb) -> &'static [u8] {
    match verb {
        Verb::Get | Verb::Gets | Verb::Gat | Verb::Touch => b"mg ",
        Verb::Delete => b"md ",
        Verb::Incr | Verb::Decr => b"ma ",
        _ => b"ms ",
    }
}

fn write_flags(out: &mut Vec<u8>, verb: Verb, many: bool, body: &Body) {
    if verb.stores() {
        number(out, body.value_bytes as u64);
        write_store_flags(out, verb, body);
    }
    let fixed: &[u8] = match verb {
        Verb::Get | Verb::Gat => b" v",
        Verb::Gets => b" v c",
        Verb::Decr => b" MD",
        _ => b"",
    };
    out.extend_from_slice(fixed);
    if matches!(verb, Verb::Gat | Verb::Touch) {
        flag(out, b'T', u64::from(body.expiry_s));
    }
    if many {
        out.extend_from_slice(b" k q");
    } else if body.quiet {
        out.extend_from_slice(b" q");
        flag(out, b'O', u64::from(body.opaque));
    }
}

fn write_store_flags(out: &mut Vec<u8>, verb: Verb, body: &Body) {
    if body.flags != 0 {
        flag(out, b'F', u64::from(body.flags));
    }
    if body.expiry_s != 0 {
        flag(out, b'T', u64::from(body.expiry_s));
    }
    let mode: &[u8] = match verb {
        Verb::Add => b" ME",
        Verb::Replace => b" MR",
        Verb::Append => b" MA",
        Verb::Prepend => b" MP",
        _ => b"",
    };
    out.extend_from_slice(mode);
    if verb == Verb::Cas {
        flag(out, b'C', body.unique);
    }
}

/// A flag is its letter with the number right behind it.
fn flag(out: &mut Vec<u8>, letter: u8, value: u64) {
    let at = out.len();
    number(out, value);
    out.insert(at + 1, letter);
}

/// Reads the next element of the reply to `verb`.
pub(super) fn decode(verb: Verb, many: bool, input: &[u8]) -> Decoded<'_> {
    let Some(newline) = memchr(b'\n', input) else {
        let whole = input.len() < LINE_BYTES_MAX;
        return if whole { Decoded::Need(input.len() + 1) } else { Decoded::Malformed };
    };
    let line = input[..newline].strip_suffix(b"\r").unwrap_or(&input[..newline]);
    let after = newline + 1;
    if let Some(fields) = line.strip_prefix(b"VA ").filter(|_| verb.reads()) {
        return value(fields, !many, input, after);
    }
    let Some(status) = status(line) else { return Decoded::Malformed };
    let element = match opaque(line) {
        Some(opaque) => Element::QuietFailure { status, opaque },
        None => Element::End(status),
    };
    Decoded::Element(element, after)
}

/// The number of a quiet request, which stands behind a code of two letters.
fn opaque(line: &[u8]) -> Option<u32> {
    let number = line.get(2..)?.strip_prefix(b" O")?;
    decimal(number, 0).and_then(|(number, _)| u32::try_from(number).ok())
}

/// `<bytes> <flag>*`, then the data and an end of line.
fn value<'a>(fields: &'a [u8], last: bool, input: &'a [u8], after: usize) -> Decoded<'a> {
    let Some((bytes, flags_at)) = decimal(fields, 0).filter(|(bytes, _)| *bytes <= 1 << 30) else {
        return Decoded::Malformed;
    };
    let end = after + bytes as usize;
    let (mut key, mut unique) = (&b""[..], 0);
    for field in fields[flags_at..].split(|byte| *byte == b' ').filter(|field| !field.is_empty()) {
        match field[0] {
            b'k' => key = &field[1..],
            b'c' => unique = decimal(field, 1).map_or(0, |(unique, _)| unique),
            _ => {}
        }
    }
    match input.get(end..end + 2) {
        None => Decoded::Need(end + 2),
        Some(b"\r\n") => {
            let data = &input[after..end];
            Decoded::Element(Element::Value { key, data, unique, last }, end + 2)
        }
        Some(_) => Decoded::Malformed,
    }
}

fn status(line: &[u8]) -> Option<Status> {
    Some(match line.get(..2)? {
        // OK answers flush_all, STORED the credentials: both are classic commands.
        b"HD" | b"MN" | b"OK" => Status::Success,
        _ if line == b"STORED" => Status::Success,
        b"EN" | b"NF" => Status::NotFound,
        b"NS" => Status::NotStored,
        b"EX" => Status::Exists,
        _ if line.starts_with(b"SERVER_ERROR") => Status::ServerError,
        _ if line.starts_with(b"CLIENT_ERROR") || line.starts_with(b"ERROR") => Status::ClientError,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::tests::written;
    use crate::wire::{Protocol, decode};

    fn text(verb: Verb, keys: &[u64]) -> String {
        String::from_utf8(written(Protocol::Meta, verb, keys)).expect("text")
    }

    #[test]
    fn requests_read_as_documented() {
        assert_eq!(text(Verb::Get, &[1]), "mg k01 v\r\n");
        assert_eq!(text(Verb::Get, &[1, 2]), "mg k01 v k q\r\nmg k02 v k q\r\nmn\r\n");
        assert_eq!(text(Verb::Gets, &[1]), "mg k01 v c\r\n");
        assert_eq!(text(Verb::Set, &[1]), "ms k01 3 F5 T60\r\n001\r\n");
        assert_eq!(text(Verb::Cas, &[1]), "ms k01 3 F5 T60 C77\r\n001\r\n");
        assert_eq!(text(Verb::Add, &[1]), "ms k01 3 F5 T60 ME\r\n001\r\n");
        assert_eq!(text(Verb::Touch, &[1]), "mg k01 T60\r\n");
        assert_eq!(text(Verb::Gat, &[1]), "mg k01 v T60\r\n");
        assert_eq!(text(Verb::Decr, &[1]), "ma k01 MD\r\n");
        assert_eq!(text(Verb::Delete, &[1]), "md k01\r\n");
    }

    #[test]
    fn values_carry_key_and_unique_number() {
        let input = b"VA 3 kk01 c9\r\nabc\r\nMN\r\n";
        let value = Element::Value { key: b"k01", data: b"abc", unique: 9, last: false };
        assert_eq!(decode(Protocol::Meta, Verb::Gets, true, input), Decoded::Element(value, 19));
        let end = Decoded::Element(Element::End(Status::Success), 4);
        assert_eq!(decode(Protocol::Meta, Verb::Gets, true, &input[19..]), end);
        for cut in 0..19 {
            let cut = decode(Protocol::Meta, Verb::Gets, true, &input[..cut]);
            assert!(matches!(cut, Decoded::Need(_)));
        }
    }

    #[test]
    fn statuses_are_told_apart() {
        let cases: [(&[u8], Status); 6] = [
            (b"HD\r\n", Status::Success),
            (b"EN\r\n", Status::NotFound),
            (b"NS\r\n", Status::NotStored),
            (b"EX\r\n", Status::Exists),
            (b"SERVER_ERROR out of memory\r\n", Status::ServerError),
            (b"CLIENT_ERROR bad\r\n", Status::ClientError),
        ];
        for (line, status) in cases {
            let end = Decoded::Element(Element::End(status), line.len());
            assert_eq!(decode(Protocol::Meta, Verb::Set, false, line), end);
        }
        assert_eq!(decode(Protocol::Meta, Verb::Set, false, b"XY\r\n"), Decoded::Malformed);
        let quiet = Element::QuietFailure { status: Status::NotFound, opaque: 17 };
        let failed = decode(Protocol::Meta, Verb::Noop, false, b"NF O17\r\nMN\r\n");
        assert_eq!(failed, Decoded::Element(quiet, 8));
    }
}
