//! UDP from the outside: frames, replies of many datagrams, and what is refused.

mod common;

use std::net::{IpAddr, UdpSocket};
use std::time::{Duration, Instant};

use common::server::run_to_end;
use common::{Server, Wire};

/// Bytes of a frame, and of the longest reply datagram.
const FRAME_BYTES: usize = 8;
const DATAGRAM_BYTES_MAX: usize = 1400;

/// A client that numbers its requests.
struct Client {
    socket: UdpSocket,
    number: u16,
}

impl Client {
    fn new(server: &Server) -> Self {
        Self::between("127.0.0.1".parse().expect("an address"), server)
    }

    /// Both client and server at `host`.
    fn between(host: IpAddr, server: &Server) -> Self {
        let socket = UdpSocket::bind((host, 0)).expect("a port");
        socket.connect((host, server.port())).expect("an address");
        socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a time-out");
        Self { socket, number: 0x0100 }
    }

    fn send(&mut self, total: u16, request: &[u8]) {
        self.number += 1;
        let [high, low] = self.number.to_be_bytes();
        let [total_high, total_low] = total.to_be_bytes();
        let frame = [high, low, 0, 0, total_high, total_low, 0, 0];
        self.socket.send(&[&frame, request].concat()).expect("sent");
    }

    /// The reply, put together; `None` if none comes within the time-out.
    fn receive(&mut self) -> Option<Vec<u8>> {
        let mut parts: Vec<Option<Vec<u8>>> = Vec::new();
        let mut buffer = [0; 2048];
        while parts.is_empty() || parts.iter().any(Option::is_none) {
            let bytes = self.socket.recv(&mut buffer).ok()?;
            assert!(bytes > FRAME_BYTES && bytes <= DATAGRAM_BYTES_MAX, "{bytes}");
            let number = |at| u16::from_be_bytes([buffer[at], buffer[at + 1]]);
            assert_eq!((number(0), number(6)), (self.number, 0));
            parts.resize(usize::from(number(4)), None);
            let part = &mut parts[usize::from(number(2))];
            assert!(part.is_none(), "no datagram comes twice");
            *part = Some(buffer[FRAME_BYTES..bytes].to_vec());
        }
        Some(parts.into_iter().flatten().flatten().collect())
    }

    #[track_caller]
    fn ask(&mut self, request: &str) -> String {
        self.send(1, request.as_bytes());
        String::from_utf8(self.receive().expect("a reply")).expect("text")
    }

    /// Asserts that a request has no answer: the next one's is the next to come.
    #[track_caller]
    fn assert_ignored(&mut self, total: u16, request: &[u8]) {
        self.send(total, request);
        assert_eq!(self.ask("mn\r\n"), "MN\r\n");
    }
}

#[test]
fn commands_of_all_kinds_are_answered() {
    let server = Server::ringcached_on_udp(&[]);
    let mut client = Client::new(&server);
    assert_eq!(client.ask("set foo 0 0 3\r\nbar\r\n"), "STORED\r\n");
    assert_eq!(client.ask("get foo none\r\n"), "VALUE foo 0 3\r\nbar\r\nEND\r\n");
    assert_eq!(client.ask("mg foo v\r\nmn\r\n"), "VA 3\r\nbar\r\nMN\r\n");
    assert_eq!(
        client.ask("incr foo 1\r\n"),
        "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"
    );
    assert_eq!(client.ask("version\r\n"), "VERSION 1.6.45 ringcached\r\n");
    assert!(client.ask("stats\r\n").ends_with("END\r\n"));
    // What TCP stored UDP sees, and the other way round.
    server.connect().expect("get foo\r\n", "VALUE foo 0 3\r\nbar\r\nEND\r\n");
    let mut noop = vec![0x80, 0x0a];
    noop.resize(24, 0);
    client.send(1, &noop);
    assert_eq!(client.receive().expect("a reply")[..2], [0x81, 0x0a]);
}

#[test]
fn a_large_reply_comes_in_numbered_datagrams() {
    let server = Server::ringcached_on_udp(&[]);
    let mut client = Client::new(&server);
    for bytes in [1370, 1371, 1372, 1373, 1400, 10_000, 60_000] {
        let value: String = (0..bytes).map(|at| char::from(b'a' + (at % 26) as u8)).collect();
        let stored = server.connect().ask(format!("set big 0 0 {bytes}\r\n{value}\r\n"));
        assert_eq!(stored, "STORED");
        assert_eq!(client.ask("get big\r\n"), format!("VALUE big 0 {bytes}\r\n{value}\r\nEND\r\n"));
    }
}

