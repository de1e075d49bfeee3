//! Each flag of each meta command, from the client's line to the reply, on a real shard.

use super::super::testing::Session;

/// A session in which `foo` is `bar`.
fn with_foo() -> Session {
    let mut session = Session::new();
    assert_eq!(session.ask("set foo 7 0 3\nbar"), "STORED");
    session
}

#[test]
fn a_get_returns_what_its_flags_ask_for_in_their_order() {
    let mut session = with_foo();
    let cas = session.cas(b"foo");
    assert_eq!(session.ask("mg foo"), "HD");
    assert_eq!(session.ask("mg foo v"), "VA 3\nbar");
    assert_eq!(
        session.ask("mg foo s v t f k c O123 q"),
        format!("VA 3 s3 t-1 f7 kfoo c{cas} O123\nbar")
    );
    assert_eq!(session.ask("mg foo O9 c k s"), format!("HD O9 c{cas} kfoo s3"));
    assert_eq!(session.ask("mg foo P1 L2 s"), "HD s3", "tokens for proxies are ignored");
}

#[test]
fn a_miss_repeats_opaque_and_key_unless_quiet() {
    let mut session = Session::new();
    assert_eq!(session.ask("mg foo v"), "EN");
    assert_eq!(session.ask("mg foo Oabc k s"), "EN Oabc kfoo");
    assert_eq!(session.ask("mg foo v q\nmn"), "MN");
    assert_eq!(session.ask("mg Zm9v b k"), "EN kZm9v b");
}

#[test]
fn hit_before_and_last_access_tell_of_the_time_before() {
    let mut session = with_foo();
    session.wait(5);
    assert_eq!(session.ask("mg foo h l t u"), "HD h0 l5 t-1");
    assert_eq!(session.ask("mg foo h l"), "HD h0 l5", "`u` leaves no trace");
    session.wait(2);
    assert_eq!(session.ask("mg foo h l"), "HD h1 l2");
}

#[test]
fn a_conditional_get_omits_the_value_that_the_client_has() {
    let mut session = with_foo();
    let cas = session.cas(b"foo");
    assert_eq!(session.ask(&format!("mg foo v s C{cas}")), "HD s3");
    assert_eq!(session.ask(&format!("mg foo v s C{}", cas + 1)), "VA 3 s3\nbar");
}

#[test]
fn a_touch_shows_from_where_it_stands() {
    let mut session = Session::new();
    assert_eq!(session.ask("ms foo 1 T30\n1"), "HD");
    assert_eq!(session.ask("mg foo t T90"), "HD t30");
    assert_eq!(session.ask("mg foo T60 t"), "HD t60");
    let counters = session.shard.report();
    assert_eq!(counters.counters.get_misses, 0);
    assert_eq!(session.ask("mg nothing T60 t"), "EN");
    let counters = session.shard.report().counters;
    assert_eq!((counters.touch_misses, counters.get_misses), (0, 1), "as memcached counts it");
    session.wait(60);
    assert_eq!(session.ask("mg foo"), "EN");
    assert_eq!(session.ask("ms foo 1\n1\nmg foo T-1 s\nmg foo"), "HD\nHD s1\nEN");
}

#[test]
fn one_client_wins_the_right_to_fill_what_was_not_there() {
    let mut session = Session::new();
    assert_eq!(session.ask("mg foo s c v N30 t q"), "VA 0 s0 c2 t30 W\n");
    assert_eq!(session.ask("mg foo s t v N90 q"), "VA 0 s0 t30 Z\n");
    assert_eq!(session.ask("mg foo t N90 k"), "HD t30 kfoo Z");
    assert_eq!(session.ask("ms foo 2 T0\nhi\nmg foo s N30 v"), "HD\nVA 2 s2\nhi");
    assert_eq!(session.ask("mg new E99 N30 c t"), "HD c99 t30 W");
    assert_eq!(session.ask("mg both N30 T9 t\nmg other t N30"), "HD t9 W\nHD t-1 W");
    session.wait(9);
    assert_eq!(session.ask("mg both\nmg new t\nmg other t"), "EN\nHD t21 Z\nHD t21 Z");
    assert_eq!(
        session.ask("mg Zm9vYmFy b N30 k\nmg Zm9vYmFy b k"),
        "HD kZm9vYmFy b W\nHD kZm9vYmFy b Z"
    );
}

