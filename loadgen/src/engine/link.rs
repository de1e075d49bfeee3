//! What lies between a connection's protocol and its socket: nothing, TLS, or datagrams.

use std::collections::{BTreeMap, VecDeque};
use std::io;

use super::conn::{Malformed, Pending};
use crate::net::tls::Session;
use crate::net::udp::Reassembly;
use crate::wire::{self, Decoded, Element, Protocol};

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
    /// Starts of replies that have no end yet, by request number.
    unfinished: BTreeMap<u16, Vec<u8>>,
}

impl Datagrams {
    /// Adds to what came for a request before; the whole once its end is there.
    pub(super) fn gather(
        &mut self,
        protocol: Protocol,
        pending: &Pending,
        number: u16,
        bytes: &[u8],
    ) -> Result<Option<Vec<u8>>, Malformed> {
        let mut reply = self.unfinished.remove(&number).unwrap_or_default();
        reply.extend_from_slice(bytes);
        let mut used = 0;
        loop {
            match wire::decode(protocol, pending.verb, pending.keys > 1, &reply[used..]) {
                Decoded::Malformed => return Err(Malformed),
                Decoded::Need(_) => {
                    self.unfinished.insert(number, reply);
                    return Ok(None);
                }
                Decoded::Element(Element::Value { last: false, .. }, bytes) => used += bytes,
                Decoded::Element(..) => return Ok(Some(reply)),
            }
        }
    }

    /// Drops what came for a request that was given up.
    pub(super) fn forget(&mut self, number: u16) {
        self.reassembly.forget(number);
        self.unfinished.remove(&number);
    }
}
