//! Sockets over io_uring, and where they lead.

pub mod ring;
pub mod target;