#[test]
fn one_client_wins_the_right_to_recache_what_ends_soon() {
    let mut session = Session::new();
    assert_eq!(session.ask("ms foo 1 T60\n1\nms ever 1\n1"), "HD\nHD");
    assert_eq!(session.ask("mg foo R60 t"), "HD t60");
    assert_eq!(session.ask("mg foo R61 t\nmg foo R61 t"), "HD t60 W\nHD t60 Z");
    assert_eq!(session.ask("mg ever R61 t"), "HD t-1", "what never ends is never due");
    assert_eq!(session.ask("ms foo 1 T60\n1\nmg foo T20 R30 t"), "HD\nHD t20 W");
    assert_eq!(session.ask("ms foo 1 T20\n1\nmg foo T90 R30 t"), "HD\nHD t90");
}

#[test]
fn an_invalidated_item_is_stale_until_somebody_fills_it() {
    let mut session = with_foo();
    let cas = session.cas(b"foo");
    assert_eq!(session.ask("md foo I T30 q\nmn"), "MN");
    let stale = session.cas(b"foo");
    assert!(stale > cas);
    assert_eq!(session.ask("mg foo s t c v"), format!("VA 3 s3 t30 c{stale} X W\nbar"));
    assert_eq!(session.ask("mg foo s"), "HD s3 Z X");
    // A late store of a value read before: it counts, but stays stale and keeps its time.
    assert_eq!(session.ask(&format!("ms foo 3 I C{} T0\nnew", stale - 1)), "HD");
    assert_eq!(session.ask("mg foo t v"), "VA 3 t30 Z X\nnew");
    let now = session.cas(b"foo");
    assert_eq!(session.ask(&format!("ms foo 4 C{now}\ngood\nmg foo v")), "HD\nVA 4\ngood");
    assert_eq!(session.ask("md foo I E500 O1 k\nmg foo c"), "HD O1 kfoo\nHD c500 X W");
}

#[test]
fn modes_of_a_store() {
    let mut session = Session::new();
    assert_eq!(session.ask("ms foo 1 MA\n1\nms foo 1 MP\n1\nms foo 1 MR\n1"), "NS\nNS\nNS");
    assert_eq!(session.ask("ms foo 1 ME F5\n1\nms foo 1 ME\n2"), "HD\nNS");
    assert_eq!(session.ask("ms foo 2 MA s\n23\nms foo 1 MP s F9\n0"), "HD s3\nHD s4");
    assert_eq!(session.ask("mg foo v f"), "VA 4 f5\n0123");
    assert_eq!(session.ask("ms foo 1 MR\nr\nms foo 1 MS\ns\nmg foo v"), "HD\nHD\nVA 1\ns");
    assert_eq!(session.ask("ms foo 1 Ms\n1"), "CLIENT_ERROR invalid mode for ms M token");
    assert_eq!(session.ask("ms viv 1 MA N60 T5\n1\nmg viv t"), "HD\nHD t60");
}

#[test]
fn a_store_returns_what_its_flags_ask_for() {
    let mut session = Session::new();
    assert_eq!(session.ask("ms foo 3 O1 k c s\nbar"), "HD O1 kfoo c2 s3");
    assert_eq!(
        session.ask("ms Zm9v 1 b k\n1\nmg Zm9v b k\nmg foo k"),
        "HD kZm9v b\nHD kZm9v b\nHD kZm9v b"
    );
    assert_eq!(session.ask("ms foo 1 q\n1\nmn"), "MN");
    assert_eq!(session.ask("ms foo 2 q ME O7 c s\n12"), "NS O7 c0 s2");
    assert_eq!(session.ask("ms foo 1 E77\n1\nmg foo c"), "HD\nHD c77");
    assert_eq!(session.ask("ms foo 1 C76 O1 k c\n2"), "EX O1 kfoo c0");
    assert_eq!(session.ask("ms foo 1 C0 c\n2"), "EX c0");
    assert_eq!(session.ask("ms foo 1 C77 MR E80 c\n2"), "HD c80");
    assert_eq!(session.ask("ms foo 1 C5 MA\n3\nms foo 1 C80 MA\n3\nmg foo v"), "EX\nHD\nVA 2\n23");
    assert_eq!(session.ask("ms foo 1 C0 MP\n1\nmg foo v"), "HD\nVA 3\n123");
    assert_eq!(session.ask("ms none 1 C5\n1"), "NF");
    assert_eq!(session.ask("ms none 1 C5 MA\n1\nms none 1 C5 ME\n1"), "NS\nHD");
}

#[test]
fn what_is_too_large_takes_the_present_item_along() {
    let mut session = with_foo();
    let line = format!("ms foo {} ME\n{}", 1 << 20, "x".repeat(1 << 20));
    assert_eq!(session.ask(&line), "SERVER_ERROR object too large for cache");
    assert_eq!(session.ask("mg foo"), "EN");
}

