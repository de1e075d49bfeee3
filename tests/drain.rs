//! The end: SIGTERM answers what was received, then closes; nothing is cut off in the middle.
//!
//! memcached ends at once. Behind a rolling restart that shows as errors in every client, so here a
//! request that reached the machine before the signal gets its reply. The clients below never stop
//! sending; each notes what it had sent before the signal went out and counts the replies that
//! came.

mod common;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::wire::End;
use common::{Server, Wire};
use nix::sys::signal::Signal;

const CLIENTS: usize = 24;

/// Requests per write; small enough that a write is in the server's socket when it returns.
const BATCH: usize = 100;

/// Pairs of requests per connection that wait when the signal comes: some 40 KB, more than one
/// read.
const WAITING: usize = 1400;

/// The promise is an end within 5 s of the signal.
const END_WITHIN: Duration = Duration::from_secs(5);

/// One client: batches of sets until the connection ends.
///
/// Returns (requests sent before the signal, replies that came in all).
fn client(
    number: usize,
    mut wire: Wire,
    signalled: &AtomicBool,
    busy: &AtomicUsize,
) -> (usize, usize) {
    let mut batch = Vec::new();
    for n in 0..BATCH {
        batch.extend(format!("set c{number}-{n} 0 0 10\r\n0123456789\r\n").bytes());
    }
    let (mut owed, mut answered) = (0, 0);
    loop {
        if std::io::Write::write_all(&mut wire.stream(), &batch).is_err() {
            break;
        }
        if !signalled.load(Ordering::SeqCst) {
            owed += BATCH;
        }
        let (replies, end) = wire.take_until_end_or(BATCH * "STORED\r\n".len());
        let text = String::from_utf8(replies).expect("replies are text");
        assert_eq!(text.replace("STORED\r\n", ""), "", "a reply is whole or not there");
        answered += text.len() / "STORED\r\n".len();
        if end.is_some() {
            break;
        }
        busy.fetch_add(1, Ordering::Relaxed);
    }
    (owed, answered)
}

#[test]
fn sigterm_under_load_loses_no_received_request() {
    for (cores, signal) in [("1", Signal::SIGTERM), ("2", Signal::SIGTERM), ("2", Signal::SIGINT)] {
        let server = Server::ringcached(&["-t", cores]);
        let signalled = AtomicBool::new(false);
        let busy = AtomicUsize::new(0);
        thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|number| {
                    let wire = server.connect();
                    let (signalled, busy) = (&signalled, &busy);
                    scope.spawn(move || client(number, wire, signalled, busy))
                })
                .collect();
            while busy.load(Ordering::Relaxed) < CLIENTS * 20 {
                thread::sleep(Duration::from_millis(1));
            }
            signalled.store(true, Ordering::SeqCst);
            let since = Instant::now();
            server.signal(signal);
            for client in clients {
                let (owed, answered) = client.join().expect("the client saw whole replies");
                assert!(answered >= owed, "{answered} of {owed} requests answered ({cores} cores)");
            }
            let ended = server.wait();
            assert!(ended.status.success(), "{}\n{}", ended.status, ended.log);
            assert!(since.elapsed() < END_WITHIN, "the end took {:?}", since.elapsed());
        });
    }
}

/// The server is stopped while requests arrive, so that all of them wait in its sockets, unread,
/// when it sees the signal.
#[test]
fn requests_that_wait_unread_are_answered() {
    for cores in ["1", "2"] {
        let server = Server::ringcached(&["-t", cores]);
        let mut wires: Vec<Wire> = (0..CLIENTS).map(|_| server.connect()).collect();
        wires.iter_mut().for_each(Wire::assert_in_step);
        server.signal(Signal::SIGSTOP);
        for (number, wire) in wires.iter_mut().enumerate() {
            wire.send(format!("set c{number} 0 0 1\r\nx\r\nget c{number}\r\n").repeat(WAITING));
        }
        server.signal(Signal::SIGTERM);
        server.signal(Signal::SIGCONT);
        for (number, wire) in wires.iter_mut().enumerate() {
            let replies = format!("STORED\r\nVALUE c{number} 0 1\r\nx\r\nEND\r\n").repeat(WAITING);
            wire.expect("", replies);
            assert!(wire.closes_within(END_WITHIN));
        }
        assert!(server.wait().status.success());
    }
}

/// Connections that the kernel has completed and the server not accepted yet count as received,
/// too; those that come after the end has begun are refused.
#[test]
fn connections_that_wait_unaccepted_are_answered() {
    for cores in ["1", "2"] {
        let server = Server::ringcached(&["-t", cores]);
        server.connect().assert_in_step();
        server.signal(Signal::SIGSTOP);
        let mut wires: Vec<Wire> = (0..100).map(|_| server.connect()).collect();
        wires.iter_mut().for_each(|wire| wire.send("set k 0 0 1\r\nx\r\nget k\r\n"));
        server.signal(Signal::SIGTERM);
        server.signal(Signal::SIGCONT);
        for wire in &mut wires {
            wire.expect("", "STORED\r\nVALUE k 0 1\r\nx\r\nEND\r\n");
            assert!(wire.closes_within(END_WITHIN));
        }
        let port = server.port();
        assert!(server.wait().status.success());
        assert!(Wire::connect(port).is_err(), "nobody listens any more");
    }
}

