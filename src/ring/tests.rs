//! The ring against real sockets.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, IntoRawFd};
use std::time::{Duration, Instant};

use super::*;

struct Fixture {
    ring: Ring,
    seen: Vec<Completion>,
}

impl Fixture {
    fn new() -> Self {
        let setup = Setup {
            submissions: 8,
            completions: 64,
            buffers: 4,
            buffer_bytes: 4096,
            // Some slots of the tests have a registered socket, others haven't.
            files: 4,
            ..Setup::default()
        };
        Self { ring: Ring::new(&setup).expect("this host has io_uring"), seen: Vec::new() }
    }

    /// Enters the kernel until a completion of `op` is there.
    fn until(&mut self, op: Op) -> Completion {
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            if let Some(index) = self.seen.iter().position(|seen| seen.token.op() == op) {
                return self.seen.remove(index);
            }
            assert!(Instant::now() < deadline, "no completion of {op:?} came");
            self.ring.enter(Wait::one(Duration::from_millis(100))).expect("enter");
            self.ring.drain(&mut self.seen);
        }
    }
}

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let client = TcpStream::connect(listener.local_addr().expect("address")).expect("connect");
    (client, listener.accept().expect("accept").0)
}

#[test]
fn accepts_receives_and_closes() {
    let mut fixture = Fixture::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    fixture.ring.accept(listener.as_raw_fd(), Token::new(Op::Accept, 0, 0));
    let mut client = TcpStream::connect(listener.local_addr().expect("address")).expect("connect");
    let accepted = fixture.until(Op::Accept);
    assert!(accepted.result >= 0 && accepted.more);
    fixture.ring.receive(accepted.result, Token::new(Op::Receive, 3, 9));
    client.write_all(b"hello").expect("write");
    let completion = fixture.until(Op::Receive);
    assert_eq!((completion.token.slot(), completion.token.generation()), (3, 9));
    let received = completion.received.expect("bytes");
    assert_eq!(fixture.ring.bytes(&received), b"hello");
    fixture.ring.recycle();
    fixture.ring.shutdown(accepted.result, Token::new(Op::Shutdown, 3, 9));
    let last = fixture.until(Op::Receive);
    assert!(!last.more && last.result <= 0);
    fixture.ring.close(accepted.result, Token::new(Op::Close, 3, 9));
    assert_eq!(fixture.until(Op::Close).result, 0);
    assert_eq!(client.read(&mut [0; 8]).expect("the end"), 0);
}

/// The close is the end of a registered socket, too, and its slot is free for another.
#[test]
fn a_slot_serves_one_tenant_after_another() {
    let mut fixture = Fixture::new();
    for tenant in 0..3 {
        let (mut client, server) = pair();
        let server = server.into_raw_fd();
        fixture.ring.receive(server, Token::new(Op::Receive, 1, tenant));
        client.write_all(&[tenant as u8; 5]).expect("write");
        let received = fixture.until(Op::Receive).received.expect("bytes");
        assert_eq!(fixture.ring.bytes(&received), [tenant as u8; 5]);
        client.shutdown(std::net::Shutdown::Write).expect("shutdown");
        assert!(!fixture.until(Op::Receive).more, "the stream has ended");
        fixture.ring.close(server, Token::new(Op::Close, 1, tenant));
        assert_eq!(fixture.until(Op::Close).result, 0);
        assert_eq!(client.read(&mut [0; 8]).expect("the end"), 0);
    }
}

#[test]
fn small_receives_keep_their_bytes_until_recycled() {
    let mut fixture = Fixture::new();
    let (mut client, server) = pair();
    fixture.ring.receive(server.as_raw_fd(), Token::new(Op::Receive, 0, 0));
    let mut received = Vec::new();
    for number in 0..20_u8 {
        client.write_all(&[number; 10]).expect("write");
        received.push(fixture.until(Op::Receive).received.expect("bytes"));
    }
    for (number, received) in received.iter().enumerate() {
        assert_eq!(fixture.ring.bytes(received), [number as u8; 10]);
    }
}

#[test]
fn buffers_come_back_for_as_long_as_bytes_come() {
    let mut fixture = Fixture::new();
    let (mut client, server) = pair();
    let writer = std::thread::spawn(move || {
        for number in 0..64_u32 {
            client.write_all(&[number as u8; 4096]).expect("write");
        }
    });
    let token = Token::new(Op::Receive, 0, 0);
    fixture.ring.receive(server.as_raw_fd(), token);
    let mut bytes = 0_usize;
    while bytes < 64 * 4096 {
        let completion = fixture.until(Op::Receive);
        if let Some(received) = completion.received {
            let part = fixture.ring.bytes(&received);
            for (index, byte) in part.iter().enumerate() {
                assert_eq!(*byte, ((bytes + index) / 4096) as u8);
            }
            bytes += part.len();
        }
        if fixture.seen.is_empty() {
            fixture.ring.recycle();
        }
        if !completion.more {
            fixture.ring.recycle();
            fixture.ring.receive(server.as_raw_fd(), token);
        }
    }
    writer.join().expect("writer");
}

