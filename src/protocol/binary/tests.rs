//! The binary protocol, case by case, as the reference has it.

use super::*;
use crate::protocol::testing::{Random, run};
use crate::protocol::{Binding, Limits};

/// Extras, a key or a value.
type Part<'a> = &'a [u8];

fn parser(gate: Gate) -> Parser {
    Parser::new(Binding::Binary, gate, Limits { item_bytes_max: 1000, ..Limits::default() })
}

/// A request as a client would build it.
fn frame(opcode: u8, cas: u64, extras: &[u8], key: &[u8], value: &[u8]) -> Vec<u8> {
    let body_bytes = (extras.len() + key.len() + value.len()) as u32;
    let mut out = vec![MAGIC_REQUEST, opcode];
    out.extend_from_slice(&(key.len() as u16).to_be_bytes());
    out.extend_from_slice(&[extras.len() as u8, 0, 0, 0]);
    out.extend_from_slice(&body_bytes.to_be_bytes());
    out.extend_from_slice(&0xdead_beef_u32.to_be_bytes());
    out.extend_from_slice(&cas.to_be_bytes());
    for part in [extras, key, value] {
        out.extend_from_slice(part);
    }
    out
}

fn parse<'a>(parser: &mut Parser, input: &'a [u8]) -> Binary<'a> {
    match parser.next(input) {
        Step::Request { request: Request::Binary(binary), consumed } => {
            assert_eq!(consumed, input.len());
            assert_eq!(binary.opaque, 0xdead_beef);
            assert_eq!(binary.opcode.0, input[1]);
            binary
        }
        step => panic!("{step:?}"),
    }
}

fn refused(step: Step<'_>) -> (Status, bool) {
    match step {
        Step::Reject { refusal: Refusal::Binary { status, .. }, .. } => (status, false),
        Step::Close { refusal: Some(Refusal::Binary { status, .. }) } => (status, true),
        step => panic!("{step:?}"),
    }
}

fn k() -> Key<'static> {
    Key::new(b"k").expect("legal")
}

#[test]
fn every_opcode_and_its_quiet_form() {
    let (exptime, store) = ([0, 0, 0, 60], [0, 0, 0, 7, 0, 0, 0, 60]);
    let mut arithmetic = [0; 20];
    (arithmetic[7], arithmetic[15], arithmetic[19]) = (5, 9, 60);
    let get = |with_key, touch| BinaryCommand::Get { key: k(), with_key, touch };
    let stored = |mode, flags, exptime| {
        let value = &b"v"[..];
        BinaryCommand::Store(Store { key: k(), mode, flags, exptime, value, noreply: false })
    };
    let counted = |decrement| BinaryCommand::Arithmetic {
        key: k(),
        decrement,
        delta: 5,
        initial: Some((9, 60)),
    };
    let cases: [(u8, Option<u8>, Part<'_>, Part<'_>, Part<'_>, BinaryCommand<'_>); 20] = [
        (0x00, Some(0x09), &[], b"k", b"", get(false, None)),
        (0x0c, Some(0x0d), &[], b"k", b"", get(true, None)),
        (0x1d, Some(0x1e), &exptime, b"k", b"", get(false, Some(60))),
        (0x23, Some(0x24), &exptime, b"k", b"", get(true, Some(60))),
        (0x1c, None, &exptime, b"k", b"", BinaryCommand::Touch { key: k(), exptime: 60 }),
        (0x01, Some(0x11), &store, b"k", b"v", stored(StoreMode::Set, 7, 60)),
        (0x02, Some(0x12), &store, b"k", b"v", stored(StoreMode::Add, 7, 60)),
        (0x03, Some(0x13), &store, b"k", b"v", stored(StoreMode::Replace, 7, 60)),
        (0x0e, Some(0x19), &[], b"k", b"v", stored(StoreMode::Append, 0, 0)),
        (0x0f, Some(0x1a), &[], b"k", b"v", stored(StoreMode::Prepend, 0, 0)),
        (0x04, Some(0x14), &[], b"k", b"", BinaryCommand::Delete { key: k() }),
        (0x05, Some(0x15), &arithmetic, b"k", b"", counted(false)),
        (0x06, Some(0x16), &arithmetic, b"k", b"", counted(true)),
        (0x07, Some(0x17), &[], b"", b"", BinaryCommand::Quit),
        (0x08, Some(0x18), &[], b"", b"", BinaryCommand::Flush { delay: 0 }),
        (0x08, Some(0x18), &exptime, b"", b"", BinaryCommand::Flush { delay: 60 }),
        (0x0a, None, &[], b"", b"", BinaryCommand::Noop),
        (0x0b, None, &[], b"", b"", BinaryCommand::Version),
        (0x10, None, &[], b"", b"", BinaryCommand::Stat(Stats::General)),
        (0x10, None, &[], b"slabs", b"", BinaryCommand::Stat(Stats::Slabs)),
    ];
    for (loud, quiet, extras, key, value, command) in cases {
        for (opcode, is_quiet) in [(Some(loud), false), (quiet, true)] {
            let Some(opcode) = opcode else { continue };
            let input = frame(opcode, 0, extras, key, value);
            let binary = parse(&mut parser(Gate::Open), &input);
            assert_eq!((binary.quiet, &binary.command), (is_quiet, &command), "{opcode:#x}");
            for cut in 0..input.len() {
                let step = parser(Gate::Open).next(&input[..cut]);
                assert!(matches!(step, Step::Need | Step::Upload { .. }), "{opcode:#x}: {step:?}");
            }
        }
    }
}

