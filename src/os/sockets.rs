//! What is asked of sockets beside the ring: an option that the nix crate doesn't know, and what
//! waits in a socket when the server is told to end.

#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{Shutdown, SockFlag, accept4, shutdown};

use crate::config::CpuId;

/// Has a listener of a `SO_REUSEPORT` group preferred for connections whose first packet `cpu`
/// handles (`SO_INCOMING_CPU`, socket(7); for groups since Linux 6.2). A queue of a network card,
/// or a client on the same host, is then served on the CPU where its packets are.
///
/// # Errors
/// What `setsockopt(2)` answered. Without the option all works, spread by a hash.
pub fn prefer_for_cpu(socket: &OwnedFd, cpu: CpuId) -> nix::Result<()> {
    let value = libc::c_int::try_from(cpu.0).unwrap_or(-1);
    let length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the option takes an int, and the kernel copies it during the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_INCOMING_CPU,
            (&raw const value).cast(),
            length,
        )
    };
    Errno::result(result).map(drop)
}

/// Bytes that have arrived in a socket and were not received yet.
#[must_use]
pub fn unread_bytes(socket: RawFd) -> usize {
    queued(socket, libc::FIONREAD)
}

/// Bytes sent that have not arrived in the peer's socket yet.
#[must_use]
pub fn unarrived_bytes(socket: RawFd) -> usize {
    queued(socket, libc::TIOCOUTQ)
}

/// The length of one of a socket's queues; a socket that has failed has nothing in either.
fn queued(socket: RawFd, which: libc::Ioctl) -> usize {
    let mut bytes: libc::c_int = 0;
    // SAFETY: both requests write one int, and the kernel does so during the call.
    let result = unsafe { libc::ioctl(socket, which, &raw mut bytes) };
    if result == 0 { usize::try_from(bytes).unwrap_or(0) } else { 0 }
}

/// Ends a listener: takes the connections that are complete and wait to be accepted; those that
/// come later are refused.
#[must_use]
pub fn close_listener(listener: RawFd) -> Vec<OwnedFd> {
    let mut waiting = Vec::new();
    // SAFETY: whoever names the listener holds it open during the call.
    let borrowed = unsafe { std::os::fd::BorrowedFd::borrow_raw(listener) };
    if fcntl(borrowed, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).is_ok() {
        while let Ok(socket) = accept4(listener, SockFlag::SOCK_CLOEXEC) {
            // SAFETY: the kernel has just made this descriptor for us and told nobody else.
            waiting.push(unsafe { OwnedFd::from_raw_fd(socket) });
        }
    }
    let _ = shutdown(listener, Shutdown::Read);
    waiting
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::time::{Duration, Instant};

    use super::*;

    fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(5);
        while !holds() {
            assert!(Instant::now() < deadline, "{what}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn queues_tell_what_waits_in_them() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let mut client = TcpStream::connect(listener.local_addr().expect("bound")).expect("it is");
        let (mut server, _) = listener.accept().expect("accepted");
        assert_eq!(unread_bytes(server.as_raw_fd()), 0);
        client.write_all(b"12345").expect("sent");
        wait_until("the bytes arrive", || unread_bytes(server.as_raw_fd()) == 5);
        wait_until("they are acknowledged", || unarrived_bytes(client.as_raw_fd()) == 0);
        server.read_exact(&mut [0; 5]).expect("they are there");
        assert_eq!(unread_bytes(server.as_raw_fd()), 0);
        assert_eq!(unread_bytes(-1), 0, "no socket has no bytes");
    }

    #[test]
    fn a_closed_listener_hands_over_who_waits_and_refuses_the_rest() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let clients: Vec<_> = (0..3).map(|_| TcpStream::connect(address).expect("it is")).collect();
        let waiting = close_listener(listener.as_raw_fd());
        assert_eq!(waiting.len(), clients.len());
        assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
    }
}
