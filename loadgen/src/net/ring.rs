//! The io_uring a worker thread drives its sockets with: the one file of this crate with unsafe code.
//!
//! Everything the kernel reads or writes after a call returned is owned here: a send buffer is moved in and comes
//! back with its completion, an address is kept in the operation's slot, and received bytes lie in a
//! pool of provided buffers that the caller hands back. So no safe caller can free memory that the kernel
//! still uses. The price is one table look-up per completion, which is nothing beside a socket.
//!
//! Receives are multishot: one submission per connection for its whole life. Sends are plain and at most
//! one per connection, because a stream needs its order; a turn's requests lie in one buffer anyway.
#![allow(unsafe_code)]

use std::io;
use std::mem::ManuallyDrop;
use std::num::NonZeroUsize;
use std::os::fd::RawFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use io_uring::types::{BufRingEntry, Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous, munmap};
use nix::sys::socket::SockaddrLike;

/// Names a connection for the length of one life; a new life has a new generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnToken {
    /// The slot of the connection in its worker.
    pub index: u32,
    /// Counts the lives of the slot, 24 bits of it are used.
    pub generation: u32,
}

/// A filled buffer of the pool. Give it back with [`Ring::recycle`].
#[derive(Debug)]
pub struct Filled {
    id: u16,
    bytes: u32,
}

/// What the kernel reports, and about which connection.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum Event {
    /// A connect ended.
    Connected { conn: ConnToken, result: io::Result<()> },
    /// Bytes came; the receive stays armed if `armed`.
    Received { conn: ConnToken, filled: Filled, armed: bool },
    /// The receive ended: `Ok` at the peer's end of stream, `ENOBUFS` when the pool ran dry.
    ReceiveEnded { conn: ConnToken, result: io::Result<()> },
    /// A send ended; its buffer comes back. The result counts the bytes sent.
    Sent { conn: ConnToken, buffer: Vec<u8>, result: io::Result<usize> },
}

/// How large a worker's ring is.
#[derive(Clone, Copy, Debug)]
pub struct RingConfig {
    /// Submission entries, rounded up to a power of two by the kernel.
    pub entries: u32,
    /// Receive buffers, a power of two up to 32768.
    pub buffers: u16,
    /// Bytes of one receive buffer.
    pub buffer_bytes: usize,
    /// Ask for huge pages for the receive buffers.
    pub large_pages: bool,
}

/// Operations whose memory must live until their completion.
enum InFlight {
    Connect { conn: ConnToken, _address: Box<dyn SockaddrLike> },
    Send { conn: ConnToken, buffer: Vec<u8> },
    Free { next: u32 },
}

/// One thread's io_uring.
pub struct Ring {
    uring: IoUring,
    // Both are freed by `drop` alone, and only once the kernel can't touch them any more.
    pool: ManuallyDrop<BufferPool>,
    in_flight: ManuallyDrop<Vec<InFlight>>,
    free: u32,
    active: usize,
}

const KIND_RECEIVE: u64 = 0;
const KIND_OWNED: u64 = 1;
const NONE: u32 = u32::MAX;
const POOL_GROUP: u16 = 0;

impl Ring {
    /// Sets a ring up. An error names the call that failed; `EPERM` means that the host forbids io_uring.
    pub fn new(config: RingConfig) -> io::Result<Self> {
        let uring = build(config.entries, true).or_else(|_| build(config.entries, false))?;
        let pool = BufferPool::new(config.buffers, config.buffer_bytes, config.large_pages)?;
        let (address, submitter) = (pool.memory.as_ptr() as u64, uring.submitter());
        // SAFETY: the entry ring is page aligned, has that many entries, and stays mapped until `drop`
        // has unregistered it.
        unsafe { submitter.register_buf_ring_with_flags(address, config.buffers, POOL_GROUP, 0)? };
        Ok(Self {
            uring,
            pool: ManuallyDrop::new(pool),
            in_flight: ManuallyDrop::new(Vec::new()),
            free: NONE,
            active: 0,
        })
    }

    /// Starts to connect; ends with [`Event::Connected`].
    pub fn connect(&mut self, conn: ConnToken, fd: RawFd, address: Box<dyn SockaddrLike>) {
        let (pointer, bytes) = (address.as_ptr(), address.len());
        let slot = self.own(InFlight::Connect { conn, _address: address });
        self.push(opcode::Connect::new(Fd(fd), pointer, bytes).build().user_data(owned(slot)));
    }

    /// Arms the connection's multishot receive; ends with [`Event::ReceiveEnded`].
    pub fn receive(&mut self, conn: ConnToken, fd: RawFd) {
        let entry = opcode::RecvMulti::new(Fd(fd), POOL_GROUP).build();
        self.push(entry.user_data(KIND_RECEIVE << 56 | pack(conn)));
    }

