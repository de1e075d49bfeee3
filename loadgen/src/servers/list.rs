//! Server lists in libmemcached's grammar: `host`, `host:port`, `host:port:weight`, `host:port
//! weight`, `[v6]:port`, `/path/to.sock`; several of them with commas between.

use super::Member;

/// memcached's port.
pub const PORT_DEFAULT: u16 = 11211;

/// Reads a list. The error says what is wrong with which entry.
pub fn parse(list: &str) -> Result<Vec<Member>, String> {
    let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    let members: Vec<_> = entries.map(parse_one).collect::<Result<_, _>>()?;
    if members.is_empty() { Err("no servers are given".into()) } else { Ok(members) }
}

fn parse_one(entry: &str) -> Result<Member, String> {
    let problem = |what: &str| format!("server {entry:?}: {what}");
    let (address, weight) = match entry.rsplit_once(' ') {
        Some((address, weight)) => (address.trim(), Some(weight)),
        None => (entry, None),
    };
    let (host, port, weight_behind) = split_address(address);
    let port = match port {
        _ if host.starts_with('/') => 0,
        None | Some("") => PORT_DEFAULT,
        Some(port) => port.parse().map_err(|_| problem("that is no port"))?,
    };
    let weight = match weight.or(weight_behind) {
        None => 1,
        Some(weight) => weight.parse().map_err(|_| problem("that is no weight"))?,
    };
    if host.is_empty() || weight == 0 {
        return Err(problem("it needs a host and a weight above 0"));
    }
    Ok(Member { host: host.into(), port, weight })
}

fn split_address(address: &str) -> (&str, Option<&str>, Option<&str>) {
    if let Some((host, rest)) = address.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        let mut parts = rest.trim_start_matches(':').splitn(2, ':');
        return (host, parts.next(), parts.next());
    }
    // More colons than host, port and weight need are a bare IPv6 address.
    if address.matches(':').count() > 2 {
        return (address, None, None);
    }
    let mut parts = address.splitn(3, ':');
    (parts.next().unwrap_or(""), parts.next(), parts.next())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> (String, u16, u32) {
        let mut members = parse(text).expect("a list");
        assert_eq!(members.len(), 1);
        let Member { host, port, weight } = members.remove(0);
        (host, port, weight)
    }

    #[test]
    fn every_form_is_read() {
        assert_eq!(one("a"), ("a".into(), 11211, 1));
        assert_eq!(one("a:1"), ("a".into(), 1, 1));
        assert_eq!(one("a:1:5"), ("a".into(), 1, 5));
        assert_eq!(one("a:1 5"), ("a".into(), 1, 5));
        assert_eq!(one("[::1]:22122"), ("::1".into(), 22122, 1));
        assert_eq!(one("[::1]:22122:3"), ("::1".into(), 22122, 3));
        assert_eq!(one("fe80::1:2"), ("fe80::1:2".into(), 11211, 1));
        assert_eq!(one("/tmp/x.sock"), ("/tmp/x.sock".into(), 0, 1));
        assert_eq!(parse("a, b:2 ,c:3:4").expect("a list").len(), 3);
    }

    #[test]
    fn nonsense_is_told() {
        for text in ["", ",", "a:x", "a:1:x", "a:70000", "a:1:0", ":1"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
