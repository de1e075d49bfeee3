//! Bugs at the door: authentication, its files, and transports that went around it.

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::{assert_serves, packet, server, throw};
use crate::common::server::run_to_end;
use crate::common::{Server, scratch_path};

const DENIED: &str = "CLIENT_ERROR unauthenticated\r\n";
const AUTH: &str = "set auth 0 0 8\r\nann true\r\n";

fn users(name: &str, text: &str) -> PathBuf {
    let path = scratch_path(name);
    std::fs::write(&path, text).expect("the scratch folder takes a file");
    path
}

fn sasl(name: &str) -> Server {
    let path = users(name, "ann:true\n");
    Server::ringcached_with(&[("MEMCACHED_SASL_PWDB", &path)], &["-S", "-t", "2"])
}

fn status(reply: &[u8]) -> u16 {
    u16::from_be_bytes([reply[6], reply[7]])
}

/// One request, answered by its status; the body of the reply is read, too.
fn ask(wire: &mut crate::common::Wire, request: &[u8]) -> u16 {
    wire.send(request);
    let header = wire.read_exactly(24);
    let body = u32::from_be_bytes(header[8..12].try_into().expect("four bytes"));
    wire.read_exactly(body as usize);
    status(&header)
}

fn plain(password: &str) -> Vec<u8> {
    let body = format!("PLAIN\0ann\0{password}");
    packet(0x21, 5, 0, body.len() as u32, body.as_bytes())
}

#[test]
fn cve_2013_7239_a_failed_authentication_lets_nobody_in() {
    let server = sasl("cve-2013-7239");
    let mut wire = server.connect();
    assert_eq!(ask(&mut wire, &plain("false")), 0x20);
    assert_eq!(ask(&mut wire, &packet(0x00, 1, 0, 1, b"k")), 0x20);
    let mut wire = server.connect();
    assert_eq!(ask(&mut wire, &plain("true")), 0);
    assert_eq!(ask(&mut wire, &plain("false")), 0x20, "an earlier success does not last");
    assert_eq!(ask(&mut wire, &packet(0x00, 1, 0, 1, b"k")), 0x20);
}

#[test]
fn commit_ced9e1730_a_sasl_step_before_any_beginning() {
    let mut server = sasl("ced9e1730");
    for body in ["PLAIN", "PLAIN\0ann\0true", "X"] {
        let mut wire = server.connect();
        let key_bytes = body.len().min(5) as u16;
        let step = packet(0x22, key_bytes, 0, body.len() as u32, body.as_bytes());
        assert_eq!(ask(&mut wire, &step), 0x20, "{body:?}");
    }
    assert!(server.runs());
}

#[test]
fn commit_e7c7a1089_udp_is_no_way_around_a_password() {
    let path = users("e7c7a1089", "ann:true\n");
    for guard in [["-Y", path.to_str().expect("text")].as_slice(), &["-S"]] {
        let args = [guard, &["-U", "29999", "-p", "29998", "-u", "nobody"]].concat();
        let (status, _, complaint) = run_to_end(&args);
        assert_eq!(status.code(), Some(64), "{guard:?} with -U: {complaint}");
    }
}

#[test]
fn cve_2021_37519_users_of_any_length_and_number() {
    let long = "x".repeat(100_000);
    let many: String = (0..1000).map(|n| format!("user{n}:pw\n")).collect();
    let path = users("cve-2021-37519", &format!("{long}:{long}\n{many}ann:true"));
    let server = Server::ringcached(&["-Y", path.to_str().expect("text")]);
    let mut wire = server.connect();
    wire.expect(AUTH, "STORED\r\n");
    for broken in ["no colon at all", &long, "\0\0\0"] {
        let path = users("cve-2021-37519-broken", broken);
        let (status, _, _) = run_to_end(&["-u", "root", "-Y", path.to_str().expect("text")]);
        assert!(!status.success(), "a file of {} bytes", broken.len());
    }
}

