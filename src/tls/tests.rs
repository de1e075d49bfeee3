//! Sessions without a socket: cut anywhere, broken anywhere, resumed, ended.

use std::io::{Read, Write};
use std::process::Command;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore};

use super::{Keeper, Opened, Session};
use crate::config::limits::{TLS_RECORD_EXTRA_BYTES, TLS_RECORD_PLAIN_BYTES};
use crate::config::{PeerCheck, TlsSettings};

/// A server's certificates and a client that trusts them.
struct World {
    keeper: Keeper,
    client: Arc<ClientConfig>,
}

impl World {
    fn new(name: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("ringcached-tls-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a writable directory");
        let (chain, key) = (folder.join("chain.pem"), folder.join("key.pem"));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-nodes", "-days", "30", "-subj", "/CN=localhost"])
            .args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .args(["-addext", "subjectAltName=DNS:localhost", "-keyout"])
            .arg(&key)
            .arg("-out")
            .arg(&chain)
            .output()
            .expect("openssl is there");
        assert!(made.status.success(), "{made:?}");
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_file(&chain).expect("a certificate");
        roots.add(certificate).expect("a good one");
        let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions that there are")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let settings = TlsSettings {
            enabled: true,
            chain_file: Some(chain),
            key_file: Some(key),
            ..TlsSettings::default()
        };
        let keeper = Keeper::of(&settings).expect("good files").expect("TLS is on");
        let _ = std::fs::remove_dir_all(folder);
        Self { keeper, client: Arc::new(client) }
    }

    fn pair(&self) -> Pair {
        let name = "localhost".try_into().expect("a name");
        Pair {
            client: ClientConnection::new(Arc::clone(&self.client), name).expect("a session"),
            server: self.keeper.session(PeerCheck::Never).expect("a session"),
            plain: Vec::new(),
        }
    }
}

/// The two ends of a session.
struct Pair {
    client: ClientConnection,
    server: Session,
    /// What the server has received, in plain text.
    plain: Vec<u8>,
}

impl Pair {
    /// Moves what the client wants to send, `step` bytes at a time, and the answers back.
    fn move_all(&mut self, step: usize) -> Opened {
        let mut last = Opened::default();
        loop {
            let sent = self.take_from_client();
            if sent.is_empty() {
                return last;
            }
            for part in sent.chunks(step) {
                let (opened, answer) = self.receive(part);
                self.give_to_client(&answer);
                last.is_closed |= opened.is_closed;
                last.failure = last.failure.or(opened.failure);
            }
        }
    }

    fn take_from_client(&mut self) -> Vec<u8> {
        let mut sent = Vec::new();
        while self.client.wants_write() {
            self.client.write_tls(&mut sent).expect("memory takes all");
        }
        sent
    }

    fn receive(&mut self, bytes: &[u8]) -> (Opened, Vec<u8>) {
        let (mut scratch, mut answer) = (Vec::new(), Vec::new());
        let opened = self.server.open(bytes, &mut scratch, &mut self.plain, &mut answer);
        (opened, answer)
    }

    fn give_to_client(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            self.client.read_tls(&mut bytes).expect("memory gives all");
            self.client.process_new_packets().expect("the server speaks well");
        }
    }

    fn ask(&mut self, text: &[u8]) {
        self.client.writer().write_all(text).expect("it takes all");
    }
}

#[test]
fn bytes_may_be_cut_anywhere() {
    let world = World::new("cut");
    let text: Vec<u8> = (0..40_000).map(|at| (at % 251) as u8).collect();
    for step in [1, 2, 5, 6, 100, 16_384, usize::MAX] {
        let mut pair = world.pair();
        pair.move_all(step);
        assert!(!pair.server.is_shaking_hands() && !pair.client.is_handshaking());
        pair.ask(&text);
        assert!(pair.move_all(step).failure.is_none());
        assert!(pair.plain == text, "step {step}");
    }
}

