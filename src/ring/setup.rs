//! How a ring is made, and what each choice asks of the kernel.
//!
//! | flag | since | why |
//! |---|---|---|
//! | `SINGLE_ISSUER` | 6.0 | one thread submits; needed by the next |
//! | `DEFER_TASKRUN` | 6.1 | completions are made when we ask, in batches, without interrupting |
//! | `COOP_TASKRUN`, `TASKRUN_FLAG` | 5.19 | the queue's flags tell whether work waits |
//! | `SUBMIT_ALL` | 5.18 | one bad entry does not hold up the rest |
//! | `CQSIZE`, `CLAMP` | 5.5, 5.6 | room for a burst of every connection at once |
//! | `NO_SQARRAY` | 6.6 | one indirection less; left out where refused |
//! | incremental buffers | 6.12 | small receives share a large buffer; left out where refused |
//! | bounded receives | 6.17 | one socket does not take all of a turn; left out where refused |

use std::io;

use io_uring::IoUring;

use crate::config::limits;

/// The sizes of a ring. Powers of two where the kernel wants them.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Entries of the submission queue.
    pub submissions: u32,
    /// Entries of the completion queue.
    pub completions: u32,
    /// Number of provided buffers, a power of two up to 32,768.
    pub buffers: u16,
    /// Bytes of each provided buffer.
    pub buffer_bytes: u32,
    /// Bytes after which a receive has to be armed again; 0 is no bound, as is a kernel that knows
    /// none.
    pub receive_bytes: u32,
    /// Let receives share a buffer. Not for datagrams: what reaches the end of a buffer goes on in
    /// the next one on a stream, but of a datagram the rest is lost.
    pub buffers_shared: bool,
    /// Sockets that can be registered: those of the slots below it. 0 registers none.
    pub files: u32,
    /// Put the buffers on huge pages if the host has some.
    pub large_pages: bool,
}

/// The last resort when memory that may be locked is scarce: a 64th of each queue.
const SMALLEST_DIVISOR: u32 = 64;

impl Default for Setup {
    fn default() -> Self {
        Self {
            submissions: limits::RING_SUBMISSIONS,
            completions: limits::RING_COMPLETIONS,
            buffers: limits::RECEIVE_BUFFERS,
            buffer_bytes: limits::RECEIVE_BUFFER_BYTES as u32,
            receive_bytes: limits::RECEIVE_BYTES_PER_TURN as u32,
            buffers_shared: true,
            files: 0,
            large_pages: false,
        }
    }
}

impl Setup {
    /// Makes a ring with all flags, or with fewer on an older kernel. Newer kernels count a ring's
    /// memory against `RLIMIT_MEMLOCK`, which containers set as low as 64 KB: smaller rings then
    /// have to do, which costs entries of the kernel under bursts but loses nothing.
    pub(super) fn build(&self) -> io::Result<IoUring> {
        let mut divisor = 1;
        loop {
            match self.build_some(divisor) {
                Err(error)
                    if error.raw_os_error() == Some(libc::ENOMEM) && divisor < SMALLEST_DIVISOR =>
                {
                    divisor *= 4;
                }
                outcome => return outcome,
            }
        }
    }

    fn build_some(&self, divisor: u32) -> io::Result<IoUring> {
        self.build_with(divisor, true).or_else(|error| match error.raw_os_error() {
            Some(libc::EINVAL) => self.build_with(divisor, false),
            _ => Err(error),
        })
    }

    fn build_with(&self, divisor: u32, no_sqarray: bool) -> io::Result<IoUring> {
        let mut builder = IoUring::builder();
        builder
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_coop_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            .setup_clamp()
            .setup_cqsize((self.completions / divisor).max(2))
            .dontfork();
        if no_sqarray {
            builder.setup_no_sqarray();
        }
        builder.build((self.submissions / divisor).max(1))
    }

    /// Bytes that the provided buffers take when all are in use.
    #[must_use]
    pub fn buffer_bytes_total(&self) -> usize {
        usize::from(self.buffers) * self.buffer_bytes as usize
    }
}
