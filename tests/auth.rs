//! Authentication from the outside: who is let in, who is not, and what happens in between.

mod common;

use std::fs;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use common::server::run_to_end;
use common::wire::End;
use common::{Server, Wire, scratch_path};

/// A file of users that is removed at the end.
struct Users(PathBuf);

impl Users {
    fn new(name: &str, text: &str) -> Self {
        let path = scratch_path(name);
        fs::write(&path, text).expect("the scratch folder takes a file");
        Self(path)
    }

    fn text(&self) -> &str {
        self.0.to_str().expect("a path of ours is text")
    }
}

impl Drop for Users {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

const DENIED: &str = "CLIENT_ERROR unauthenticated\r\n";
const WRONG: &str = "CLIENT_ERROR authentication failure\r\n";

/// The request by which a client of the text protocol authenticates itself.
fn token(user: &str, password: &str) -> String {
    let token = format!("{user} {password}");
    format!("set auth 0 0 {}\r\n{token}\r\n", token.len())
}

fn stat(wire: &mut Wire, name: &str) -> u64 {
    wire.send("stats\r\n");
    let list = String::from_utf8(wire.read_until(b"END\r\n")).expect("text");
    let line = list.lines().find_map(|line| line.strip_prefix(&format!("STAT {name} ")));
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{name} in {list}"))
}

#[test]
fn the_text_protocol_opens_after_a_right_password() {
    let many: String = (0..200).map(|n| format!("user{n}:pw{n}\n")).collect();
    let users = Users::new("text", &format!("ann:with space: and colon\n{many}"));
    let server = Server::ringcached(&["-Y", users.text(), "-t", "2"]);
    let mut wire = server.connect();
    for command in ["get foo\r\n", "version\r\n", "mn foo\r\n", "stats\r\n", "flush_all\r\n"] {
        wire.expect(command, DENIED);
    }
    wire.expect("ms foo 3\r\n", DENIED);
    wire.expect(token("ann", "wrong"), WRONG);
    wire.expect(token("nobody", "pw0"), WRONG);
    wire.expect("get foo\r\n", DENIED);
    wire.expect("set a 0 0 3\r\nann\r\n", "CLIENT_ERROR bad authentication token format\r\n");
    wire.expect("set a 0 0 16385\r\n", "CLIENT_ERROR auth token too long\r\n");
    wire.expect(token("ann", "with space: and colon"), "STORED\r\n");
    wire.expect("get auth\r\nset foo 0 0 3\r\nbar\r\n", "END\r\nSTORED\r\n");
    assert_eq!((stat(&mut wire, "auth_cmds"), stat(&mut wire, "auth_errors")), (3, 2));
    let mut other = server.connect();
    other.expect("get foo\r\n", DENIED);
    other.expect(
        token("user199", "pw199") + "get foo\r\n",
        "STORED\r\nVALUE foo 0 3\r\nbar\r\nEND\r\n",
    );
}

#[test]
fn a_binary_frame_is_no_way_around_the_text_password() {
    let users = Users::new("binary-frame", "ann:1\n");
    let server = Server::ringcached(&["-Y", users.text()]);
    let wire = server.connect();
    let mut frame = vec![0x80, 0x0b];
    frame.resize(24, 0);
    frame.push(b'\n');
    let (reply, _) = wire.converse(&[&frame], Duration::ZERO, b"\r\n", Duration::from_secs(2));
    assert_eq!(reply, DENIED.as_bytes());
}

#[test]
fn newlines_and_endless_lines_close_an_unknown_client() {
    let users = Users::new("newlines", "ann:1\n");
    let server = Server::ringcached(&["-Y", users.text()]);
    for nonsense in [&b"\n\n\n\n"[..], b"\r\n\r\n", &[b' '; 4096], &[b'x'; 65_536]] {
        let (reply, end) =
            server.connect().converse(&[nonsense], Duration::ZERO, b"", Duration::from_secs(2));
        assert_eq!(reply, b"", "{end:?}");
        assert_ne!(end, End::Silent, "{:?}", &nonsense[..4]);
    }
}

#[test]
fn users_are_read_anew_without_a_moment_in_which_nobody_or_everybody_comes_in() {
    let users = Users::new("reload", "ann:old\n");
    let server = Server::ringcached(&["-Y", users.text(), "-t", "2"]);
    let mut inside = server.connect();
    inside.expect(token("ann", "old"), "STORED\r\n");
    for round in 0..20 {
        fs::write(&users.0, format!("ann:old\nann:{round}\n")).expect("writable");
        server.signal(Signal::SIGHUP);
        let mut wire = server.connect();
        wire.expect(token("ann", "never"), WRONG);
        wire.expect(token("ann", "old"), "STORED\r\n");
        let since = Instant::now();
        loop {
            let mut wire = server.connect();
            if wire.ask(token("ann", &round.to_string())) == "STORED" {
                break;
            }
            assert!(since.elapsed() < Duration::from_secs(5), "the new file is read");
        }
    }
    // A broken file changes nothing and is told.
    fs::write(&users.0, "ann:new\nbroken\n").expect("writable");
    server.signal(Signal::SIGHUP);
    let since = Instant::now();
    while !server.log().contains("line 2 is not user:password") {
        assert!(since.elapsed() < Duration::from_secs(5), "{}", server.log());
        sleep(Duration::from_millis(10));
    }
    server.connect().expect(token("ann", "old"), "STORED\r\n");
    server.connect().expect(token("ann", "new"), WRONG);
    inside.expect("version\r\n", "VERSION 1.6.45 ringcached\r\n");
}

#[test]
fn a_file_that_is_missing_or_broken_keeps_the_server_from_starting() {
    let socket = scratch_path("auth-missing.sock");
    let path = socket.to_str().expect("the path is text");
    let (status, _, errors) = run_to_end(&["-u", "root", "-p", "0", "-s", path, "-Y", "/nowhere"]);
    let _ = fs::remove_file(&socket);
    assert_eq!(status.code(), Some(71));
    assert!(errors.contains("/nowhere"), "{errors}");
    let users = Users::new("broken", "ann:1\nbob\n");
    let (status, _, errors) = run_to_end(&["-u", "root", "-p", "-1", "-Y", users.text()]);
    assert_eq!(status.code(), Some(64));
    assert!(errors.contains("line 2 is not user:password"), "{errors}");
}

/// A request of the binary protocol.
fn frame(opcode: u8, key: &[u8], value: &[u8]) -> Vec<u8> {
    let body = u32::try_from(key.len() + value.len()).expect("short");
    let mut frame = vec![0x80, opcode, 0, u8::try_from(key.len()).expect("short"), 0, 0, 0, 0];
    frame.extend(body.to_be_bytes());
    frame.extend([0; 12]);
    [&frame, key, value].concat()
}

/// Sends a request; status and body of the reply.
fn ask(wire: &mut Wire, opcode: u8, key: &[u8], value: &[u8]) -> (u16, String) {
    wire.send(frame(opcode, key, value));
    let header = wire.read_exactly(24);
    let body_bytes = u32::from_be_bytes([header[8], header[9], header[10], header[11]]);
    let body = wire.read_exactly(body_bytes as usize);
    let status = u16::from_be_bytes([header[6], header[7]]);
    (status, String::from_utf8_lossy(&body).into_owned())
}

const LIST: u8 = 0x20;
const AUTH: u8 = 0x21;
const STEP: u8 = 0x22;
const GET: u8 = 0x00;
const NOOP: u8 = 0x0a;
const VERSION: u8 = 0x0b;

fn sasl_server(users: &Users) -> Server {
    Server::ringcached_with(&[("MEMCACHED_SASL_PWDB", &users.0)], &["-S", "-t", "2"])
}

fn failure() -> (u16, String) {
    (0x20, "Auth failure.".to_owned())
}

fn success() -> (u16, String) {
    (0, "Authenticated".to_owned())
}

#[test]
fn sasl_plain_opens_the_binary_protocol() {
    let users = Users::new("sasl", "ann:secret\nbob:a:b\n");
    let server = sasl_server(&users);
    let mut wire = server.connect();
    assert_eq!(ask(&mut wire, LIST, b"", b""), (0, "PLAIN".to_owned()));
    assert!(ask(&mut wire, VERSION, b"", b"").1.starts_with("1.6.45"));
    assert_eq!(ask(&mut wire, AUTH, b"PLAIN", b"\0ann\0wrong"), failure());
    assert_eq!(ask(&mut wire, AUTH, b"CRAM-MD5", b"\0ann\0secret"), failure());
    assert_eq!(ask(&mut wire, AUTH, b"PLAIN", b"ann secret"), failure());
    assert_eq!(ask(&mut wire, AUTH, b"PLAIN", b"\0ann\0secret"), success());
    assert_eq!(ask(&mut wire, GET, b"foo", b""), (1, "Not found".to_owned()));
    // A message of its own, and a password that ends at a colon.
    let mut wire = server.connect();
    assert_eq!(ask(&mut wire, AUTH, b"PLAIN", b""), (0x21, String::new()));
    assert_eq!(ask(&mut wire, STEP, b"PLAIN", b"as\0bob\0a"), success());
    assert_eq!(ask(&mut wire, NOOP, b"", b""), (0, String::new()));
}

#[test]
fn every_command_is_denied_before_sasl_and_closes() {
    let users = Users::new("sasl-deny", "ann:secret\n");
    let server = sasl_server(&users);
    for opcode in (0..=u8::MAX).filter(|opcode| ![LIST, AUTH, STEP, VERSION].contains(opcode)) {
        let (reply, end) = server.connect().converse(
            &[&frame(opcode, b"foo", b"")],
            Duration::ZERO,
            b"Auth failure.",
            Duration::from_secs(5),
        );
        assert!(reply.ends_with(b"Auth failure."), "{opcode:#x}: {}", reply.escape_ascii());
        assert_eq!((reply[7], end), (0x20, End::Closed), "{opcode:#x}");
    }
}

#[test]
fn a_step_without_a_beginning_and_a_failure_after_a_success_leave_the_client_outside() {
    let users = Users::new("sasl-steps", "ann:secret\n");
    let server = sasl_server(&users);
    let mut wire = server.connect();
    assert_eq!(ask(&mut wire, STEP, b"PLAIN", b"\0ann\0secret"), failure());
    assert_eq!(ask(&mut wire, GET, b"foo", b""), failure());
    // CVE-2013-7239: after a failed attempt a valid command passed.
    let mut wire = server.connect();
    assert_eq!(ask(&mut wire, AUTH, b"PLAIN", b"\0ann\0secret"), success());
    assert_eq!(ask(&mut wire, AUTH, b"PLAIN", b"\0ann\0wrong"), failure());
    assert_eq!(ask(&mut wire, GET, b"foo", b""), failure());
}

#[test]
fn text_is_no_way_around_sasl() {
    let users = Users::new("sasl-text", "ann:secret\n");
    let server = sasl_server(&users);
    let (reply, end) = server.connect().converse(
        &[b"get foo\r\nget a long line that fills a header\r\n"],
        Duration::ZERO,
        b"",
        Duration::from_secs(5),
    );
    assert!(reply.is_empty() && end != End::Silent, "{} {end:?}", reply.escape_ascii());
}
