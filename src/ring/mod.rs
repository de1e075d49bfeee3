//! All that touches io_uring.
//!
//! A [`Ring`] belongs to one thread. It offers the few operations that a network server needs:
//! multishot accept and receive, one send at a time per connection, shutdown, close and a wake-up
//! from other threads. Whoever uses it sees no pointer and no lifetime rule of the kernel:
//!
//! - **Received bytes** lie in provided buffers ([`buffers`]). [`Ring::bytes`] shows them until
//!   [`Ring::recycle`], which the loop calls once a turn, gives them back.
//! - **Datagrams** come and go with their address, each owned as a [`Datagram`] in the same way.
//! - **Bytes to send** are handed over as an owned [`Message`] and come back with
//!   [`Ring::take_message`] after the send's last completion. So nothing can free or change what
//!   the kernel still reads.
//! - **A send that goes well** at once need not be told of ([`Ring::send_quietly`]): the kernel
//!   makes no completion, which would end the wait for the next request, and [`Ring::drain`] makes
//!   one up.
//! - **Who is meant** by a completion is told by its [`Token`]: operation, slot and the slot's
//!   generation. The receiver drops completions of an earlier generation; their buffers are
//!   recycled all the same.
//!
//! The ring is set up with `SINGLE_ISSUER` and `DEFER_TASKRUN`: completions are made only while
//! this thread is in `io_uring_enter(2)` and asks for them, in batches, and never interrupt it.
//! [`setup`] lists the flags and what each asks of the kernel.

#![allow(unsafe_code)]

mod buffers;
mod datagram;
mod files;
mod message;
mod setup;
mod token;

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use io_uring::types::{Fd, SubmitArgs, Timespec};
use io_uring::{CompletionQueue, EnterFlags, SubmissionQueue, Submitter, cqueue, opcode, squeue};

pub use buffers::{BufferId, Received};
pub use datagram::Datagram;
pub use message::{Block, BlockPool, Message, Segment};
pub use setup::Setup;
pub use token::{Op, Token};

use buffers::ProvidedBuffers;
use files::Files;

/// The group number under which the provided buffers are registered.
const BUFFER_GROUP: u16 = 0;

/// What the kernel says of one operation.
#[derive(Debug, Clone, Copy)]
pub struct Completion {
    /// The operation and slot that it belongs to.
    pub token: Token,
    /// Bytes, a file descriptor, or a negative errno, as the operation defines.
    pub result: i32,
    /// False on the last completion of an operation: a multishot one has to be armed again.
    pub more: bool,
    /// The bytes of a receive, valid until [`Ring::recycle`].
    pub received: Option<Received>,
}

impl Completion {
    /// The socket that an accept brought. To be called once per completion: the caller owns it.
    #[must_use]
    pub fn accepted(&self) -> Option<OwnedFd> {
        let is_socket = self.token.op() == Op::Accept && self.result >= 0;
        // SAFETY: the kernel has just made this descriptor for us and told nobody else.
        is_socket.then(|| unsafe { OwnedFd::from_raw_fd(self.result) })
    }
}

/// How long [`Ring::enter`] may stay in the kernel.
#[derive(Debug, Clone, Copy)]
pub struct Wait {
    /// Completions to wait for; 0 looks once and returns. The kernel makes at most max(20, `want`)
    /// in one entry.
    pub want: u32,
    /// With `want` above 1: how long to hold out for all of them, in microseconds. After that
    /// one completion is enough. A kernel without this (before 6.12) waits for one.
    pub batch_us: u32,
    /// At most this long in all.
    pub timeout: Option<Duration>,
}

impl Wait {
    /// Runs what is due and returns at once.
    pub const POLL: Self = Self { want: 0, batch_us: 0, timeout: None };

    /// Waits for one completion, at most `timeout`.
    #[must_use]
    pub fn one(timeout: impl Into<Option<Duration>>) -> Self {
        Self { want: 1, batch_us: 0, timeout: timeout.into() }
    }
}

