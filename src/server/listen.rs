//! Listening sockets.
//!
//! A port is taken before memory is, and opened to clients after: to find an old cache in a file
//! may take a while, and nobody should wait for a server that can't start.
//!
//! Each core has a socket of its own on each address, all bound to the same port with
//! `SO_REUSEPORT`, so no core waits for another to accept. A Unix socket has no such option: the
//! first core accepts for all, and the placement of connections spreads them.

use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, UnixAddr, bind, getsockname,
    listen, setsockopt, socket, sockopt,
};

use crate::config::limits::DATAGRAM_REPLY_BYTES_MAX;
use crate::config::{Config, CpuId, Failure, ListenAddress, Manner};
use crate::core::Sockets;
use crate::os::sockets;

/// All listening sockets of the process.
pub struct Bound {
    /// By core.
    listeners: Vec<Vec<(OwnedFd, Manner)>>,
    /// By core.
    datagrams: Vec<Vec<(OwnedFd, Manner)>>,
    /// What is listened on over TCP.
    pub addresses: Vec<SocketAddr>,
    /// Where datagrams are received.
    pub udp_addresses: Vec<SocketAddr>,
}

impl Bound {
    /// Binds all that the configuration names.
    ///
    /// # Errors
    /// The address and the reason.
    pub fn new(config: &Config) -> Result<Self, Failure> {
        if let Some(path) = &config.unix_path {
            let mut listeners: Vec<_> = (0..config.threads).map(|_| Vec::new()).collect();
            let manner = Manner { protocol: config.protocol, tls: None };
            listeners[0].push((bind_unix(path, config.unix_mask)?, manner));
            let datagrams = listeners.iter().map(|_| Vec::new()).collect();
            let (addresses, udp_addresses) = (Vec::new(), Vec::new());
            return Ok(Self { listeners, datagrams, addresses, udp_addresses });
        }
        let tcp = |address, cpu| bind_tcp(address, config.socket_mark, cpu);
        let udp = |address, cpu| bind_udp(address, config.socket_mark, cpu);
        let (listeners, addresses) = bind_all(&config.listen, &config.cpus, SockType::Stream, tcp)?;
        let (datagrams, udp_addresses) =
            bind_all(&config.udp_listen, &config.cpus, SockType::Datagram, udp)?;
        Ok(Self { listeners, datagrams, addresses, udp_addresses })
    }

    /// Lets clients in: from now on whoever connects waits to be served.
    ///
    /// # Errors
    /// What `listen(2)` answered.
    pub fn listen(&self, backlog: u32) -> Result<(), Failure> {
        let backlog = Backlog::new(backlog.min(i32::MAX as u32) as i32);
        let mut all = self.listeners.iter().flatten();
        let done =
            backlog.and_then(|backlog| all.try_for_each(|(socket, _)| listen(socket, backlog)));
        done.map_err(|error| Failure::os("can't listen", explain(error)))
    }

    /// The sockets of one core.
    #[must_use]
    pub fn of_core(&self, core: usize) -> Sockets {
        let listener = |(socket, manner): &(OwnedFd, Manner)| (socket.as_raw_fd(), *manner);
        let datagrams =
            |(socket, manner): &(OwnedFd, Manner)| (socket.as_raw_fd(), manner.protocol);
        Sockets {
            listeners: self.listeners[core].iter().map(listener).collect(),
            datagrams: self.datagrams[core].iter().map(datagrams).collect(),
        }
    }
}

/// Sockets by core, and the addresses that they are bound to.
type Row = (Vec<Vec<(OwnedFd, Manner)>>, Vec<SocketAddr>);

