//! The text protocol's behaviour, case by case, as the reference has it.

use crate::protocol::testing::{Random, run, text, text_parser};
use crate::protocol::{Binding, Gate, Limits, Parser, Step};

const BAD_FORMAT: &str = "CLIENT_ERROR bad command line format";

fn check(cases: &[(&str, &[&str])]) {
    for (input, expected) in cases {
        assert_eq!(text(input.as_bytes()), *expected, "{input:?}");
    }
}

#[test]
fn retrievals() {
    check(&[
        ("get a\r\n", &["get a"]),
        ("get a\n", &["get a"]),
        ("get  a \r\n", &["get a"]),
        ("get a bb  ccc\r\n", &["get a bb ccc"]),
        ("gets a b\n", &["gets a b"]),
        ("get a\tb\r\n", &["get a\\tb"]),
        ("get a\rb\r\n", &["get a\\rb"]),
        ("gat 10 a b\r\n", &["get touch 10 a b"]),
        ("gats -1 a\r\n", &["gets touch -1 a"]),
        ("gat 4294967295 a\r\n", &["get touch 4294967295 a"]),
        ("gat x a\r\n", &["CLIENT_ERROR invalid exptime argument"]),
        ("gat 10\r\n", &[BAD_FORMAT]),
        ("gat\r\n", &[BAD_FORMAT]),
        ("get\r\n", &[BAD_FORMAT]),
        ("get  \r\n", &[BAD_FORMAT]),
        ("gets\r\n", &[BAD_FORMAT]),
        ("get noreply\r\n", &["get noreply"]),
        ("GET a\r\n", &["ERROR"]),
        (" get a\r\n", &["ERROR"]),
        ("get\ta\r\n", &["ERROR"]),
        ("getx a\r\n", &["ERROR"]),
        ("get a", &["rest 5"]),
        ("get a\r", &["rest 6"]),
        ("ge", &["rest 2"]),
        ("get a\r\nget b\r\nget c d\r\n", &["get a", "get b", "get c d"]),
    ]);
}

#[test]
fn keys_of_250_bytes_and_no_more() {
    let (longest, too_long) = ("k".repeat(250), "k".repeat(251));
    let cases = [
        ("get KEY\r\n", "get KEY", BAD_FORMAT),
        ("get a KEY b\r\n", "get a KEY b", BAD_FORMAT),
        ("gat 0 KEY\r\n", "get touch 0 KEY", BAD_FORMAT),
        ("delete KEY\r\n", "delete KEY", BAD_FORMAT),
        ("touch KEY 5\r\n", "touch KEY 5", BAD_FORMAT),
        ("incr KEY 5\r\n", "incr KEY 5", BAD_FORMAT),
        ("set KEY 0 0 3\r\nabc\r\n", "Set KEY 0 0 \"abc\"", BAD_FORMAT),
        ("cas KEY 0 0 3 9\r\nabc\r\n", "Cas(9) KEY 0 0 \"abc\"", BAD_FORMAT),
    ];
    for (input, request, error) in cases {
        assert_eq!(
            text(input.replace("KEY", &longest).as_bytes()),
            [request.replace("KEY", &longest)]
        );
        assert_eq!(text(input.replace("KEY", &too_long).as_bytes()), [error]);
    }
    let input = format!("delete {too_long} noreply\r\nset {too_long} 0 0 1 noreply\r\nx\r\n");
    assert!(text(input.as_bytes()).is_empty());
}

