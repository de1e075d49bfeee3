//! Sockets: where they lead, and what lies between the bytes of a socket and those of the protocol.
//!
//! The ring that drives them is the server's own, `ringcached::ring`.

pub mod target;
pub mod tls;
pub mod udp;
