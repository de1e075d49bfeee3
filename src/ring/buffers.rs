//! Provided buffers: memory that the kernel picks from when bytes arrive.
//!
//! Memory so follows the connections that are receiving, not those that are open. The buffers are
//! registered as *incremental* (Linux 6.12): one receive takes the front of a buffer and the next,
//! from whatever socket, goes on behind it, so that forty requests of 30 bytes lie side by side in
//! one buffer instead of each in its own. `offsets` holds how far each buffer is filled. On an
//! older kernel each receive takes a whole buffer; the same code serves both.
//!
//! Invariant: each buffer is the kernel's or in `finished`, never both. A buffer joins
//! `finished` with the completion that fills it (the one without `F_BUF_MORE`) and goes back in
//! [`ProvidedBuffers::recycle`], once a turn, when nobody looks at its bytes any more.

use std::io;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::Submitter;
use io_uring::types::BufRingEntry;

use super::Setup;

/// `IOU_PBUF_RING_INC` of `linux/io_uring.h`: buffers are consumed piece by piece.
const INCREMENTAL: u16 = 2;
/// The huge page size of x86-64 and of most other hosts.
const HUGE_PAGE_BYTES: usize = 2 << 20;

/// The number of a provided buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BufferId(pub u16);

/// Where the bytes of one receive lie.
#[derive(Debug, Clone, Copy)]
pub struct Received {
    buffer: BufferId,
    offset: u32,
    bytes: u32,
}

pub(super) struct ProvidedBuffers {
    /// The ring of descriptors that the kernel reads; page-aligned and never freed.
    entries: *mut BufRingEntry,
    mask: u16,
    tail: u16,
    memory: &'static mut [u8],
    buffer_bytes: u32,
    offsets: Vec<u32>,
    finished: Vec<BufferId>,
}

impl ProvidedBuffers {
    pub(super) fn register(
        submitter: &Submitter<'_>,
        setup: &Setup,
        group: u16,
    ) -> io::Result<Self> {
        assert!(setup.buffers.is_power_of_two(), "the kernel masks the buffer ring's tail");
        let count = usize::from(setup.buffers);
        let entries = map(count * size_of::<BufRingEntry>(), 0)?;
        let entries = entries.as_mut_ptr().cast::<BufRingEntry>();
        let memory = map_buffers(setup)?;
        let address = entries as u64;
        let wanted = if setup.buffers_shared { INCREMENTAL } else { 0 };
        // SAFETY: the ring of entries is mapped for good and holds `buffers` entries.
        let incremental = unsafe {
            submitter.register_buf_ring_with_flags(address, setup.buffers, group, wanted)
        };
        match incremental {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                // SAFETY: as above.
                unsafe {
                    submitter.register_buf_ring_with_flags(address, setup.buffers, group, 0)
                }?;
            }
            other => other?,
        }
        let mut buffers = Self {
            entries,
            mask: setup.buffers - 1,
            tail: 0,
            memory,
            buffer_bytes: setup.buffer_bytes,
            offsets: vec![0; count],
            finished: (0..setup.buffers).map(BufferId).collect(),
        };
        buffers.recycle();
        Ok(buffers)
    }

    /// Notes that a completion brought `bytes` in `buffer`; `more` says that the kernel will
    /// go on behind them.
    pub(super) fn take(&mut self, buffer: BufferId, bytes: u32, more: bool) -> Received {
        let filled = &mut self.offsets[usize::from(buffer.0)];
        let received = Received { buffer, offset: *filled, bytes };
        *filled += bytes;
        assert!(*filled <= self.buffer_bytes, "the kernel filled a buffer past its end");
        if !more {
            self.finished.push(buffer);
        }
        received
    }

    pub(super) fn bytes(&self, received: &Received) -> &[u8] {
        let base = usize::from(received.buffer.0) * self.buffer_bytes as usize;
        let start = base + received.offset as usize;
        &self.memory[start..start + received.bytes as usize]
    }

    pub(super) fn recycle(&mut self) {
        if self.finished.is_empty() {
            return;
        }
        while let Some(buffer) = self.finished.pop() {
            self.offsets[usize::from(buffer.0)] = 0;
            self.provide(buffer);
        }
        // SAFETY: the tail lies in the first entry's reserved field, which is ours to write.
        let tail = unsafe { BufRingEntry::tail(self.entries) };
        // SAFETY: it is two bytes, aligned, mapped for good, and shared with the kernel only.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }

    fn provide(&mut self, buffer: BufferId) {
        let start = usize::from(buffer.0) * self.buffer_bytes as usize;
        let address = self.memory[start..].as_mut_ptr() as u64;
        let index = usize::from(self.tail & self.mask);
        // SAFETY: the index is below the number of entries, by the mask.
        let entry = unsafe { self.entries.add(index) };
        // SAFETY: an entry past the tail is not read by the kernel until the tail moves.
        let entry = unsafe { &mut *entry };
        entry.set_addr(address);
        entry.set_len(self.buffer_bytes);
        entry.set_bid(buffer.0);
        self.tail = self.tail.wrapping_add(1);
    }
}

/// The memory of all buffers, on huge pages if that is wanted and the host has enough of them.
fn map_buffers(setup: &Setup) -> io::Result<&'static mut [u8]> {
    let bytes = setup.buffer_bytes_total();
    if setup.large_pages
        && let Ok(memory) = map(bytes.next_multiple_of(HUGE_PAGE_BYTES), libc::MAP_HUGETLB)
    {
        return Ok(memory);
    }
    map(bytes, 0)
}

/// Zeroed memory from the kernel, page-aligned, touched only when used, never unmapped.
fn map(bytes: usize, extra_flags: i32) -> io::Result<&'static mut [u8]> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | extra_flags;
    // SAFETY: a new anonymous mapping touches nothing that exists.
    let address = unsafe { libc::mmap(std::ptr::null_mut(), bytes, protection, flags, -1, 0) };
    if address == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the mapping is `bytes` long, zeroed, and ours alone.
    Ok(unsafe { std::slice::from_raw_parts_mut(address.cast(), bytes) })
}
