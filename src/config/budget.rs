//! The memory budget: what the process will take, added up before it takes it.
//!
//! memcached's `-m` bounds item memory only, and operators learn the rest from the kernel's
//! out-of-memory killer. Here `-m` bounds slab pages and index together, and everything else is a
//! second sum, known at start because rings, buffers and connection slots are of fixed number.
//! Resident memory stays under the total. Each term names its consumer; whoever adds a buffer to a
//! core or a connection adds it here.

use std::fmt;

use super::limits::{self, CONNECTION_BUSY_BYTES_PER_CORE, KIB, MIB};
use super::settings::Config;

/// Bytes that a process may take, by consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Slab pages and index of all shards: `-m`.
    pub cache_bytes: usize,
    /// Submission and completion queues of all cores.
    pub ring_bytes: usize,
    /// Provided receive buffers of all cores.
    pub buffer_bytes: usize,
    /// Connection slots and what an idle connection holds.
    pub connection_bytes: usize,
    /// Program text, stacks, tables of fixed size.
    pub fixed_bytes: usize,
}

/// Bytes of a submission queue entry.
const SUBMISSION_BYTES: usize = 64;
/// Bytes of a completion queue entry.
const COMPLETION_BYTES: usize = 16;
/// User-space bytes of one idle connection: its slot and its table entries.
pub const CONNECTION_IDLE_BYTES: usize = 512;
/// What an idle connection holds beyond that if it came by TLS: its keys and rustls's state of it,
/// 4.7 KB as measured, and room for the certificate that the client has shown.
pub const TLS_SESSION_BYTES: usize = 8 * KIB;
/// With TLS: plain text of all that one turn can receive, and a helper's stack.
pub const TLS_CORE_BYTES: usize = 2 * MIB;
/// Stack, thread-local and scratch memory of one core.
pub const CORE_FIXED_BYTES: usize = MIB;
/// Program, allocator and control plane.
pub const PROCESS_FIXED_BYTES: usize = 12 * MIB;

const _: () = assert!(
    CONNECTION_BUSY_BYTES_PER_CORE >= 8 * limits::OUTPUT_BYTES_MAX,
    "a few readers that do not read fit the allowance"
);
const _: () = assert!(
    PROCESS_FIXED_BYTES < limits::MEMORY_BYTES_DEFAULT,
    "the fixed part is small beside the default cache"
);

impl Budget {
    /// Adds up what `config` will cost.
    pub fn new(config: &Config) -> Self {
        let ring = limits::RING_SUBMISSIONS as usize * SUBMISSION_BYTES
            + limits::RING_COMPLETIONS as usize * COMPLETION_BYTES;
        let buffers = usize::from(limits::RECEIVE_BUFFERS) * limits::RECEIVE_BUFFER_BYTES;
        let (session_bytes, tls_core_bytes) =
            if config.tls.enabled { (TLS_SESSION_BYTES, TLS_CORE_BYTES) } else { (0, 0) };
        let idle = config.connections_per_core_max() * (CONNECTION_IDLE_BYTES + session_bytes);
        let threads = config.threads;
        Self {
            cache_bytes: config.memory_bytes,
            ring_bytes: threads * ring,
            buffer_bytes: threads * buffers,
            connection_bytes: threads * (idle + CONNECTION_BUSY_BYTES_PER_CORE),
            fixed_bytes: PROCESS_FIXED_BYTES + threads * (CORE_FIXED_BYTES + tls_core_bytes),
        }
    }

    /// Everything: resident memory stays at or below this.
    pub const fn total_bytes(&self) -> usize {
        self.cache_bytes + self.beside_cache_bytes()
    }

    /// Everything but the cache itself.
    pub const fn beside_cache_bytes(&self) -> usize {
        self.ring_bytes + self.buffer_bytes + self.connection_bytes + self.fixed_bytes
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "memory budget {}: cache (arena and index) {}, rings {}, receive buffers {}, \
             connections {}, fixed {}",
            Rounded(self.total_bytes()),
            Rounded(self.cache_bytes),
            Rounded(self.ring_bytes),
            Rounded(self.buffer_bytes),
            Rounded(self.connection_bytes),
            Rounded(self.fixed_bytes),
        )
    }
}

/// A size rounded up to a tenth of a MB, so that the parts never show less than they are.
struct Rounded(usize);

impl fmt::Display for Rounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = (self.0 * 10).div_ceil(MIB);
        match self.0 {
            bytes if bytes < MIB => write!(f, "{} KB", bytes.div_ceil(KIB)),
            _ if tenths.is_multiple_of(10) => write!(f, "{} MB", tenths / 10),
            _ => write!(f, "{}.{} MB", tenths / 10, tenths % 10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::{CpuId, Host};
    use crate::config::{Asked, Flags};

    fn budget(line: &str) -> Budget {
        let host = Host { cpus: vec![CpuId(0), CpuId(1)], port_file: None, sasl_file: None };
        let words = std::iter::once("ringcached").chain(line.split_whitespace());
        let Ok(Asked::Run(flags)) = Flags::parse(words) else { panic!("{line}") };
        Budget::new(&Config::new(&flags, &host).unwrap())
    }

    #[test]
    fn the_parts_are_the_whole() {
        let b = budget("-m 1024 -t 2 -c 1000");
        assert_eq!(b.cache_bytes, 1024 * MIB);
        assert_eq!(b.total_bytes() - b.cache_bytes, b.beside_cache_bytes());
        assert!(b.to_string().contains("cache (arena and index) 1024 MB"), "{b}");
    }

    #[test]
    fn cores_and_connections_cost() {
        assert!(budget("-t 2").ring_bytes == 2 * budget("-t 1").ring_bytes);
        assert!(budget("-c 100000").connection_bytes > budget("-c 100").connection_bytes);
        // Buffers are of a fixed number however many connections there are.
        assert_eq!(budget("-c 1000000").buffer_bytes, budget("-c 1").buffer_bytes);
    }

    #[test]
    fn tls_costs_by_the_connection() {
        let (plain, tls) = (budget("-c 1000"), budget("-c 1000 -Z -o ssl_chain_cert=c,ssl_key=k"));
        assert!(tls.connection_bytes >= plain.connection_bytes + 1000 * TLS_SESSION_BYTES);
        assert!(tls.fixed_bytes > plain.fixed_bytes);
    }

    #[test]
    fn sizes_round_up() {
        assert_eq!(Rounded(MIB).to_string(), "1 MB");
        assert_eq!(Rounded(MIB + 1).to_string(), "1.1 MB");
        assert_eq!(Rounded(1).to_string(), "1 KB");
    }
}