/// One thread's io_uring. It lives until the process ends: its queues are leaked on purpose, which
/// lets the registered descriptor and both queues be held for good instead of being looked up
/// at each call.
pub struct Ring {
    submitter: Submitter<'static>,
    submissions: SubmissionQueue<'static>,
    completions: CompletionQueue<'static>,
    buffers: ProvidedBuffers,
    files: Files,
    /// Sends in flight, by slot: at most one a slot.
    in_flight: Vec<Option<Box<Message>>>,
    /// Quiet sends of which it isn't known yet how they went.
    quiet: Vec<Token>,
    /// Datagrams in flight in either direction, by slot, of which they have a row of their own.
    datagrams: Vec<Option<Box<Datagram>>>,
    /// The kernel knows a shorter time to wait for many than for one (Linux 6.12).
    can_batch: bool,
    /// Bytes after which a multishot receive ends; 0 is no bound.
    receive_bytes: u32,
    /// Where the wake-up's eight bytes go.
    wake_bytes: &'static mut [u8; 8],
    overflows: u64,
    entries_count: u64,
}

impl Ring {
    /// Makes the ring and its provided buffers for the calling thread.
    ///
    /// # Errors
    /// What `io_uring_setup(2)` or `io_uring_register(2)` answered; `os::probe` explains it.
    pub fn new(setup: &Setup) -> io::Result<Self> {
        let uring = setup.build()?;
        let can_batch = uring.params().is_feature_min_timeout();
        let uring = Box::leak(Box::new(uring));
        let (mut submitter, submissions, completions) = uring.split();
        // Saves the look-up of the descriptor at each entry (Linux 5.18); without it all works.
        let _ = submitter.register_ring_fd();
        let buffers = ProvidedBuffers::register(&submitter, setup, BUFFER_GROUP)?;
        let files = Files::register(&submitter, setup.files);
        let mut ring = Self {
            submitter,
            submissions,
            completions,
            buffers,
            files,
            in_flight: Vec::new(),
            quiet: Vec::new(),
            datagrams: Vec::new(),
            can_batch,
            receive_bytes: setup.receive_bytes,
            wake_bytes: Box::leak(Box::new([0; 8])),
            overflows: 0,
            entries_count: 0,
        };
        if !ring.can_bound_receives()? {
            ring.receive_bytes = 0;
        }
        Ok(ring)
    }

    /// Whether the kernel bounds what a multishot receive takes in all (Linux 6.17). An older one
    /// refuses the bound before it finds that there is no such descriptor.
    fn can_bound_receives(&mut self) -> io::Result<bool> {
        let entry = bounded_receive(Fd(-1), self.receive_bytes);
        self.push(entry, Token::new(Op::Receive, 0, 0));
        self.enter(Wait::one(Duration::from_secs(1)))?;
        let mut answers = Vec::new();
        self.drain(&mut answers);
        Ok(answers.iter().all(|answer| answer.result == -libc::EBADF))
    }

    /// Accepts connections until the completion without `more`. Their descriptors come
    /// as results, close-on-exec.
    pub fn accept(&mut self, listener: RawFd, token: Token) {
        let entry = opcode::AcceptMulti::new(Fd(listener)).flags(libc::SOCK_CLOEXEC);
        self.push(entry.build(), token);
    }

    /// Receives into provided buffers until the completion without `more`. That comes when
    /// [`Setup::receive_bytes`] are reached, so that a socket with much to receive takes turns with
    /// the others.
    pub fn receive(&mut self, fd: RawFd, token: Token) {
        self.files.attach(&self.submitter, token.slot(), fd);
        let (fd, flags) = self.files.name(token.slot(), fd);
        self.push(bounded_receive(fd, self.receive_bytes).flags(flags), token);
    }

    /// Connects a socket; `address` must be one that the message's owner keeps: it is copied here.
    pub fn connect(&mut self, fd: RawFd, address: &'static SocketAddress, token: Token) {
        let entry = opcode::Connect::new(Fd(fd), address.as_ptr(), address.len);
        self.push(entry.build(), token);
    }

