//! Several hosts, played by several addresses of loopback: one leader, one start, one sum.

use crate::run::{Running, await_listener, errors, free_port, loadgen, number, report, words};
use crate::server::Kind;

/// An agent at an address of its own.
struct Agent {
    address: String,
    _running: Running,
}

impl Agent {
    fn start(host: &str, more: &[&str]) -> Self {
        let address = format!("{host}:{}", free_port());
        let running = Running::start(&[&["agent", "--listen", &address][..], more].concat());
        await_listener(&address);
        Self { address, _running: running }
    }
}

#[test]
fn three_hosts_load_as_one() {
    let server = Kind::Memcached.start(&[]);
    let agents = ["127.0.0.2", "127.0.0.3"].map(|host| Agent::start(host, &[]));
    let list = agents.each_ref().map(|agent| agent.address.as_str()).join(",");
    for round in 0..2 {
        let line = format!("--agents {list} --rate 3000 --time 2s --keys 600 --connections 4");
        let found = report(&server.address, &line);
        // Each host has a third of the arrivals, and all of them are in the sum, even those that a
        // busy host did not come to send.
        let (sent, unsent) = (number(&found, "/requests"), "/client/arrivals_unsent");
        assert_eq!(sent + number(&found, unsent), 6000.0, "{round}: {found:#}");
        assert!(sent > 2500.0, "{round}: more than one host's or two's: {found:#}");
        assert_eq!((number(&found, "/rate_asked"), errors(&found)), (3000.0, 0));
        let (gets, sets) = ("/commands/get/requests", "/commands/set/requests");
        assert_eq!(number(&found, gets) + number(&found, sets), sent);
        assert!((number(&found, "/duration_s") - 2.0).abs() < 0.1);
        assert!(number(&found, "/response_us/p50") > 0.0);
    }
    let line = format!("--agents {list} --requests 900 --keys 600");
    assert_eq!(number(&report(&server.address, &line), "/requests"), 900.0);
}

#[test]
fn an_agent_that_cannot_is_told_with_its_reason() {
    let server = Kind::Memcached.start(&[]);
    let agent = Agent::start("127.0.0.2", &["--agent-token", "word"]);
    let load = |line: String| {
        let line = format!("--servers {} --time 300ms --keys 100 {line}", server.address);
        loadgen(&words(&line))
    };
    let stranger = load(format!("--agents {}", agent.address));
    assert!(stranger.code == Some(1) && stranger.err.contains("does not know the word"));
    load(format!("--agents {} --agent-token word", agent.address)).well();
    let verified = load(format!("--agents {} --agent-token word --verify", agent.address));
    assert!(verified.code == Some(1) && verified.err.contains("see one host only"));
    let nobody = format!("127.0.0.4:{}", free_port());
    let alone = load(format!("--agents {nobody}"));
    assert!(alone.code == Some(1) && alone.err.contains(&format!("agent {nobody}")), "{alone:?}");
}
