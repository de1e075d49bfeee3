//! The network floor: a server that answers `END` to every line and does nothing else.
//!
//! It stands on the same ring, with the same waits, as the real one, so what ringcached takes
//! beyond it per request is the price of being a cache: parsing, the token, the lookup, the reply.
//! `benches/peers.py` runs it beside the others; `cargo run --release --example echo PORT [CORES]`
//! alone.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};

use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, listen, setsockopt, socket,
    sockopt,
};
use ringcached::config::{CpuId, limits::CONNECTIONS_DEFAULT};
use ringcached::os::{affinity, sockets};
use ringcached::ring::{BlockPool, Completion, Op, Ring, Setup, Token, Wait};

#[derive(Default)]
struct Echo {
    sockets: Vec<RawFd>,
    /// Lines that each connection is still to be answered.
    owed: Vec<u32>,
    sending: Vec<bool>,
    /// Connections that something happened to in this turn.
    touched: Vec<u32>,
    pool: BlockPool,
}

impl Echo {
    fn take(&mut self, ring: &mut Ring, completion: &Completion) {
        let slot = completion.token.slot();
        match completion.token.op() {
            Op::Accept => self.welcome(ring, completion),
            Op::Receive => {
                if let Some(received) = &completion.received {
                    let lines = memchr::memchr_iter(b'\n', ring.bytes(received)).count();
                    self.owed[slot as usize] += lines as u32;
                    self.touched.push(slot);
                }
                if !completion.more && completion.result > 0 {
                    ring.receive(self.sockets[slot as usize], completion.token);
                }
            }
            Op::Send => {
                assert!(completion.result > 0, "the client reads what it is sent");
                self.sending[slot as usize] = false;
                self.pool.give_message(ring.take_message(slot).expect("it was sent"));
                self.touched.push(slot);
            }
            _ => {}
        }
    }

    /// Connections are never closed: the load ends with the process.
    fn welcome(&mut self, ring: &mut Ring, completion: &Completion) {
        let Some(socket) = completion.accepted() else { return };
        let slot = self.sockets.len() as u32;
        let socket = socket.into_raw_fd();
        self.sockets.push(socket);
        self.owed.push(0);
        self.sending.push(false);
        ring.receive(socket, Token::new(Op::Receive, slot, 0));
    }

    fn answer(&mut self, ring: &mut Ring) {
        for slot in self.touched.drain(..) {
            let index = slot as usize;
            if self.owed[index] == 0 || self.sending[index] {
                continue;
            }
            let mut message = self.pool.take_message();
            for _ in 0..std::mem::take(&mut self.owed[index]) {
                message.append(b"END\r\n", &mut self.pool);
            }
            self.sending[index] = true;
            let token = Token::new(Op::Send, slot, 0);
            ring.send_quietly(self.sockets[index], message, token);
        }
    }
}

/// A listener of its own on the common port, for clients that are on `cpu` too if there are any.
fn listener(port: u16, cpu: CpuId) -> nix::Result<OwnedFd> {
    let listener = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&listener, sockopt::ReusePort, &true)?;
    sockets::prefer_for_cpu(&listener, cpu)?;
    bind(listener.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)))?;
    listen(&listener, Backlog::MAXCONN)?;
    Ok(listener)
}

fn serve(listener: &OwnedFd) -> std::io::Result<()> {
    let setup = Setup { files: CONNECTIONS_DEFAULT as u32, ..Setup::default() };
    let mut ring = Ring::new(&setup)?;
    ring.accept(listener.as_raw_fd(), Token::new(Op::Accept, 0, 0));
    let (mut echo, mut completions) = (Echo::default(), Vec::new());
    loop {
        ring.enter(Wait::one(None))?;
        ring.drain(&mut completions);
        for completion in completions.drain(..) {
            echo.take(&mut ring, &completion);
        }
        echo.answer(&mut ring);
        ring.recycle();
    }
}

fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse().ok());
    let port = arguments.next().flatten().expect("usage: echo PORT [CORES]");
    let cores = arguments.next().flatten().unwrap_or(1);
    std::thread::scope(|scope| {
        for &cpu in affinity::allowed().iter().cycle().take(cores.into()) {
            let listener = listener(port, cpu)?;
            scope.spawn(move || {
                let _ = affinity::pin(cpu);
                serve(&listener).expect("serve");
            });
        }
        Ok(())
    })
}