    /// Sends what is left of `message`, as far as the socket takes it. The message comes back
    /// by [`Ring::take_message`] once the completion of `token` is seen.
    ///
    /// # Panics
    /// When the slot has a send in flight already.
    pub fn send(&mut self, fd: RawFd, message: Box<Message>, token: Token) {
        self.send_as(fd, message, token, false);
    }

    /// The same for a [message of one send](Message::is_of_one_send) after which nothing waits for
    /// it to end: the completion is there after whatever ends the wait next. Where the socket has
    /// no room, it says that 0 bytes were sent.
    ///
    /// That saves entries into the kernel, because the end of a send would end the wait for the
    /// next request.
    ///
    /// The kernel carries out such a send while it takes the submission (`MSG_DONTWAIT`), and makes
    /// a completion only if not all was sent (`MSG_WAITALL`, `IOSQE_CQE_SKIP_SUCCESS`).
    ///
    /// # Panics
    /// As [`Ring::send`].
    pub fn send_quietly(&mut self, fd: RawFd, message: Box<Message>, token: Token) {
        self.quiet.push(token);
        self.send_as(fd, message, token, true);
    }

    fn send_as(&mut self, fd: RawFd, mut message: Box<Message>, token: Token, is_quiet: bool) {
        message.is_quiet = is_quiet;
        let (fd, mut flags) = self.files.name(token.slot(), fd);
        flags.set(squeue::Flags::SKIP_SUCCESS, is_quiet);
        let entry = message.entry(fd).flags(flags);
        let slot = token.slot() as usize;
        if self.in_flight.len() <= slot {
            self.in_flight.resize_with(slot + 1, || None);
        }
        assert!(self.in_flight[slot].is_none(), "one send at a time per slot");
        self.in_flight[slot] = Some(message);
        self.push(entry, token);
    }

    /// Gives back the message of a send whose completion has come.
    pub fn take_message(&mut self, slot: u32) -> Option<Box<Message>> {
        self.in_flight.get_mut(slot as usize)?.take()
    }

    /// Receives one datagram into `datagram`, which comes back by [`Ring::take_datagram`].
    ///
    /// # Panics
    /// When the slot has a datagram in flight already.
    pub fn receive_datagram(&mut self, fd: RawFd, mut datagram: Box<Datagram>, token: Token) {
        let entry = datagram.receive_entry(fd);
        self.hold_datagram(datagram, token);
        self.push(entry, token);
    }

    /// Sends one datagram, which comes back by [`Ring::take_datagram`].
    ///
    /// # Panics
    /// When the slot has a datagram in flight already.
    pub fn send_datagram(&mut self, fd: RawFd, mut datagram: Box<Datagram>, token: Token) {
        let entry = datagram.send_entry(fd);
        self.hold_datagram(datagram, token);
        self.push(entry, token);
    }

    fn hold_datagram(&mut self, datagram: Box<Datagram>, token: Token) {
        let slot = token.slot() as usize;
        if self.datagrams.len() <= slot {
            self.datagrams.resize_with(slot + 1, || None);
        }
        assert!(self.datagrams[slot].is_none(), "one datagram at a time per slot");
        self.datagrams[slot] = Some(datagram);
    }

    /// Gives back the datagram of an operation whose completion has come.
    pub fn take_datagram(&mut self, completion: &Completion) -> Option<Box<Datagram>> {
        let mut datagram = self.datagrams.get_mut(completion.token.slot() as usize)?.take()?;
        if completion.token.op() == Op::ReceiveFrom {
            datagram.received(usize::try_from(completion.result).unwrap_or(0));
        }
        Some(datagram)
    }

    /// Ends both directions of a socket: what is armed on it completes, the peer sees the end.
    pub fn shutdown(&mut self, fd: RawFd, token: Token) {
        let (fd, flags) = self.files.name(token.slot(), fd);
        self.push(opcode::Shutdown::new(fd, libc::SHUT_RDWR).build().flags(flags), token);
    }

