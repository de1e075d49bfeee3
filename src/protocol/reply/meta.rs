//! Replies to meta commands: a code, then what the flags asked for, in the client's order.

use super::{Sink, put_u64};
use crate::protocol::base64;
use crate::protocol::key::Key;
use crate::protocol::meta::Meta;

/// What the replies may tell of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetaItem<'a> {
    /// The item's own key, decoded.
    pub key: Key<'a>,
    /// The item was stored under a base64 key (`mg`), or the request's key is base64 (the others).
    pub key_is_binary: bool,
    /// Client flags.
    pub flags: u32,
    /// CAS id.
    pub cas: u64,
    /// Bytes of the value, after the command.
    pub value_bytes: usize,
    /// Time of expiry on the cache's clock, 0 for never, before the command changed it.
    pub exptime: u32,
    /// The same after `T` took effect; it does so where `T` stands among the flags.
    pub exptime_touched: Option<u32>,
    /// The same after `N` took effect, if the command created the item.
    pub exptime_vivified: Option<u32>,
    /// Whether it had been fetched before this command.
    pub fetched_before: bool,
    /// Seconds since it was last accessed before this command.
    pub idle_seconds: u32,
}

/// The state flags behind the return flags of `mg`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tail {
    /// `W`: this client is to recache the item.
    pub won: bool,
    /// `Z`: another client already is.
    pub token_sent: bool,
    /// `X`: the value is stale.
    pub stale: bool,
}

/// Appends the line of an `mg` hit: `VA <bytes>` or `HD`, flags, state, line end. The caller
/// decides about `with_value`: the flag `v`, unless `C` names the present CAS id.
pub fn put_get_line(
    out: &mut impl Sink,
    meta: &Meta<'_>,
    item: &MetaItem<'_>,
    with_value: bool,
    tail: Tail,
    now: u32,
) {
    if with_value {
        out.put(b"VA ");
        put_u64(out, item.value_bytes as u64);
    } else {
        out.put(b"HD");
    }
    put_flags(out, meta, b"stcflhOk", item, now);
    for (is_set, text) in [(tail.token_sent, b" Z"), (tail.stale, b" X"), (tail.won, b" W")] {
        if is_set {
            out.put(text);
        }
    }
    out.put(b"\r\n");
}

/// Appends the line of an `ms`: its code (`HD`, `NS`, `EX`, `NF`), flags, line end. The CAS id is
/// 0 on failure; the size is that of the item after the command, or of the value sent.
pub fn put_set_line(out: &mut impl Sink, code: &[u8; 2], meta: &Meta<'_>, item: &MetaItem<'_>) {
    out.put(code);
    put_flags(out, meta, b"Okcs", item, 0);
    out.put(b"\r\n");
}

/// Appends a line that tells nothing of an item: any of `md`, a miss of `mg` (`EN`), a failure of
/// `ma`. `key` is the request's, decoded.
pub fn put_plain_line(out: &mut impl Sink, code: &[u8; 2], meta: &Meta<'_>, key: Key<'_>) {
    out.put(code);
    for letter in meta.order() {
        match letter {
            b'O' => put_opaque(out, meta),
            b'k' => put_key(out, key, meta.key_is_base64()),
            _ => {}
        }
    }
    out.put(b"\r\n");
}

/// Appends the line and the number of a successful `ma`.
pub fn put_arithmetic(
    out: &mut impl Sink,
    meta: &Meta<'_>,
    item: &MetaItem<'_>,
    number: u64,
    now: u32,
) {
    let mut digits = [0; super::DIGITS_MAX];
    let start = super::format_u64(number, &mut digits);
    let digits = &digits[start..];
    if meta.has(b'v') {
        out.put(b"VA ");
        put_u64(out, digits.len() as u64);
        put_flags(out, meta, b"ctOk", item, now);
        out.put(b"\r\n");
        out.put(digits);
    } else {
        out.put(b"HD");
        put_flags(out, meta, b"ctOk", item, now);
    }
    out.put(b"\r\n");
}

