//! Datagrams: bytes that come from, or go to, an address of their own.
//!
//! A [`Datagram`] moves into the ring for the time of its operation, as a message does, and comes
//! back with the completion: the kernel reads and writes its bytes, its address and its header
//! meanwhile, and nobody else can.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::RawFd;

use io_uring::types::Fd;
use io_uring::{opcode, squeue};
use nix::sys::socket::{SockaddrLike, SockaddrStorage};

/// One datagram, with memory for as many bytes as it was made for.
pub struct Datagram {
    bytes: Box<[u8]>,
    len: usize,
    address: libc::sockaddr_storage,
    address_bytes: libc::socklen_t,
    header: libc::msghdr,
    vector: libc::iovec,
}

// SAFETY: the pointers in `header` and `vector` are written right before an operation and point
// into this very datagram; the kernel alone follows them.
unsafe impl Send for Datagram {}

impl Datagram {
    /// An empty datagram with room for `capacity` bytes.
    #[must_use]
    pub fn new(capacity: usize) -> Box<Self> {
        Box::new(Self {
            bytes: vec![0; capacity].into_boxed_slice(),
            len: 0,
            // SAFETY: all zeroes is a valid address, of no family.
            address: unsafe { std::mem::zeroed() },
            address_bytes: 0,
            // SAFETY: all zeroes is a valid, empty header.
            header: unsafe { std::mem::zeroed() },
            vector: libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 },
        })
    }

    /// What was received, or is to be sent.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Makes it empty.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Appends bytes.
    ///
    /// # Panics
    /// When they don't fit.
    pub fn append(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    /// Where it came from; `None` if that is no address of the Internet.
    #[must_use]
    pub fn source(&self) -> Option<SocketAddr> {
        let address = (&raw const self.address).cast::<libc::sockaddr>();
        // SAFETY: the kernel has filled in as many bytes of the storage as it told.
        let address = unsafe { SockaddrStorage::from_raw(address, Some(self.address_bytes)) }?;
        let v4 = address.as_sockaddr_in().map(|v4| (IpAddr::from(v4.ip()), v4.port()));
        let v6 = || address.as_sockaddr_in6().map(|v6| (IpAddr::from(v6.ip()), v6.port()));
        v4.or_else(v6).map(SocketAddr::from)
    }

    /// Has it sent where another one came from.
    pub fn reply_to(&mut self, request: &Self) {
        self.address = request.address;
        self.address_bytes = request.address_bytes;
    }

    /// Notes how many bytes were received.
    pub(super) fn received(&mut self, bytes: usize) {
        self.len = bytes.min(self.bytes.len());
        self.address_bytes = self.header.msg_namelen;
    }

    /// The submission that receives into it.
    pub(super) fn receive_entry(&mut self, fd: RawFd) -> squeue::Entry {
        self.address_bytes = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        self.prepare(self.bytes.len());
        opcode::RecvMsg::new(Fd(fd), &raw mut self.header).build()
    }

    /// The submission that sends it.
    pub(super) fn send_entry(&mut self, fd: RawFd) -> squeue::Entry {
        self.prepare(self.len);
        let flags = libc::MSG_NOSIGNAL.cast_unsigned();
        opcode::SendMsg::new(Fd(fd), &raw const self.header).flags(flags).build()
    }

    fn prepare(&mut self, bytes: usize) {
        self.vector = libc::iovec { iov_base: self.bytes.as_mut_ptr().cast(), iov_len: bytes };
        self.header.msg_name = (&raw mut self.address).cast();
        self.header.msg_namelen = self.address_bytes;
        self.header.msg_iov = &raw mut self.vector;
        self.header.msg_iovlen = 1;
    }
}
