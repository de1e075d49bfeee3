//! Connections: who they are, where each stands, what is kept of their input and output.
//!
//! A [`Connection`] is a state machine. The loop tells it what happened (bytes came, a send
//! ended, the peer went away); [`Connection::plan`] then says what has to be submitted: arm the
//! receive, send, shut down, close. It never touches a socket, so a simulated ring can drive
//! the same code through any order of events; the tests here do so.
//!
//! ```text
//!            accepted
//!               |
//!               v      end of stream, quit        all sent        shutdown, receive and
//!             OPEN ------------------> FINISHING --------> CLOSING ---- send completed ----> close
//!               |                                            ^
//!               +---- reset, protocol violation -------------+
//! ```
//!
//! The order of an end is fixed, because io_uring holds the socket for as long as an operation is
//! in flight: shut down, wait for the last completion of each operation, only then close. So no
//! descriptor number is used again while an entry of the old connection may still run.
//!
//! A [`Table`] keeps connections in slots. Each slot counts its tenants in a generation, which
//! travels with every operation, and a completion for an earlier tenant finds nobody.

mod input;
mod state;
mod table;

pub use input::{Input, InputPool};
pub use state::{Connection, Plan};
pub use table::{ConnId, Table};