/// A socket that has much to receive is not received from without end, where the kernel knows how.
#[test]
fn a_receive_ends_after_its_bound() {
    let setup = Setup { buffers: 8, buffer_bytes: 4096, receive_bytes: 5000, ..Setup::default() };
    let mut ring = Ring::new(&setup).expect("this host has io_uring");
    if ring.receive_bytes == 0 {
        return;
    }
    let (mut client, server) = pair();
    client.write_all(&[7; 20_000]).expect("write");
    let token = Token::new(Op::Receive, 0, 0);
    let mut left = 20_000;
    // What is left in the end is no more than a receive may bring.
    while left >= 10_000 {
        ring.receive(server.as_raw_fd(), token);
        let mut seen = Vec::new();
        while seen.last().is_none_or(|last: &Completion| last.more) {
            ring.enter(Wait::one(Duration::from_secs(5))).expect("enter");
            ring.drain(&mut seen);
        }
        let bytes = seen.iter().map(|seen| seen.result).sum::<i32>();
        assert!((5000..10_000).contains(&bytes), "{bytes} of {left}");
        left -= bytes;
        ring.recycle();
    }
}

#[test]
fn a_message_of_many_segments_arrives_whole_whatever_the_socket_takes() {
    let mut fixture = Fixture::new();
    let (mut client, server) = pair();
    let mut pool = BlockPool::default();
    let mut message = pool.take_message();
    let mut expected = Vec::new();
    for number in 0..40_u8 {
        message.append(&[number; 3000], &mut pool);
        message.append_in_place(Vec::leak(vec![number ^ 0xff; 50_000]));
        expected.extend([number; 3000]);
        expected.extend([number ^ 0xff; 50_000]);
    }
    let reader = std::thread::spawn(move || {
        let mut bytes = vec![0; 40 * 53_000];
        client.read_exact(&mut bytes).expect("read");
        bytes
    });
    let token = Token::new(Op::Send, 5, 0);
    let fd = server.into_raw_fd();
    fixture.ring.send(fd, message, token);
    loop {
        let completion = fixture.until(Op::Send);
        let mut message = fixture.ring.take_message(5).expect("the message comes back");
        message.advance(usize::try_from(completion.result).expect("sent"));
        if message.left() == 0 {
            pool.give_message(message);
            break;
        }
        fixture.ring.send(fd, message, token);
    }
    assert!(reader.join().expect("reader") == expected);
    assert_eq!(pool.blocks_free(), pool.blocks_made());
}

/// What the kernel makes no completion for ends no wait, and what it has not told yet is not made
/// up.
#[test]
fn a_quiet_send_that_goes_well_is_told_after_the_next_wait() {
    let mut fixture = Fixture::new();
    let (mut client, server) = pair();
    let mut pool = BlockPool::default();
    fixture.ring.receive(server.as_raw_fd(), Token::new(Op::Receive, 2, 7));
    client.write_all(b"first").expect("write");
    assert!(fixture.until(Op::Receive).received.is_some());
    let mut message = pool.take_message();
    message.append(b"reply", &mut pool);
    assert!(message.is_of_one_send());
    fixture.ring.send_quietly(server.as_raw_fd(), message, Token::new(Op::Send, 2, 7));
    fixture.ring.drain(&mut fixture.seen);
    assert!(fixture.seen.is_empty(), "nothing has been submitted");
    let before = Instant::now();
    fixture.ring.enter(Wait::one(Duration::from_millis(50))).expect("enter");
    assert!(before.elapsed() >= Duration::from_millis(40), "the send ended the wait");
    let sent = fixture.until(Op::Send);
    assert_eq!((sent.token.slot(), sent.token.generation(), sent.result), (2, 7, 5));
    pool.give_message(fixture.ring.take_message(2).expect("the message comes back"));
    fixture.ring.drain(&mut fixture.seen);
    assert!(fixture.seen.is_empty(), "it is told once");
    let mut reply = [0; 5];
    client.read_exact(&mut reply).expect("read");
    assert_eq!(&reply, b"reply");
}

#[test]
fn a_quiet_send_tells_when_the_socket_takes_a_part_or_nothing() {
    let mut fixture = Fixture::new();
    let (client, server) = pair();
    nix::sys::socket::setsockopt(&server, nix::sys::socket::sockopt::SndBuf, &30_000).expect("set");
    let (fd, token) = (server.as_raw_fd(), Token::new(Op::Send, 5, 0));
    let mut pool = BlockPool::default();
    let mut sent = 0;
    let left = loop {
        let mut message = pool.take_message();
        message.append(&[7; 30_000], &mut pool);
        fixture.ring.send_quietly(fd, message, token);
        let bytes = usize::try_from(fixture.until(Op::Send).result).expect("no error");
        let mut message = fixture.ring.take_message(5).expect("the message comes back");
        message.advance(bytes);
        sent += bytes;
        if message.left() > 0 {
            break message;
        }
        pool.give_message(message);
    };
    assert!(left.is_begun(), "this one is to wait");
    let rest = left.left();
    fixture.ring.send_quietly(fd, left, token);
    assert_eq!(fixture.until(Op::Send).result, 0, "there is no room at all");
    let message = fixture.ring.take_message(5).expect("the message comes back");
    fixture.ring.send(fd, message, token);
    let reader = std::thread::spawn(move || {
        let mut bytes = vec![0; sent + rest];
        (&client).read_exact(&mut bytes).expect("read");
        bytes.iter().all(|byte| *byte == 7)
    });
    assert_eq!(fixture.until(Op::Send).result as usize, rest);
    assert!(reader.join().expect("reader"));
}

