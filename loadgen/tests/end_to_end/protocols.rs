//! Every command in every protocol over every transport, against Debian's memcached and ringcached.

use std::fs;

use crate::run::{errors, loadgen, number, report, words};
use crate::server::{Kind, Server};

/// Each command but those of a kind of their own, on few keys, so that every outcome occurs.
const ALL_COMMANDS: &str = "--mix get=5,set=2,add=1,replace=1,append=1,prepend=1,cas=1,touch=1,\
                            gat=1,delete=1,incr=1,decr=1 --keys 300 --requests 6000 --ttl 60 \
                            --connections 4 --depth 4 --mget 1-5 --flags 7";
const COMMANDS: usize = 12;

/// Runs all commands and fails unless each was answered and no reply was strange.
#[track_caller]
fn every_command_works(servers: &str, how: &str) {
    let found = report(servers, &format!("{ALL_COMMANDS} {how}"));
    assert_eq!(errors(&found), 0, "{how}: {found:#}");
    assert_eq!(number(&found, "/requests"), 6000.0, "{how}");
    let commands = found["commands"].as_object().expect("commands");
    assert_eq!(commands.len(), COMMANDS, "{how}: {commands:?}");
    for (name, command) in commands {
        assert!(number(command, "/hits") > 0.0, "{how}: no {name} did anything");
    }
    assert!(number(&found, "/misses") > 0.0 && number(&found, "/hits") > 0.0, "{how}");
}

#[test]
fn over_tcp() {
    for kind in Kind::ALL {
        let server = kind.start(&[]);
        for how in ["--protocol text", "--protocol meta", "--protocol binary", "--binary"] {
            every_command_works(&server.address, how);
        }
        every_command_works(&server.address, "--rate 20k --arrivals poisson --threads 2");
        every_command_works(&server.address, "-L --nagle --gather 50us");
    }
}

#[test]
fn over_a_unix_socket() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for kind in Kind::ALL {
        let server = kind.start_unix(&directory.path().join(format!("{kind:?}")));
        for protocol in ["text", "meta", "binary"] {
            every_command_works(&server.address, &format!("--protocol {protocol}"));
        }
    }
}

#[test]
fn over_udp() {
    for kind in Kind::ALL {
        let server = kind.start_udp();
        for protocol in ["text", "meta", "binary"] {
            // A datagram may be lost on a busy host, and then it is a time-out and no hang.
            let how = format!("--udp --protocol {protocol} --depth 1 --timeout 1s");
            let found = report(&server.address, &format!("{ALL_COMMANDS} {how}"));
            let (requests, lost) = (number(&found, "/requests"), number(&found, "/errors/timeout"));
            assert_eq!((requests + lost, errors(&found) as f64), (6000.0, lost), "{found:#}");
            assert!(requests > 5900.0, "{kind:?} {protocol}: {found:#}");
        }
    }
}

#[test]
fn without_replies_to_writes() {
    for kind in Kind::ALL {
        let server = kind.start(&[]);
        for protocol in ["text", "meta", "binary"] {
            let how = "--mix get=1,set=2,delete=1 --noreply --keys 300 --requests 6000 --depth 8";
            let found = report(&server.address, &format!("{how} --protocol {protocol}"));
            let requests = number(&found, "/requests");
            assert_eq!((requests, errors(&found)), (6000.0, 0), "{kind:?} {protocol}: {found:#}");
        }
    }
}

/// A certificate for 127.0.0.1 and its key, as files.
struct Identity {
    directory: tempfile::TempDir,
}

impl Identity {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]);
        let made = made.expect("a certificate");
        let identity = Self { directory };
        fs::write(identity.path("cert.pem"), made.cert.pem()).expect("a file");
        fs::write(identity.path("key.pem"), made.signing_key.serialize_pem()).expect("a file");
        identity
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().expect("a path of ours is text").to_owned()
    }

    /// memcached behind this certificate.
    fn server(&self) -> Server {
        self.server_of(Kind::Memcached)
    }

    /// A server behind this certificate.
    fn server_of(&self, kind: Kind) -> Server {
        let (chain, key) = (self.path("cert.pem"), self.path("key.pem"));
        let options = format!("ssl_chain_cert={chain},ssl_key={key}");
        kind.start(&["-Z", "-m", "512", "-o", &options])
    }
}