/// The time of a check must not tell whether there is such a user. What is measured here is coarse:
/// `core::auth` looks at every byte of the file for every check, and says why.
#[test]
fn cve_2026_47783_a_check_takes_as_long_for_a_stranger() {
    let many: String = (0..5000).map(|n| format!("user{n}:password{n}\n")).collect();
    let path = users("cve-2026-47783", &many);
    let server = Server::ringcached(&["-Y", path.to_str().expect("text"), "-t", "1"]);
    let mut wire = server.connect();
    let mut time = |user: &str| {
        let token = format!("{user} wrong");
        let request = format!("set a 0 0 {}\r\n{token}\r\n", token.len());
        let mut best = Duration::MAX;
        for _ in 0..50 {
            let since = Instant::now();
            wire.expect(&request, "CLIENT_ERROR authentication failure\r\n");
            best = best.min(since.elapsed());
        }
        best
    };
    let (first, last, none) = (time("user0000"), time("user4999"), time("nobody00"));
    for (who, took) in [("the last", last), ("a stranger", none)] {
        assert!(took < first * 4 && first < took * 4, "the first {first:?}, {who} {took:?}");
    }
}

#[test]
fn cve_2026_90698_authentication_and_newlines_only() {
    let path = users("cve-2026-90698", "ann:true\n");
    let mut server = Server::ringcached(&["-Y", path.to_str().expect("text"), "-t", "2"]);
    for bytes in ["\n", "\r\n", "\n\n\n\n\n\n", "\r\r\n\n", "\0\n"] {
        for count in [1, 2, 1000] {
            drop(throw(&server, bytes.repeat(count).as_bytes()));
        }
    }
    assert!(server.runs());
    server.connect().expect(AUTH, "STORED\r\n");
}

#[test]
fn commit_9981d748f_a_token_beyond_all_bounds() {
    let path = users("9981d748f", "ann:true\n");
    let mut server = Server::ringcached(&["-Y", path.to_str().expect("text"), "-t", "2"]);
    for length in ["16385", "1048576", "2147483645", "4294967295", "18446744073709551615", "-1"] {
        let mut wire = server.connect();
        let _ = wire.stream().write_all(format!("set a 0 0 {length}\r\n").as_bytes());
        let _ = wire.stream().write_all(&[b'x'; 20_000]);
        let _ = wire.is_silent_for(Duration::from_millis(50));
    }
    assert!(server.runs());
    server.connect().expect(AUTH, "STORED\r\n");
}

#[test]
fn commit_57934a1d0_users_are_read_anew_while_others_come_in() {
    let path = users("57934a1d0", "ann:true\n");
    let server = Server::ringcached(&["-Y", path.to_str().expect("text"), "-t", "2"]);
    let new = path.with_extension("new");
    for round in 0..30 {
        // In one step: the server may still be reading the file for the signal before.
        std::fs::write(&new, format!("ann:true\nother{round}:x\n")).expect("writable");
        std::fs::rename(&new, &path).expect("writable");
        server.signal(Signal::SIGHUP);
        let mut wire = server.connect();
        wire.expect("get k\r\n", DENIED);
        wire.expect(format!("{AUTH}get k\r\n"), "STORED\r\nEND\r\n");
    }
}

