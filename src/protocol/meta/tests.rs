//! Meta commands, case by case, as the reference has them.

use super::*;
use crate::protocol::testing::{Random, run, text, text_parser};

const BAD_FORMAT: &str = "CLIENT_ERROR bad command line format";

fn get(line: &str) -> Meta<'_> {
    match text_parser().next(line.as_bytes()) {
        Step::Request { request: Request::MetaGet(meta), consumed } => {
            assert_eq!(consumed, line.len());
            meta
        }
        step => panic!("{line:?}: {step:?}"),
    }
}

fn error(line: &str) -> String {
    let mut log = text(line.as_bytes());
    assert_eq!(log.len(), 1, "{line:?}: {log:?}");
    log.remove(0)
}

#[test]
fn flags_are_letters_arguments_and_order() {
    let meta = get("mg food v  t T-1 k N30 R60 c q Oabc C5 E6 b\n");
    assert_eq!(meta.order().collect::<Vec<_>>(), b"vtTkNRcqOCEb");
    assert!(meta.has(b'v') && meta.quiet() && meta.key_is_base64() && !meta.has(b'f'));
    assert_eq!(meta.opaque(), b"Oabc");
    assert_eq!((meta.exptime(), meta.vivify(), meta.recache()), (Some(-1), Some(30), Some(60)));
    assert_eq!((meta.cas_compare(), meta.cas_new()), (Some(5), Some(6)));
    assert_eq!((meta.delta(), meta.initial(), meta.flags()), (1, 0, 0));
    let meta = get("mg foo\r\n");
    assert_eq!((meta.letters, meta.order().count()), (0, 0));
    assert_eq!(meta.key(&mut [0; 250]).bytes(), b"foo");
    assert_eq!(get("mg Zm9v b\r\n").key(&mut [0; 250]).bytes(), b"foo");
}

#[test]
fn stores_take_their_data() {
    let set = |input: &'static str| match text_parser().next(input.as_bytes()) {
        Step::Request { request: Request::MetaSet(meta, value), consumed } => {
            assert_eq!(consumed, input.len());
            (meta, value)
        }
        step => panic!("{input:?}: {step:?}"),
    };
    let (meta, value) = set("ms foo 3 T60 F5 MA N9\r\nbar\r\n");
    assert_eq!((meta.flags(), meta.mode(), value), (5, b'A', &b"bar"[..]));
    assert_eq!(meta.store_mode(), StoreMode::Append);
    assert_eq!(set("ms foo 0\r\n\r\n").0.store_mode(), StoreMode::Set);
    assert_eq!(set("ms foo 0 C0\r\n\r\n").0.store_mode(), StoreMode::Cas(0));
    assert_eq!(set("ms foo 0 MR C7\r\n\r\n").0.store_mode(), StoreMode::Cas(7));
    assert_eq!(set("ms foo 0 ME C7\r\n\r\n").0.store_mode(), StoreMode::Add);
    assert_eq!(set("ms foo 0 MPrepend C7\r\n\r\n").0.store_mode(), StoreMode::Prepend);
    let upload = text_parser().next(b"ms foo 3 c\r\nba");
    assert!(matches!(upload, Step::Upload { header_bytes: 12, value_bytes: 3, .. }));
}

#[test]
fn which_errors_swallow_the_data() {
    let cases = [
        ("ms foo x\r\nmn\r\n", BAD_FORMAT, true),
        ("ms foo -1\r\nmn\r\n", BAD_FORMAT, true),
        ("ms foo\r\nmn\r\n", BAD_FORMAT, true),
        ("ms foo 2 @\r\nmn\r\n", BAD_FORMAT, true),
        ("ms foo 2 w\r\nmn\r\n", "CLIENT_ERROR invalid flag", false),
        ("ms foo 2 T0 T0\r\nmn\r\n", "CLIENT_ERROR duplicate flag", false),
        ("ms foo 2 Tx\r\nmn\r\n", "CLIENT_ERROR bad token in command line format", false),
        ("ms foo 2 F-1\r\nmn\r\n", BAD_FORMAT, false),
        ("ms foo 2 Cx F-1\r\nmn\r\n", "CLIENT_ERROR bad token in command line format", false),
        ("ms foo 2 MX\r\nmn\r\n", "CLIENT_ERROR invalid mode for ms M token", false),
        ("ms foo 2 Ms\r\nmn\r\n", "CLIENT_ERROR invalid mode for ms M token", false),
        ("ms foo 2 M\r\nmn\r\n", "CLIENT_ERROR invalid mode for ms M token", false),
        ("ms !! 2 b\r\nmn\r\n", "CLIENT_ERROR error decoding key", false),
        ("ms foo 2 q\r\nxxxx", "CLIENT_ERROR bad data chunk", false),
    ];
    for (input, error, data_stands) in cases {
        let mut expected = vec![error];
        if data_stands {
            expected.push("MetaNoop");
        }
        let log = text(input.as_bytes());
        assert_eq!(log[..expected.len()], expected, "{input:?}");
        assert_eq!(run(text_parser(), input.as_bytes().chunks(1)), log, "{input:?}");
    }
    let long_key = format!("ms {} 2\r\nmn\r\nmn\r\n", "k".repeat(251));
    assert_eq!(text(long_key.as_bytes()), [BAD_FORMAT, "MetaNoop"]);
    let opaque = format!("ms k 2 MX O{}\r\nmn\r\n", "o".repeat(32));
    assert_eq!(error(&opaque), "CLIENT_ERROR invalid mode for ms M token");
    let opaque = format!("ms k 2 O{}\r\nmn\r\n", "o".repeat(32));
    assert_eq!(error(&opaque), "CLIENT_ERROR opaque token too long");
}

