//! TLS, by rustls: bytes in, bytes out, no socket.
//!
//! ```text
//!   received bytes --> Session::open --> plain text   --> the parser, as from any connection
//!                            |
//!                            +---------> answers      --+
//!                                                       +--> the connection's next send
//!   replies ----------> Session::seal --> records    ---+
//! ```
//!
//! A [`Session`] knows neither the ring nor the connection that it belongs to, and may be moved to
//! another thread between two calls: that is how handshakes, which cost a thousand times what a
//! request costs, are kept off the cores (`core::handshakes`). An [`Identity`] is one reading of
//! the certificate files; [`Keeper`] holds the one in force and puts a new one in its place.

mod ciphers;
mod identity;
mod keeper;
mod session;
mod strangers;

#[cfg(test)]
mod tests;

pub use identity::Identity;
pub use keeper::Keeper;
pub use rustls::Error;
pub use session::{Opened, Session};