#[test]
fn what_is_not_one_whole_request_is_dropped() {
    let server = Server::ringcached_on_udp(&[]);
    let mut client = Client::new(&server);
    client.assert_ignored(2, b"get foo\r\n");
    client.assert_ignored(0, b"get foo\r\n");
    client.assert_ignored(1, b"");
    client.assert_ignored(1, b"get foo");
    client.assert_ignored(1, b"set foo 0 0 10\r\nshort\r\n");
    client.assert_ignored(1, b"set foo 0 0 500000\r\nupload\r\n");
    for length in 0..FRAME_BYTES {
        client.socket.send(&[1; FRAME_BYTES][..length]).expect("sent");
    }
    // The rest of a datagram is not the front of the next one.
    client.send(1, b"set foo 0 0 3\r\n");
    assert_eq!(client.ask("get foo\r\n"), "END\r\n");
    // What goes on after its answer, or ends the server, is not for datagrams.
    for command in ["watch\r\n", "lru_crawler metadump all\r\n", "shutdown\r\n", "stats sizes\r\n"]
    {
        assert_eq!(client.ask(command), "ERROR\r\n", "{command}");
    }
    client.assert_ignored(1, b"quit\r\n");
}

#[test]
fn a_reply_that_no_datagrams_can_carry_is_refused() {
    let server = Server::ringcached_on_udp(&["-m", "128", "-I", "8m"]);
    let mut client = Client::new(&server);
    let value = "v".repeat(4 << 20);
    let stored = server.connect().ask(format!("set big 0 0 {}\r\n{value}\r\n", value.len()));
    assert_eq!(stored, "STORED");
    assert_eq!(client.ask("get big\r\n"), "SERVER_ERROR object too large for cache\r\n");
    assert_eq!(client.ask("mn\r\n"), "MN\r\n");
}

#[test]
fn many_clients_at_once_get_their_own_replies() {
    let server = Server::ringcached_on_udp(&[]);
    let mut clients: Vec<_> = (0..64).map(|_| Client::new(&server)).collect();
    for round in 0..20 {
        for (index, client) in clients.iter_mut().enumerate() {
            client.send(1, format!("ms k{index} 3 T0 Oq{index}\r\n{round:03}\r\n").as_bytes());
        }
        for (index, client) in clients.iter_mut().enumerate() {
            let reply = client.receive().expect("loopback loses nothing at this pace");
            assert_eq!(reply, format!("HD Oq{index}\r\n").as_bytes());
        }
    }
}

/// CVE-2018-1000115: a small forged request brought a large reply upon its victim.
#[test]
fn a_host_that_has_not_answered_by_tcp_gets_at_most_three_times_its_request() {
    let Some(host) = outer_address() else {
        eprintln!("skipped: this host has only loopback addresses; give it another to run this");
        return;
    };
    let text = host.to_string();
    let server = Server::ringcached_on_udp(&["-l", &format!("127.0.0.1,{text}")]);
    let value = "v".repeat(1000);
    let stored = server.connect().ask(format!("set big 0 0 1000\r\n{value}\r\n"));
    assert_eq!(stored, "STORED");
    let mut client = Client::between(host, &server);
    client.socket.set_read_timeout(Some(Duration::from_millis(300))).expect("a time-out");
    let refusal = "SERVER_ERROR connect by TCP first\r\n";
    assert_eq!(client.ask("get big\r\n"), refusal);
    assert_eq!(client.ask("get k\r\n"), "END\r\n", "small replies are for everybody");
    assert_eq!(client.ask("stats\r\n"), refusal);
    // Where even the refusal would be too much there is none.
    client.send(1, b"x\r\n");
    assert_eq!(client.ask("mn\r\n"), "MN\r\n");
    for request in ["version\r\n", "stats settings\r\n", "gets big big big\r\n", "mg big v\r\n"] {
        client.send(1, request.as_bytes());
        let reply_bytes = client.receive().map_or(0, |reply| reply.len() + FRAME_BYTES);
        assert!(reply_bytes <= 3 * (request.len() + FRAME_BYTES), "{request}: {reply_bytes}");
    }
    // A TCP connection shows that the host answers.
    let mut wire = Wire::connect_to(host, server.port()).expect("connects");
    wire.expect("mn\r\n", "MN\r\n");
    let since = Instant::now();
    while client.ask("get big\r\n") == refusal {
        assert!(since.elapsed() < Duration::from_secs(5), "the host is seen");
    }
    assert_eq!(client.ask("get big\r\n").len(), 1000 + "VALUE big 0 1000\r\n\r\nEND\r\n".len());
    drop(wire);
    assert_eq!(client.ask("get big\r\n").len(), 1000 + "VALUE big 0 1000\r\n\r\nEND\r\n".len());
}

/// An address of this host that is not loopback, if it has any.
fn outer_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // Nothing is sent: the kernel only chooses the address that it would send from.
    socket.connect("192.0.2.1:9").ok()?;
    let host = socket.local_addr().ok()?.ip();
    (!host.is_loopback() && !host.is_unspecified()).then_some(host)
}

#[test]
fn it_is_off_unless_asked_for_and_warns() {
    let server = Server::ringcached(&[]);
    let mut client = Client::new(&server);
    client.socket.set_read_timeout(Some(Duration::from_millis(300))).expect("a time-out");
    client.send(1, b"mn\r\n");
    assert_eq!(client.receive(), None);
    let server = Server::ringcached_on_udp(&[]);
    assert!(server.log().contains("warning: -U"), "{}", server.log());
    let (status, _, errors) = run_to_end(&["-U", "1", "-S"]);
    assert_eq!(status.code(), Some(64));
    assert!(errors.contains("-U knows no authentication"), "{errors}");
}
