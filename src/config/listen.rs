//! The addresses of `-l`.
//!
//! An item is `host`, `host:port`, `[ipv6]:port`, a bare IPv6 address, or `*` for every interface;
//! lists are split at `,` and `;`. Before the host may stand, in this order, how its clients talk:
//! `notls:`, `btls:` (TLS without certificates of clients) or `mtls:` (with them), the protocol as
//! `proto[ascii]:`, `proto[binary]:` or `proto[negotiating]:`, and a tag as `tag[NAME]:` or
//! `tag_NAME_:`, which means something only to memcached's proxy.
//!
//! Numbers are read as they are and never asked of a resolver, so
//! that a start does not hang on DNS unless a name was typed. Without `-l` the server listens on
//! loopback only: the world's open memcached servers did not mean to be open.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs};

use super::exit::Failure;
use super::settings::{Binding, ListenAddress, Manner, Note};
use super::tls::PeerCheck;

/// How clients talk where no prefix says otherwise.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usual {
    pub(super) manner: Manner,
    /// Clients authenticate themselves in this protocol; by another one they would get in unasked.
    pub(super) is_protocol_fixed: bool,
}

/// The addresses that `items` stand for, in order and each once; those of the default if there are
/// none.
///
/// # Errors
/// One line that names the item and what is wrong with it.
pub(super) fn addresses(
    items: &[String],
    port: u16,
    usual: Usual,
    notes: &mut Vec<Note>,
) -> Result<Vec<ListenAddress>, Failure> {
    if items.is_empty() {
        let loopback = (Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST);
        return Ok(pair(loopback, port, usual.manner).to_vec());
    }
    let mut found: Vec<ListenAddress> = Vec::new();
    for item in items.iter().flat_map(|list| list.split([',', ';'])).map(str::trim) {
        if item.is_empty() {
            continue;
        }
        let wrong = |why: String| Failure::usage(format!("--listen \"{item}\": {why}"));
        for address in one(item, port, usual, notes).map_err(wrong)? {
            match found.iter().find(|f| (f.host, f.port) == (address.host, address.port)) {
                None => found.push(address),
                Some(same) if same.manner == address.manner => {}
                Some(_) => return Err(wrong("it is listed twice, with other prefixes".into())),
            }
        }
    }
    if found.is_empty() {
        return Err(Failure::usage("--listen: the list of addresses is empty"));
    }
    Ok(found)
}

