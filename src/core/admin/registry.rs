//! Who is connected, for `stats conns` on any core.
//!
//! A core notes each of its connections once when it comes and once when it goes. What changes
//! more often, the second of the latest activity, lies in an array of numbers beside: one relaxed
//! store, and only when the second has changed. The address of the other end is asked of the
//! kernel once, because the log tells it at the end as well, when the kernel has forgotten it.

use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::socket::{SockaddrStorage, getpeername, getsockname};

use super::listing::Listing;
use crate::conn::ConnId;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::core) enum Doing {
    /// Waiting for requests, as far as another core can tell.
    Reading,
    /// Receiving the log.
    Watching,
    /// Receiving a dump.
    Dumping,
}

impl Doing {
    /// memcached's name of the state.
    const fn name(self) -> &'static str {
        match self {
            Self::Reading => "conn_read",
            Self::Watching => "conn_watch",
            Self::Dumping => "conn_mwrite",
        }
    }
}

#[derive(Clone, Copy)]
struct Entry {
    fd: RawFd,
    /// None for a Unix socket.
    peer: Option<SocketAddr>,
    doing: Doing,
}

/// The connections of one core.
pub(crate) struct Registry {
    entries: Mutex<Entries>,
    /// By slot: the second of the latest activity, on the cache's clock.
    active_at: Box<[AtomicU32]>,
}

#[derive(Default)]
struct Entries {
    listeners: Vec<RawFd>,
    /// By slot.
    connections: Vec<Option<Entry>>,
}

impl Registry {
    /// A registry for up to `connections` connections; more are listed without their activity.
    #[must_use]
    pub(crate) fn new(connections: usize) -> Self {
        let active_at = (0..connections).map(|_| AtomicU32::new(0)).collect();
        Self { entries: Mutex::default(), active_at }
    }

    pub(in crate::core) fn set_listeners(&self, listeners: Vec<RawFd>) {
        self.entries.lock().expect("no thread panics with the lock").listeners = listeners;
    }

    /// Notes a connection; tells the address of its other end, if it has one.
    pub(in crate::core) fn add(&self, id: ConnId, fd: RawFd, now: u32) -> Option<SocketAddr> {
        let peer = getpeername(fd).ok().and_then(|address| tcp_address(&address));
        let mut entries = self.entries.lock().expect("no thread panics with the lock");
        let slot = id.index as usize;
        if entries.connections.len() <= slot {
            entries.connections.resize(slot + 1, None);
        }
        entries.connections[slot] = Some(Entry { fd, peer, doing: Doing::Reading });
        self.touch(id, now);
        peer
    }

    /// Strikes a connection off, whose descriptor is closed by now; tells its other end.
    pub(in crate::core) fn remove(&self, id: ConnId) -> Option<SocketAddr> {
        let mut entries = self.entries.lock().expect("no thread panics with the lock");
        entries.connections.get_mut(id.index as usize)?.take()?.peer
    }

    /// Notes what a connection is doing from now on.
    pub(in crate::core) fn set_doing(&self, id: ConnId, doing: Doing) {
        let mut entries = self.entries.lock().expect("no thread panics with the lock");
        if let Some(Some(entry)) = entries.connections.get_mut(id.index as usize) {
            entry.doing = doing;
        }
    }

    /// Notes activity.
    #[inline]
    pub(in crate::core) fn touch(&self, id: ConnId, now: u32) {
        if let Some(active_at) = self.active_at.get(id.index as usize) {
            active_at.store(now, Ordering::Relaxed);
        }
    }

    /// Lists listeners and connections. `asking` is the connection that wants to know, if it is
    /// one of this core.
    pub(super) fn list(&self, asking: Option<ConnId>, seconds: Seconds, listing: &mut Listing) {
        let entries = self.entries.lock().expect("no thread panics with the lock");
        for &fd in &entries.listeners {
            let Some(address) = local_address(fd) else { continue };
            listing.put(format_args!("{fd}:addr"), address);
            listing.put(format_args!("{fd}:state"), "conn_listening");
            listing.put(format_args!("{fd}:secs_since_last_cmd"), seconds.uptime);
        }
        for (slot, entry) in entries.connections.iter().enumerate() {
            let Some(Entry { fd, peer, doing }) = *entry else { continue };
            // A connection may have ended without its entry being gone yet.
            let Some(local) = local_address(fd) else { continue };
            // A client of a Unix socket has no address, so it is told by that of the socket.
            let peer = peer.map_or_else(|| local.clone(), tcp_text);
            let asks = asking.is_some_and(|id| id.index as usize == slot);
            let active_at = self.active_at.get(slot).map_or(0, |at| at.load(Ordering::Relaxed));
            listing.put(format_args!("{fd}:addr"), peer);
            listing.put(format_args!("{fd}:listen_addr"), local);
            let state = if asks { "conn_parse_cmd" } else { doing.name() };
            listing.put(format_args!("{fd}:state"), state);
            let idle_s = seconds.now.saturating_sub(active_at);
            listing.put(format_args!("{fd}:secs_since_last_cmd"), idle_s);
        }
    }
}

/// The time, as the list needs it.
#[derive(Clone, Copy)]
pub(super) struct Seconds {
    /// On the cache's clock.
    pub(super) now: u32,
    /// Since the start.
    pub(super) uptime: u64,
}

fn local_address(fd: RawFd) -> Option<String> {
    let address: SockaddrStorage = getsockname(fd).ok()?;
    if let Some(tcp) = tcp_address(&address) {
        return Some(tcp_text(tcp));
    }
    let path = address.as_unix_addr()?.path();
    Some(path.map_or_else(|| "unix:".to_owned(), |path| format!("unix:{}", path.display())))
}

fn tcp_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::from((v4.ip(), v4.port())));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddr::from((v6.ip(), v6.port()))))
}

/// An address as memcached writes it.
fn tcp_text(address: SocketAddr) -> String {
    let scheme = if address.is_ipv4() { "tcp" } else { "tcp6" };
    format!("{scheme}:{address}")
}

#[cfg(test)]
mod tests {
    use super::super::listing::Form;
    use super::*;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;

    #[test]
    fn a_connection_is_listed_with_its_addresses_until_it_is_struck_off() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("connects");
        let (server, peer) = listener.accept().expect("accepted");
        let registry = Registry::new(4);
        let id = ConnId { index: 2, generation: 0 };
        registry.add(id, server.as_raw_fd(), 10);
        registry.set_doing(id, Doing::Watching);
        let text = |asking| {
            let mut listing = Listing::new(Form::Text);
            registry.list(asking, Seconds { now: 15, uptime: 15 }, &mut listing);
            String::from_utf8(listing.end()).expect("text")
        };
        let fd = server.as_raw_fd();
        let watching = text(None);
        assert!(watching.contains(&format!("STAT {fd}:addr tcp:{peer}\r\n")), "{watching}");
        let listen = listener.local_addr().expect("bound");
        assert!(watching.contains(&format!("STAT {fd}:listen_addr tcp:{listen}\r\n")));
        assert!(watching.contains("conn_watch") && watching.contains("secs_since_last_cmd 5"));
        assert!(text(Some(id)).contains("conn_parse_cmd"));
        registry.remove(id);
        assert_eq!(text(None), "END\r\n");
        drop(client);
    }
}
