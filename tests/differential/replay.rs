//! Sends a script to a server and brings the replies into a form that two servers can share.
//!
//! What may differ is taken out: CAS ids become the order of their first appearance, the version
//! its absence, spans of time their sign. All else stays byte for byte.

use std::time::Duration;

use crate::common::Server;
use crate::common::wire::{BARRIER, BARRIER_REPLY, End};
use crate::script::{Script, Segment};

/// How long no reply must come, where the barrier went into a value, until the replies count as
/// over.
const QUIET: Duration = Duration::from_millis(60);

/// A kind of reply stream, which decides how it is brought into the common form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Text,
    Binary,
}

/// What one server said, connection by connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Transcript {
    pub(crate) segments: Vec<(Vec<u8>, End)>,
}

/// Runs `script` with keys tagged `tag`.
pub(crate) fn replay(server: &Server, script: &Script, tag: u32, dialect: Dialect) -> Transcript {
    let mut ids = Vec::new();
    let mut segments = Vec::new();
    for segment in &script.segments {
        let (replies, end) = converse(server, segment, tag, &ids, dialect);
        let common = match dialect {
            Dialect::Text => common_text(&replies, &mut ids),
            Dialect::Binary => common_binary(&replies, &mut ids),
        };
        // A reset instead of an orderly close depends on what was unread at that moment.
        let end = if end == End::Reset { End::Closed } else { end };
        segments.push((common, end));
    }
    Transcript { segments }
}

impl Dialect {
    /// A last command and the end of its reply, by which the end of all replies is seen.
    fn barrier(self) -> (&'static [u8], &'static [u8]) {
        match self {
            Self::Text => (BARRIER.as_bytes(), BARRIER_REPLY.as_bytes()),
            Self::Binary => (
                b"\x80\x0a\0\0\0\0\0\0\0\0\0\0last\0\0\0\0\0\0\0\0",
                b"\x81\x0a\0\0\0\0\0\0\0\0\0\0last\0\0\0\0\0\0\0\0",
            ),
        }
    }
}

fn converse(
    server: &Server,
    segment: &Segment,
    tag: u32,
    ids: &[u64],
    dialect: Dialect,
) -> (Vec<u8>, End) {
    let (barrier, ending) = dialect.barrier();
    let mut bytes = Vec::new();
    for command in &segment.commands {
        command.render(tag, ids, &mut bytes);
    }
    if !segment.closes {
        bytes.extend_from_slice(barrier);
    }
    let mut pieces = Vec::new();
    let mut from = 0;
    for cut in segment.cuts(bytes.len()) {
        pieces.push(&bytes[from..cut]);
        from = cut;
    }
    pieces.push(&bytes[from..]);
    let pause = Duration::from_micros(if pieces.len() > 1 { 300 } else { 0 });
    server.connect().converse(&pieces, pause, ending, QUIET)
}

/// The common form of replies in text: classic and meta commands.
fn common_text(replies: &[u8], ids: &mut Vec<u64>) -> Vec<u8> {
    let mut common = Vec::with_capacity(replies.len());
    let mut rest = replies;
    while let Some(len) = memchr::memchr(b'\n', rest) {
        let (line, behind) = rest.split_at(len + 1);
        let value_bytes = common_line(line, ids, &mut common);
        let (value, behind) = behind.split_at(value_bytes.min(behind.len()));
        common.extend_from_slice(value);
        rest = behind;
    }
    common.extend_from_slice(rest);
    common
}

/// Writes one line in its common form; returns how many bytes of a value follow it.
fn common_line(line: &[u8], ids: &mut Vec<u64>, common: &mut Vec<u8>) -> usize {
    let text: Vec<&[u8]> = line.trim_ascii_end().split(|&byte| byte == b' ').collect();
    match text[0] {
        b"VERSION" => common.extend_from_slice(b"VERSION ...\r\n"),
        b"VALUE" if text.len() == 5 => {
            let head = line.len() - text[4].len() - 2;
            common.extend_from_slice(&line[..head]);
            common.extend_from_slice(number_of(text[4], ids).as_bytes());
            common.extend_from_slice(b"\r\n");
            return value_len(text[3]);
        }
        b"VALUE" => {
            common.extend_from_slice(line);
            return text.get(3).map_or(0, |len| value_len(len));
        }
        b"VA" => {
            common_flags(line, ids, common);
            return text.get(1).map_or(0, |len| value_len(len));
        }
        b"HD" | b"EN" | b"NF" | b"NS" | b"EX" | b"ME" => common_flags(line, ids, common),
        _ => common.extend_from_slice(line),
    }
    0
}

