//! Handshakes: whom the server lets in, what may be resumed, and who pays for them.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, StreamOwned};

use crate::common::Server;
use crate::common::certificates::Certificates;
use crate::{client_config, client_config_of, server, stat, tunnel};

/// Shakes hands and has one request answered. A server that does not like a client's certificate
/// says so only then.
pub(crate) fn greet(port: u16, config: &Arc<ClientConfig>) -> io::Result<ClientConnection> {
    let socket = TcpStream::connect(("127.0.0.1", port))?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    let name = "localhost".try_into().expect("a name");
    let session = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(session, socket);
    stream.write_all(b"version\r\n")?;
    let mut line = String::new();
    BufReader::new(&mut stream).read_line(&mut line)?;
    if line.starts_with("VERSION ") { Ok(stream.conn) } else { Err(io::Error::other(line)) }
}

fn kind(port: u16, config: &Arc<ClientConfig>) -> HandshakeKind {
    greet(port, config).expect("it is let in").handshake_kind().expect("hands were shaken")
}

/// A port that no other test of this process takes, beside that of the server.
fn spare_ports() -> [u16; 3] {
    let of = || std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let held = [of(), of(), of()];
    held.map(|listener| listener.local_addr().expect("it is bound").port())
}

#[test]
fn certificates_of_clients_are_checked_as_asked() {
    let certificates = Certificates::new("verify");
    let none = client_config(&certificates, None);
    let known = client_config(&certificates, Some("client"));
    let stranger = client_config(&certificates, Some("stranger"));
    for (mode, lets_in) in [
        ("0", [true, true, true]),
        ("1", [true, true, false]),
        ("2", [false, true, false]),
        ("3", [false, true, false]),
    ] {
        let option = format!("ssl_verify_mode={mode}");
        let server = server(&certificates, &["-t", "1", "-o", &option]);
        for (config, expected) in [&none, &known, &stranger].into_iter().zip(lets_in) {
            let is_in = greet(server.port(), config).is_ok();
            assert_eq!(
                is_in,
                expected,
                "mode {mode}, certificate {}",
                config.client_auth_cert_resolver.has_certs()
            );
        }
    }
}

#[test]
fn prefixes_of_addresses_choose_how_clients_talk() {
    let certificates = Certificates::new("prefixes");
    let [plain, basic, mutual] = spare_ports();
    let list = format!(
        "127.0.0.1,notls:127.0.0.1:{plain},btls:proto[ascii]:127.0.0.1:{basic},\
         mtls:tag_tools_:127.0.0.1:{mutual}"
    );
    let server = server(&certificates, &["-t", "2", "-l", &list, "-o", "ssl_verify_mode=2"]);
    let none = client_config(&certificates, None);
    let known = client_config(&certificates, Some("client"));
    for (port, without, with) in
        [(server.port(), false, true), (basic, true, true), (mutual, false, true)]
    {
        assert_eq!(greet(port, &none).is_ok(), without, "{port} of {list}");
        assert_eq!(greet(port, &known).is_ok(), with, "{port} of {list}");
    }
    let mut wire = crate::common::Wire::connect(plain).expect("it listens");
    wire.assert_in_step();
    wire.send("stats conns\r\n");
    let list = String::from_utf8(wire.read_until(b"END\r\n")).expect("text");
    assert!(list.contains(&format!("listen_addr tcp:127.0.0.1:{plain}")), "{list}");
}

/// Without an authority nobody's certificate can be right.
#[test]
fn without_an_authority_nobody_is_known() {
    let certificates = Certificates::new("no-authority");
    let (option, [mutual, ..]) = (certificates.option(), spare_ports());
    let list = format!("127.0.0.1,mtls:127.0.0.1:{mutual}");
    let server = Server::ringcached(&["-Z", "-o", &option, "-l", &list]);
    assert!(server.log().contains("names no authority"), "{}", server.log());
    let known = client_config(&certificates, Some("client"));
    assert!(greet(server.port(), &known).is_ok());
    assert!(greet(mutual, &known).is_err());
    assert!(greet(mutual, &client_config(&certificates, None)).is_err());
}

#[test]
fn sessions_are_resumed_on_any_core() {
    let certificates = Certificates::new("resumed");
    for cores in ["1", "2"] {
        let server = server(&certificates, &["-t", cores, "-o", "ssl_session_cache"]);
        for version in [&TLS12, &TLS13] {
            let config = client_config_of(&certificates, None, &[version]);
            assert_eq!(kind(server.port(), &config), HandshakeKind::Full);
            for _ in 0..4 {
                assert_eq!(kind(server.port(), &config), HandshakeKind::Resumed);
            }
        }
        let tunnel = tunnel(&certificates, &server);
        let mut wire = tunnel.connect();
        // Two above and the tunnel's.
        assert_eq!(stat(&mut wire, "ssl_new_sessions"), 3);
    }
}

