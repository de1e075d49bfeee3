//! Listening sockets.
//!
//! Each core has a socket of its own on each address, all bound to the same port with
//! `SO_REUSEPORT`, so no core waits for another to accept. A Unix socket has no such option: the
//! first core accepts for all, and the placement of connections spreads them.

use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, UnixAddr, bind, getsockname,
    listen, setsockopt, socket, sockopt,
};

use crate::config::{Config, CpuId, Failure, ListenAddress};
use crate::os::sockets;

/// All listening sockets of the process.
pub struct Bound {
    /// By core.
    sockets: Vec<Vec<OwnedFd>>,
    /// What is listened on over TCP.
    pub addresses: Vec<SocketAddr>,
}

impl Bound {
    /// Binds all that the configuration names.
    ///
    /// # Errors
    /// The address and the reason.
    pub fn new(config: &Config) -> Result<Self, Failure> {
        let mut bound = Self {
            sockets: (0..config.threads).map(|_| Vec::new()).collect(),
            addresses: Vec::new(),
        };
        if let Some(path) = &config.unix_path {
            bound.sockets[0].push(bind_unix(path, config.unix_mask, config.backlog)?);
            return Ok(bound);
        }
        let mut port_chosen = 0;
        for address in &config.listen {
            let port = if address.port == 0 { port_chosen } else { address.port };
            match bound.bind_address(address, port, config) {
                Ok(port) if address.port == 0 => port_chosen = port,
                Ok(_) => {}
                Err(_) if address.optional && !bound.addresses.is_empty() => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(bound)
    }

    /// The sockets of one core.
    #[must_use]
    pub fn of_core(&self, core: usize) -> Vec<RawFd> {
        self.sockets[core].iter().map(AsRawFd::as_raw_fd).collect()
    }

    fn bind_address(
        &mut self,
        address: &ListenAddress,
        mut port: u16,
        config: &Config,
    ) -> Result<u16, Failure> {
        for core in 0..config.threads {
            let wanted = SocketAddr::new(address.host, port);
            if core == 0 {
                refuse_shared_port(wanted)?;
            }
            let cpu = config.cpus[core];
            let (socket, got) = bind_tcp(wanted, config.backlog, cpu).map_err(|error| {
                Failure::os(format_args!("can't listen on {wanted}"), explain(error))
            })?;
            port = got.port();
            self.sockets[core].push(socket);
            if core == 0 {
                self.addresses.push(got);
            }
        }
        Ok(port)
    }
}

/// With `SO_REUSEPORT` alone, a second server of the same user would silently share the port.
/// A socket without it is refused the address while somebody listens there.
fn refuse_shared_port(address: SocketAddr) -> Result<(), Failure> {
    if address.port() == 0 {
        return Ok(());
    }
    let probe = new_socket(address)
        .and_then(|probe| bind(probe.as_raw_fd(), &SockaddrStorage::from(address)));
    probe.map_err(|error| Failure::os(format_args!("can't listen on {address}"), explain(error)))
}

fn explain(error: Errno) -> String {
    let hint = match error {
        Errno::EADDRINUSE => ": another process has the port; stop it or choose another with -p",
        Errno::EACCES => ": ports below 1024 need root or CAP_NET_BIND_SERVICE",
        Errno::EADDRNOTAVAIL => ": no interface of this host has that address; see `ip address`",
        _ => "",
    };
    format!("{}{hint}", error.desc())
}

fn new_socket(address: SocketAddr) -> nix::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    if address.is_ipv6() {
        setsockopt(&socket, sockopt::Ipv6V6Only, &true)?;
    }
    Ok(socket)
}

fn bind_tcp(address: SocketAddr, backlog: u32, cpu: CpuId) -> nix::Result<(OwnedFd, SocketAddr)> {
    let socket = new_socket(address)?;
    setsockopt(&socket, sockopt::ReusePort, &true)?;
    // An older kernel spreads by the hash alone.
    let _ = sockets::prefer_for_cpu(&socket, cpu);
    // Accepted sockets inherit these.
    setsockopt(&socket, sockopt::TcpNoDelay, &true)?;
    setsockopt(&socket, sockopt::KeepAlive, &true)?;
    bind(socket.as_raw_fd(), &SockaddrStorage::from(address))?;
    listen(&socket, Backlog::new(backlog.min(i32::MAX as u32) as i32)?)?;
    let storage: SockaddrStorage = getsockname(socket.as_raw_fd())?;
    let port = storage
        .as_sockaddr_in()
        .map(|v4| v4.port())
        .or_else(|| storage.as_sockaddr_in6().map(|v6| v6.port()))
        .unwrap_or(0);
    Ok((socket, SocketAddr::new(address.ip(), port)))
}

fn bind_unix(path: &Path, mask: u32, backlog: u32) -> Result<OwnedFd, Failure> {
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
    let backlog =
        Backlog::new(backlog.min(i32::MAX as u32) as i32).map_err(|error| fail(&error))?;
    listen(&socket, backlog).map_err(|error| fail(&error))?;
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
