//! The fixed reply lines, in one table, each with its line end.

macro_rules! lines {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$doc])* pub const $name: &[u8] = concat!($text, "\r\n").as_bytes();)*

        /// All of them, by name.
        pub const ALL: &[(&str, &[u8])] = &[$((stringify!($name), $name)),*];
    };
}

lines! {
    /// An unknown command, or one that has no meaning here.
    ERROR = "ERROR";
    /// Done.
    OK = "OK";
    /// Ends a list.
    END = "END";
    /// Statistics are reset.
    RESET = "RESET";

    /// A store succeeded.
    STORED = "STORED";
    /// A store's condition did not hold.
    NOT_STORED = "NOT_STORED";
    /// The CAS id differs.
    EXISTS = "EXISTS";
    /// No such key.
    NOT_FOUND = "NOT_FOUND";
    /// A deletion succeeded.
    DELETED = "DELETED";
    /// A touch succeeded.
    TOUCHED = "TOUCHED";

    /// A malformed line.
    BAD_FORMAT = "CLIENT_ERROR bad command line format";
    /// Too few words.
    BAD_LINE = "CLIENT_ERROR bad command line";
    /// A value is not followed by a line end.
    BAD_DATA_CHUNK = "CLIENT_ERROR bad data chunk";
    /// An expiry time that is no number.
    INVALID_EXPTIME = "CLIENT_ERROR invalid exptime argument";
    /// A delta that is no number.
    INVALID_DELTA = "CLIENT_ERROR invalid numeric delta argument";
    /// Arithmetic on text.
    NON_NUMERIC = "CLIENT_ERROR cannot increment or decrement non-numeric value";

    /// A value longer than `-I`.
    TOO_LARGE = "SERVER_ERROR object too large for cache";
    /// No room for a value.
    OUT_OF_MEMORY_STORING = "SERVER_ERROR out of memory storing object";
    /// No room for a value, noticed while it came in.
    OUT_OF_MEMORY_READING = "SERVER_ERROR Out of memory during read";
    /// No room for a reply.
    OUT_OF_MEMORY_GET = "SERVER_ERROR out of memory writing get response";
    /// No room for a number.
    OUT_OF_MEMORY = "SERVER_ERROR out of memory";
    /// No room for a number to be made.
    OUT_OF_MEMORY_NEW_ITEM = "SERVER_ERROR Out of memory allocating new item";
    /// No room for statistics.
    OUT_OF_MEMORY_STATS = "SERVER_ERROR out of memory writing stats";

    /// With `-F`.
    FLUSH_NOT_ALLOWED = "CLIENT_ERROR flush_all not allowed";
    /// Without `-A`.
    SHUTDOWN_NOT_ENABLED = "SERVER_ERROR: shutdown not enabled";
    /// Neither nothing nor `graceful`.
    SHUTDOWN_INVALID = "CLIENT_ERROR invalid shutdown mode";
    /// Memory limit under 8 MB.
    MEMLIMIT_TOO_SMALL = "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m";
    /// Memory limit over 10^9 MB.
    MEMLIMIT_NOT_BYTES = "MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes";
    /// The memory limit cannot change.
    MEMLIMIT_FAILED = "MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust";

    /// With `no_slab_reassign`.
    REASSIGN_DISABLED = "CLIENT_ERROR slab reassignment disabled";
    /// Another page is on its way.
    REASSIGN_BUSY = "BUSY currently processing reassign request";
    /// No such class.
    REASSIGN_BAD_CLASS = "BADCLASS invalid src or dst class id";
    /// Nothing to give.
    REASSIGN_NO_SPARE = "NOSPARE source class has no spare pages";
    /// Source and destination are the same.
    REASSIGN_SAME = "SAME src and dst class are identical";
    /// Outside 3..=1800.
    AUTOMOVE_WINDOW = "CLIENT_ERROR automove window too low or too high";

    /// Shares of the LRUs.
    LRU_PCTS = "ERROR hot and warm pcts must not exceed 80";
    /// Factors of the LRUs.
    LRU_FACTORS = "ERROR hot/warm age factors must be greater than 0";

    /// The crawler did not start.
    CRAWLER_NOT_STARTED = "ERROR failed to start lru crawler thread";
    /// The crawler did not stop.
    CRAWLER_NOT_STOPPED = "ERROR failed to stop lru crawler thread";
    /// More than a second.
    CRAWLER_SLEEP = "CLIENT_ERROR sleep must be one second or less";
    /// The crawler is off.
    CRAWLER_DISABLED = "CLIENT_ERROR lru crawler disabled";
    /// The crawler is at work.
    CRAWLER_BUSY = "BUSY currently processing crawler request";
    /// No such class.
    CRAWLER_BAD_CLASS = "BADCLASS invalid class id";
    /// The classes are empty.
    CRAWLER_NOTHING = "NOTSTARTED no items to crawl";
    /// Something else.
    CRAWLER_ERROR = "ERROR an unknown error happened";
    /// With `-X`.
    METADUMP_NOT_ALLOWED = "ERROR metadump not allowed";
    /// After replies not yet sent.
    METADUMP_PIPELINED = "ERROR cannot pipeline other commands before metadump";
    /// Another dump is running.
    METADUMP_LOCKED = "ERROR locked try again later";
    /// With `-X`.
    MGDUMP_NOT_ALLOWED = "ERROR key dump not allowed";
    /// After replies not yet sent.
    MGDUMP_PIPELINED = "ERROR cannot pipeline other commands before mgdump";

    /// With `-W`.
    WATCH_NOT_ALLOWED = "CLIENT_ERROR watch commands not allowed";
    /// After replies not yet sent.
    WATCH_PIPELINED = "ERROR cannot pipeline other commands before watch";
    /// Too many watchers.
    WATCH_TOO_MANY = "WATCHER_TOO_MANY log watcher limit reached";
    /// No watcher could be made.
    WATCH_FAILED = "WATCHER_FAILED failed to add log watcher";

    /// With `-X`.
    DETAIL_NOT_ALLOWED = "CLIENT_ERROR stats detail not allowed";
    /// Anything else behind `stats detail`.
    DETAIL_USAGE = "CLIENT_ERROR usage: stats detail on|off|dump";
    /// With `-X`.
    CACHEDUMP_NOT_ALLOWED = "CLIENT_ERROR stats cachedump not allowed";
    /// Class 64 or above.
    CACHEDUMP_CLASS = "CLIENT_ERROR Illegal slab id";

    /// Anything but the authentication.
    AUTH_REQUIRED = "CLIENT_ERROR unauthenticated";
    /// More than 16 KB.
    AUTH_TOO_LONG = "CLIENT_ERROR auth token too long";
    /// The token is not followed by a line end.
    AUTH_TERMINATION = "CLIENT_ERROR bad command line termination";
    /// There is no space in the token.
    AUTH_FORMAT = "CLIENT_ERROR bad authentication token format";
    /// Unknown user or wrong password.
    AUTH_FAILURE = "CLIENT_ERROR authentication failure";

    /// At the connection limit.
    TOO_MANY_CONNECTIONS = "ERROR Too many open connections";

    /// Meta: the answer to `mn`.
    META_NOOP = "MN";
    /// Meta: more than 20 words.
    META_TOO_MANY_FLAGS = "CLIENT_ERROR options flags are too long";
    /// Meta: a letter twice.
    META_DUPLICATE_FLAG = "CLIENT_ERROR duplicate flag";
    /// Meta: an unknown letter.
    META_INVALID_FLAG = "CLIENT_ERROR invalid flag";
    /// Meta: an argument that is no number.
    META_BAD_TOKEN = "CLIENT_ERROR bad token in command line format";
    /// Meta: `J` without a number.
    META_BAD_INITIAL = "CLIENT_ERROR invalid numeric initial value";
    /// Meta: `D` without a number.
    META_BAD_DELTA = "CLIENT_ERROR invalid numeric delta value";
    /// Meta: not base64.
    META_BAD_KEY = "CLIENT_ERROR error decoding key";
    /// Meta: more than 31 bytes.
    META_OPAQUE = "CLIENT_ERROR opaque token too long";
    /// Meta: an unknown mode of `ms`.
    META_MODE_SET = "CLIENT_ERROR invalid mode for ms M token";
    /// Meta: an unknown mode of `ma`.
    META_MODE_ARITHMETIC = "CLIENT_ERROR invalid mode for ma M token";
    /// Meta: any malformed flag of `ma`.
    META_ARITHMETIC_FLAG = "CLIENT_ERROR invalid or duplicate flag";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_lines_are_equal_and_each_ends_once() {
        for (index, (name, line)) in ALL.iter().enumerate() {
            assert!(line.ends_with(b"\r\n") && memchr::memchr(b'\n', line) == Some(line.len() - 1));
            for (other, text) in &ALL[index + 1..] {
                assert_ne!(line, text, "{name} and {other}");
            }
        }
    }
}
