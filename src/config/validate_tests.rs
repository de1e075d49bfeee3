//! Rules between values: each test is one rule.

use super::*;
use crate::config::flags::Asked;
use crate::config::limits::{GIB, KIB, MIB};
use crate::config::settings::CpuId;

fn host(cpus: usize) -> Host {
    let sasl_file = Some("/etc/users".into());
    Host { cpus: (0..cpus).map(CpuId).collect(), port_file: None, sasl_file }
}

fn with(line: &str, cpus: usize) -> Result<Config, Failure> {
    let words = std::iter::once("ringcached").chain(line.split_whitespace());
    match Flags::parse(words)? {
        Asked::Run(flags) => Config::new(&flags, &host(cpus)),
        Asked::Print(text) => panic!("{text}"),
    }
}

fn config(line: &str) -> Config {
    with(line, 2).unwrap()
}

fn refusal(line: &str) -> String {
    let failure = with(line, 2).unwrap_err();
    assert_eq!(failure.code, crate::config::exit::USAGE, "{line}");
    assert!(!failure.message.contains('\n'), "{}", failure.message);
    failure.message
}

/// A command line that asks for TLS.
const TLS: &str = "-Z -o ssl_chain_cert=c,ssl_key=k";

fn warnings(config: &Config) -> Vec<&str> {
    let text = |note: &'_ Note| matches!(note, Note::Warning(_));
    config
        .notes
        .iter()
        .filter(|note| text(note))
        .map(|note| match note {
            Note::Difference(text) | Note::Warning(text) | Note::Verbose(text) => text.as_str(),
        })
        .collect()
}

#[test]
fn defaults_are_memcacheds_but_for_two() {
    let c = config("");
    assert_eq!(c.tcp_port, Some(11211));
    assert_eq!((c.memory_bytes, c.item_bytes_max), (64 * MIB, MIB));
    assert_eq!((c.chunk_bytes_min, c.growth_factor), (48, 1.25));
    assert_eq!((c.connections_max, c.backlog, c.requests_per_event), (1024, 1024, 20));
    assert!(c.evict && c.cas && c.maxconns_fast && c.flush_enabled && !c.shutdown_enabled);
    assert_eq!(c.protocol.name(), "auto-negotiate");
    assert_eq!(c.slab_chunk_bytes_max, 512 * KIB);
    // The two differences: loopback, and as many cores as there are CPUs.
    assert_eq!(c.listen.len(), 2);
    assert!(c.listen.iter().all(|address| address.host.is_loopback()));
    assert_eq!((c.threads, c.cpus.len()), (2, 2));
    assert!(c.notes.iter().any(|note| matches!(note, Note::Difference(text)
            if text.contains("127.0.0.1") && text.contains("-t not given"))));
}

#[test]
fn switches_arrive() {
    let c = config("-M -C -L -k -A -F -d -r -vv");
    assert!(!c.evict && !c.cas && c.large_pages && c.lock_memory);
    assert!(c.shutdown_enabled && !c.flush_enabled && c.daemonize && c.core_dumps);
    assert_eq!(c.verbosity, 2);
}

#[test]
fn items_are_at_most_half_of_memory() {
    assert_eq!(config("-m 2048 -I 1g -t 1").item_bytes_max, GIB);
    assert!(refusal("-m 64 -I 64m").contains("-m 64 MB is too little for items of 64 MB"));
    let much = refusal("-m 300000 -t 2");
    assert!(
        much.contains("-m 300000 MB is too much for 2 cores (-t): each can manage 120 GB"),
        "{much}"
    );
    assert_eq!(config("-m 200000 -t 2").memory_bytes, 200_000 * MIB);
    assert!(refusal("-m 1").contains("items of 1 MB"));
    assert_eq!(config("-m 2 -t 1").memory_bytes, 2 * MIB);
    assert_eq!(config("-I 1k").item_bytes_max, KIB);
}

#[test]
fn cores_share_the_memory() {
    let c = config("-m 64 -I 32m -t 2");
    assert_eq!((c.threads, c.cpus.len()), (1, 1));
    assert!(warnings(&c)[0].contains("-t 2 lowered to 1: each core needs 64 MB"));
    // Nobody asked for two here, so nobody is warned.
    let c = config("-m 64 -I 32m");
    assert_eq!((c.threads, warnings(&c).len()), (1, 0));
    assert_eq!(with("-m 1024", 64).unwrap().threads, 64);
}

#[test]
fn more_cores_than_cpus_share_them() {
    let c = config("-t 5");
    assert_eq!(c.cpus, [0, 1, 0, 1, 0].map(CpuId));
    assert!(warnings(&c)[0].contains("more than the 2 CPUs"));
}

#[test]
fn a_thousand_cpus_give_as_many_cores_as_shards_can_number() {
    assert_eq!(with("-m 4096", 1000).unwrap().threads, limits::THREADS_MAX);
}

#[test]
fn ports() {
    assert_eq!(config("-p 5").listen[0].port, 5);
    let c = config("-p -1");
    assert_eq!((c.tcp_port, c.listen[0].port), (Some(0), 0));
    assert!(refusal("-p 0").contains("nothing to serve"));
    assert_eq!(config("-p 5 -l 10.0.0.1:6").listen[0].port, 6);
}

