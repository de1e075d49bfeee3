//! The addresses of `-l`.
//!
//! An item is `host`, `host:port`, `[ipv6]:port`, a bare IPv6 address, or `*` for every interface;
//! lists are split at `,` and `;`. Numbers are read as they are and never asked of a resolver, so
//! that a start does not hang on DNS unless a name was typed. Without `-l` the server listens on
//! loopback only: the world's open memcached servers did not mean to be open.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs};

use super::exit::Failure;
use super::settings::ListenAddress;

/// The addresses that `items` stand for, in order and each once; those of the default if there are
/// none.
///
/// # Errors
/// One line that names the item and what is wrong with it.
pub(super) fn addresses(items: &[String], port: u16) -> Result<Vec<ListenAddress>, Failure> {
    if items.is_empty() {
        return Ok(pair(Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST, port).to_vec());
    }
    let mut found: Vec<ListenAddress> = Vec::new();
    for item in items.iter().flat_map(|list| list.split([',', ';'])).map(str::trim) {
        if item.is_empty() {
            continue;
        }
        let wrong = |why: String| Failure::usage(format!("--listen \"{item}\": {why}"));
        for address in one(item, port).map_err(wrong)? {
            if !found.iter().any(|f| (f.host, f.port) == (address.host, address.port)) {
                found.push(address);
            }
        }
    }
    if found.is_empty() {
        return Err(Failure::usage("--listen: the list of addresses is empty"));
    }
    Ok(found)
}

fn one(item: &str, port_default: u16) -> Result<Vec<ListenAddress>, String> {
    refuse_prefixes(item)?;
    let (host, port) = split(item)?;
    let port = match port {
        Some(text) => port_of(text)?,
        None => port_default,
    };
    if host == "*" {
        return Ok(pair(Ipv4Addr::UNSPECIFIED, Ipv6Addr::UNSPECIFIED, port).to_vec());
    }
    match host.parse::<IpAddr>() {
        Ok(host) => Ok(vec![ListenAddress { host, port, optional: false }]),
        Err(_) => resolve(host, port),
    }
}

/// Splits host and port. A text with more than one colon outside brackets is an IPv6 address.
fn split(item: &str) -> Result<(&str, Option<&str>), String> {
    if let Some(rest) = item.strip_prefix('[') {
        let Some((host, after)) = rest.split_once(']') else {
            return Err("the closing ] is missing".into());
        };
        return match after.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if after.is_empty() => Ok((host, None)),
            None => Err("after ] only :PORT may follow".into()),
        };
    }
    match item.split_once(':') {
        Some((_, rest)) if rest.contains(':') => Ok((item, None)),
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((item, None)),
    }
}

fn port_of(text: &str) -> Result<u16, String> {
    match text.parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err("its port must be 1 to 65535".into()),
    }
}

fn resolve(host: &str, port: u16) -> Result<Vec<ListenAddress>, String> {
    let found = (host, port)
        .to_socket_addrs()
        .map_err(|error| format!("no address of that name ({error})"))?
        .map(|address| ListenAddress { host: address.ip(), port, optional: true })
        .collect::<Vec<_>>();
    // A name with one address has nothing to fall back on.
    match found.as_slice() {
        [] => Err("no address of that name".into()),
        [only] => Ok(vec![ListenAddress { optional: false, ..*only }]),
        _ => Ok(found),
    }
}

fn refuse_prefixes(item: &str) -> Result<(), String> {
    let tls = ["notls:", "btls:", "mtls:"].iter().any(|prefix| item.starts_with(prefix));
    if tls || item.starts_with("proto[") || item.starts_with("tag[") || item.starts_with("tag_") {
        return Err("prefixes of an address are not available yet".into());
    }
    Ok(())
}

/// The same place in both address families; a host without IPv6 does without the second.
fn pair(v4: Ipv4Addr, v6: Ipv6Addr, port: u16) -> [ListenAddress; 2] {
    [
        ListenAddress { host: v4.into(), port, optional: false },
        ListenAddress { host: v6.into(), port, optional: true },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(items: &[&str]) -> Result<Vec<String>, String> {
        let items: Vec<String> = items.iter().map(|&item| item.to_owned()).collect();
        let found = addresses(&items, 11211).map_err(|failure| failure.message)?;
        Ok(found
            .iter()
            .map(|a| format!("{} {}{}", a.host, a.port, if a.optional { "?" } else { "" }))
            .collect())
    }

    #[test]
    fn default_is_loopback() {
        assert_eq!(listed(&[]).unwrap(), ["127.0.0.1 11211", "::1 11211?"]);
    }

    #[test]
    fn star_is_every_interface() {
        assert_eq!(listed(&["*"]).unwrap(), ["0.0.0.0 11211", ":: 11211?"]);
        assert_eq!(listed(&["*:12"]).unwrap(), ["0.0.0.0 12", ":: 12?"]);
    }

    #[test]
    fn lists_repeat_and_double_ones_fold() {
        assert_eq!(
            listed(&["10.0.0.1,10.0.0.2:99; 10.0.0.1", "10.0.0.2:98,,"]).unwrap(),
            ["10.0.0.1 11211", "10.0.0.2 99", "10.0.0.2 98"]
        );
    }

    #[test]
    fn ipv6_bare_and_in_brackets() {
        assert_eq!(
            listed(&["::1", "[::1]:5", "[fe80::1]"]).unwrap(),
            ["::1 11211", "::1 5", "fe80::1 11211"]
        );
    }

    #[test]
    fn names_resolve() {
        let found = listed(&["localhost:7"]).unwrap();
        assert!(found.iter().any(|a| a.starts_with("127.0.0.1 7") || a.starts_with("::1 7")));
    }

    #[test]
    fn refusals_name_the_item() {
        for (item, part) in [
            ("127.0.0.1:", "port must be 1 to 65535"),
            ("127.0.0.1:0", "port must be"),
            ("127.0.0.1:65536", "port must be"),
            ("[::1", "closing ]"),
            ("[::1]x", "only :PORT"),
            ("notls:127.0.0.1", "not available yet"),
            ("proto[ascii]:127.0.0.1", "not available yet"),
            ("no-such-host.invalid", "no address of that name"),
            (",", "list of addresses is empty"),
        ] {
            let message = listed(&[item]).unwrap_err();
            assert!(message.contains(part), "{item}: {message}");
            assert!(!message.contains('\n'), "{message}");
        }
    }
}