#[test]
fn deletes() {
    let mut session = with_foo();
    let cas = session.cas(b"foo");
    assert_eq!(session.ask(&format!("md foo C{} O1 k q", cas + 1)), "EX O1 kfoo");
    assert_eq!(session.ask("md foo C0"), "EX");
    assert_eq!(session.shard.report().counters.delete_misses, 2);
    assert_eq!(session.ask(&format!("md foo C{cas} q\nmn")), "MN");
    assert_eq!(session.ask("md foo q k O9"), "NF kfoo O9");
    assert_eq!(session.ask("ms Zm9v 1 b\n1\nmd Zm9v b k"), "HD\nHD kZm9v b");
}

#[test]
fn tombstones() {
    let mut session = with_foo();
    let cas = session.cas(b"foo");
    assert_eq!(session.ask("md foo x T40\nmg foo v f c t"), format!("HD\nVA 0 f0 c{cas} t40\n"));
    assert_eq!(session.ask("md foo x E9\nmg foo c t"), "HD\nHD c9 t-1");
    assert_eq!(
        session.ask("set foo 7 0 3\nbar\nmd foo x I T30\nmg foo v f t"),
        "STORED\nHD\nVA 0 f0 t30 X W\n"
    );
    assert_eq!(session.ask("ms /w== 1 b\n1\nmd /w== b x\nmg /w== b k"), "HD\nHD\nHD k/w== b");
}

#[test]
fn arithmetic_counts_in_both_directions() {
    let mut session = Session::new();
    assert_eq!(session.ask("ma n\nma n O1 k q"), "NF\nNF O1 kn");
    assert_eq!(session.ask("ms n 2\n10\nma n\nma n v"), "HD\nHD\nVA 2\n12");
    assert_eq!(
        session.ask("ma n D5 v\nma n MD D7 v\nma n M- v\nma n M+ v"),
        "VA 2\n17\nVA 2\n10\nVA 1\n9\nVA 2\n10"
    );
    assert_eq!(session.ask("ma n D5 MD q\nma n D5 v q\nmn"), "MN");
    assert_eq!(session.ask("ma n D50 MD v"), "VA 1\n0");
    assert_eq!(session.ask("ma n mi"), "CLIENT_ERROR invalid or duplicate flag");
    assert_eq!(session.ask("ma n Mi"), "CLIENT_ERROR invalid mode for ma M token");
    let expected = "CLIENT_ERROR cannot increment or decrement non-numeric value";
    assert_eq!(session.ask("ms t 1\nx\nma t q"), format!("HD\n{expected}"));
}

#[test]
fn arithmetic_makes_counters_and_moves_their_end() {
    let mut session = Session::new();
    assert_eq!(session.ask("ma n N30 J13 v t c"), "VA 2 t30 c2\n13");
    assert_eq!(session.ask("ma n N90 J99 D3 v t"), "VA 2 t30\n16");
    assert_eq!(session.ask("ma n t T60\nma n t"), "HD t30\nHD t60");
    let cas = session.cas(b"n");
    assert_eq!(
        session.ask(&format!("ma n C{} O1\nma n C{cas} E900 c\nmg n c", cas + 1)),
        "EX O1\nHD c900\nHD c900"
    );
    assert_eq!(session.ask("ma /w== b N0 k v\nmg /w== b k"), "VA 1 k/w== b\n0\nHD k/w== b");
    assert_eq!(session.ask("ma m t N30 T9\nmg m t"), "HD t-1\nHD t9");
    assert_eq!(session.shard.report().counters.incr_misses, 0, "a miss that is filled is none");
}

#[test]
fn descriptions() {
    let mut session = with_foo();
    session.wait(3);
    let cas = session.cas(b"foo");
    let described = session.ask("me foo");
    assert!(
        described.starts_with(&format!("ME foo exp=-1 la=3 cas={cas} fetch=no cls=1 size=")),
        "{described}"
    );
    assert!(session.ask("mg foo\nme foo").contains("la=0 cas=2 fetch=yes"));
    assert_eq!(session.ask("me none"), "EN");
    assert!(session.ask("me Zm9v b x").starts_with("ME foo exp=-1"));
}

#[test]
fn a_large_value_is_sent_from_where_it_lies() {
    let mut session = Session::new();
    let value = "v".repeat(100_000);
    assert_eq!(session.ask(&format!("ms foo 100000\n{value}")), "HD");
    assert_eq!(session.ask("mg foo v s"), format!("VA 100000 s100000\n{value}"));
}
