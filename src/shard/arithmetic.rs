//! Increment and decrement of values that are decimal numbers.
//!
//! As in memcached, a result that is not longer than the old text is written over it and padded
//! with spaces, so that `10` minus 1 is stored as `9 `. A longer one makes a new item with the
//! same flags and expiry time.

use super::chain::Piece;
use super::item::Loc;
use super::{Arithmetic, Computed, Key, Shard, StoreMode, StoreOptions};

/// Digits of the largest number.
const DIGITS_MAX: usize = 20;

impl Shard {
    /// Adds to or subtracts from a number.
    pub fn arithmetic(&mut self, key: &Key<'_>, options: &Arithmetic) -> Computed {
        let Some((_, loc)) = self.find_live(key) else {
            return self.arithmetic_missed(key, options);
        };
        let piece = Piece::first(&self.slabs.arena, loc);
        if piece.next.is_some() {
            return Computed::NonNumeric;
        }
        if piece.bytes > 0
            && options.cas_compare.is_some_and(|cas| cas != 0 && cas != self.cas_of(loc))
        {
            return Computed::Exists;
        }
        let Some(before) = parse(piece.slice(&self.slabs.arena)) else {
            return Computed::NonNumeric;
        };
        let number = if options.increment {
            before.wrapping_add(options.delta)
        } else {
            before.saturating_sub(options.delta)
        };
        self.count_arithmetic(loc, options.increment);
        let mut digits = [0; DIGITS_MAX];
        match self.write_number(key, loc, options, format(number, &mut digits)) {
            Some(loc) => self.computed(loc, number),
            None => Computed::OutOfMemory,
        }
    }

    /// Writes the digits of a result over the value or, if they are more, into a new item.
    fn write_number(
        &mut self,
        key: &Key<'_>,
        loc: Loc,
        options: &Arithmetic,
        digits: &[u8],
    ) -> Option<Loc> {
        let piece = Piece::first(&self.slabs.arena, loc);
        let fits = digits.len() <= piece.bytes
            && !self.is_held(loc)
            && self.has_room_for(loc, options.exptime.unwrap_or(0));
        if fits && self.renew_cas(loc, options.cas_new) {
            let value = self.slabs.arena.bytes_mut(loc, piece.at, piece.bytes);
            let (front, rest) = value.split_at_mut(digits.len());
            front.copy_from_slice(digits);
            rest.fill(b' ');
            if let Some(exptime) = options.exptime {
                self.set_exptime(loc, exptime);
            }
            self.renew(loc);
            self.slabs.arena.header_mut(loc).publish();
            return Some(loc);
        }
        let mut recipe = self.recipe_of(loc, options.cas_new);
        recipe.exptime = options.exptime.unwrap_or(recipe.exptime);
        let value_bytes = if digits.len() <= piece.bytes { piece.bytes } else { digits.len() };
        self.recreate(key, loc, value_bytes, &recipe, |shard, _, new| {
            let piece = Piece::first(&shard.slabs.arena, new);
            let value = shard.slabs.arena.bytes_mut(new, piece.at, piece.bytes);
            let (front, rest) = value.split_at_mut(digits.len());
            front.copy_from_slice(digits);
            rest.fill(b' ');
        })
    }

    fn computed(&self, loc: Loc, number: u64) -> Computed {
        let exptime = self.slabs.arena.exptime(loc);
        Computed::Value { number, cas: self.cas_of(loc), exptime, created: false }
    }

    fn arithmetic_missed(&mut self, key: &Key<'_>, options: &Arithmetic) -> Computed {
        let Some((number, exptime)) = options.vivify else {
            if options.increment {
                self.counters.incr_misses += 1;
            } else {
                self.counters.decr_misses += 1;
            }
            return Computed::NotFound;
        };
        let mut digits = [0; DIGITS_MAX];
        let store = StoreOptions {
            cas_new: options.cas_new,
            key_binary: options.key_binary,
            ..StoreOptions::new(StoreMode::Add, 0, exptime)
        };
        match self.insert_new(key, &store, format(number, &mut digits)) {
            Some(loc) => Computed::Value { number, cas: self.cas_of(loc), exptime, created: true },
            None => Computed::OutOfMemory,
        }
    }

    fn count_arithmetic(&mut self, loc: Loc, increment: bool) {
        let class = self.slabs.class_of(loc);
        let counters = self.counters_of(class);
        if increment {
            counters.incr_hits += 1;
        } else {
            counters.decr_hits += 1;
        }
    }
}

/// Reads a number as memcached does: after white space and a sign come digits, and after them
/// the end, white space or a zero byte.
fn parse(value: &[u8]) -> Option<u64> {
    let start = value.iter().position(|byte| !is_space(*byte))?;
    let (sign, rest) = match value[start] {
        sign @ (b'+' | b'-') => (sign, &value[start + 1..]),
        _ => (b'+', &value[start..]),
    };
    let count = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
    let ends = rest.get(count).is_none_or(|&byte| is_space(byte) || byte == 0);
    if count == 0 || !ends {
        return None;
    }
    let add =
        |number: u64, digit: &u8| number.checked_mul(10)?.checked_add(u64::from(digit - b'0'));
    let number = rest[..count].iter().try_fold(0, add)?;
    match sign {
        // strtoull negates, and memcached refuses only what is then negative as a signed number.
        b'-' => Some(number.wrapping_neg()).filter(|number| *number <= i64::MAX as u64),
        _ => Some(number),
    }
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// Writes a number's digits into the end of `buffer`.
fn format(mut number: u64, buffer: &mut [u8; DIGITS_MAX]) -> &[u8] {
    let mut at = buffer.len();
    loop {
        at -= 1;
        buffer[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &buffer[at..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_strtoull_reads_them() {
        let good: [(&[u8], u64); 9] = [
            (b"0", 0),
            (b"12 34", 12),
            (b" \t+7", 7),
            (b"9 ", 9),
            (b"5\0abc", 5),
            (b"18446744073709551615", u64::MAX),
            (b"007", 7),
            (b"-0", 0),
            (b"-18446744073709551615", 1),
        ];
        for (text, number) in good {
            assert_eq!(parse(text), Some(number), "{text:?}");
        }
        let bad: [&[u8]; 8] =
            [b"", b"  ", b"12abc", b"abc", b"18446744073709551616", b"-1", b"+", b"- 1"];
        for text in bad {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn numbers_are_written_in_full() {
        for number in [0, 9, 10, 1234567890, u64::MAX] {
            let mut buffer = [0; DIGITS_MAX];
            assert_eq!(format(number, &mut buffer), number.to_string().as_bytes());
        }
    }
}