#[test]
fn stores() {
    check(&[
        ("set k 0 0 3\r\nabc\r\n", &["Set k 0 0 \"abc\""]),
        ("set k 0 0 3\nabc\r\n", &["Set k 0 0 \"abc\""]),
        ("set k 0 0 0\r\n\r\n", &["Set k 0 0 \"\""]),
        ("set k 5 60 3 noreply\r\nabc\r\n", &["Set k 5 60 \"abc\" noreply"]),
        ("set k 5 60 3 noreply\nabc\r\n", &["Set k 5 60 \"abc\" noreply"]),
        ("set k 0 0 3 x y\r\nabc\r\n", &["Set k 0 0 \"abc\""]),
        ("set  k  1  2  3 \r\nabc\r\n", &["Set k 1 2 \"abc\""]),
        ("set k +1 -2 3\r\nabc\r\n", &["Set k 1 -2 \"abc\""]),
        ("set k 4294967297 2147483648 3\r\nabc\r\n", &["Set k 1 2147483648 \"abc\""]),
        ("add k 0 0 1\r\na\r\n", &["Add k 0 0 \"a\""]),
        ("replace k 0 0 1\r\na\r\n", &["Replace k 0 0 \"a\""]),
        ("append k 0 0 1\r\na\r\n", &["Append k 0 0 \"a\""]),
        ("prepend k 0 0 1\r\na\r\n", &["Prepend k 0 0 \"a\""]),
        ("cas k 0 0 1 18446744073709551615\r\na\r\n", &["Cas(18446744073709551615) k 0 0 \"a\""]),
        ("cas k 0 0 1 7 noreply\r\na\r\n", &["Cas(7) k 0 0 \"a\" noreply"]),
        ("set k 0 0 2\r\n\r\n\r\n", &["Set k 0 0 \"\\r\\n\""]),
        ("set k 0 0 3\r\nabc", &["rest 16"]),
        ("set k 0 0 3\r\nabc\r", &["rest 17"]),
    ]);
}

#[test]
fn malformed_stores_consume_what_the_reference_consumes() {
    const BAD_CHUNK: &str = "CLIENT_ERROR bad data chunk";
    check(&[
        // Too few words, or no length: nobody knows how long the block is.
        ("set k 0 0\r\nget a\r\n", &[BAD_FORMAT, "get a"]),
        ("set\r\n", &[BAD_FORMAT]),
        ("set k 0 0 x\r\nget a\r\n", &[BAD_FORMAT, "get a"]),
        ("set k 0 0 -1\r\nget a\r\n", &[BAD_FORMAT, "get a"]),
        ("set k 0 0 2147483646\r\nget a\r\n", &[BAD_FORMAT, "get a"]),
        ("set k 0 0 noreply\r\nget a\r\n", &[BAD_FORMAT, "get a"]),
        ("set k 0 0 x noreply\r\nget a\r\n", &[BAD_FORMAT, "get a"]),
        // Any other word: the block is swallowed, and noreply respected.
        ("set k x 0 5\r\nget a\r\nget b\r\n", &[BAD_FORMAT, "get b"]),
        ("set k 0 x 5\r\nget a\r\nget b\r\n", &[BAD_FORMAT, "get b"]),
        ("set k -1 0 5\r\nget a\r\nget b\r\n", &[BAD_FORMAT, "get b"]),
        ("set k x 0 5 noreply\r\nget a\r\nget b\r\n", &["get b"]),
        ("cas k 0 0 5\r\nget a\r\nget b\r\n", &[BAD_FORMAT, "get b"]),
        ("cas k 0 0 5 x\r\nget a\r\nget b\r\n", &[BAD_FORMAT, "get b"]),
        ("cas k 0 0 5 noreply\r\nget a\r\nget b\r\n", &["get b"]),
        // A block of another length: exactly that many bytes and two are gone.
        ("set k 0 0 3\r\nabcdefg\r\nget a\r\n", &[BAD_CHUNK, "ERROR", "get a"]),
        ("set k 0 0 3 noreply\r\nabcdefg\r\nget a\r\n", &["ERROR", "get a"]),
        ("set k 0 0 3\r\nabc\nget a\r\n", &[BAD_CHUNK, "ERROR"]),
    ]);
}