/// openssl as a client: by ticket in either version, and by the number of a session that the server
/// has kept, which only `ssl_session_cache` makes it do.
#[test]
fn openssl_resumes() {
    let certificates = Certificates::new("openssl");
    let file = certificates.text("session");
    for (cache, resumes_without_ticket) in [(&[][..], false), (&["-o", "ssl_session_cache"], true)]
    {
        let server = server(&certificates, &[&["-t", "2"], cache].concat());
        let connect = |extra: &[&str]| {
            let mut command = Command::new("timeout");
            command.args(["20", "openssl", "s_client", "-connect", &server.address()]);
            command.args(["-CAfile", &certificates.text("authority.pem")]).args(extra);
            let mut child = command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .expect("openssl is there: run tests/setup.sh first");
            let mut input = child.stdin.take().expect("a pipe");
            input.write_all(b"version\r\n").expect("sent");
            let output = BufReader::new(child.stdout.take().expect("a pipe"));
            // The reply comes behind the tickets, so openssl has written the session by then.
            let mut said = String::new();
            for line in output.lines().map_while(Result::ok) {
                let is_reply = line.starts_with("VERSION ");
                said.push_str(&line);
                if is_reply {
                    break;
                }
            }
            drop(input);
            child.wait().expect("it ends");
            said
        };
        for version in ["-tls1_2", "-tls1_3"] {
            assert!(connect(&[version, "-sess_out", &file]).contains("New, TLSv1"));
            let said = connect(&[version, "-sess_in", &file]);
            assert!(said.contains("Reused, TLSv1"), "{version}: {said}");
        }
        connect(&["-tls1_2", "-no_ticket", "-sess_out", &file]);
        let said = connect(&["-tls1_2", "-no_ticket", "-sess_in", &file]);
        let word = if resumes_without_ticket { "Reused" } else { "New" };
        assert!(said.contains(&format!("{word}, TLSv1")), "{said}");
    }
    let _ = fs::remove_file(file);
}

/// Whoever was not asked for a certificate can't resume that session where one is needed.
#[test]
fn a_session_opens_no_other_door() {
    let certificates = Certificates::new("doors");
    let [mutual, ..] = spare_ports();
    let list = format!("btls:127.0.0.1,mtls:127.0.0.1:{mutual}");
    let server = server(&certificates, &["-l", &list, "-o", "ssl_session_cache"]);
    for version in [&TLS12, &TLS13] {
        let config = client_config_of(&certificates, None, &[version]);
        assert_eq!(kind(server.port(), &config), HandshakeKind::Full);
        assert_eq!(kind(server.port(), &config), HandshakeKind::Resumed);
        assert!(greet(mutual, &config).is_err());
    }
}

#[test]
fn versions_and_ciphers_are_those_allowed() {
    let certificates = Certificates::new("versions");
    let (old, new) = (
        client_config_of(&certificates, None, &[&TLS12]),
        client_config_of(&certificates, None, &[&TLS13]),
    );
    let strict = server(&certificates, &["-o", "ssl_min_version=3"]);
    assert!(greet(strict.port(), &old).is_err());
    assert!(greet(strict.port(), &new).is_ok());
    let lax = server(&certificates, &["-o", "ssl_min_version=0"]);
    assert!(lax.log().contains("TLS 1.0 is broken and not spoken"), "{}", lax.log());
    assert!(greet(lax.port(), &old).is_ok());
    let list = "ssl_ciphers=ECDHE-ECDSA-AES128-GCM-SHA256:TLS_CHACHA20_POLY1305_SHA256";
    let choosy = server(&certificates, &["-o", list]);
    for (config, suite) in [
        (&old, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
        (&new, "TLS13_CHACHA20_POLY1305_SHA256"),
    ] {
        let session = greet(choosy.port(), config).expect("they have a suite in common");
        let found = session.negotiated_cipher_suite().expect("one was chosen");
        assert_eq!(format!("{:?}", found.suite()), suite);
    }
}

/// The helpers' processor time grows with handshakes, the cores' hardly does: no core can be held
/// up by them.
#[test]
fn handshakes_are_made_beside_the_cores() {
    const HANDSHAKES: usize = 60;
    let certificates = Certificates::new("beside");
    certificates.use_rsa(4096);
    let server = server(&certificates, &["-t", "1"]);
    for _ in 0..HANDSHAKES {
        let config = client_config(&certificates, None);
        greet(server.port(), &config).expect("it is let in");
    }
    let ticks = |name| server.process().thread_ticks(name);
    let (helper, core) = (ticks("handshakes-0"), ticks("core-0"));
    assert!(helper >= 2 * core.max(1), "ticks of the helper {helper}, of the core {core}");
    let tunnel = tunnel(&certificates, &server);
    let mut wire = tunnel.connect();
    assert_eq!(stat(&mut wire, "ssl_handshake_errors"), 0);
}