#[test]
fn a_cas_id_makes_a_store_compare() {
    let store = |opcode, extras: &[u8]| {
        let input = frame(opcode, 42, extras, b"k", b"v");
        let binary = parse(&mut parser(Gate::Open), &input);
        let BinaryCommand::Store(store) = binary.command else { panic!("{binary:?}") };
        (binary.cas, store.mode)
    };
    for opcode in [0x01, 0x02, 0x03] {
        assert_eq!(store(opcode, &[0; 8]), (42, StoreMode::Cas(42)));
    }
    assert_eq!(store(0x0e, &[]), (42, StoreMode::Append));
}

#[test]
fn arithmetic_may_forbid_creation_and_times_are_unsigned() {
    let mut extras = [0; 20];
    extras[16..].fill(0xff);
    let input = frame(0x05, 0, &extras, b"k", b"");
    let command = parse(&mut parser(Gate::Open), &input).command;
    assert!(matches!(command, BinaryCommand::Arithmetic { initial: None, .. }));
    let input = frame(0x1c, 0, &[0xff; 4], b"k", b"");
    let command = parse(&mut parser(Gate::Open), &input).command;
    assert_eq!(command, BinaryCommand::Touch { key: k(), exptime: 4_294_967_295 });
}

#[test]
fn impossible_lengths_close() {
    let long_key = [b'k'; 251];
    let wrong: &[(u8, Part<'_>, Part<'_>, Part<'_>)] = &[
        (0x00, &[], b"", b""),
        (0x00, &[0; 4], b"k", b""),
        (0x00, &[], b"k", b"v"),
        (0x00, &[], &long_key, b""),
        (0x01, &[], b"k", b"v"),
        (0x01, &[0; 8], b"", b"v"),
        (0x04, &[], b"k", b"v"),
        (0x05, &[0; 8], b"k", b""),
        (0x07, &[], b"k", b""),
        (0x08, &[0; 8], b"", b""),
        (0x0a, &[], b"", b"v"),
        (0x0b, &[], b"k", b""),
        (0x0e, &[0; 8], b"k", b"v"),
        (0x10, &[0; 4], b"", b""),
        (0x1c, &[], b"k", b""),
        (0x20, &[], b"k", b""),
        (0x21, &[], b"", b""),
    ];
    for (opcode, extras, key, value) in wrong {
        let input = frame(*opcode, 0, extras, key, value);
        let refusal = refused(parser(Gate::Open).next(&input));
        assert_eq!(refusal, (Status::Invalid, true), "{opcode:#x}");
    }
    let mut input = frame(0x00, 0, &[], b"k", b"");
    input[11] = 0;
    assert_eq!(refused(parser(Gate::Open).next(&input)), (Status::UnknownCommand, true));
    input[8..12].copy_from_slice(&(BODY_BYTES_MAX + 1).to_be_bytes());
    assert_eq!(refused(parser(Gate::Open).next(&input)), (Status::Invalid, true));
    input[8..12].fill(0xff);
    assert_eq!(refused(parser(Gate::Open).next(&input)), (Status::Invalid, true));
    input[0] = 0x81;
    assert_eq!(parser(Gate::Open).next(&input), Step::Close { refusal: None });
}

#[test]
fn unknown_opcodes_are_answered_and_their_bodies_swallowed() {
    let noop = frame(0x0a, 0, &[], b"", b"");
    for opcode in [0x1b, 0x1f, 0x25, 0x30, 0x3c, 0x94, 0xff] {
        let stream = [frame(opcode, 0, &[1, 2], b"key", b"value"), noop.clone()].concat();
        let log = run(parser(Gate::Open), [&stream[..]]);
        assert_eq!(log.len(), 2, "{opcode:#x}: {log:?}");
        assert!(log[0].ends_with("Unknown command") && log[1].contains("Noop"));
        assert_eq!(run(parser(Gate::Open), stream.chunks(1)), log);
    }
    // A value where none belongs is not taken for a request.
    let stream = [frame(0x10, 0, &[], b"items", &noop), noop.clone()].concat();
    let log = run(parser(Gate::Open), [&stream[..]]);
    assert_eq!(log.len(), 2, "{log:?}");
}

#[test]
fn large_values_are_uploaded_or_refused() {
    let input = frame(0x01, 0, &[0; 8], b"k", &[b'v'; 1000]);
    let step = parser(Gate::Open).next(&input[..500]);
    assert!(matches!(
        step,
        Step::Upload { header_bytes: 33, value_bytes: 1000, tail_bytes: 0, .. }
    ));
    let noop = frame(0x0a, 0, &[], b"", b"");
    let stream = [frame(0x01, 0, &[0; 8], b"k", &[b'v'; 1001]), noop].concat();
    let log = run(parser(Gate::Open), stream.chunks(7));
    assert!(log.len() == 2 && log[0].starts_with("oversize") && log[1].contains("Noop"));
}

#[test]
fn sasl_denies_everything_but_itself() {
    let auth = |mechanism: &[u8], data: &[u8]| frame(0x21, 0, &[], mechanism, data);
    for opcode in 0..=255 {
        if [0x0b, 0x20, 0x21, 0x22].contains(&opcode) {
            continue;
        }
        let input = frame(opcode, 0, &[], b"", b"");
        assert_eq!(refused(parser(Gate::Sasl).next(&input)), (Status::AuthError, true));
    }
    let input = auth(b"PLAIN", b"\0user\0pass");
    let mut parser_ = parser(Gate::Sasl);
    let command = parse(&mut parser_, &input).command;
    let (mechanism, data) = (&b"PLAIN"[..], &b"\0user\0pass"[..]);
    assert_eq!(command, BinaryCommand::SaslAuth { mechanism, data });
    parser_.admit();
    assert_eq!(parse(&mut parser_, &frame(0x0a, 0, &[], b"", b"")).command, BinaryCommand::Noop);
    // Once more, after admission.
    assert!(matches!(parse(&mut parser_, &input).command, BinaryCommand::SaslAuth { .. }));

    let status = |gate, input: &[u8]| refused(parser(gate).next(input));
    assert_eq!(status(Gate::Sasl, &auth(&[b'M'; 33], b"x")), (Status::Invalid, false));
    assert_eq!(status(Gate::Sasl, &auth(b"M", &[b'x'; 5000])), (Status::OutOfMemory, false));
    assert_eq!(status(Gate::Open, &input), (Status::UnknownCommand, false));
    let list = frame(0x20, 0, &[], b"", b"");
    assert_eq!(status(Gate::Open, &list), (Status::UnknownCommand, false));
    assert_eq!(parse(&mut parser(Gate::Sasl), &list).command, BinaryCommand::SaslList);
}

#[test]
fn the_first_byte_tells_the_protocol() {
    let auto = || Parser::new(Binding::Auto, Gate::Open, Limits::default());
    let noop = frame(0x0a, 0, &[], b"", b"");
    for input in [&noop[..], b"mn\r\n"] {
        let mut parser = auto();
        assert_eq!((parser.is_binary(), parser.next(b"")), (None, Step::Need));
        assert!(matches!(parser.next(input), Step::Request { .. }));
        assert_eq!(parser.is_binary(), Some(input[0] == MAGIC_REQUEST));
    }
    // It tells once: text in a binary connection closes, and a binary header is no command.
    assert_eq!(
        run(auto(), [&noop[..], b"version and some more bytes\r\n"]).last().unwrap(),
        "close"
    );
    assert_eq!(run(auto(), [b"mn\r\n", &[&noop[..], b"\n"].concat()[..]]).last().unwrap(), "ERROR");
}

#[test]
fn random_headers_make_progress_and_never_panic() {
    let mut random = Random(5);
    for _ in 0..20_000 {
        let mut stream = Vec::new();
        for _ in 0..4 {
            let extras = random.pick(&[&[][..], &[0; 4], &[0; 8], &[0; 20]]);
            let key = random.pick(&[&b""[..], b"k", b"key", b"items"]);
            let value = random.pick(&[&b""[..], b"v", b"value"]);
            let mut input = frame(random.below(0x40) as u8, 0, extras, key, value);
            if random.below(4) == 0 {
                let at = random.below(input.len());
                input[at] = random.below(256) as u8;
            }
            stream.extend(input);
        }
        let gate = if random.below(4) == 0 { Gate::Sasl } else { Gate::Open };
        let size = 1 + random.below(40);
        let log = run(parser(gate), [&stream[..]]);
        assert_eq!(run(parser(gate), stream.chunks(size)), log, "{stream:?}");
    }
}