    /// Sends `buffer[from..]`; ends with [`Event::Sent`], which gives the buffer back.
    pub fn send(&mut self, conn: ConnToken, fd: RawFd, buffer: Vec<u8>, from: usize) {
        let rest = &buffer[from..];
        let (pointer, bytes) =
            (rest.as_ptr(), u32::try_from(rest.len()).expect("a send below 4 GiB"));
        let slot = self.own(InFlight::Send { conn, buffer });
        let flags = libc::MSG_NOSIGNAL | libc::MSG_WAITALL;
        let entry = opcode::Send::new(Fd(fd), pointer, bytes).flags(flags).build();
        self.push(entry.user_data(owned(slot)));
    }

    /// Submits what was pushed and waits for `want` completions or until the time is over.
    /// Without a time it waits for as long as it takes; with a zero time it only looks.
    pub fn enter(&mut self, want: usize, wait: Option<Duration>) -> io::Result<()> {
        if wait == Some(Duration::ZERO) {
            return self.uring.submit().map(drop).or_else(ignore_interruption);
        }
        let timespec = wait.map(Timespec::from).unwrap_or_default();
        let mut args = SubmitArgs::new();
        if wait.is_some() {
            args = args.timespec(&timespec);
        }
        self.uring.submitter().submit_with_args(want, &args).map(drop).or_else(ignore_interruption)
    }

    /// Moves the completions into `events`, oldest first.
    pub fn take_events(&mut self, events: &mut Vec<Event>) {
        let Self { uring, in_flight, free, active, .. } = self;
        for entry in uring.completion() {
            let result = outcome(entry.result());
            match entry.user_data() >> 56 {
                KIND_RECEIVE => events.push(received(&entry, result)),
                _ => {
                    let slot = entry.user_data() as u32;
                    let op = std::mem::replace(
                        &mut in_flight[slot as usize],
                        InFlight::Free { next: *free },
                    );
                    *free = slot;
                    *active -= 1;
                    events.push(finished(op, result));
                }
            }
        }
    }

    /// The bytes of a filled buffer.
    pub fn bytes(&self, filled: &Filled) -> &[u8] {
        self.pool.bytes(filled.id, filled.bytes as usize)
    }

    /// Gives a buffer back to the kernel.
    pub fn recycle(&mut self, filled: Filled) {
        self.pool.give(filled.id);
    }

    /// Makes recycled buffers visible to the kernel; call it once per turn.
    pub fn publish(&mut self) {
        self.pool.publish();
    }

    fn own(&mut self, op: InFlight) -> u32 {
        self.active += 1;
        if self.free == NONE {
            self.in_flight.push(op);
            return self.in_flight.len() as u32 - 1;
        }
        let slot = self.free;
        let InFlight::Free { next } = self.in_flight[slot as usize] else {
            unreachable!("the free list names a used slot")
        };
        self.free = next;
        self.in_flight[slot as usize] = op;
        slot
    }

    fn push(&mut self, entry: squeue::Entry) {
        // SAFETY: every pointer in an entry built above is owned by `in_flight` or by the pool until
        // its completion was taken.
        while unsafe { self.uring.submission().push(&entry) }.is_err() {
            // A full queue is emptied by submitting it; nothing is lost and nothing waits.
            let _ = self.uring.submit();
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        if self.uring.submitter().unregister_buf_ring(POOL_GROUP).is_ok() {
            // SAFETY: dropped once, here. A receive picks its buffer only while data is copied in a
            // call of this thread, so that after the unregistering no operation holds one.
            unsafe { ManuallyDrop::drop(&mut self.pool) };
        }
        // Closing the ring cancels later than close returns. What it might still read is leaked:
        // a few buffers at the end of a run, against a read of freed memory.
        if self.active == 0 {
            // SAFETY: dropped once, here, and not used afterwards.
            unsafe { ManuallyDrop::drop(&mut self.in_flight) };
        }
    }
}

/// Receive buffers that the kernel picks from when data has come: an entry ring and the buffers after it,
/// in one mapping. `0 <= tail - published <= count`.
struct BufferPool {
    memory: NonNull<u8>,
    memory_bytes: NonZeroUsize,
    data_at: usize,
    buffer_bytes: usize,
    count: u16,
    tail: u16,
}

impl BufferPool {
    fn new(count: u16, buffer_bytes: usize, large_pages: bool) -> io::Result<Self> {
        assert!(count.is_power_of_two(), "the kernel wants a power of two of buffers");
        let data_at = (usize::from(count) * size_of::<BufRingEntry>()).next_multiple_of(4096);
        let bytes = data_at + usize::from(count) * buffer_bytes;
        let memory_bytes = NonZeroUsize::new(bytes.next_multiple_of(2 << 20)).expect("not zero");
        let memory = map(memory_bytes, large_pages)?;
        let mut pool = Self { memory, memory_bytes, data_at, buffer_bytes, count, tail: 0 };
        (0..count).for_each(|id| pool.give(id));
        pool.publish();
        Ok(pool)
    }

