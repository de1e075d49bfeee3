//! Meta commands as Dalli 5 sends them, which speaks nothing else: Debian's Dalli is older.
//!
//! Each step is one call of that library by its bytes on the wire, with the replies that it waits
//! for: values by `mg`, stores by `ms` in their modes, quiet pipelines that end with `mn`.

mod common;

use common::{Server, Wire};

fn on_each_number_of_cores(test: impl Fn(&mut Wire)) {
    for cores in ["1", "2"] {
        let server = Server::ringcached(&["-t", cores]);
        let mut wire = server.connect();
        test(&mut wire);
        wire.assert_in_step();
    }
}

/// The id that a reply ends with.
fn cas_id(reply: &str) -> u64 {
    let word = reply.split(' ').find_map(|word| word.strip_prefix('c'));
    word.and_then(|id| id.parse().ok()).unwrap_or_else(|| panic!("no id in {reply}"))
}

#[test]
fn dalli_5_gets_and_sets() {
    on_each_number_of_cores(|wire| {
        assert!(wire.ask("version\r\n").starts_with("VERSION 1.6."));
        wire.expect("mg none v f\r\n", "EN\r\n");
        assert!(wire.ask("ms k 5 c F1 T300 MS\r\nhello\r\n").starts_with("HD c"));
        wire.expect("mg k v f\r\n", "VA 5 f1\r\nhello\r\n");
        wire.expect("ms k 2 c F0 ME\r\nno\r\n", "NS c0\r\n");
        wire.expect("ms none 2 c F0 MR\r\nno\r\n", "NS c0\r\n");
        wire.expect("ms k 1 MA\r\n!\r\nms k 1 MP\r\n?\r\n", "HD\r\nHD\r\n");
        wire.expect("mg k v f T60\r\n", "VA 7 f1\r\n?hello!\r\n");
        wire.expect("mg k T120\r\nmg none T120\r\n", "HD\r\nEN\r\n");
        wire.expect("mg k t\r\n", "HD t120\r\n");
        wire.expect("md k\r\nmd k\r\n", "HD\r\nNF\r\n");
    });
}

#[test]
fn dalli_5_swaps_by_cas_id() {
    on_each_number_of_cores(|wire| {
        let id = cas_id(&wire.ask("ms k 1 c F0 T0 MS\r\na\r\n"));
        wire.expect("mg k v f c\r\n", format!("VA 1 f0 c{id}\r\na\r\n"));
        wire.expect(format!("ms k 1 c F0 C{} T0 MS\r\nb\r\n", id + 1_000_000), "EX c0\r\n");
        let next = cas_id(&wire.ask(format!("ms k 1 c F0 C{id} T0 MS\r\nb\r\n")));
        assert_ne!(next, id);
        wire.expect(format!("md k C{id}\r\nmd k C{next}\r\n"), "EX\r\nHD\r\n");
        wire.expect(format!("ms k 1 c F0 C{next} T0 MS\r\nc\r\n"), "NF c0\r\n");
    });
}

#[test]
fn dalli_5_counts() {
    on_each_number_of_cores(|wire| {
        wire.expect("ma n v D5 MI\r\n", "NF\r\n");
        wire.expect("ma n v D5 J40 N300 MI\r\n", "VA 2\r\n40\r\n");
        wire.expect("ma n v D5 J40 N300 MI\r\nma n v D3 MD\r\n", "VA 2\r\n45\r\nVA 2\r\n42\r\n");
        wire.expect("ma n q\r\nma n D100 MD q\r\nmn\r\nmg n v\r\n", "MN\r\nVA 2\r\n0 \r\n");
    });
}

#[test]
fn dalli_5_asks_for_many_quietly() {
    on_each_number_of_cores(|wire| {
        let sets: String = (0..200).map(|n| format!("ms many{n} 2 c F0 MS q\r\nab\r\n")).collect();
        wire.exchange(format!("{sets}mn\r\n").as_bytes(), b"MN\r\n");
        let gets: String = (0..400).map(|n| format!("mg many{n} v f k q s\r\n")).collect();
        let hits: String = (0..200).map(|n| format!("VA 2 f0 kmany{n} s2\r\nab\r\n")).collect();
        wire.exchange(format!("{gets}mn\r\n").as_bytes(), format!("{hits}MN\r\n").as_bytes());
        let deletes: String = (0..200).map(|n| format!("md many{n} q\r\n")).collect();
        wire.exchange(format!("{deletes}mn\r\n").as_bytes(), b"MN\r\n");
        wire.expect("md many0 q\r\nmn\r\n", "NF\r\nMN\r\n");
    });
}

#[test]
fn dalli_5_sends_strange_keys_in_base64() {
    on_each_number_of_cores(|wire| {
        let key = "w7xiZXIga8OpeQ==";
        wire.expect(format!("ms {key} 3 b F0 MS\r\nabc\r\n"), "HD\r\n");
        let hit = format!("VA 3 f0 k{key} b s3\r\nabc\r\n");
        wire.expect(format!("mg {key} b v f k q s\r\nmn\r\n"), format!("{hit}MN\r\n"));
        wire.expect(format!("md {key} b\r\n"), "HD\r\n");
    });
}

/// One client is told to fetch what is stale, missing or about to end; the others wait or serve
/// what there is.
#[test]
fn dalli_5_guards_against_stampedes() {
    on_each_number_of_cores(|wire| {
        wire.expect("mg k v f c N30\r\n", "VA 0 f0 c");
        assert!(wire.line().ends_with(" W"));
        assert_eq!(wire.line(), "");
        assert!(wire.ask("mg k s N30\r\n").ends_with(" Z"));
        wire.expect("ms k 3 F0 T100 MS\r\nnew\r\n", "HD\r\n");
        wire.expect("mg k v R200\r\nmg k v R200\r\n", "VA 3 W\r\nnew\r\nVA 3 Z\r\nnew\r\n");
        wire.expect("ms k 3 F0 T100 MS\r\nold\r\nmd k I T30\r\n", "HD\r\nHD\r\n");
        wire.expect("mg k v\r\nmg k v\r\n", "VA 3 X W\r\nold\r\nVA 3 Z X\r\nold\r\n");
        wire.expect("mg k h l t\r\n", "HD h1 l0 t30");
        wire.expect("", " Z X\r\n");
        wire.expect("flush_all\r\nmg k v\r\n", "OK\r\nEN\r\n");
    });
}