fn one(
    item: &str,
    port_default: u16,
    usual: Usual,
    notes: &mut Vec<Note>,
) -> Result<Vec<ListenAddress>, String> {
    let (tls, rest) = tls(item, usual.manner.tls)?;
    let (protocol, rest) = protocol(rest, usual)?;
    let (tag, rest) = tag(rest)?;
    if let Some(tag) = tag {
        let why = "tags tell connections apart in the Lua proxy";
        notes.push(Note::Verbose(format!("-l: the tag {tag} has no effect: {why}")));
    }
    let manner = Manner { protocol, tls };
    let (host, port) = split(rest)?;
    let port = match port {
        Some(text) => port_of(text)?,
        None => port_default,
    };
    if host == "*" {
        let all = (Ipv4Addr::UNSPECIFIED, Ipv6Addr::UNSPECIFIED);
        return Ok(pair(all, port, manner).to_vec());
    }
    match host.parse::<IpAddr>() {
        Ok(host) => Ok(vec![ListenAddress { host, port, optional: false, manner }]),
        Err(_) => resolve(host, port, manner),
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

fn resolve(host: &str, port: u16, manner: Manner) -> Result<Vec<ListenAddress>, String> {
    let found = (host, port)
        .to_socket_addrs()
        .map_err(|error| format!("no address of that name ({error})"))?
        .map(|address| ListenAddress { host: address.ip(), port, optional: true, manner })
        .collect::<Vec<_>>();
    // A name with one address has nothing to fall back on.
    match found.as_slice() {
        [] => Err("no address of that name".into()),
        [only] => Ok(vec![ListenAddress { optional: false, ..*only }]),
        _ => Ok(found),
    }
}

/// Takes the prefix about TLS off an item.
fn tls(item: &str, usual: Option<PeerCheck>) -> Result<(Option<PeerCheck>, &str), String> {
    let prefixes =
        [("notls", None), ("btls", Some(PeerCheck::Never)), ("mtls", Some(PeerCheck::Always))];
    for (prefix, check) in prefixes {
        let rest = item.strip_prefix(prefix).and_then(|rest| rest.strip_prefix(':'));
        if let Some(rest) = rest {
            return match usual {
                Some(_) => Ok((check, rest)),
                None => Err(format!("{prefix}: means nothing without -Z")),
            };
        }
    }
    Ok((usual, item))
}

/// Takes the prefix about the protocol off what is left of an item.
fn protocol(item: &str, usual: Usual) -> Result<(Binding, &str), String> {
    let Some(rest) = item.strip_prefix("proto[") else {
        return Ok((usual.manner.protocol, item));
    };
    let (name, rest) = rest.split_once("]:").ok_or("after proto[ the ]: is missing")?;
    let protocol = match name {
        "ascii" => Binding::Ascii,
        "binary" => Binding::Binary,
        "negotiating" if usual.is_protocol_fixed => usual.manner.protocol,
        "negotiating" => Binding::Auto,
        "proxy" => return Err("the Lua proxy is no part of ringcached".into()),
        _ => return Err(format!("proto[{name}]: allowed is ascii, binary or negotiating")),
    };
    if usual.is_protocol_fixed && protocol != usual.manner.protocol {
        let needed = usual.manner.protocol.name();
        return Err(format!("proto[{name}]: clients authenticate themselves in {needed} only"));
    }
    Ok((protocol, rest))
}

/// Takes a tag off what is left of an item.
fn tag(item: &str) -> Result<(Option<&str>, &str), String> {
    const TAG_BYTES_MAX: usize = 8;
    let (rest, end) = match (item.strip_prefix("tag["), item.strip_prefix("tag_")) {
        (Some(rest), _) => (rest, "]:"),
        (_, Some(rest)) => (rest, "_:"),
        _ => return Ok((None, item)),
    };
    let (tag, rest) = rest.split_once(end).ok_or_else(|| format!("the tag's {end} is missing"))?;
    if tag.is_empty() || tag.len() > TAG_BYTES_MAX {
        return Err(format!("a tag has 1 to {TAG_BYTES_MAX} characters"));
    }
    Ok((Some(tag), rest))
}

/// The same place in both address families; a host without IPv6 does without the second.
fn pair((v4, v6): (Ipv4Addr, Ipv6Addr), port: u16, manner: Manner) -> [ListenAddress; 2] {
    [
        ListenAddress { host: v4.into(), port, optional: false, manner },
        ListenAddress { host: v6.into(), port, optional: true, manner },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Usual =
        Usual { manner: Manner { protocol: Binding::Auto, tls: None }, is_protocol_fixed: false };
    const TLS: Usual =
        Usual { manner: Manner { tls: Some(PeerCheck::IfShown), ..PLAIN.manner }, ..PLAIN };

    fn listed(items: &[&str]) -> Result<Vec<String>, String> {
        let items: Vec<String> = items.iter().map(|&item| item.to_owned()).collect();
        let found = addresses(&items, 11211, PLAIN, &mut Vec::new()).map_err(|f| f.message)?;
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
            ("notls:127.0.0.1", "notls: means nothing without -Z"),
            ("mtls:127.0.0.1", "mtls: means nothing without -Z"),
            ("proto[proxy]:127.0.0.1", "Lua proxy is no part"),
            ("proto[meta]:127.0.0.1", "allowed is ascii, binary or negotiating"),
            ("proto[ascii:127.0.0.1", "the ]: is missing"),
            ("tag[]:127.0.0.1", "1 to 8 characters"),
            ("tag_ninechars_:127.0.0.1", "1 to 8 characters"),
            ("tag[tools:127.0.0.1", "the tag's ]: is missing"),
            ("no-such-host.invalid", "no address of that name"),
            (",", "list of addresses is empty"),
        ] {
            let message = listed(&[item]).unwrap_err();
            assert!(message.contains(part), "{item}: {message}");
            assert!(!message.contains('\n'), "{message}");
        }
    }

    #[test]
    fn prefixes_say_how_clients_talk() {
        let item = "notls:10.0.0.1,btls:10.0.0.2,mtls:proto[ascii]:tag_tools_:[::1]:5,\
                    proto[binary]:10.0.0.3:7,tag[a]:10.0.0.4,proto[negotiating]:10.0.0.5";
        let mut notes = Vec::new();
        let found = addresses(&[item.to_owned()], 11211, TLS, &mut notes).unwrap();
        let manners: Vec<_> = found.iter().map(|a| (a.manner.tls, a.manner.protocol)).collect();
        let usual = Some(PeerCheck::IfShown);
        assert_eq!(
            manners,
            [
                (None, Binding::Auto),
                (Some(PeerCheck::Never), Binding::Auto),
                (Some(PeerCheck::Always), Binding::Ascii),
                (usual, Binding::Binary),
                (usual, Binding::Auto),
                (usual, Binding::Auto),
            ]
        );
        assert_eq!((found[2].host.to_string(), found[2].port), ("::1".to_owned(), 5));
        assert_eq!(notes.len(), 2, "the tags are noted: {notes:?}");
    }

    #[test]
    fn no_prefix_leads_past_authentication() {
        let usual = Usual {
            manner: Manner { protocol: Binding::Ascii, tls: None },
            is_protocol_fixed: true,
        };
        let of = |item: &str| addresses(&[item.to_owned()], 1, usual, &mut Vec::new());
        assert!(of("proto[binary]:10.0.0.1").unwrap_err().message.contains("in ascii only"));
        for item in ["proto[ascii]:10.0.0.1", "proto[negotiating]:10.0.0.1", "10.0.0.1"] {
            assert_eq!(of(item).unwrap()[0].manner.protocol, Binding::Ascii, "{item}");
        }
    }

    #[test]
    fn an_address_has_one_manner() {
        let of = |item: &str| addresses(&[item.to_owned()], 1, TLS, &mut Vec::new());
        assert_eq!(of("10.0.0.1,10.0.0.1").unwrap().len(), 1);
        assert!(of("10.0.0.1,notls:10.0.0.1").unwrap_err().message.contains("listed twice"));
    }
}
