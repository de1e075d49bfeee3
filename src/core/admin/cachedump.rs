//! `stats cachedump`: some keys of one class, in one reply of limited size.
//!
//! memcached lists what has sunk to COLD only; here every segment is looked at, COLD first, since
//! whoever types this command wants to see the keys.

use std::io::Write;

use super::facts::for_each_shard;
use super::listing::Listing;
use crate::config::limits::MIB;
use crate::core::shared::Shared;
use crate::protocol::Clock;
use crate::shard::ClassId;

/// A reply is cut off here, as memcached's is.
const REPLY_BYTES_MAX: usize = 2 * MIB;

/// Lists up to `limit` items, or without a limit if that is 0.
pub(super) fn list(shared: &Shared, clock: Clock, class: u8, limit: u32, listing: &mut Listing) {
    let mut left = if limit == 0 { usize::MAX } else { limit as usize };
    let mut lines = Vec::new();
    for_each_shard(shared, |shard| {
        if class == 0 || usize::from(class) > shard.class_table().count() || left == 0 {
            return;
        }
        shard.cachedump(ClassId(class), left, |item| {
            if lines.len() + item.key.len() + LINE_REST_BYTES_MAX > REPLY_BYTES_MAX {
                left = 0;
                return false;
            }
            lines.extend_from_slice(b"ITEM ");
            lines.extend_from_slice(item.key);
            let exptime = if item.exptime == 0 { 0 } else { unix(clock, item.exptime) };
            write!(lines, " [{} b; {exptime} s]\r\n", item.value_bytes).expect("memory takes it");
            left -= 1;
            left > 0
        });
    });
    listing.put_lines(b"cachedump", &lines);
}

/// What a line has besides the key: words, two numbers, the line's end.
const LINE_REST_BYTES_MAX: usize = 64;

/// A time on the cache's clock as Unix time.
pub(super) fn unix(clock: Clock, at: u32) -> i64 {
    clock.zero_unix + i64::from(at)
}