/// Writers that don't wait for replies fill the sockets on both sides. Nothing of what they had
/// written when the signal came is lost, and they see the end as an end, not as a reset.
#[test]
fn pipelines_without_end_are_answered_as_far_as_they_were_written() {
    const REQUEST: &[u8] = b"set key 0 0 10\r\n0123456789\r\n";
    const AHEAD: usize = 3000;
    for cores in ["1", "2"] {
        let server = Server::ringcached(&["-t", cores]);
        let signalled = AtomicBool::new(false);
        let busy = AtomicUsize::new(0);
        let pipeline = REQUEST.repeat(AHEAD);
        thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|_| {
                    let mut wire = server.connect();
                    let (signalled, busy, pipeline) = (&signalled, &busy, &pipeline);
                    scope.spawn(move || {
                        let (mut sent, mut answered) = (0, 0);
                        while !signalled.load(Ordering::SeqCst) {
                            wire.send(pipeline);
                            sent += AHEAD;
                            // One pipeline stays unread, so that there is always one on its way.
                            if sent > AHEAD {
                                wire.read_exactly(AHEAD * "STORED\r\n".len());
                                answered += AHEAD;
                            }
                            busy.fetch_add(1, Ordering::Relaxed);
                        }
                        wire.expect("", "STORED\r\n".repeat(sent - answered));
                        assert_eq!(wire.read_to_end(), End::Closed);
                    })
                })
                .collect();
            while busy.load(Ordering::Relaxed) < CLIENTS * 5 {
                thread::sleep(Duration::from_millis(1));
            }
            signalled.store(true, Ordering::SeqCst);
            server.signal(Signal::SIGTERM);
            for client in clients {
                client.join().expect("the client got every reply");
            }
            assert!(server.wait().status.success());
        });
    }
}

#[test]
fn an_idle_server_ends_at_once() {
    let server = Server::ringcached(&["-t", "2"]);
    let mut idle: Vec<Wire> = (0..10).map(|_| server.connect()).collect();
    idle[0].assert_in_step();
    let since = Instant::now();
    server.signal(Signal::SIGTERM);
    for wire in &mut idle {
        assert!(wire.closes_within(END_WITHIN), "an idle connection is closed");
    }
    assert!(server.wait().status.success());
    assert!(since.elapsed() < Duration::from_secs(2), "the end took {:?}", since.elapsed());
}

#[test]
fn a_reader_that_never_reads_delays_the_end_by_five_seconds_at_most() {
    let server = Server::ringcached(&["-t", "1"]);
    let mut stuck = server.connect();
    let value = vec![b'v'; 1_000_000];
    stuck.expect([b"set k 0 0 1000000\r\n".as_slice(), &value, b"\r\n"].concat(), "STORED\r\n");
    stuck.send("get k\r\n".repeat(50));
    thread::sleep(Duration::from_millis(200));
    let since = Instant::now();
    server.signal(Signal::SIGTERM);
    let ended = server.wait();
    assert!(ended.status.success(), "{}\n{}", ended.status, ended.log);
    assert!(since.elapsed() < END_WITHIN + Duration::from_secs(1), "took {:?}", since.elapsed());
}

#[test]
fn a_second_signal_ends_at_once() {
    let server = Server::ringcached(&["-t", "1"]);
    let mut stuck = server.connect();
    let value = vec![b'v'; 1_000_000];
    stuck.expect([b"set k 0 0 1000000\r\n".as_slice(), &value, b"\r\n"].concat(), "STORED\r\n");
    stuck.send("get k\r\n".repeat(50));
    thread::sleep(Duration::from_millis(200));
    server.signal(Signal::SIGTERM);
    thread::sleep(Duration::from_millis(300));
    let since = Instant::now();
    server.signal(Signal::SIGTERM);
    server.wait();
    assert!(since.elapsed() < Duration::from_secs(1), "the end took {:?}", since.elapsed());
}

/// A client that writes its requests and says that it will write no more still gets every reply.
#[test]
fn a_half_closed_connection_is_answered() {
    let server = Server::ringcached(&["-t", "2"]);
    let requests = b"set k 0 0 1\r\nx\r\nget k\r\ndelete k\r\n".repeat(1000);
    let wire = server.connect();
    let (replies, end) = wire.converse(&[&requests], Duration::ZERO, b"never", Duration::ZERO);
    assert_eq!(end, End::Closed);
    let expected = b"STORED\r\nVALUE k 0 1\r\nx\r\nEND\r\nDELETED\r\n".repeat(1000);
    common::assert_same_bytes("half closed", &expected, &replies);
}