    /// Closes a descriptor. Only when nothing is in flight on it.
    pub fn close(&mut self, fd: RawFd, token: Token) {
        self.files.detach(&self.submitter, token.slot());
        self.push(opcode::Close::new(Fd(fd)).build(), token);
    }

    /// Asks the kernel to end the operation that was started with `target`.
    pub fn cancel(&mut self, target: Token, token: Token) {
        self.push(opcode::AsyncCancel::new(target.bits()).build(), token);
    }

    /// Reads an eventfd once: the completion is the wake-up that another thread asked for.
    pub fn read_wake(&mut self, eventfd: RawFd, token: Token) {
        let entry = opcode::Read::new(Fd(eventfd), self.wake_bytes.as_mut_ptr(), 8);
        self.push(entry.build(), token);
    }

    /// Submits all that was queued and stays in the kernel as `wait` says.
    ///
    /// # Errors
    /// Only what no running server can mend; interruptions, time-outs and a full completion
    /// queue are part of the game and return Ok.
    pub fn enter(&mut self, wait: Wait) -> io::Result<()> {
        self.submissions.sync();
        self.entries_count += 1;
        if self.submissions.cq_overflow() {
            self.overflows += 1;
        }
        let outcome = if wait.want == 0 { self.poll() } else { self.wait(wait) };
        self.submissions.sync();
        self.completions.sync();
        match outcome {
            Ok(_) => Ok(()),
            Err(error) => match error.raw_os_error() {
                Some(libc::EINTR | libc::ETIME | libc::EBUSY | libc::EAGAIN) => Ok(()),
                _ => Err(error),
            },
        }
    }

    fn poll(&mut self) -> io::Result<usize> {
        let submit_count = u32::try_from(self.submissions.len()).unwrap_or(u32::MAX);
        let flags = EnterFlags::GETEVENTS.bits();
        // SAFETY: no argument is passed, and the queues are those of this submitter.
        unsafe { self.submitter.enter::<libc::sigset_t>(submit_count, 0, flags, None) }
    }

    fn wait(&mut self, wait: Wait) -> io::Result<usize> {
        let timeout = wait.timeout.map(Timespec::from);
        let mut arguments = SubmitArgs::new();
        if let Some(timeout) = &timeout {
            arguments = arguments.timespec(timeout);
        }
        if !self.can_batch || wait.want == 1 {
            return self.submitter.submit_with_args(1, &arguments);
        }
        arguments = arguments.min_wait_usec(wait.batch_us);
        self.submitter.submit_with_args(wait.want as usize, &arguments)
    }

    /// Moves all completions that are there to `into`; those of sends that went well without a
    /// word come last.
    pub fn drain(&mut self, into: &mut Vec<Completion>) {
        let first = into.len();
        let buffers = &mut self.buffers;
        into.extend(self.completions.by_ref().map(|entry| {
            let flags = entry.flags();
            let received = cqueue::buffer_select(flags).map(|buffer| {
                let bytes = u32::try_from(entry.result()).unwrap_or(0);
                buffers.take(BufferId(buffer), bytes, cqueue::buffer_more(flags))
            });
            let token = Token::from_bits(entry.user_data());
            Completion { token, result: entry.result(), more: cqueue::more(flags), received }
        }));
        self.completions.sync();
        if !self.quiet.is_empty() {
            self.settle_quiet(&mut into[first..]);
            self.make_up_completions(into);
        }
    }

    /// Looks for quiet sends that did not go well.
    fn settle_quiet(&mut self, completions: &mut [Completion]) {
        let sends = completions.iter_mut().filter(|completion| completion.token.op() == Op::Send);
        for completion in sends {
            let Some(message) = self.message_mut(completion.token) else { continue };
            let was_quiet = std::mem::take(&mut message.is_quiet);
            if was_quiet && completion.result == -libc::EAGAIN {
                completion.result = 0;
            }
        }
    }

