//! Administration from the outside: dumps, the crawler, pages on the move, the LRU's settings, and
//! the switches that forbid commands.

mod common;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use common::{Server, Wire};

fn stat(wire: &mut Wire, family: &str, name: &str) -> u64 {
    wire.send(format!("stats{family}\r\n"));
    let text = String::from_utf8(wire.read_until(b"END\r\n")).expect("text");
    let start = format!("STAT {name} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&start));
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name}: {text}"))
}

#[track_caller]
fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let since = Instant::now();
    while !done() {
        assert!(since.elapsed() < Duration::from_secs(20), "{what} did not come about");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn fill(wire: &mut Wire, count: usize, value_bytes: usize) {
    let value = "v".repeat(value_bytes);
    for n in 0..count {
        wire.expect(format!("set key{n} 3 0 {value_bytes}\r\n{value}\r\n"), "STORED\r\n");
    }
}

/// The lines of a dump, without its beginning.
fn dump(wire: &mut Wire, command: &str, end: &str) -> Vec<String> {
    wire.expect(format!("lru_crawler {command}\r\n"), "OK\r\n");
    let text = String::from_utf8(wire.read_until(end.as_bytes())).expect("a dump is text");
    text.lines().take_while(|line| *line != end.trim_end()).map(str::to_owned).collect()
}

#[test]
fn dumps_name_every_item_once_and_by_class() {
    for cores in ["1", "2"] {
        let server = Server::ringcached(&["-t", cores]);
        let mut wire = server.connect();
        fill(&mut wire, 3000, 10);
        wire.expect("ms a2V5IQ== 2 b T100\r\nab\r\n", "HD\r\n");
        wire.expect(format!("set wide 0 0 5000\r\n{}\r\n", "w".repeat(5000)), "STORED\r\n");
        for target in ["all", "hash"] {
            let lines = dump(&mut wire, &format!("metadump {target}"), "END\r\n");
            let keys: BTreeSet<&str> =
                lines.iter().map(|line| line.split(' ').next().expect("a key")).collect();
            assert_eq!((lines.len(), keys.len()), (3002, 3002), "{target}");
            assert!(keys.contains("key=key%21"), "base64 keys are shown decoded, in URI form");
            let line = lines.iter().find(|line| line.starts_with("key=key7 ")).expect("key7");
            for word in [" exp=-1 ", " la=", " cas=", " fetch=no ", " cls=", " size=", " flags=3 "]
            {
                assert!(line.contains(word), "{word:?} in {line:?}");
            }
        }
        let gets = dump(&mut wire, "mgdump all", "EN\r\n");
        assert_eq!(gets.len(), 3002);
        assert!(gets.contains(&"mg a2V5IQ== b".to_owned()) && gets.contains(&"mg key0".to_owned()));
        let all = dump(&mut wire, "metadump all", "END\r\n");
        let class = |line: &String| {
            let word = line.split(' ').find_map(|word| word.strip_prefix("cls="));
            word.expect("a class").to_owned()
        };
        let wide = all.iter().find(|line| line.starts_with("key=wide ")).map(class).expect("wide");
        let of_class = dump(&mut wire, &format!("metadump {wide}"), "END\r\n");
        assert_eq!(of_class.len(), 1, "{of_class:?}");
        let both = dump(&mut wire, &format!("mgdump {wide},1"), "EN\r\n");
        assert!(both.contains(&"mg wide".to_owned()), "{both:?}");
        wire.assert_in_step();
    }
}

/// A reader that pauses costs neither memory nor anybody's time; in the end it has all.
#[test]
fn a_dump_waits_for_its_reader() {
    let server = Server::ringcached(&["-t", "2", "-m", "128"]);
    let mut wire = server.connect();
    let count = 100_000;
    for from in (0..count).step_by(1000) {
        let name = |n: usize| format!("set {}{n} 0 0 1\r\nx\r\n", "k".repeat(150));
        let sets: String = (from..from + 1000).map(name).collect();
        wire.exchange(sets.as_bytes(), "STORED\r\n".repeat(1000).as_bytes());
    }
    let before = server.process().resident_bytes();
    let mut readers: Vec<Wire> = (0..4)
        .map(|_| {
            let mut reader = server.connect();
            reader.send("lru_crawler metadump all\r\n");
            reader
        })
        .collect();
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(1) {
        wire.expect("set other 0 0 1\r\nx\r\n", "STORED\r\n");
    }
    // A dump is 25 MB long.
    let grown = server.process().resident_bytes().saturating_sub(before);
    assert!(grown < 16 << 20, "four paused dumps took {grown} bytes");
    for reader in &mut readers {
        let text = reader.read_until(b"END\r\n");
        let items = memchr::memmem::find_iter(&text, b"key=kkk").count();
        assert_eq!(items, count);
    }
}

#[test]
fn the_crawler_obeys() {
    let server = Server::ringcached(&["-t", "2"]);
    let mut wire = server.connect();
    wire.expect("lru_crawler disable\r\n", "OK\r\n");
    wire.expect("lru_crawler crawl all\r\n", "CLIENT_ERROR lru crawler disabled\r\n");
    wire.expect("lru_crawler metadump all\r\n", "CLIENT_ERROR lru crawler disabled\r\n");
    for n in 0..500 {
        wire.expect(format!("set gone{n} 0 1 1\r\nx\r\n"), "STORED\r\n");
    }
    fill(&mut wire, 500, 10);
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(stat(&mut wire, "", "curr_items"), 1000, "nobody has looked yet");
    wire.expect("lru_crawler enable\r\nlru_crawler sleep 10\r\n", "OK\r\nOK\r\n");
    wire.expect("lru_crawler tocrawl 0\r\nlru_crawler crawl all\r\n", "OK\r\nOK\r\n");
    wait_until("the end of what expired", || stat(&mut wire, "", "curr_items") == 500);
    assert_eq!(stat(&mut wire, "", "crawler_reclaimed"), 500);
    assert_eq!(stat(&mut wire, "", "expired_unfetched"), 500);
    assert!(stat(&mut wire, "", "crawler_items_checked") >= 500);
    assert!(stat(&mut wire, "", "lru_crawler_starts") > 0);
    wire.expect("lru_crawler crawl 0\r\n", "BADCLASS invalid class id\r\n");
    wire.expect(
        "lru_crawler sleep 1000001\r\n",
        "CLIENT_ERROR sleep must be one second or less\r\n",
    );
}

/// What has expired goes from the classes that the crawler was sent through, and from no other.
#[test]
fn a_crawl_goes_through_the_classes_that_it_was_told() {
    let server = Server::ringcached(&["-t", "2"]);
    let mut wire = server.connect();
    wire.expect("lru_crawler disable\r\n", "OK\r\n");
    let class_of = |wire: &mut Wire, bytes: usize| {
        wire.expect(
            format!("set stays{bytes} 0 0 {bytes}\r\n{}\r\n", "x".repeat(bytes)),
            "STORED\r\n",
        );
        wire.send(format!("me stays{bytes}\r\n"));
        let text = String::from_utf8(wire.read_until(b"\r\n")).expect("text");
        let word = text.split_whitespace().find_map(|word| word.strip_prefix("cls="));
        word.expect("a class").parse::<u32>().expect("a number")
    };
    let [small, middle, large] = [1, 1_000, 5_000].map(|bytes| class_of(&mut wire, bytes));
    let reclaimed = |wire: &mut Wire| {
        [small, middle, large]
            .map(|class| stat(wire, " items", &format!("items:{class}:crawler_reclaimed")))
    };
    // The crawler also walks by itself, once a second at most: what it took is no evidence.
    let told = (0..20).any(|_| {
        for n in 0..50 {
            for bytes in [1, 1_000, 5_000] {
                let value = "x".repeat(bytes);
                wire.expect(format!("set k{bytes}-{n} 0 -1 {bytes}\r\n{value}\r\n"), "STORED\r\n");
            }
        }
        let before = reclaimed(&mut wire);
        let list = format!("lru_crawler enable\r\nlru_crawler crawl {small},{large}\r\n");
        wire.expect(list, "OK\r\nOK\r\n");
        wait_until("the walk", || reclaimed(&mut wire)[2] >= before[2] + 50);
        std::thread::sleep(Duration::from_millis(20));
        wire.expect("lru_crawler disable\r\n", "OK\r\n");
        let after = reclaimed(&mut wire);
        after[0] >= before[0] + 50 && after[1] == before[1]
    });
    assert!(told, "a walk of two classes takes from all: {:?}", reclaimed(&mut wire));
    wire.expect("lru_crawler enable\r\n", "OK\r\n");
    for (list, answer) in [
        ("1,2,3", "OK"),
        ("1,2,", "OK"),
        ("all", "OK"),
        ("0", "BADCLASS invalid class id"),
        ("1,64", "BADCLASS invalid class id"),
        ("1,x", "BADCLASS invalid class id"),
        (",", "NOTSTARTED no items to crawl"),
        ("hash", "ERROR an unknown error happened"),
    ] {
        wire.expect(format!("lru_crawler crawl {list}\r\n"), format!("{answer}\r\n"));
    }
}

#[test]
fn pages_move_when_told() {
    let server = Server::ringcached(&["-t", "1", "-m", "64", "-o", "no_slab_automove"]);
    let mut wire = server.connect();
    fill(&mut wire, 4000, 1000);
    wire.expect("set small 0 0 1\r\nx\r\n", "STORED\r\n");
    wire.send("stats slabs\r\n");
    let slabs = String::from_utf8(wire.read_until(b"END\r\n")).expect("text");
    let pages = |line: &str| {
        let (class, rest) = line.strip_prefix("STAT ")?.split_once(":total_pages ")?;
        Some((class.parse::<u8>().ok()?, rest.parse::<u64>().ok()?))
    };
    let pages: Vec<(u8, u64)> = slabs.lines().filter_map(pages).collect();
    let &(from, _) = pages.iter().max_by_key(|(_, pages)| *pages).expect("a class");
    let &(to, before) = pages.iter().min_by_key(|(_, pages)| *pages).expect("a class");
    wire.expect(format!("slabs reassign {from} {to}\r\n"), "OK\r\n");
    let name = format!("{to}:total_pages");
    wait_until("the move", || stat(&mut wire, " slabs", &name) == before + 1);
    assert_eq!(stat(&mut wire, "", "slabs_moved"), 1);
    let same = "SAME src and dst class are identical\r\n";
    wire.expect(format!("slabs reassign {to} {to}\r\n"), same);
    wire.expect("slabs reassign 1 99\r\n", "BADCLASS invalid src or dst class id\r\n");
    wire.expect("slabs automove 1\r\nslabs automove ratio 0.5\r\n", "OK\r\nOK\r\n");
    assert_eq!(stat(&mut wire, " settings", "slab_automove"), 1);
    let forbidden = Server::ringcached(&["-o", "no_slab_reassign"]);
    let disabled = "CLIENT_ERROR slab reassignment disabled\r\n";
    forbidden.connect().expect("slabs reassign 1 2\r\n", disabled);
}

#[test]
fn the_lru_is_tuned_and_shown() {
    let server = Server::ringcached(&["-t", "2"]);
    let mut wire = server.connect();
    wire.expect("lru tune 10 25 0.1 2.5\r\nlru temp_ttl 30\r\n", "OK\r\nOK\r\n");
    for (name, value) in [("hot_lru_pct", 10), ("warm_lru_pct", 25), ("temporary_ttl", 30)] {
        assert_eq!(stat(&mut wire, " settings", name), value, "{name}");
    }
    wire.expect("set short 0 20 1\r\nx\r\nset long 0 0 1\r\nx\r\n", "STORED\r\nSTORED\r\n");
    wire.send("stats items\r\n");
    let items = String::from_utf8(wire.read_until(b"END\r\n")).expect("text");
    assert!(items.contains(":number_temp 1\r\n"), "{items}");
    wire.expect("lru mode flat\r\nlru temp_ttl -1\r\n", "OK\r\nOK\r\n");
    wire.send("stats settings\r\n");
    let settings = String::from_utf8(wire.read_until(b"END\r\n")).expect("text");
    assert!(settings.contains("STAT lru_segmented no\r\n"), "{settings}");
    assert!(settings.contains("STAT temp_lru no\r\n"), "{settings}");
}

#[test]
fn detail_counts_by_prefix() {
    let server = Server::ringcached(&["-t", "2", "-D", "/"]);
    let mut wire = server.connect();
    wire.expect("set a/1 0 0 1\r\nx\r\nget a/1 a/2\r\ndelete a/1\r\n", "STORED\r\n");
    wire.expect("", "VALUE a/1 0 1\r\nx\r\nEND\r\nDELETED\r\n");
    wire.expect("get plain\r\n", "END\r\n");
    wire.expect("stats detail dump\r\n", "PREFIX a get 2 hit 1 set 1 del 1\r\nEND\r\n");
    wire.expect("stats detail off\r\nget a/1\r\n", "OK\r\nEND\r\n");
    wire.expect("stats detail dump\r\n", "PREFIX a get 2 hit 1 set 1 del 1\r\nEND\r\n");
    wire.expect("stats reset\r\nstats detail dump\r\n", "RESET\r\nEND\r\n");
}

#[test]
fn switches_forbid_commands() {
    let server = Server::ringcached(&["-X", "-F", "-A"]);
    let mut wire = server.connect();
    for (command, refusal) in [
        ("flush_all", "CLIENT_ERROR flush_all not allowed"),
        ("stats cachedump 1 1", "CLIENT_ERROR stats cachedump not allowed"),
        ("stats detail on", "CLIENT_ERROR stats detail not allowed"),
        ("lru_crawler metadump all", "ERROR metadump not allowed"),
        ("lru_crawler mgdump all", "ERROR key dump not allowed"),
        ("shutdown now", "CLIENT_ERROR invalid shutdown mode"),
    ] {
        wire.expect(format!("{command}\r\n"), format!("{refusal}\r\n"));
    }
    assert_eq!(stat(&mut wire, "", "cmd_flush"), 1, "refused, but counted");
    wire.send("shutdown graceful\r\n");
    let ended = server.wait();
    assert!(ended.status.success(), "{}", ended.log);
    let plain = Server::ringcached(&[]);
    plain.connect().expect("shutdown\r\n", "SERVER_ERROR: shutdown not enabled\r\n");
}

/// The classes are as they were asked for; the last one holds the largest chunks.
#[test]
fn slab_sizes_are_as_asked_for() {
    let server = Server::ringcached(&["-t", "1", "-o", "slab_sizes=100-300-1000"]);
    let mut wire = server.connect();
    for (key, value_bytes) in [("a", 50), ("b", 200), ("c", 900), ("d", 2000)] {
        let value = "v".repeat(value_bytes);
        wire.expect(format!("set {key} 0 0 {value_bytes}\r\n{value}\r\n"), "STORED\r\n");
    }
    for (class, chunk_bytes) in [(1, 104), (2, 304), (3, 1000), (4, 512 << 10)] {
        let found = stat(&mut wire, " slabs", &format!("{class}:chunk_size"));
        assert_eq!(found, chunk_bytes);
        assert_eq!(stat(&mut wire, " items", &format!("items:{class}:number")), 1);
    }
}