#[test]
fn values_over_the_limit_are_swallowed() {
    let limits = Limits { item_bytes_max: 4, ..Limits::default() };
    let parser = Parser::new(Binding::Ascii, Gate::Open, limits);
    let input = b"set k 0 0 5\r\nxxxxxxxset k 0 0 4 noreply\r\nabcd\r\n";
    let expected = ["oversize Set k 0 0 \"\"", "Set k 0 0 \"abcd\" noreply"];
    assert_eq!(run(parser.clone(), [&input[..]]), expected);
    assert_eq!(run(parser, input.chunks(1)), expected);
}

#[test]
fn uploads_tell_the_header_and_give_it_again() {
    let mut parser = text_parser();
    let input = b"set k 1 2 100000\r\npart of the value";
    let step = parser.next(input);
    let Step::Upload { header_bytes: 18, value_bytes: 100_000, tail_bytes: 2, .. } = step else {
        panic!("{step:?}")
    };
    assert_eq!(parser.clone().next(&input[..18]), step);
    // The upload fails half-way: the connection has fed 17 bytes, the rest is swallowed.
    parser.swallow(100_002 - 17);
    assert_eq!(parser.next(&[b'x'; 100_000]), Step::Skip { consumed: 99_985 });
    assert_eq!(parser, text_parser());
    assert!(Parser::tail(b"\r\n") && Parser::tail(b"") && !Parser::tail(b"\n\r"));
}

#[test]
fn single_key_mutations() {
    check(&[
        ("delete k\r\n", &["delete k"]),
        ("delete k 0\r\n", &["delete k"]),
        ("delete k 10 noreply\r\n", &["delete k noreply"]),
        ("delete noreply\r\n", &["delete noreply noreply"]),
        ("delete\r\n", &[BAD_FORMAT]),
        ("touch k 5\r\n", &["touch k 5"]),
        ("touch k -5 noreply\r\n", &["touch k -5 noreply"]),
        ("touch k\r\n", &[BAD_FORMAT]),
        ("touch k x\r\n", &["CLIENT_ERROR invalid exptime argument"]),
        ("touch k noreply\r\n", &[]),
        ("incr k 18446744073709551615\r\n", &["incr k 18446744073709551615"]),
        ("decr k 1 noreply\r\n", &["decr k 1 noreply"]),
        ("incr k 18446744073709551616\r\n", &["CLIENT_ERROR invalid numeric delta argument"]),
        ("incr k -1\r\n", &["CLIENT_ERROR invalid numeric delta argument"]),
        ("incr k x noreply\r\n", &[]),
        ("incr foo\r\n", &[BAD_FORMAT]),
    ]);
}

#[test]
fn lines_that_are_nothing() {
    check(&[
        ("\r\n", &[BAD_FORMAT]),
        ("\n", &[BAD_FORMAT]),
        ("mn\n", &[BAD_FORMAT]),
        ("a\r\n", &[BAD_FORMAT]),
        ("ab\r\n", &["ERROR"]),
        ("   \n", &["ERROR"]),
        ("foo bar\r\n", &["ERROR"]),
        ("foo noreply\r\n", &[]),
        ("noreply\r\n", &[]),
        ("GET / HTTP/1.1\r\nHost: x\r\n", &["close"]),
        ("HTTP/1.1\r\n", &["ERROR"]),
        ("extstore item_age 5\r\n", &["ERROR"]),
        ("debugtime p\r\n", &["ERROR"]),
    ]);
}

#[test]
fn only_a_get_may_be_long() {
    let junk = |head: &str, length: usize| [head.as_bytes(), &vec![b'x'; length]].concat();
    assert_eq!(text(&junk("set ", 2044)), ["rest 2048"]);
    assert_eq!(text(&junk("set ", 2045)), ["close"]);
    assert_eq!(text(&[b' '; 65536]), ["close"]);
    assert_eq!(text(&[&[b' '; 101], &junk("get ", 3000)[..]].concat()), ["close"]);
    assert_eq!(text(&[&[b' '; 9], &junk("get ", 3000)[..], b"\r\n"].concat()), ["ERROR"]);
    // With its line end in sight, a long line is an ordinary line.
    let line = [&junk("delete ", 3000)[..], b"\r\nget a\r\n"].concat();
    assert_eq!(text(&line), [BAD_FORMAT, "get a"]);
}