fn put_flags(out: &mut impl Sink, meta: &Meta<'_>, returned: &[u8], item: &MetaItem<'_>, now: u32) {
    let mut exptime = item.exptime;
    for letter in meta.order() {
        match letter {
            b'T' => exptime = item.exptime_touched.unwrap_or(exptime),
            b'N' => exptime = item.exptime_vivified.unwrap_or(exptime),
            _ if !returned.contains(&letter) => {}
            b'O' => put_opaque(out, meta),
            b'k' => put_key(out, item.key, item.key_is_binary),
            b't' if exptime == 0 => out.put(b" t-1"),
            // An item that expired in this very command shows 2^32 less something, as in the
            // reference.
            b't' => put_number(out, letter, u64::from(exptime.wrapping_sub(now))),
            b'f' => put_number(out, letter, u64::from(item.flags)),
            b'c' => put_number(out, letter, item.cas),
            b's' => put_number(out, letter, item.value_bytes as u64),
            b'h' => put_number(out, letter, u64::from(item.fetched_before)),
            b'l' => put_number(out, letter, u64::from(item.idle_seconds)),
            _ => unreachable!("callers return only the letters above"),
        }
    }
}

fn put_number(out: &mut impl Sink, letter: u8, number: u64) {
    out.put(&[b' ', letter]);
    put_u64(out, number);
}

fn put_opaque(out: &mut impl Sink, meta: &Meta<'_>) {
    out.put(b" ");
    out.put(meta.opaque());
}

fn put_key(out: &mut impl Sink, key: Key<'_>, is_binary: bool) {
    out.put(b" k");
    if is_binary {
        base64::put_encoded(out, key.bytes());
        out.put(b" b");
    } else {
        out.put(key.bytes());
    }
}

/// What `me` tells of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Description<'a> {
    /// The item's key, decoded.
    pub key: Key<'a>,
    /// The item was stored under a base64 key.
    pub key_is_binary: bool,
    /// Time of expiry on the cache's clock, 0 for never.
    pub exptime: u32,
    /// Seconds since it was last accessed.
    pub idle_seconds: u32,
    /// CAS id.
    pub cas: u64,
    /// Whether it was ever fetched.
    pub fetched: bool,
    /// Slab class.
    pub class: u8,
    /// Bytes of the item, header and key included.
    pub item_bytes: usize,
}

