//! Credentials: SASL PLAIN in the binary protocol, a first `set` with user and password in the text
//! protocols.

use super::{Protocol, binary};

/// A user and a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user.
    pub user: String,
    /// The password.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A password must not get into a log by way of a plan that is printed.
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

impl Credentials {
    /// Appends the request that shows them.
    pub fn write(&self, out: &mut Vec<u8>, protocol: Protocol) {
        match protocol {
            Protocol::Binary => binary::write_plain(out, &self.user, &self.password),
            Protocol::Text | Protocol::Meta => {
                let value = format!("{} {}", self.user, self.password);
                out.extend_from_slice(
                    format!("set auth 0 0 {}\r\n{value}\r\n", value.len()).as_bytes(),
                );
            }
        }
    }
}