#[test]
fn a_get_of_any_length_is_parsed_in_constant_memory() {
    let names: Vec<String> = (0..40_000).map(|number| format!("key-{number:06}")).collect();
    let line = format!("gets {}\r\nget a\r\n", names.join(" "));
    let expected = [format!("gets {}", names.join(" ")), "get a".into()];
    assert_eq!(run(text_parser(), line.as_bytes().chunks(1400)), expected);

    let mut parser = text_parser();
    let mut at = 0;
    let mut end: usize = 0;
    while parser != text_parser() || at == 0 {
        end = line.len().min(end + 1000);
        while let Step::Request { consumed, .. } = parser.next(&line.as_bytes()[at..end]) {
            at += consumed;
        }
        assert!(end - at < 8192 + 1000, "kept {} bytes", end - at);
    }
}

#[test]
fn a_bad_key_in_a_long_get_refuses_the_rest_of_the_line() {
    let keys = "some-key ".repeat(2000);
    let line = format!("get {keys}{} {keys}\r\nget a\r\n", "k".repeat(251));
    assert_eq!(run(text_parser(), line.as_bytes().chunks(512)), [BAD_FORMAT, "get a"]);
    assert_eq!(run(text_parser(), line.as_bytes().chunks(1)), [BAD_FORMAT, "get a"]);
    let line = format!("get {}", "k".repeat(1 << 20));
    assert_eq!(run(text_parser(), [line.as_bytes(), b"\r\nget a\r\n"]), [BAD_FORMAT, "get a"]);
}

#[test]
fn authentication_comes_first() {
    let gate = || Parser::new(Binding::Ascii, Gate::Token, Limits::default());
    let check = |input: &[u8], expected: &[&str]| {
        assert_eq!(run(gate(), [input]), expected, "{}", input.escape_ascii());
        assert_eq!(run(gate(), input.chunks(1)), expected, "{}", input.escape_ascii());
    };
    check(b"set x 0 0 9\r\nuser pass\r\n", &["authenticate user pass"]);
    check(b"set x 0 0 11\nuser p a ss\r\n", &["authenticate user p a ss"]);
    check(b"set x 0 0 9 noreply\r\nuser pass\r\n", &["authenticate user pass"]);
    check(b"set x 0 0 9\r\nuser-pass\r\n", &["CLIENT_ERROR bad authentication token format"]);
    check(b"set x 0 0 9\r\nuser passx\r", &["CLIENT_ERROR bad command line termination"]);
    check(b"set x 0 0 16385\r\n", &["CLIENT_ERROR auth token too long"]);
    for line in ["get foo", "version", "set x 0 0 y", "set x 0 0", "ms foo 2 T0", "shutdown"] {
        check(format!("{line}\r\n").as_bytes(), &["CLIENT_ERROR unauthenticated"]);
    }
    check(b"quit\r\n", &["close"]);
    check(b"\n\n\n\n", &["close"]);
    assert_eq!(run(gate(), [&[b'x'; 2049][..]]), ["close"]);

    let mut parser = gate();
    parser.admit();
    assert_eq!(run(parser, [&b"get a\r\n"[..]]), ["get a"]);
}

