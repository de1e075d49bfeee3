//! Where a server is and how its socket is made: TCP, a unix socket or UDP.
//!
//! Names are resolved once, when the run is planned, so that a slow resolver never sits inside a
//! measurement.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrLike, SockaddrStorage, UnixAddr, connect,
    setsockopt, socket, sockopt,
};

/// The transport below the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Transport {
    /// A stream: TCP, or a unix socket where the address is a path.
    #[default]
    Stream,
    /// Datagrams with memcached's 8-byte frame header.
    Udp,
}

/// A resolved address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// An IP address and a port.
    Inet(SocketAddr),
    /// The path of a unix socket.
    Unix(PathBuf),
}

impl Target {
    /// Resolves a host name or a path; the first address wins, as with libmemcached.
    pub fn resolve(host: &str, port: u16) -> io::Result<Self> {
        if host.starts_with('/') {
            return Ok(Self::Unix(host.into()));
        }
        let mut found = (host, port).to_socket_addrs()?;
        found.next().map(Self::Inet).ok_or_else(|| io::Error::other("the name has no address"))
    }

    /// The address in the kernel's form.
    pub fn socket_address(&self) -> io::Result<Box<dyn SockaddrLike>> {
        match self {
            Self::Inet(address) => Ok(Box::new(SockaddrStorage::from(*address))),
            Self::Unix(path) => Ok(Box::new(UnixAddr::new(path)?)),
        }
    }

    /// A new socket of the right family.
    pub fn socket(&self, transport: Transport, no_delay: bool) -> io::Result<OwnedFd> {
        let family = match self {
            Self::Inet(SocketAddr::V4(_)) => AddressFamily::Inet,
            Self::Inet(SocketAddr::V6(_)) => AddressFamily::Inet6,
            Self::Unix(_) => AddressFamily::Unix,
        };
        let kind = match transport {
            Transport::Stream => SockType::Stream,
            Transport::Udp => SockType::Datagram,
        };
        let fd = socket(family, kind, SockFlag::SOCK_CLOEXEC, None)?;
        if family != AddressFamily::Unix && transport == Transport::Stream && no_delay {
            setsockopt(&fd, sockopt::TcpNoDelay, &true)?;
        }
        Ok(fd)
    }

    /// Connects and waits for it, at most as long as `patience`.
    pub fn connect(
        &self,
        transport: Transport,
        no_delay: bool,
        patience: Duration,
    ) -> io::Result<OwnedFd> {
        let fd = self.socket(transport, no_delay)?;
        fcntl(&fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        self.connect_within(&fd, patience)?;
        // The ring wants sockets that block: it decides itself what to wait for.
        fcntl(&fd, FcntlArg::F_SETFL(OFlag::empty()))?;
        Ok(fd)
    }

    fn connect_within(&self, fd: &OwnedFd, patience: Duration) -> io::Result<()> {
        match connect(fd.as_raw_fd(), &*self.socket_address()?) {
            Ok(()) => return Ok(()),
            Err(nix::Error::EINPROGRESS | nix::Error::EAGAIN) => {}
            Err(error) => return Err(error.into()),
        }
        let mut polled = [PollFd::new(fd.as_fd(), PollFlags::POLLOUT)];
        let patience = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
        if poll(&mut polled, patience)? == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match nix::sys::socket::getsockopt(fd, sockopt::SocketError)? {
            0 => Ok(()),
            code => Err(io::Error::from_raw_os_error(code)),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}