    fn bytes(&self, id: u16, bytes: usize) -> &[u8] {
        assert!(id < self.count && bytes <= self.buffer_bytes, "the kernel named a strange buffer");
        // SAFETY: the asserts keep the offset within the mapping.
        let start = unsafe { self.memory.add(self.data_at + usize::from(id) * self.buffer_bytes) };
        // SAFETY: the kernel filled these bytes and does not write them until the buffer is given
        // back, for which the caller must hand in the only `Filled` of it.
        unsafe { std::slice::from_raw_parts(start.as_ptr(), bytes) }
    }

    fn give(&mut self, id: u16) {
        let address = self.memory.as_ptr() as u64
            + (self.data_at + usize::from(id) * self.buffer_bytes) as u64;
        let slot = usize::from(self.tail & (self.count - 1));
        // SAFETY: the slot is below `count`, so that the entry lies within the mapping.
        let entry = unsafe { self.memory.cast::<BufRingEntry>().add(slot).as_mut() };
        entry.set_addr(address);
        entry.set_len(self.buffer_bytes as u32);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
    }

    fn publish(&mut self) {
        let base = self.memory.cast::<BufRingEntry>().as_ptr();
        // SAFETY: `base` is the start of the registered entry ring.
        let tail = unsafe { BufRingEntry::tail(base) };
        // SAFETY: the tail is aligned and lies in the mapping; the kernel reads it with acquire order.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }
}

impl Drop for BufferPool {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this length, and nobody borrows from a pool that is dropped.
        let _ = unsafe { munmap(self.memory.cast(), self.memory_bytes.get()) };
    }
}

/// Maps zeroed memory: on reserved huge pages when wanted and there, else on transparent or plain ones.
fn map(bytes: NonZeroUsize, large_pages: bool) -> io::Result<NonNull<u8>> {
    let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    let plain = MapFlags::MAP_PRIVATE | MapFlags::MAP_ANONYMOUS;
    if large_pages {
        // SAFETY: a new anonymous mapping at an address of the kernel's choice.
        let huge =
            unsafe { mmap_anonymous(None, bytes, protection, plain | MapFlags::MAP_HUGETLB) };
        if let Ok(memory) = huge {
            return Ok(memory.cast());
        }
    }
    // SAFETY: as above.
    let memory = unsafe { mmap_anonymous(None, bytes, protection, plain) }?;
    if large_pages {
        // SAFETY: advice about the mapping just made; refused advice is no loss.
        let _ = unsafe { madvise(memory, bytes.get(), MmapAdvise::MADV_HUGEPAGE) };
    }
    Ok(memory.cast())
}

/// Builds a ring, with the flags of recent kernels or with those of 5.19.
fn build(entries: u32, recent: bool) -> io::Result<IoUring> {
    let mut builder = IoUring::builder();
    builder.setup_clamp().setup_submit_all().setup_cqsize(entries.saturating_mul(4));
    if recent {
        builder.setup_single_issuer().setup_defer_taskrun();
        builder.setup_coop_taskrun().setup_taskrun_flag().setup_no_sqarray();
    }
    builder.build(entries)
}

fn ignore_interruption(error: io::Error) -> io::Result<()> {
    match error.raw_os_error() {
        // The time is over; a signal came; the completion queue wants to be emptied first.
        Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN) => Ok(()),
        _ => Err(error),
    }
}

fn outcome(result: i32) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result))
}

fn received(entry: &cqueue::Entry, result: io::Result<usize>) -> Event {
    let conn = unpack(entry.user_data());
    let armed = cqueue::more(entry.flags());
    match (cqueue::buffer_select(entry.flags()), result) {
        (Some(id), Ok(bytes)) if bytes > 0 => {
            Event::Received { conn, filled: Filled { id, bytes: bytes as u32 }, armed }
        }
        (_, result) => Event::ReceiveEnded { conn, result: result.map(drop) },
    }
}

fn finished(op: InFlight, result: io::Result<usize>) -> Event {
    match op {
        InFlight::Connect { conn, .. } => Event::Connected { conn, result: result.map(drop) },
        InFlight::Send { conn, buffer } => Event::Sent { conn, buffer, result },
        InFlight::Free { .. } => unreachable!("a completion of an operation that is not under way"),
    }
}

fn owned(slot: u32) -> u64 {
    KIND_OWNED << 56 | u64::from(slot)
}

fn pack(conn: ConnToken) -> u64 {
    u64::from(conn.generation & 0xff_ffff) << 32 | u64::from(conn.index)
}

fn unpack(user_data: u64) -> ConnToken {
    ConnToken { index: user_data as u32, generation: (user_data >> 32) as u32 & 0xff_ffff }
}