/// Lines and data blocks, good and bad, from which streams are put together.
const FRAGMENTS: &[&[u8]] = &[
    b"get a\r\n",
    b"get abcdefgh ijklmnopq  r\r\n",
    b"gets a b c d\n",
    b"gat 5 a b\r\n",
    b"set k 0 0 10\r\n0123456789\r\n",
    b"set k 0 0 3\r\n01\r\n\r\n",
    b"set k 0 0 3\r\nwrong length\r\n",
    b"set k 1 2 3 noreply\r\nabc\r\n",
    b"set k x 0 3\r\nabc\r\n",
    b"set k 0 0 x\r\n",
    b"set k 0 0 99999999\r\n",
    b"add key-of-some-length 7 100 1\r\nx\r\n",
    b"cas k 0 0 2 77\r\nhi\r\n",
    b"append k 0 0 0\r\n\r\n",
    b"delete k noreply\r\n",
    b"delete k\r\n",
    b"incr k 5\r\ndecr k x\r\n",
    b"touch k 9\n",
    b"mn\r\nmg k v t Oabc\r\n",
    b"ms k 2 T0 c\r\nhi\r\n",
    b"ms k 2 T0 T0\r\nhi\r\n",
    b"ms k x\r\n",
    b"stats items\r\n",
    b"flush_all noreply\r\n",
    b"\r\n",
    b" \n",
    b"nonsense\r\n",
    b"\x00\xff\x80 \r\n",
];

#[test]
fn steps_do_not_depend_on_how_bytes_were_split() {
    let mut random = Random(42);
    for _ in 0..300 {
        let count = 1 + random.below(8);
        let stream: Vec<u8> =
            (0..count).flat_map(|_| random.pick(FRAGMENTS).iter().copied()).collect();
        let whole = text(&stream);
        for cut in 0..=stream.len() {
            let (head, tail) = stream.split_at(cut);
            let halves = run(text_parser(), [head, tail]);
            assert_eq!(halves, whole, "{} cut at {cut}", stream.escape_ascii());
        }
        let bytewise = run(text_parser(), stream.chunks(1));
        assert_eq!(bytewise, whole, "{}", stream.escape_ascii());
    }
}

#[test]
fn the_short_way_and_the_general_way_agree() {
    const SHORT: &[&[u8]] =
        &[b"get", b"gets", b"set", b"add", b"cas", b"delete", b"incr", b"decr", b"incr_", b"getsx"];
    let mut random = Random(7);
    let words: &[&[u8]] = &[
        b"k",
        b"kk\tkk",
        b"0",
        b"1",
        b"3",
        b"3",
        b"3",
        b"10",
        b"+3",
        b"-1",
        b"x",
        b"noreply",
        b"1234567",
        b"12345678",
        b"4294967297",
        b"123456789012345678",
        b"1234567890123456789",
        b"12345678901234567890",
        b"0000000000000000000003",
    ];
    let separators: &[&[u8]] = &[b" ", b" ", b" ", b" ", b" ", b"  ", b"\t"];
    for _ in 0..20_000 {
        let mut line = random.pick(SHORT).to_vec();
        for _ in 0..random.below(7) {
            line.extend_from_slice(random.pick(separators));
            line.extend_from_slice(random.pick(words));
        }
        line.extend_from_slice(random.pick(&[&b"\r\n"[..], b"\n", b" \r\n", b"", b"\r"]));
        line.extend_from_slice(random.pick(&[&b"abc\r\n"[..], b"", b"abc", b"0123456789\r\n"]));
        let (mut short, mut general) = (text_parser(), text_parser());
        assert_eq!(short.next(&line), general.line(&line), "{}", line.escape_ascii());
        assert_eq!(short, general, "{}", line.escape_ascii());
    }
}

#[test]
fn random_bytes_make_progress_and_never_panic() {
    let mut random = Random(1234);
    for _ in 0..3_000 {
        let mut stream: Vec<u8> = Vec::new();
        for _ in 0..random.below(20) {
            let fragment = random.pick(FRAGMENTS);
            let end = random.below(fragment.len() + 1);
            stream.extend_from_slice(&fragment[..end]);
            let noise = random.below(6);
            stream.extend((0..noise).map(|_| random.below(256) as u8));
        }
        for place in stream.iter_mut() {
            if random.below(50) == 0 {
                *place = random.below(256) as u8;
            }
        }
        let size = 1 + random.below(100);
        // The driver asserts progress.
        let split = run(text_parser(), stream.chunks(size));
        assert_eq!(split, text(&stream), "{}", stream.escape_ascii());
    }
}
