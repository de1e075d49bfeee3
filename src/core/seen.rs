//! Which hosts have been seen to answer.
//!
//! The source of a datagram can be forged, so a small request by UDP in somebody else's name would
//! have us send him a large reply: in 2018 memcached servers so brought about the largest floods
//! that had been seen (CVE-2018-1000115). A TCP connection can't be opened in somebody else's name,
//! because its opener has to answer what we send to that address. So a host counts as **seen**
//! while it has a connection to us by TCP and for [`REMEMBERED_S`] after its last one ended; the
//! host itself, on its loopback addresses, always does.
//!
//! Only connections come here, and only where UDP is on.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;

/// Seconds for which a host is remembered after its last connection has ended.
pub(super) const REMEMBERED_S: u32 = 600;

/// Most hosts that are remembered.
const HOSTS_MAX: usize = 65_536;

/// The hosts, over all cores.
#[derive(Default)]
pub struct Seen(Mutex<HashMap<IpAddr, Host>>);

#[derive(Default)]
struct Host {
    connections: u32,
    /// When the last of them ended, on the cache's clock.
    ended_at: u32,
}

impl Host {
    fn is_seen(&self, now: u32) -> bool {
        self.connections > 0 || now < self.ended_at.saturating_add(REMEMBERED_S)
    }
}

impl Seen {
    /// A connection of `host` has been accepted. Where too many hosts are connected at once to
    /// remember them all, the last ones stay unseen.
    pub(super) fn connected(&self, host: IpAddr, now: u32) {
        let mut hosts = self.0.lock().expect("no thread panics with the lock");
        if hosts.len() >= HOSTS_MAX {
            hosts.retain(|_, host| host.is_seen(now));
        }
        if hosts.len() < HOSTS_MAX || hosts.contains_key(&host.to_canonical()) {
            hosts.entry(host.to_canonical()).or_default().connections += 1;
        }
    }

    /// A connection of `host` has ended.
    pub(super) fn disconnected(&self, host: IpAddr, now: u32) {
        let mut hosts = self.0.lock().expect("no thread panics with the lock");
        if let Some(host) = hosts.get_mut(&host.to_canonical()) {
            host.connections = host.connections.saturating_sub(1);
            host.ended_at = now;
        }
    }

    /// Whether `host` has shown that it receives what is sent to its address.
    pub(super) fn has(&self, host: IpAddr, now: u32) -> bool {
        let host = host.to_canonical();
        let hosts = || self.0.lock().expect("no thread panics with the lock");
        host.is_loopback() || hosts().get(&host).is_some_and(|host| host.is_seen(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_seen_while_it_is_connected_and_for_a_while_after() {
        let seen = Seen::default();
        let host: IpAddr = "192.0.2.7".parse().expect("an address");
        assert!(!seen.has(host, 10));
        seen.connected(host, 10);
        seen.connected("::ffff:192.0.2.7".parse().expect("an address"), 11);
        assert!(seen.has(host, 100_000) && !seen.has("192.0.2.8".parse().expect("one"), 10));
        seen.disconnected(host, 50);
        assert!(seen.has(host, 100_000), "one of two is left");
        seen.disconnected(host, 60);
        assert!(seen.has(host, 59 + REMEMBERED_S) && !seen.has(host, 60 + REMEMBERED_S));
    }

    #[test]
    fn only_this_host_is_always_seen() {
        let seen = Seen::default();
        for (host, is_seen) in [
            ("127.0.0.1", true),
            ("::1", true),
            ("127.9.9.9", true),
            ("0.0.0.0", false),
            ("::", false),
        ] {
            assert_eq!(seen.has(host.parse().expect("an address"), 5), is_seen, "{host}");
        }
    }

    #[test]
    fn hosts_that_are_gone_make_room() {
        let seen = Seen::default();
        let host = |number: u32| IpAddr::from(number.to_be_bytes());
        for number in 0..HOSTS_MAX as u32 {
            seen.connected(host(number), 10);
        }
        seen.connected(host(u32::MAX), 10);
        assert!(!seen.has(host(u32::MAX), 10), "all others are connected");
        seen.disconnected(host(5), 10);
        seen.connected(host(u32::MAX), 10 + REMEMBERED_S);
        assert!(seen.has(host(u32::MAX), 10 + REMEMBERED_S));
    }
}
