//! What the protocol's tests share: bytes in, a readable list of what the parser made of them.
//!
//! The list leaves out how the bytes arrived: skipped bytes, waiting, and where a long `get` was
//! cut. So the list of a stream must be the same however the stream is split.

use super::{Binding, Gate, Limits, Parser, Refusal, Request, Step};

/// A parser as most tests want it.
pub(super) fn text_parser() -> Parser {
    Parser::new(Binding::Ascii, Gate::Open, Limits::default())
}

/// What a fresh text parser makes of `input` that arrives at once.
pub(super) fn text(input: &[u8]) -> Vec<String> {
    run(text_parser(), [input])
}

/// What a parser makes of input that arrives in pieces. What is left over at the end shows as
/// `rest N`.
pub(super) fn run<'p>(
    mut parser: Parser,
    pieces: impl IntoIterator<Item = &'p [u8]>,
) -> Vec<String> {
    let mut log = Vec::new();
    let mut keys = String::new();
    let mut buffer: Vec<u8> = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        let mut at = 0;
        loop {
            match parser.next(&buffer[at..]) {
                Step::Need | Step::Upload { .. } => break,
                Step::Request { request, consumed } => {
                    assert!(consumed > 0 || matches!(request, Request::Get(_)));
                    note(&mut log, &mut keys, &request);
                    at += consumed;
                }
                Step::Oversize { request, consumed } => {
                    log.push(format!("oversize {}", show(&request)));
                    at += consumed;
                }
                Step::Skip { consumed } => {
                    assert!(consumed > 0, "a skip makes progress");
                    at += consumed;
                }
                Step::Reject { refusal, consumed } => {
                    assert!(consumed > 0, "a rejection makes progress");
                    keys.clear();
                    log.push(show_refusal(refusal));
                    at += consumed;
                }
                Step::Close { refusal } => {
                    log.extend(refusal.map(show_refusal));
                    log.push("close".into());
                    return log;
                }
            }
            assert!(at <= buffer.len(), "consumed more than there is");
        }
        buffer.drain(..at);
    }
    if !buffer.is_empty() {
        log.push(format!("rest {}", buffer.len()));
    }
    log
}

fn note(log: &mut Vec<String>, keys: &mut String, request: &Request<'_>) {
    let Request::Get(get) = request else {
        assert!(keys.is_empty(), "nothing comes between the pieces of one get");
        return log.push(show(request));
    };
    for key in get.keys.clone() {
        keys.push(' ');
        keys.push_str(&bytes(key.bytes()));
    }
    if get.is_last {
        let cas = if get.with_cas { "s" } else { "" };
        let touch = get.touch.map_or(String::new(), |exptime| format!(" touch {exptime}"));
        log.push(format!("get{cas}{touch}{}", std::mem::take(keys)));
    }
}

/// A request in one line.
pub(super) fn show(request: &Request<'_>) -> String {
    let quiet = |noreply| if noreply { " noreply" } else { "" };
    match request {
        Request::Store(store) => format!(
            "{:?} {} {} {} \"{}\"{}",
            store.mode,
            bytes(store.key.bytes()),
            store.flags,
            store.exptime,
            bytes(store.value),
            quiet(store.noreply)
        ),
        Request::Delete(delete) => {
            format!("delete {}{}", bytes(delete.key.bytes()), quiet(delete.noreply))
        }
        Request::Touch(touch) => {
            format!("touch {} {}{}", bytes(touch.key.bytes()), touch.exptime, quiet(touch.noreply))
        }
        Request::Arithmetic(arithmetic) => format!(
            "{} {} {}{}",
            if arithmetic.decrement { "decr" } else { "incr" },
            bytes(arithmetic.key.bytes()),
            arithmetic.delta,
            quiet(arithmetic.noreply)
        ),
        Request::Authenticate { user, password } => {
            format!("authenticate {} {}", bytes(user), bytes(password))
        }
        other => format!("{other:?}"),
    }
}

fn show_refusal(refusal: Refusal) -> String {
    let mut out = Vec::new();
    refusal.put(&mut out);
    bytes(out.strip_suffix(b"\r\n").unwrap_or(&out))
}

fn bytes(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

/// A small generator of numbers, seeded: a failing test is repeated by its seed.
pub(super) struct Random(pub(super) u64);

impl Random {
    /// A number below `end`.
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 33) as usize) % end
    }

    /// One of several.
    pub(super) fn pick<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len())]
    }
}