/// Binds a socket for each core on each address; port 0 becomes the same free port on all.
fn bind_all(
    addresses: &[ListenAddress],
    cpus: &[CpuId],
    kind: SockType,
    bind_one: impl Fn(SocketAddr, CpuId) -> nix::Result<(OwnedFd, SocketAddr)>,
) -> Result<Row, Failure> {
    let mut sockets: Vec<_> = cpus.iter().map(|cpu| (*cpu, Vec::new())).collect();
    let mut bound = Vec::new();
    let mut port_chosen = 0;
    for address in addresses {
        let port = if address.port == 0 { port_chosen } else { address.port };
        let wanted = ListenAddress { port, ..*address };
        match bind_cores(wanted, &mut sockets, kind, &bind_one) {
            Ok(got) => {
                if address.port == 0 {
                    port_chosen = got.port();
                }
                bound.push(got);
            }
            Err(_) if address.optional && !bound.is_empty() => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok((sockets.into_iter().map(|(_, sockets)| sockets).collect(), bound))
}

fn bind_cores(
    address: ListenAddress,
    sockets: &mut [(CpuId, Vec<(OwnedFd, Manner)>)],
    kind: SockType,
    bind_one: impl Fn(SocketAddr, CpuId) -> nix::Result<(OwnedFd, SocketAddr)>,
) -> Result<SocketAddr, Failure> {
    let mut wanted = SocketAddr::new(address.host, address.port);
    refuse_shared_port(wanted, kind)?;
    for (cpu, core) in sockets {
        let (socket, got) = bind_one(wanted, *cpu).map_err(|error| cannot_listen(wanted, error))?;
        wanted = got;
        core.push((socket, address.manner));
    }
    Ok(wanted)
}

/// How long a port is waited for. The kernel takes rings apart after their process has ended, so
/// the listeners of a server that was killed are there for a moment longer than the server.
const PORT_WAIT: Duration = Duration::from_secs(1);

/// With `SO_REUSEPORT` alone, a second server of the same user would silently share the port.
/// A socket without it is refused the address while somebody listens there.
fn refuse_shared_port(address: SocketAddr, kind: SockType) -> Result<(), Failure> {
    if address.port() == 0 {
        return Ok(());
    }
    let since = Instant::now();
    loop {
        let probe = new_socket(address, kind)
            .and_then(|probe| bind(probe.as_raw_fd(), &SockaddrStorage::from(address)));
        match probe {
            Ok(()) => return Ok(()),
            Err(Errno::EADDRINUSE) if since.elapsed() < PORT_WAIT => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(error) => return Err(cannot_listen(address, error)),
        }
    }
}

fn cannot_listen(address: SocketAddr, error: Errno) -> Failure {
    Failure::os(format_args!("can't listen on {address}"), explain(error))
}

fn explain(error: Errno) -> String {
    let hint = match error {
        Errno::EADDRINUSE => ": another process has the port; stop it or choose another with -p",
        Errno::EACCES => ": ports below 1024 need root or CAP_NET_BIND_SERVICE",
        Errno::EPERM => ": -o sock_cookie_id needs root or CAP_NET_ADMIN",
        Errno::EADDRNOTAVAIL => ": no interface of this host has that address; see `ip address`",
        _ => "",
    };
    format!("{}{hint}", error.desc())
}

fn new_socket(address: SocketAddr, kind: SockType) -> nix::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket = socket(family, kind, SockFlag::SOCK_CLOEXEC, None)?;
    if kind == SockType::Stream {
        // A connection that lingers from an earlier run is no reason to wait. Datagram sockets
        // don't linger, and with this option two servers could share a port unnoticed.
        setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    }
    if address.is_ipv6() {
        setsockopt(&socket, sockopt::Ipv6V6Only, &true)?;
    }
    Ok(socket)
}

/// A mark for the host's firewall and routing, which accepted sockets inherit; 0 is none.
fn set_mark(socket: &OwnedFd, mark: u32) -> nix::Result<()> {
    if mark == 0 { Ok(()) } else { setsockopt(socket, sockopt::Mark, &mark) }
}

fn bind_tcp(address: SocketAddr, mark: u32, cpu: CpuId) -> nix::Result<(OwnedFd, SocketAddr)> {
    let socket = new_socket(address, SockType::Stream)?;
    set_mark(&socket, mark)?;
    setsockopt(&socket, sockopt::ReusePort, &true)?;
    // An older kernel spreads by the hash alone.
    let _ = sockets::prefer_for_cpu(&socket, cpu);
    // Accepted sockets inherit these.
    setsockopt(&socket, sockopt::TcpNoDelay, &true)?;
    setsockopt(&socket, sockopt::KeepAlive, &true)?;
    bind(socket.as_raw_fd(), &SockaddrStorage::from(address))?;
    with_port(socket, address)
}

fn bind_udp(address: SocketAddr, mark: u32, cpu: CpuId) -> nix::Result<(OwnedFd, SocketAddr)> {
    let socket = new_socket(address, SockType::Datagram)?;
    set_mark(&socket, mark)?;
    setsockopt(&socket, sockopt::ReusePort, &true)?;
    let _ = sockets::prefer_for_cpu(&socket, cpu);
    // Room for a large reply's datagrams; the kernel cuts it to net.core.wmem_max.
    setsockopt(&socket, sockopt::SndBuf, &DATAGRAM_REPLY_BYTES_MAX)?;
    bind(socket.as_raw_fd(), &SockaddrStorage::from(address))?;
    with_port(socket, address)
}

/// A bound socket with its address, the port as it turned out.
fn with_port(socket: OwnedFd, address: SocketAddr) -> nix::Result<(OwnedFd, SocketAddr)> {
    let storage: SockaddrStorage = getsockname(socket.as_raw_fd())?;
    let port = storage
        .as_sockaddr_in()
        .map(|v4| v4.port())
        .or_else(|| storage.as_sockaddr_in6().map(|v6| v6.port()))
        .unwrap_or(0);
    Ok((socket, SocketAddr::new(address.ip(), port)))
}

fn bind_unix(path: &Path, mask: u32) -> Result<OwnedFd, Failure> {
    let fail = |error: &dyn std::fmt::Display| {
        Failure::os(format_args!("can't listen on {}", path.display()), error)
    };
    remove_stale(path).map_err(|error| fail(&error))?;
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket =
        socket(AddressFamily::Unix, SockType::Stream, flags, None).map_err(|error| fail(&error))?;
    let address = UnixAddr::new(path).map_err(|error| fail(&error))?;
    bind(socket.as_raw_fd(), &address).map_err(|error| fail(&error))?;
    let permissions = std::fs::Permissions::from_mode(mask);
    std::fs::set_permissions(path, permissions).map_err(|error| fail(&error))?;
    Ok(socket)
}

/// A socket that an earlier server left behind would hinder the bind. Anything else is left alone.
fn remove_stale(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::FileTypeExt;
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => std::fs::remove_file(path),
        _ => Ok(()),
    }
}
