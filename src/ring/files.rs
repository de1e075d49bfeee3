//! Sockets that the ring knows by their slot.
//!
//! An operation on a plain descriptor looks it up in the table that all threads of the process
//! share, and counts a reference there and back. One on a *registered file* finds it in the ring's
//! own table and counts nothing. Measured with one connection a core, that is 4 to 8 of 100
//! parts of the server's CPU per request.
//!
//! A socket is registered with its first receive and struck off right before its close: the
//! table holds the socket open, too. Where the kernel refuses (the table may be no longer than
//! `RLIMIT_NOFILE`), operations go by the plain descriptor, and nothing else changes.

use std::os::fd::RawFd;

use io_uring::types::Fd;
use io_uring::{Submitter, squeue};

/// Which slots of the ring's table hold their socket.
pub(super) struct Files {
    registered: Vec<bool>,
}

impl Files {
    /// A table of `count` slots, or of none if the kernel refuses.
    pub(super) fn register(submitter: &Submitter<'_>, count: u32) -> Self {
        let is_there = count > 0 && submitter.register_files_sparse(count).is_ok();
        Self { registered: vec![false; if is_there { count as usize } else { 0 }] }
    }

    /// Registers the socket of a slot, unless it is.
    pub(super) fn attach(&mut self, submitter: &Submitter<'_>, slot: u32, fd: RawFd) {
        if let Some(registered @ false) = self.registered.get_mut(slot as usize) {
            *registered = submitter.register_files_update(slot, &[fd]).is_ok();
        }
    }

    /// Strikes the socket of a slot off.
    pub(super) fn detach(&mut self, submitter: &Submitter<'_>, slot: u32) {
        const NONE: RawFd = -1;
        if let Some(registered @ true) = self.registered.get_mut(slot as usize) {
            let struck = submitter.register_files_update(slot, &[NONE]);
            struck.expect("the kernel empties a slot that it has filled");
            *registered = false;
        }
    }

    /// How an operation names the socket of a slot.
    #[inline]
    pub(super) fn name(&self, slot: u32, fd: RawFd) -> (Fd, squeue::Flags) {
        match self.registered.get(slot as usize) {
            Some(true) => (Fd(slot.cast_signed()), squeue::Flags::FIXED_FILE),
            _ => (Fd(fd), squeue::Flags::empty()),
        }
    }
}