#[test]
fn errors_of_get_and_delete() {
    for command in ["mg", "md"] {
        let cases = [
            ("", BAD_FORMAT),
            (" ", BAD_FORMAT),
            (" foo @", BAD_FORMAT),
            (" foo {", BAD_FORMAT),
            (" foo v v @", BAD_FORMAT),
            (" foo v v", "CLIENT_ERROR duplicate flag"),
            (" foo w", "CLIENT_ERROR invalid flag"),
            (" foo 5", "CLIENT_ERROR invalid flag"),
            (" foo _", "CLIENT_ERROR invalid flag"),
            (" foo T", "CLIENT_ERROR bad token in command line format"),
            (" foo Cx Dx", "CLIENT_ERROR invalid numeric delta value"),
            (" foo Dx Jx", "CLIENT_ERROR invalid numeric initial value"),
            (" f b", "CLIENT_ERROR error decoding key"),
            (" foo b c f h k l q s t u v x I L P O", "CLIENT_ERROR error decoding key"),
        ];
        for (rest, expected) in cases {
            assert_eq!(error(&format!("{command}{rest}\r\n")), expected, "{command}{rest}");
        }
        let flags = "b c f h k l q s t u v x I L P O M1 N1".split(' ');
        let line = flags.clone().chain(["R1"]).collect::<Vec<_>>().join(" ");
        let too_many = error(&format!("{command} Zm9v {line}\r\n"));
        assert_eq!(too_many, "CLIENT_ERROR options flags are too long");
        let line = flags.collect::<Vec<_>>().join(" ");
        let most = format!("{command} Zm9v {line}\r\n");
        assert!(error(&most).starts_with("Meta"), "{most:?}");
    }
    let long = "o".repeat(32);
    assert_eq!(error(&format!("mg f O{long}\r\n")), "CLIENT_ERROR opaque token too long");
    assert!(error(&format!("mg f O{}\r\n", &long[1..])).starts_with("MetaGet"));
    assert_eq!(error(&format!("mg {}\r\n", "k".repeat(251))), BAD_FORMAT);
}

#[test]
fn arithmetic_has_errors_of_its_own() {
    const FLAG: &str = "CLIENT_ERROR invalid or duplicate flag";
    const MODE: &str = "CLIENT_ERROR invalid mode for ma M token";
    let opaque = format!("ma foo MX O{}\r\n", "o".repeat(40));
    let key = format!("ma {} MX\r\n", "k".repeat(251));
    let cases = [
        ("ma\r\n", BAD_FORMAT),
        ("ma foo @\r\n", BAD_FORMAT),
        ("ma foo w\r\n", FLAG),
        ("ma foo v v\r\n", FLAG),
        ("ma foo D-1\r\n", FLAG),
        (&key, FLAG),
        ("ma foo Mi\r\n", MODE),
        (&opaque, MODE),
    ];
    for (line, expected) in cases {
        assert_eq!(error(line), expected, "{line:?}");
    }
    let parse = |line: &'static str| match text_parser().next(line.as_bytes()) {
        Step::Request { request: Request::MetaArithmetic(meta), .. } => meta,
        step => panic!("{line:?}: {step:?}"),
    };
    let meta = parse("ma foo MD D5 J7 N0\r\n");
    assert!(meta.decrements());
    assert_eq!((meta.delta(), meta.initial(), meta.vivify()), (5, 7, Some(0)));
    assert!(parse("ma foo M-\r\n").decrements());
    assert!(!parse("ma foo M+\r\n").decrements() && !parse("ma foo\r\n").decrements());
}

#[test]
fn noop_and_debug() {
    assert_eq!(text(b"mn\r\nmn foo\r\n"), ["MetaNoop", "MetaNoop"]);
    assert_eq!(text(b"mx\r\nmm foo\r\n"), ["ERROR", "ERROR"]);
    let key = |line: &'static str| match text_parser().next(line.as_bytes()) {
        Step::Request { request: Request::MetaDebug(meta), .. } => {
            meta.key(&mut [0; 250]).bytes().to_vec()
        }
        step => panic!("{line:?}: {step:?}"),
    };
    assert_eq!(key("me Zm9v\r\n"), b"Zm9v");
    assert_eq!(key("me Zm9v b\r\n"), b"Zm9v");
    assert_eq!(key("me Zm9v b x\r\n"), b"foo");
    assert_eq!(key("me foo v v v\r\n"), b"foo");
    assert_eq!(error("me\r\n"), BAD_FORMAT);
    assert_eq!(error("me f b x\r\n"), BAD_FORMAT);
}

#[test]
fn random_flags_never_panic() {
    let mut random = Random(99);
    let alphabet = b"bcfhklqstuvxwCDEFIJLMNOPRT0@ \x7f\xff\t=!";
    for _ in 0..30_000 {
        let mut line = random.pick(&[&b"mg "[..], b"md ", b"ma ", b"me ", b"ms k 2 "]).to_vec();
        for _ in 0..random.below(60) {
            line.push(alphabet[random.below(alphabet.len())]);
            if random.below(2) == 0 {
                line.push(b' ');
            }
        }
        line.extend_from_slice(b"\r\nxx\r\n");
        let log = text(&line);
        assert!(!log.is_empty(), "{}", line.escape_ascii());
        // The short way and the general way agree.
        assert_eq!(text_parser().next(&line), text_parser().line(&line));
        let mut scratch = [0; KEY_BYTES_MAX];
        if let Step::Request { request: Request::MetaGet(meta), .. } = text_parser().next(&line) {
            assert!(meta.order().count() <= 18);
            assert!(!meta.key(&mut scratch).bytes().is_empty());
        }
    }
}