/// The reply of a meta command, whose tokens name what they are by their first letter.
fn common_flags(line: &[u8], ids: &mut Vec<u64>, common: &mut Vec<u8>) {
    for (at, token) in line.split(|&byte| byte == b' ').enumerate() {
        if at > 0 {
            common.push(b' ');
        }
        let (body, ending) = token.split_at(token.trim_ascii_end().len());
        match body {
            _ if at < 1 => common.extend_from_slice(body),
            [b'c', id @ ..] if is_number(id) => {
                common.push(b'c');
                common.extend_from_slice(number_of(id, ids).as_bytes());
            }
            [b't', left @ ..] if is_number(left) => common.extend_from_slice(b"t<seconds>"),
            [b'l', ago @ ..] if is_number(ago) => common.extend_from_slice(b"l<seconds>"),
            _ if line.starts_with(b"ME ") => common_debug(body, ids, common),
            _ => common.extend_from_slice(body),
        }
        common.extend_from_slice(ending);
    }
}

/// `me` shows the inside of an item: its class and size are the server's own affair.
fn common_debug(token: &[u8], ids: &mut Vec<u64>, common: &mut Vec<u8>) {
    let (name, value) =
        token.split_at(token.iter().position(|&b| b == b'=').map_or(0, |at| at + 1));
    common.extend_from_slice(name);
    match name {
        b"cas=" => common.extend_from_slice(number_of(value, ids).as_bytes()),
        b"la=" | b"cls=" | b"size=" => common.extend_from_slice(b"..."),
        // 1.6.18 shows what is left with a minus in front; -1 says that it never expires.
        b"exp=" if value != b"-1" => common.extend_from_slice(b"<seconds>"),
        _ => common.extend_from_slice(value),
    }
}

/// The common form of binary replies: CAS ids by order, the bodies of VERSION left out.
fn common_binary(replies: &[u8], ids: &mut Vec<u64>) -> Vec<u8> {
    const HEADER_BYTES: usize = 24;
    const VERSION: u8 = 0x0b;
    let mut common = Vec::with_capacity(replies.len());
    let mut rest = replies;
    while rest.len() >= HEADER_BYTES {
        let body_bytes = u32::from_be_bytes(rest[8..12].try_into().expect("four bytes")) as usize;
        let (packet, behind) = rest.split_at((HEADER_BYTES + body_bytes).min(rest.len()));
        let cas = u64::from_be_bytes(packet[16..24].try_into().expect("eight bytes"));
        let order = if cas == 0 { 0 } else { order_of(cas, ids) + 1 };
        let body = if packet[1] == VERSION { &[] } else { &packet[HEADER_BYTES..] };
        let bodyless = [&packet[..8], &(body.len() as u32).to_be_bytes(), &packet[12..16]].concat();
        common.extend_from_slice(&bodyless);
        common.extend_from_slice(&(order as u64).to_be_bytes());
        common.extend_from_slice(body);
        rest = behind;
    }
    common.extend_from_slice(rest);
    common
}

fn number_of(id: &[u8], ids: &mut Vec<u64>) -> String {
    let text = String::from_utf8_lossy(id);
    // 0 is not an id: it says that there is none.
    match text.parse() {
        Ok(0) => "0".into(),
        Ok(id) => format!("<id {}>", order_of(id, ids)),
        Err(_) => text.into_owned(),
    }
}

fn order_of(id: u64, ids: &mut Vec<u64>) -> usize {
    ids.iter().position(|&seen| seen == id).unwrap_or_else(|| {
        ids.push(id);
        ids.len() - 1
    })
}

/// The bytes of a value of the given length, with the line ending behind it.
fn value_len(digits: &[u8]) -> usize {
    std::str::from_utf8(digits)
        .ok()
        .and_then(|text| text.parse::<usize>().ok())
        .map_or(0, |n| n + 2)
}

fn is_number(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}