#[test]
fn over_tls() {
    let identity = Identity::new();
    let server = identity.server();
    let trust = format!("--tls --tls-ca {}", identity.path("cert.pem"));
    for protocol in ["text", "meta", "binary"] {
        every_command_works(&server.address, &format!("{trust} --protocol {protocol}"));
    }
    every_command_works(&server.address, "--tls --tls-insecure");
    // Values far above the size of a record; one at a time, because memcached 1.6.18 forgets
    // whatever request begins in the record in which a value ends, until more bytes come.
    let large = "--value-size 200k --connections 2 --mix get=1,set=1 --keys 20 --requests 200 \
                 --timeout 30s";
    assert_eq!(errors(&report(&server.address, &format!("{trust} {large}"))), 0);
}

/// Values of many records, several requests a connection, each way: what lies in the queues of the
/// sockets then is more than the ring's buffers hold.
#[test]
fn large_values_in_pipelines_lose_nothing_in_the_clear_or_by_tls() {
    let load = "--value-size 1-300k --connections 16 --depth 4 --mix get=1,set=1 --keys 48 \
                --requests 1600 --timeout 30s --threads 2 --verify";
    let identity = Identity::new();
    let trust = format!("--tls --tls-ca {}", identity.path("cert.pem"));
    let (clear, sealed) = (Kind::Ringcached.start(&[]), identity.server_of(Kind::Ringcached));
    for (server, how) in [(&clear, ""), (&sealed, trust.as_str())] {
        for protocol in ["text", "meta", "binary"] {
            let load = format!("{load} --protocol {protocol} {how}");
            let found = report(&server.address, &load);
            assert_eq!((number(&found, "/requests"), errors(&found)), (1600.0, 0), "{found:#}");
            assert!(number(&found, "/verified/genuine") > 700.0, "{found:#}");
            assert_eq!(number(&found, "/verified/corrupt"), 0.0, "{found:#}");
        }
    }
}

#[test]
fn a_stranger_behind_tls_is_refused() {
    let server = Identity::new().server();
    let other = Identity::new().path("cert.pem");
    let args = ["--servers", &server.address, "--time", "1s", "--tls"];
    let run = loadgen(&[&args[..], &["--tls-ca", &other]].concat());
    assert!(run.code == Some(1) && run.err.contains(&other), "gone with its folder: {run:?}");
    let identity = Identity::new();
    let run = loadgen(&[&args[..], &["--tls-ca", &identity.path("cert.pem")]].concat());
    assert!(run.code == Some(1) && run.err.contains("certificate"), "{run:?}");
    let run = loadgen(&args);
    assert!(run.code == Some(64) && run.err.contains("--tls-ca FILE"), "{run:?}");
}

#[test]
fn with_credentials() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let users = directory.path().join("users");
    fs::write(&users, "ann:secret\n").expect("a file");
    let users = users.to_str().expect("a path of ours is text");
    let password = directory.path().join("password");
    fs::write(&password, "secret\n").expect("a file");
    let from_file = format!("--user ann --password @{}", password.display());
    let guarded = [
        (Kind::Memcached.start(&["-Y", users]), "--protocol text"),
        (Kind::Ringcached.start(&["-Y", users]), "--protocol meta"),
        (
            Kind::Ringcached.start_with(&["-S"], &[("MEMCACHED_SASL_PWDB", users)]),
            "--protocol binary",
        ),
    ];
    for (server, how) in &guarded {
        every_command_works(&server.address, &format!("{how} --user ann --password secret"));
        every_command_works(&server.address, &format!("{how} {from_file}"));
        let args = format!("--servers {} {how} --user ann --password guess", server.address);
        let run = loadgen(&words(&args));
        assert!(run.code == Some(1) && run.err.contains("refused the user"), "{run:?}");
    }
}
