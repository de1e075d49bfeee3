//! Authentication: the token of the text protocol (`-Y`), and SASL PLAIN.
//!
//! Until a connection is admitted its parser is in another place ([`Place::Token`]), so that no
//! command, known or forgotten, can slip through: there is nothing that would parse it.

use super::number;
use super::parser::{Parser, Place, Step, reject};
use super::reply::line;
use super::request::Request;
use super::text::close;
use super::text::store::TAIL_BYTES;
use super::text::tokens::Tokens;

/// The longest token, in bytes; the receive buffer must be able to hold it.
pub const TOKEN_BYTES_MAX: u32 = 16384;
/// A shorter line cannot be the authentication, and closes.
const LINE_BYTES_MIN: usize = 6;

impl Parser {
    /// The step of a connection that has yet to send `set <any> <x> <x> <n>`, then a token of so
    /// many bytes.
    pub(super) fn authentication<'a>(
        &mut self,
        input: &'a [u8],
        token_bytes: Option<u32>,
    ) -> Step<'a> {
        match token_bytes {
            None => self.authentication_line(input),
            Some(token_bytes) => self.authentication_token(input, token_bytes as usize),
        }
    }

    fn authentication_line<'a>(&mut self, input: &'a [u8]) -> Step<'a> {
        let Some(end) = memchr::memchr(b'\n', input) else {
            let too_long = input.len() > self.limits.line_bytes_max as usize;
            return if too_long { close(None) } else { Step::Need };
        };
        if end < LINE_BYTES_MIN {
            return close(None);
        }
        let consumed = end + 1;
        let tokens = Tokens::new(input[..end].strip_suffix(b"\r").unwrap_or(&input[..end]));
        let token_bytes = tokens.get(4).and_then(number::u32_token);
        match token_bytes.filter(|_| input.starts_with(b"set")) {
            None => reject(line::AUTH_REQUIRED, false, consumed),
            Some(bytes) if bytes > TOKEN_BYTES_MAX => reject(line::AUTH_TOO_LONG, false, consumed),
            token_bytes => {
                self.place = Place::Token { token_bytes };
                Step::Skip { consumed }
            }
        }
    }

    fn authentication_token<'a>(&mut self, input: &'a [u8], token_bytes: usize) -> Step<'a> {
        let consumed = token_bytes + TAIL_BYTES;
        let Some(tail) = input.get(token_bytes..consumed) else { return Step::Need };
        self.place = Place::Token { token_bytes: None };
        if tail != b"\r\n" {
            return reject(line::AUTH_TERMINATION, false, consumed);
        }
        let token = &input[..token_bytes];
        match memchr::memchr(b' ', token) {
            None => reject(line::AUTH_FORMAT, false, consumed),
            Some(space) => {
                let (user, password) = (&token[..space], &token[space + 1..]);
                Step::Request { request: Request::Authenticate { user, password }, consumed }
            }
        }
    }
}

/// Splits the data of a SASL PLAIN exchange, `[authorize-as] NUL user NUL password`, into user
/// and password. `None` if it is malformed.
pub fn sasl_plain(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut parts = data.splitn(3, |byte| *byte == 0);
    let _authorize_as = parts.next()?;
    let user = parts.next().filter(|user| !user.is_empty())?;
    let password = parts.next().filter(|password| !password.contains(&0))?;
    Some((user, password))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_has_three_parts() {
        assert_eq!(sasl_plain(b"\0user\0pass"), Some((&b"user"[..], &b"pass"[..])));
        assert_eq!(sasl_plain(b"admin\0user\0"), Some((&b"user"[..], &b""[..])));
        for malformed in [&b""[..], b"user", b"user\0pass", b"\0\0pass", b"\0user\0pa\0ss"] {
            assert_eq!(sasl_plain(malformed), None, "{}", malformed.escape_ascii());
        }
    }
}