#[test]
fn sealed_records_fit_the_room_that_is_promised() {
    let world = World::new("sealed");
    let mut pair = world.pair();
    pair.move_all(usize::MAX);
    let text: Vec<u8> = (0..TLS_RECORD_PLAIN_BYTES).map(|at| (at % 253) as u8).collect();
    for bytes in [1, 100, TLS_RECORD_PLAIN_BYTES] {
        let mut room = vec![0; bytes + TLS_RECORD_EXTRA_BYTES];
        let sealed = pair.server.seal(&text[..bytes], &mut room).expect("it fits");
        pair.give_to_client(&room[..sealed]);
        let mut found = vec![0; bytes];
        pair.client.reader().read_exact(&mut found).expect("all of it is there");
        assert!(found == text[..bytes]);
    }
}

/// Whatever byte of the client's is changed, the server never takes other plain text for true.
#[test]
fn a_changed_byte_changes_no_plain_text() {
    let world = World::new("changed");
    let mut failures = 0;
    for position in 0..600 {
        let mut pair = world.pair();
        let mut hello = pair.take_from_client();
        if position < hello.len() {
            hello[position] ^= 0x20;
        }
        let (opened, answer) = pair.receive(&hello);
        if opened.failure.is_some() {
            failures += 1;
            assert_it_is_over(&mut pair);
            continue;
        }
        // Past the hello: the rest of the handshake and a request, if the client goes along.
        let mut rest = answer.as_slice();
        while !rest.is_empty() && pair.client.read_tls(&mut rest).is_ok() {
            if pair.client.process_new_packets().is_err() {
                break;
            }
        }
        // A client that does not go along takes nothing more, but has sent an alert.
        let _ = pair.client.writer().write_all(b"get k\r\n");
        let mut sent = pair.take_from_client();
        if let Some(byte) = position.checked_sub(hello.len()).and_then(|at| sent.get_mut(at)) {
            *byte ^= 0x20;
        }
        let (opened, _) = pair.receive(&sent);
        assert!(b"get k\r\n".starts_with(&pair.plain), "byte {position}: {:?}", pair.plain);
        failures += usize::from(opened.failure.is_some());
    }
    assert!(failures > 100, "{failures} of 600 changes were noticed");
}

/// Nothing that is asked of a session that has failed makes it say more.
fn assert_it_is_over(pair: &mut Pair) {
    let (opened, answer) = pair.receive(b"get k\r\n");
    assert!(opened.failure.is_none() && answer.is_empty());
    assert!(pair.server.seal(b"reply", &mut [0; 100]).is_err());
    let mut word = Vec::new();
    pair.server.say_goodbye(&mut word);
    assert!(word.is_empty());
}

#[test]
fn plain_text_is_turned_away_with_an_alert() {
    let world = World::new("plain");
    for text in [&b"get foo\r\n"[..], b"GET / HTTP/1.1\r\n\r\n", &[0x80; 24], &[0; 1000]] {
        let mut pair = world.pair();
        let (opened, answer) = pair.receive(text);
        assert!(opened.failure.is_some() && answer.first() == Some(&21), "{text:?}: {answer:?}");
        assert_it_is_over(&mut pair);
    }
}

#[test]
fn sessions_are_resumed_until_the_files_are_read_again() {
    let world = World::new("resumed");
    let kind = || {
        let mut pair = world.pair();
        pair.move_all(usize::MAX);
        let is_new = pair.server.is_new();
        assert_eq!(is_new, pair.client.handshake_kind() == Some(HandshakeKind::Full));
        is_new
    };
    assert!(kind() && !kind() && !kind());
    // The files are gone by now: what was read before stays, and with it the sessions.
    assert!(world.keeper.refresh().is_err());
    assert!(!kind());
}

#[test]
fn goodbyes_are_said_and_heard() {
    let world = World::new("goodbyes");
    let mut pair = world.pair();
    pair.move_all(usize::MAX);
    pair.ask(b"last");
    pair.client.send_close_notify();
    let opened = pair.move_all(usize::MAX);
    assert!(opened.is_closed && opened.failure.is_none());
    assert_eq!(pair.plain, b"last");
    let mut room = [0; 100];
    let sealed = pair.server.seal(b"reply", &mut room).expect("it may still be answered");
    pair.give_to_client(&room[..sealed]);
    let mut word = Vec::new();
    pair.server.say_goodbye(&mut word);
    pair.give_to_client(&word);
    let mut found = Vec::new();
    pair.client.reader().read_to_end(&mut found).expect("a proper end");
    assert_eq!(found, b"reply");
}