    /// Adds the completions of the others, if the kernel has carried out all that was submitted and
    /// has told all there was to tell.
    fn make_up_completions(&mut self, into: &mut Vec<Completion>) {
        if !self.submissions.is_empty() || self.submissions.cq_overflow() {
            return;
        }
        let mut quiet = std::mem::take(&mut self.quiet);
        for token in quiet.drain(..) {
            if let Some(message) = self.message_mut(token).filter(|message| message.is_quiet) {
                message.is_quiet = false;
                let result = message.left() as i32;
                into.push(Completion { token, result, more: false, received: None });
            }
        }
        self.quiet = quiet;
    }

    fn message_mut(&mut self, token: Token) -> Option<&mut Message> {
        self.in_flight.get_mut(token.slot() as usize)?.as_deref_mut()
    }

    /// The bytes of a receive, from this turn only.
    #[must_use]
    pub fn bytes(&self, received: &Received) -> &[u8] {
        self.buffers.bytes(received)
    }

    /// Gives all buffers that were filled to the end back to the kernel. No [`Received`] from
    /// before is looked at afterwards.
    pub fn recycle(&mut self) {
        self.buffers.recycle();
    }

    /// How often completions did not fit their queue. None is lost, but each costs an entry.
    #[must_use]
    pub fn overflows(&self) -> u64 {
        self.overflows
    }

    /// How often this ring entered the kernel.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.entries_count
    }

    fn push(&mut self, entry: squeue::Entry, token: Token) {
        let entry = entry.user_data(token.bits());
        // SAFETY: every entry above points only at memory that outlives its completion: leaked
        // memory, or a message that `in_flight` owns.
        if unsafe { self.submissions.push(&entry) }.is_ok() {
            return;
        }
        // The queue is full: the kernel takes all of it, and then there is room.
        self.submissions.sync();
        let _ = self.submitter.submit();
        self.submissions.sync();
        // SAFETY: as above.
        unsafe { self.submissions.push(&entry) }.expect("an emptied submission queue has room");
    }
}

impl Drop for Ring {
    /// What is in flight now may still be read or written by the kernel: it is never freed.
    fn drop(&mut self) {
        std::mem::forget(std::mem::take(&mut self.in_flight));
        std::mem::forget(std::mem::take(&mut self.datagrams));
    }
}

/// A multishot receive that brings at most `bytes` at a time and ends when it has brought as many
/// in all; 0 is no bound. The kernel reads the latter from `optlen` of `struct io_uring_sqe`, for
/// which the io-uring crate has no name.
fn bounded_receive(fd: Fd, bytes: u32) -> squeue::Entry {
    const OPTLEN_AT: usize = 44;
    const _: () =
        assert!(size_of::<squeue::Entry>() == 64, "an entry is laid out as in the kernel");
    let mut entry = opcode::RecvMulti::new(fd, BUFFER_GROUP).len(bytes).build();
    let optlen = (&raw mut entry).cast::<u8>().wrapping_add(OPTLEN_AT).cast::<u32>();
    // SAFETY: these four bytes lie within the entry, are aligned, and any value is a valid one.
    unsafe { optlen.write(bytes) };
    entry
}

/// A socket address as the kernel reads it, kept for as long as the process lives.
pub struct SocketAddress {
    storage: libc::sockaddr_storage,
    len: libc::socklen_t,
}

impl SocketAddress {
    /// Keeps a copy of `address` for good.
    #[must_use]
    pub fn leak(address: &dyn nix::sys::socket::SockaddrLike) -> &'static Self {
        let len = address.len();
        // SAFETY: all zeroes is a valid storage.
        let mut storage: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
        let target = (&raw mut storage).cast::<u8>();
        // SAFETY: an address is at most as long as its storage, and both are plain bytes.
        unsafe { target.copy_from_nonoverlapping(address.as_ptr().cast(), len as usize) };
        Box::leak(Box::new(Self { storage, len }))
    }

    fn as_ptr(&self) -> *const libc::sockaddr {
        (&raw const self.storage).cast()
    }
}

#[cfg(test)]
mod tests;