/// Appends the reply to an `me` hit; a miss is answered `EN`.
pub fn put_description(out: &mut impl Sink, item: &Description<'_>, now: u32) {
    out.put(b"ME ");
    if item.key_is_binary {
        base64::put_encoded(out, item.key.bytes());
    } else {
        out.put(item.key.bytes());
    }
    out.put(b" exp=");
    match item.exptime {
        0 => out.put(b"-1"),
        exptime if exptime < now => {
            out.put(b"-");
            put_u64(out, u64::from(now - exptime));
        }
        exptime => put_u64(out, u64::from(exptime - now)),
    }
    out.put(b" la=");
    put_u64(out, u64::from(item.idle_seconds));
    out.put(b" cas=");
    put_u64(out, item.cas);
    out.put(if item.fetched { b" fetch=yes" } else { b" fetch=no" });
    out.put(b" cls=");
    put_u64(out, u64::from(item.class));
    out.put(b" size=");
    put_u64(out, item.item_bytes as u64);
    out.put(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::testing::text_parser;
    use crate::protocol::{Request, Step};

    fn meta(line: &str) -> Meta<'_> {
        match text_parser().next(line.as_bytes()) {
            Step::Request { request, .. } => match request {
                Request::MetaGet(meta)
                | Request::MetaSet(meta, _)
                | Request::MetaDelete(meta)
                | Request::MetaArithmetic(meta) => meta,
                other => panic!("{other:?}"),
            },
            step => panic!("{step:?}"),
        }
    }

    fn item() -> MetaItem<'static> {
        MetaItem {
            key: Key::new(b"foo").expect("legal"),
            key_is_binary: false,
            flags: 9,
            cas: 77,
            value_bytes: 5,
            exptime: 0,
            exptime_touched: None,
            exptime_vivified: None,
            fetched_before: true,
            idle_seconds: 3,
        }
    }

    fn put(put: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        put(&mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn a_hit_returns_flags_in_the_order_of_the_request() {
        let get = |line, item: &MetaItem<'_>, with_value, tail| {
            put(|out| put_get_line(out, &meta(line), item, with_value, tail, 100))
        };
        let none = Tail::default();
        assert_eq!(get("mg foo\r\n", &item(), false, none), "HD\r\n");
        let all = "mg foo s t c f l h k v q Oxyz\r\n";
        let expected = "VA 5 s5 t-1 c77 f9 l3 h1 kfoo Oxyz\r\n";
        assert_eq!(get(all, &item(), true, none), expected);
        let tail = Tail { won: true, token_sent: false, stale: true };
        assert_eq!(get("mg foo c\r\n", &item(), false, tail), "HD c77 X W\r\n");
        let tail = Tail { won: false, token_sent: true, stale: true };
        assert_eq!(get("mg foo\r\n", &item(), false, tail), "HD Z X\r\n");
    }

    #[test]
    fn a_new_expiry_time_shows_from_where_it_stands() {
        let touched = MetaItem { exptime: 130, exptime_touched: Some(150), ..item() };
        let line =
            |line| put(|out| put_get_line(out, &meta(line), &touched, false, Tail::default(), 100));
        assert_eq!(line("mg foo t T50\r\n"), "HD t30\r\n");
        assert_eq!(line("mg foo T50 t\r\n"), "HD t50\r\n");
        let vivified = MetaItem { exptime_vivified: Some(160), ..item() };
        let line = put(|out| {
            let tail = Tail { won: true, ..Tail::default() };
            put_get_line(out, &meta("mg foo N60 t\r\n"), &vivified, false, tail, 100);
        });
        assert_eq!(line, "HD t60 W\r\n");
    }

    #[test]
    fn binary_keys_are_encoded_again() {
        let request = "mg Zm9v b k O1\r\n";
        let key = Key::new(b"foo").expect("legal");
        let miss = put(|out| put_plain_line(out, b"EN", &meta(request), key));
        assert_eq!(miss, "EN kZm9v b O1\r\n");
        let binary = MetaItem { key_is_binary: true, ..item() };
        let hit = put(|out| put_get_line(out, &meta(request), &binary, false, Tail::default(), 0));
        assert_eq!(hit, "HD kZm9v b O1\r\n");
    }

    #[test]
    fn other_commands_return_only_their_flags() {
        let set = meta("ms foo 2 T0 c s k Oq f t\r\nhi\r\n");
        let stored = put(|out| put_set_line(out, b"HD", &set, &item()));
        assert_eq!(stored, "HD c77 s5 kfoo Oq\r\n");
        let delete = put(|out| put_plain_line(out, b"NF", &meta("md foo c k q\r\n"), item().key));
        assert_eq!(delete, "NF kfoo\r\n");
        let counted = put(|out| put_arithmetic(out, &meta("ma foo v t c s\r\n"), &item(), 1234, 0));
        assert_eq!(counted, "VA 4 t-1 c77\r\n1234\r\n");
        let counted = put(|out| put_arithmetic(out, &meta("ma foo Ox\r\n"), &item(), 1234, 0));
        assert_eq!(counted, "HD Ox\r\n");
    }

    #[test]
    fn descriptions() {
        let description = Description {
            key: item().key,
            key_is_binary: false,
            exptime: 0,
            idle_seconds: 4,
            cas: 8,
            fetched: false,
            class: 1,
            item_bytes: 66,
        };
        let text = put(|out| put_description(out, &description, 50));
        assert_eq!(text, "ME foo exp=-1 la=4 cas=8 fetch=no cls=1 size=66\r\n");
        let expiring = Description { exptime: 45, fetched: true, ..description };
        let text = put(|out| put_description(out, &expiring, 50));
        assert_eq!(text, "ME foo exp=-5 la=4 cas=8 fetch=yes cls=1 size=66\r\n");
    }
}