#[test]
fn a_quiet_send_to_nobody_tells_the_error() {
    let mut fixture = Fixture::new();
    let (client, server) = pair();
    let mut pool = BlockPool::default();
    server.shutdown(std::net::Shutdown::Write).expect("shutdown");
    let mut message = pool.take_message();
    message.append(b"reply", &mut pool);
    fixture.ring.send_quietly(server.as_raw_fd(), message, Token::new(Op::Send, 1, 0));
    assert_eq!(fixture.until(Op::Send).result, -libc::EPIPE);
    assert!(fixture.seen.is_empty(), "it is told once");
    drop(client);
}

#[test]
fn a_full_submission_queue_loses_nothing() {
    let mut fixture = Fixture::new();
    let pairs: Vec<_> = (0..50).map(|_| pair()).collect();
    for (slot, (client, server)) in pairs.iter().enumerate() {
        fixture.ring.receive(server.as_raw_fd(), Token::new(Op::Receive, slot as u32, 0));
        (&mut &*client).write_all(b"x").expect("write");
    }
    let mut slots: Vec<_> = (0..50).map(|_| fixture.until(Op::Receive).token.slot()).collect();
    slots.sort_unstable();
    assert_eq!(slots, (0..50).collect::<Vec<_>>());
}

#[test]
fn a_wake_up_ends_the_wait() {
    let mut fixture = Fixture::new();
    let event = nix::sys::eventfd::EventFd::new().expect("eventfd");
    fixture.ring.read_wake(event.as_raw_fd(), Token::new(Op::Wake, 0, 0));
    std::thread::scope(|scope| {
        scope.spawn(|| event.write(1).expect("write"));
        assert_eq!(fixture.until(Op::Wake).result, 8);
    });
}

#[test]
fn a_datagram_is_answered_to_where_it_came_from() {
    let mut fixture = Fixture::new();
    let server = UdpSocket::bind("127.0.0.1:0").expect("bind");
    let client = UdpSocket::bind("127.0.0.1:0").expect("bind");
    let fd = server.as_raw_fd();
    fixture.ring.receive_datagram(fd, Datagram::new(64), Token::new(Op::ReceiveFrom, 3, 0));
    client.send_to(b"hello", server.local_addr().expect("bound")).expect("send");
    let completion = fixture.until(Op::ReceiveFrom);
    let request = fixture.ring.take_datagram(&completion).expect("it was in flight");
    assert_eq!((request.bytes(), request.source()), (&b"hello"[..], client.local_addr().ok()));
    let mut reply = Datagram::new(64);
    reply.append(b"hi ");
    reply.append(request.bytes());
    reply.reply_to(&request);
    fixture.ring.send_datagram(fd, reply, Token::new(Op::SendTo, 4, 0));
    let completion = fixture.until(Op::SendTo);
    assert!(fixture.ring.take_datagram(&completion).is_some());
    assert!(fixture.ring.take_datagram(&completion).is_none(), "it comes back once");
    let mut buffer = [0; 64];
    client.set_read_timeout(Some(Duration::from_secs(5))).expect("a time-out");
    let (bytes, source) = client.recv_from(&mut buffer).expect("a reply");
    assert_eq!((&buffer[..bytes], Some(source)), (&b"hi hello"[..], server.local_addr().ok()));
}

#[test]
fn datagrams_come_whole_when_buffers_are_not_shared() {
    let setup = Setup { buffers: 4, buffer_bytes: 4096, buffers_shared: false, ..Setup::default() };
    let mut fixture =
        Fixture { ring: Ring::new(&setup).expect("this host has io_uring"), seen: Vec::new() };
    let receiver = UdpSocket::bind("127.0.0.1:0").expect("bind");
    let sender = UdpSocket::bind("127.0.0.1:0").expect("bind");
    sender.connect(receiver.local_addr().expect("address")).expect("connect");
    fixture.ring.receive(receiver.as_raw_fd(), Token::new(Op::Receive, 0, 0));
    // Five and a half of them fill a buffer: a shared one would cut each sixth.
    for _ in 0..24 {
        sender.send(&[7; 744]).expect("send");
        let completion = fixture.until(Op::Receive);
        assert_eq!(completion.result, 744);
        fixture.ring.recycle();
    }
}
