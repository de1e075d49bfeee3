//! What lies between a connection's protocol and its socket: nothing, TLS, or datagrams.

use std::collections::VecDeque;
use std::io;

use crate::net::tls::Session;
use crate::net::udp::Reassembly;

/// The layer of one connection.
pub(super) enum Link {
    /// Bytes go as they are.
    Plain,
    /// Bytes are sealed.
    Tls(Sealed),
    /// Every request is a datagram.
    Udp(Datagrams),
}

impl Link {
    /// Whether there is something to send that is no request.
    pub(super) fn wants_send(&self) -> bool {
        matches!(self, Self::Tls(sealed) if sealed.session.wants_send())
    }
}

/// A TLS session and its scratch memory.
pub(super) struct Sealed {
    pub(super) session: Session,
    pub(super) cipher: Vec<u8>,
    pub(super) plain: Vec<u8>,
}

impl Sealed {
    pub(super) fn new(session: Session) -> Self {
        Self { session, cipher: Vec::new(), plain: Vec::new() }
    }

    /// Seals bytes and returns what to send.
    pub(super) fn seal(&mut self, plain: &[u8]) -> io::Result<&[u8]> {
        self.cipher.clear();
        self.session.seal(plain, &mut self.cipher)?;
        Ok(&self.cipher)
    }
}

/// Where the datagrams in a connection's `out` end, and what came of replies.
#[derive(Default)]
pub(super) struct Datagrams {
    pub(super) ends: VecDeque<usize>,
    pub(super) reassembly: Reassembly,
}