#[test]
fn cve_2019_15026_a_unix_socket_of_the_longest_name() {
    let folder = std::env::temp_dir();
    let room = 107 - folder.as_os_str().len() - 1;
    let name = format!("{}-", std::process::id());
    let path = folder.join(format!("{name}{}", "s".repeat(room - name.len())));
    let child = std::process::Command::new(crate::common::server::subject_binary())
        .args(["-u", "root", "-t", "1", "-s"])
        .arg(&path)
        .stdin(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn();
    let mut child = child.expect("the binary starts");
    let since = Instant::now();
    let mut stream = loop {
        match std::os::unix::net::UnixStream::connect(&path) {
            Ok(stream) => break stream,
            Err(error) => assert!(since.elapsed() < Duration::from_secs(20), "{error}"),
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    stream.write_all(b"stats conns\r\nquit\r\n").expect("sent");
    let mut said = String::new();
    std::io::Read::read_to_string(&mut stream, &mut said).expect("the listing is text");
    let _ = child.kill();
    let _ = child.wait();
    let _ = std::fs::remove_file(&path);
    assert!(said.contains(&format!("addr unix:{}\r\n", path.display())), "{said}");
}

#[test]
fn cve_2022_48571_an_upload_in_several_datagrams() {
    let mut server = Server::ringcached_on_udp(&[]);
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.connect(("127.0.0.1", server.port())).expect("an address");
    for (sequence, total) in [(0, 2), (1, 2), (0, 0), (5, 1), (0xffff, 0xffff)] {
        let mut datagram = vec![0, 1];
        datagram.extend(u16::to_be_bytes(sequence));
        datagram.extend(u16::to_be_bytes(total));
        datagram.extend(b"\0\0set k 0 0 3000\r\n");
        datagram.extend([b'v'; 1300]);
        socket.send(&datagram).expect("sent");
        socket.send(&datagram[..8]).expect("sent");
        socket.send(&datagram[..3]).expect("sent");
    }
    assert_serves(&mut server);
    server.connect().expect("get k\r\n", "END\r\n");
}

/// What a newer libc calls must not be forbidden: a server that starts as another user serves, is
/// watched, dumps and stops under whatever filter it has given itself.
#[test]
fn commit_822fa941b_no_call_is_forbidden_that_is_needed() {
    let mut server = server(&["-o", "drop_privileges"]);
    assert_serves(&mut server);
    let mut wire = server.connect();
    wire.expect("lru_crawler metadump all\r\n", "OK\r\nkey=alive exp=-1 ");
    wire.read_until(b"END\r\n");
    server.signal(Signal::SIGTERM);
    assert!(server.wait().status.success());
}

/// memcached read the description of a file of `-e` line by line, and on past its end where the
/// last line had none. Here nothing in it is text: whatever has no end of line, or ends too early,
/// is refused, and the server starts empty.
#[test]
fn commit_0d77dc6c3_a_restart_file_without_a_newline() {
    let path = scratch_path("commit-0d77dc6c3");
    let name = path.to_str().expect("the path is text");
    let args = ["-e", name, "-m", "8", "-I", "512k"];
    let stop = |server: Server| {
        server.signal(Signal::SIGUSR1);
        assert!(server.wait().status.success());
    };
    let first = server(&args);
    first.connect().expect("set key 0 0 5\r\nvalue\r\n", "STORED\r\n");
    stop(first);
    let bytes = std::fs::read(&path).expect("a memory file");
    let mut head_without_end = bytes.clone();
    head_without_end[..4096].fill(b'x');
    let one_line = "K".repeat(bytes.len());
    for damaged in [&bytes[..bytes.len() - 1], b"Kversion", &head_without_end, one_line.as_bytes()]
    {
        std::fs::write(&path, damaged).expect("the scratch folder takes a file");
        let mut server = server(&args);
        assert!(server.log().contains("is not used: "), "{}", server.log());
        server.connect().expect("get key\r\n", "END\r\n");
        assert_serves(&mut server);
        stop(server);
    }
    // What memcached would have kept beside it is nobody's business here.
    let beside = scratch_path("commit-0d77dc6c3.meta");
    std::fs::write(&beside, "Kpage_size").expect("the scratch folder takes a file");
    let mut server = server(&args);
    assert_serves(&mut server);
    stop(server);
    assert_eq!(std::fs::read(&beside).expect("it is there"), b"Kpage_size");
    for path in [path, beside] {
        let _ = std::fs::remove_file(path);
    }
}
