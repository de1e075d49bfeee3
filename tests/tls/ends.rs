//! How connections by TLS end: by either side's word, by a break, by a signal, by a time-out.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rustls::{ClientConnection, StreamOwned};

use crate::common::Server;
use crate::common::certificates::Certificates;
use crate::common::tunnel::Tunnel;
use crate::common::wire::End;
use crate::{client_config, server, stat, tunnel};

const WITHIN: Duration = Duration::from_secs(10);

fn wait_for(what: &str, mut is_there: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is_there() {
        assert!(since.elapsed() < WITHIN, "{what} does not come");
        sleep(Duration::from_millis(5));
    }
}

/// A connection of our own, over which bytes can be sent that are no TLS.
fn stream(
    certificates: &Certificates,
    server: &Server,
) -> StreamOwned<ClientConnection, TcpStream> {
    let name = "localhost".try_into().expect("a name");
    let session =
        ClientConnection::new(client_config(certificates, None), name).expect("a session");
    let socket = TcpStream::connect(server.address()).expect("the server listens");
    socket.set_read_timeout(Some(WITHIN)).expect("a time-out can be set");
    StreamOwned::new(session, socket)
}

fn ended_properly(tunnel: &Tunnel, count: usize) {
    let proper = || tunnel.endings.proper.load(Ordering::Acquire);
    wait_for("a proper end", || proper() >= count);
    assert_eq!((proper(), tunnel.endings.cut.load(Ordering::Acquire)), (count, 0));
}

#[test]
fn the_clients_goodbye_waits_for_all_replies() {
    let certificates = Certificates::new("goodbye");
    let server = server(&certificates, &["-t", "2"]);
    let tunnel = tunnel(&certificates, &server);
    let requests = b"set k 0 0 1\r\nx\r\nget k\r\ndelete k\r\n".repeat(5000);
    let wire = tunnel.connect();
    let (replies, end) = wire.converse(&[&requests], Duration::ZERO, b"never", Duration::ZERO);
    assert_eq!(end, End::Closed);
    let expected = b"STORED\r\nVALUE k 0 1\r\nx\r\nEND\r\nDELETED\r\n".repeat(5000);
    crate::common::assert_same_bytes("half closed", &expected, &replies);
    ended_properly(&tunnel, 1);
}

/// A client that says goodbye behind requests for more than may wait to be sent.
#[test]
fn the_clients_goodbye_waits_for_large_replies() {
    const GETS: usize = 30;
    let certificates = Certificates::new("goodbye-large");
    let server = server(&certificates, &["-t", "1"]);
    let tunnel = tunnel(&certificates, &server);
    let mut wire = tunnel.connect();
    let value = vec![b'v'; 1_000_000];
    let set = [b"set k 0 0 1000000\r\n".as_slice(), &value, b"\r\n"].concat();
    wire.exchange(&set, b"STORED\r\n");
    let gets = "get k\r\n".repeat(GETS);
    let (replies, end) =
        wire.converse(&[gets.as_bytes()], Duration::ZERO, b"never", Duration::ZERO);
    let one = "VALUE k 0 1000000\r\n".len() + value.len() + "\r\nEND\r\n".len();
    assert_eq!((end, replies.len()), (End::Closed, GETS * one));
    ended_properly(&tunnel, 1);
}

#[test]
fn the_server_says_goodbye() {
    let certificates = Certificates::new("quit");
    let server = server(&certificates, &["-t", "2", "-o", "idle_timeout=1"]);
    let tunnel = tunnel(&certificates, &server);
    let mut quits = tunnel.connect();
    quits.send("version\r\nquit\r\n");
    assert!(quits.line().starts_with("VERSION"));
    assert!(quits.closes_within(WITHIN));
    ended_properly(&tunnel, 1);
    let mut idle = tunnel.connect();
    idle.assert_in_step();
    assert!(idle.closes_within(WITHIN), "an idle connection is closed");
    ended_properly(&tunnel, 2);
}

#[test]
fn sigterm_answers_what_was_received_and_says_goodbye() {
    const WAITING: usize = 1400;
    let certificates = Certificates::new("sigterm");
    for cores in ["1", "2"] {
        let server = server(&certificates, &["-t", cores]);
        let tunnel = tunnel(&certificates, &server);
        let mut wires: Vec<_> = (0..8).map(|_| tunnel.connect()).collect();
        wires.iter_mut().for_each(crate::common::Wire::assert_in_step);
        server.signal(Signal::SIGSTOP);
        for (number, wire) in wires.iter_mut().enumerate() {
            wire.send(format!("set c{number} 0 0 1\r\nx\r\nget c{number}\r\n").repeat(WAITING));
        }
        // The tunnel's threads have to have sent all of it on.
        sleep(Duration::from_millis(500));
        server.signal(Signal::SIGTERM);
        server.signal(Signal::SIGCONT);
        for (number, wire) in wires.iter_mut().enumerate() {
            let replies = format!("STORED\r\nVALUE c{number} 0 1\r\nx\r\nEND\r\n").repeat(WAITING);
            wire.expect("", replies);
            assert!(wire.closes_within(WITHIN));
        }
        ended_properly(&tunnel, wires.len());
        assert!(server.wait().status.success());
    }
}