#[test]
fn datagrams_have_a_port_of_their_own_and_a_warning() {
    let of = |line: &str| {
        let c = config(line);
        let udp = c.udp_listen.first().map(|address| address.port);
        (c.tcp_port, c.udp_port, udp, warnings(&c).len())
    };
    assert_eq!(of(""), (Some(11211), None, None, 0));
    assert_eq!(of("-U 0"), (Some(11211), None, None, 0));
    assert_eq!(of("-U 7"), (Some(7), Some(7), Some(7), 1));
    assert_eq!(of("-U 7 -p 5"), (Some(5), Some(7), Some(7), 1));
    assert_eq!(of("-U 7 -p 5 -l 10.0.0.1:6"), (Some(5), Some(7), Some(6), 1));
    assert_eq!(of("-U -1 -p 0"), (None, Some(0), Some(0), 1));
    assert_eq!(of("-U 7 -s /tmp/x.sock"), (None, None, None, 0));
    assert!(refusal("-U 7 -S").contains("can't go with -S"));
    assert!(refusal("-U 7 -Y f").contains("can't go with -Y"));
}

#[test]
fn a_unix_socket_turns_the_network_off() {
    let c = config("-s /tmp/x.sock -a 0777 -p 5");
    assert_eq!((c.tcp_port, c.listen.len(), c.unix_mask), (None, 0, 0o777));
    assert_eq!(c.unix_path.as_deref(), Some(Path::new("/tmp/x.sock")));
    assert!(config("-s x.sock").unix_path.unwrap().is_absolute());
    assert!(refusal(&format!("-s /{}", "x".repeat(108))).contains("allowed are 107"));
}

#[test]
fn lru_shares_add_up() {
    assert!(refusal("-o hot_lru_pct=41,warm_lru_pct=40").contains("at most 80"));
    assert!(refusal("-o no_lru_maintainer,temporary_ttl=5").contains("needs lru_maintainer"));
    assert_eq!(config("-o hot_lru_pct=40,warm_lru_pct=40").lru.hot_pct, 40);
}

#[test]
fn chunks_divide_a_page() {
    assert_eq!(config("-o slab_chunk_max=16").slab_chunk_bytes_max, 16 * KIB);
    assert!(refusal("-o slab_chunk_max=300").contains("divide a page"));
    assert_eq!(config("-o no_chunked_items").slab_chunk_bytes_max, MIB);
}

#[test]
fn asking_for_less_than_there_is_needs_nothing() {
    config("-U 0 -B ascii -B auto -N 0");
}

#[test]
fn tls_needs_its_files_and_a_port() {
    assert!(refusal("-Z").contains("-o ssl_chain_cert=FILE"));
    assert!(refusal("-Z -o ssl_chain_cert=c").contains("-o ssl_key=FILE"));
    assert!(refusal(&format!("{TLS} -p 0 -U 7")).contains("needs a TCP port"));
    let c = config(TLS);
    assert!(c.tls.enabled && c.tls.chain_file.unwrap().is_absolute());
    assert_eq!(c.listen[0].manner.tls, Some(PeerCheck::Never));
    assert!(!config("-o ssl_chain_cert=c").tls.enabled);
}

#[test]
fn tls_says_where_it_is_not_what_it_seems() {
    let about = |line: &str, what: &str| {
        let warnings = warnings(&config(&format!("{TLS} {line}"))).join("\n");
        assert_eq!(warnings.matches(what).count(), 1, "{line}: {warnings}");
    };
    about("-o ssl_min_version=0", "TLS 1.0 is broken");
    about("-o ssl_min_version=1", "TLS 1.1 is broken");
    about("-o ssl_verify_mode=2", "names no authority");
    about("-l btls:127.0.0.1:1,mtls:127.0.0.1:2", "names no authority");
    about("-U 7", "in the clear");
    about("-s /tmp/x.sock", "speaks no TLS");
    assert!(warnings(&config(&format!("{TLS} -o ssl_verify_mode=1,ssl_ca_cert=a"))).is_empty());
}

#[test]
fn each_authentication_has_its_protocol() {
    let of = |line| {
        let c = config(line);
        (c.protocol, c.sasl_file.is_some(), c.auth_file.is_some())
    };
    assert_eq!(of("-S"), (Binding::Binary, true, false));
    assert_eq!(of("-S -B binary"), (Binding::Binary, true, false));
    assert_eq!(of("-Y /f -B auto"), (Binding::Ascii, false, true));
    assert_eq!(of("-B binary"), (Binding::Binary, false, false));
    assert!(refusal("-S -B ascii").contains("needs the binary protocol"));
    assert!(refusal("-Y f -B binary").contains("needs the ascii protocol"));
    assert!(refusal("-S -Y f").contains("choose one"));
}

#[test]
fn sasl_needs_users() {
    let Asked::Run(flags) = Flags::parse(["ringcached", "-S"]).unwrap() else { panic!() };
    let host = Host { sasl_file: None, ..host(1) };
    let failure = Config::new(&flags, &host).unwrap_err();
    assert!(failure.message.contains("MEMCACHED_SASL_PWDB"), "{}", failure.message);
}

#[test]
fn connections_leave_room_for_imbalance() {
    let c = config("-c 1000 -t 2");
    assert!(c.connections_per_core_max() * 2 >= 1000 + 100);
    assert_eq!(config("-c 1 -t 2").connections_per_core_max(), 1);
    assert_eq!(config("-c 1000 -t 1").connections_per_core_max(), 1000);
}