#[test]
fn plain_text_on_a_tls_port_is_turned_away() {
    let certificates = Certificates::new("plain");
    let server = server(&certificates, &["-t", "2"]);
    for nonsense in [&b"get foo\r\n"[..], b"GET / HTTP/1.1\r\n\r\n", &[0x80; 24], &[0; 100_000]] {
        let (reply, end) = server.connect().converse(&[nonsense], Duration::ZERO, b"never", WITHIN);
        assert_ne!(end, End::Silent, "{:?}", &nonsense[..3]);
        // An alert and nothing else: its type, its version, two bytes.
        assert!(reply.is_empty() || (reply[0], reply.len()) == (21, 7), "{reply:?}");
    }
    let tunnel = tunnel(&certificates, &server);
    let mut wire = tunnel.connect();
    wire.assert_in_step();
    assert_eq!(stat(&mut wire, "ssl_handshake_errors"), 4);
    assert_eq!(stat(&mut wire, "ssl_proto_errors"), 0);
}

#[test]
fn a_broken_record_ends_its_connection_only() {
    let certificates = Certificates::new("broken");
    let server = server(&certificates, &["-t", "2"]);
    let tunnel = tunnel(&certificates, &server);
    let mut watcher = tunnel.connect();
    watcher.expect("watch connevents\r\n", "OK\r\n");
    let mut broken = stream(&certificates, &server);
    broken.write_all(b"mn\r\n").expect("sent");
    let mut reply = [0; 4];
    broken.read_exact(&mut reply).expect("a reply");
    assert_eq!(&reply, b"MN\r\n");
    // A record of application data that nobody has sealed.
    let record = b"\x17\x03\x03\x00\x20aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbb";
    broken.sock.write_all(&record.repeat(3)).expect("sent");
    assert!(broken.read(&mut reply).is_err(), "an alert is an error");
    let line = String::from_utf8(watcher.read_until(b"type=conntlserr")).expect("text");
    assert!(line.contains("gid="), "{line}");
    let mut wire = tunnel.connect();
    assert_eq!(stat(&mut wire, "ssl_proto_errors"), 1);
    assert_eq!(stat(&mut wire, "ssl_handshake_errors"), 0);
}

/// A watcher whose session breaks while lines for it go on to come.
#[test]
fn a_broken_watcher_hears_no_more() {
    let certificates = Certificates::new("broken-watcher");
    let server = server(&certificates, &["-t", "2"]);
    let tunnel = tunnel(&certificates, &server);
    let mut watcher = stream(&certificates, &server);
    watcher.write_all(b"watch mutations\r\n").expect("sent");
    let mut reply = [0; 4];
    watcher.read_exact(&mut reply).expect("a reply");
    let mut wire = tunnel.connect();
    for round in 0..200 {
        wire.expect("set k 0 0 1\r\nx\r\n", "STORED\r\n");
        if round == 50 {
            watcher
                .sock
                .write_all(b"this is no record at all, and not a short one\r\n")
                .expect("sent");
        }
    }
    wait_for("its end", || stat(&mut tunnel.connect(), "log_watchers") == 0);
    assert_eq!(stat(&mut wire, "ssl_proto_errors"), 1);
}

#[test]
fn a_record_cut_short_is_dropped_and_what_came_before_is_answered() {
    let certificates = Certificates::new("cut");
    let server = server(&certificates, &["-t", "1"]);
    let mut cut = stream(&certificates, &server);
    cut.write_all(b"set k 0 0 1\r\nx\r\nget k\r\n").expect("sent");
    let mut reply = [0; 29];
    cut.read_exact(&mut reply).expect("a reply");
    assert_eq!(&reply[..8], b"STORED\r\n");
    cut.sock.write_all(b"\x17\x03\x03\x40\x00only a part").expect("sent");
    cut.sock.shutdown(std::net::Shutdown::Write).expect("it is open");
    // The server ends by its word: a read finds the end, no error.
    assert_eq!(cut.read(&mut reply).expect("a proper end"), 0);
    let through = tunnel(&certificates, &server);
    assert_eq!(stat(&mut through.connect(), "ssl_proto_errors"), 0);
}

#[test]
fn handshakes_that_are_given_up_leave_nothing_behind() {
    let certificates = Certificates::new("given-up");
    let server = server(&certificates, &["-t", "2"]);
    let tunnel = tunnel(&certificates, &server);
    let mut wire = tunnel.connect();
    wire.assert_in_step();
    let files = server.process().open_files();
    for round in 0..100 {
        let mut session = stream(&certificates, &server);
        let mut hello = Vec::new();
        session.conn.write_tls(&mut hello).expect("a hello");
        let cut = if round % 2 == 0 { hello.len() } else { hello.len() / 2 };
        session.sock.write_all(&hello[..cut]).expect("sent");
    }
    wait_for("the end of all", || server.process().open_files() <= files);
    // A socket is closed a moment before its core hears of that.
    wait_for("the count of those", || stat(&mut wire, "curr_connections") == 1);
    assert_eq!(stat(&mut wire, "ssl_handshake_errors"), 0);
}
