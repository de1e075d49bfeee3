//! Letting clients in: users and their passwords, `-Y` for the text protocol and `-S` (SASL PLAIN)
//! for the binary one.
//!
//! A connection that has to authenticate itself starts behind its parser's gate, where nothing but
//! the authentication is understood; so there is no command that could be forgotten to be denied.
//!
//! Three properties matter here:
//!
//! - **The time of a check tells nothing.** Every check compares with every user of the file, to
//!   the end of each name and password. It depends on the file and on what the client sent, not on
//!   whether or where it fits (CVE-2026-47783 was a check that stopped at the first difference).
//! - **Reading the file again lets nobody slip through and locks nobody out.** The new list is read
//!   whole and checked, then takes the old one's place in one step; a file that can't be read
//!   leaves the old list in place.
//! - **A failed attempt undoes an earlier success.** Whoever authenticates anew is out until it is
//!   right (CVE-2013-7239 was a failure that left the door open).

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::state::State;
use crate::config::{Config, Failure};
use crate::conn::ConnId;
use crate::protocol::auth::sasl_plain;
use crate::protocol::reply::{Sink, Status, line, put_binary, put_binary_error, put_binary_status};
use crate::protocol::{Binary, BinaryCommand};

/// What guards the door, if anything does.
pub struct Guard {
    path: PathBuf,
    form: Form,
    users: Mutex<Arc<Users>>,
}

/// What a line of the file means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `-Y`: `user:password`, the password up to the end of the line.
    Text,
    /// `-S`: the same, but the password may end at a further colon, as in Cyrus SASL's files.
    Sasl,
}

impl Guard {
    /// The guard that the configuration asks for, with its users read.
    ///
    /// # Errors
    /// The file can't be read, or a line of it has no colon.
    pub fn of(config: &Config) -> Result<Option<Self>, Failure> {
        let of_text = config.auth_file.as_ref().map(|path| (path, Form::Text));
        let of_sasl = config.sasl_file.as_ref().map(|path| (path, Form::Sasl));
        of_text.or(of_sasl).map(|(path, form)| Self::new(path, form)).transpose()
    }

    fn new(path: &Path, form: Form) -> Result<Self, Failure> {
        let users = Mutex::new(Arc::new(Users::read(path, form)?));
        Ok(Self { path: path.to_owned(), form, users })
    }

    /// Reads the file again. Who was let in before stays.
    ///
    /// # Errors
    /// As [`Guard::of`]; the users stay as they were.
    pub fn reload(&self) -> Result<(), Failure> {
        let users = Arc::new(Users::read(&self.path, self.form)?);
        *self.users.lock().expect("no thread panics with the lock") = users;
        Ok(())
    }

    fn admits(&self, user: &[u8], password: &[u8]) -> bool {
        let users = Arc::clone(&self.users.lock().expect("no thread panics with the lock"));
        users.admit(user, password)
    }
}

/// Who may come in.
struct Users {
    /// Names and passwords.
    entries: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Users {
    fn read(path: &Path, form: Form) -> Result<Self, Failure> {
        let what = |text: &dyn std::fmt::Display| format!("users of {}: {text}", path.display());
        let text =
            std::fs::read(path).map_err(|error| Failure::os(what(&"not readable"), error))?;
        Self::parse(&text, form)
            .map_err(|line| Failure::usage(what(&format_args!("line {line} is not user:password"))))
    }

    /// Takes a file apart. Empty lines are skipped; the number of a line without a colon is the
    /// error.
    fn parse(text: &[u8], form: Form) -> Result<Self, usize> {
        let mut entries = Vec::new();
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() {
                continue;
            }
            let colon = memchr::memchr(b':', line).ok_or(index + 1)?;
            let (user, password) = (&line[..colon], &line[colon + 1..]);
            entries.push((user.to_vec(), password.to_vec()));
            if form == Form::Sasl {
                let ends = memchr::memchr_iter(b':', password);
                entries.extend(ends.map(|end| (user.to_vec(), password[..end].to_vec())));
            }
        }
        Ok(Self { entries })
    }

    fn admit(&self, user: &[u8], password: &[u8]) -> bool {
        let mut found = 0;
        for (name, secret) in &self.entries {
            found |= equal(name, user) & equal(secret, password);
        }
        black_box(found) != 0
    }
}

/// 1 if both are the same, else 0. Looks at every byte of `secret`, whatever it finds.
fn equal(secret: &[u8], given: &[u8]) -> u8 {
    let mut difference = u8::from(secret.len() != given.len());
    for (index, byte) in secret.iter().enumerate() {
        difference |= black_box(byte ^ given.get(index).copied().unwrap_or(0));
    }
    u8::from(black_box(difference) == 0)
}

/// The one mechanism that there is.
const MECHANISM: &[u8] = b"PLAIN";

impl State {
    /// Answers a user and a password of the text protocol.
    pub(super) fn authenticate(&mut self, id: ConnId, user: &[u8], password: &[u8]) {
        let text = if self.admit(id, user, password) { line::STORED } else { line::AUTH_FAILURE };
        self.reply(id, text);
    }

    /// Answers the SASL commands of the binary protocol.
    pub(super) fn answer_sasl(&mut self, id: ConnId, request: &Binary<'_>, reply: &mut impl Sink) {
        let Binary { opcode, opaque, .. } = *request;
        let outcome = match request.command {
            BinaryCommand::SaslList => return put_binary(reply, opcode, opaque, 0, MECHANISM),
            BinaryCommand::SaslAuth { mechanism, data } => self.begin_sasl(id, mechanism, data),
            BinaryCommand::SaslStep { data, .. } => self.continue_sasl(id, data),
            _ => unreachable!("only SASL commands come here"),
        };
        match outcome {
            Status::Success => put_binary(reply, opcode, opaque, 0, b"Authenticated"),
            Status::AuthContinue => {
                put_binary_status(reply, opcode, opaque, outcome, 0, outcome.text());
            }
            _ => put_binary_error(reply, opcode, opaque, outcome),
        }
    }

    fn begin_sasl(&mut self, id: ConnId, mechanism: &[u8], data: &[u8]) -> Status {
        let Some(client) = self.clients.get_mut(id) else { return Status::AuthError };
        client.conn.parser.dismiss();
        client.is_in_sasl = mechanism == MECHANISM && data.is_empty();
        if client.is_in_sasl {
            // PLAIN has one message, from the client: it may follow in a step of its own.
            return Status::AuthContinue;
        }
        let plain = if mechanism == MECHANISM { sasl_plain(data) } else { None };
        self.end_sasl(id, plain)
    }

    fn continue_sasl(&mut self, id: ConnId, data: &[u8]) -> Status {
        let Some(client) = self.clients.get_mut(id) else { return Status::AuthError };
        client.conn.parser.dismiss();
        let was_begun = std::mem::take(&mut client.is_in_sasl);
        let plain = if was_begun { sasl_plain(data) } else { None };
        self.end_sasl(id, plain)
    }

    fn end_sasl(&mut self, id: ConnId, plain: Option<(&[u8], &[u8])>) -> Status {
        // What is malformed takes as long as what is wrong.
        let (user, password) = plain.unwrap_or_default();
        let is_right = self.admit(id, user, password);
        if is_right { Status::Success } else { Status::AuthError }
    }

    /// Opens a connection's gate if the password is right, and counts the attempt.
    fn admit(&mut self, id: ConnId, user: &[u8], password: &[u8]) -> bool {
        let is_known = |guard: &Guard| guard.admits(user, password);
        let is_right = self.shared.guard.as_ref().is_some_and(is_known) && !user.is_empty();
        self.counters().auths.add(1);
        self.counters().auth_errors.add(u64::from(!is_right));
        if is_right && let Some(client) = self.clients.get_mut(id) {
            client.conn.parser.admit();
        }
        is_right
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(text: &str, form: Form) -> Users {
        Users::parse(text.as_bytes(), form).unwrap_or_else(|line| panic!("line {line}"))
    }

    #[test]
    fn users_are_known_by_their_whole_name_and_password() {
        let users = users("ann:secret\r\nbob:a:b\n\nno password:\ncy:last", Form::Text);
        for (user, password) in
            [("ann", "secret"), ("bob", "a:b"), ("no password", ""), ("cy", "last")]
        {
            assert!(users.admit(user.as_bytes(), password.as_bytes()), "{user}");
            assert!(!users.admit(user.as_bytes(), format!("{password}x").as_bytes()), "{user}");
            assert!(!users.admit(format!("{user}x").as_bytes(), password.as_bytes()), "{user}");
        }
        for (user, password) in [
            ("ann", "secre"),
            ("ann", ""),
            ("bob", "a"),
            ("ann", "a:b"),
            ("", ""),
            ("cy", "secret"),
        ] {
            assert!(!users.admit(user.as_bytes(), password.as_bytes()), "{user} {password}");
        }
    }

    #[test]
    fn a_sasl_password_may_end_at_a_colon() {
        let users = users("bob:a:b:c\n", Form::Sasl);
        for (password, is_right) in [("a", true), ("a:b", true), ("a:b:c", true), ("b", false)] {
            assert_eq!(users.admit(b"bob", password.as_bytes()), is_right, "{password}");
        }
    }

    #[test]
    fn there_may_be_any_number_of_users_and_none() {
        let many: String = (0..10_000).map(|n| format!("user{n}:password{n}\n")).collect();
        let many = users(&many, Form::Text);
        assert!(many.admit(b"user9999", b"password9999") && !many.admit(b"user9999", b"password0"));
        assert!(!users("", Form::Text).admit(b"", b""));
    }

    #[test]
    fn a_line_without_a_colon_is_told_by_its_number() {
        assert_eq!(Users::parse(b"a:b\n\nbroken\n", Form::Text).err(), Some(3));
    }

    #[test]
    fn a_broken_file_leaves_the_users_as_they_were() {
        let path = std::env::temp_dir().join(format!("ringcached-users-{}", std::process::id()));
        std::fs::write(&path, "ann:1\n").expect("a writable directory");
        let guard = Guard::new(&path, Form::Text).expect("a good file");
        assert!(guard.admits(b"ann", b"1"));
        std::fs::write(&path, "nonsense").expect("writable");
        assert!(guard.reload().is_err() && guard.admits(b"ann", b"1"));
        std::fs::write(&path, "bob:2").expect("writable");
        assert!(
            guard.reload().is_ok() && guard.admits(b"bob", b"2") && !guard.admits(b"ann", b"1")
        );
        std::fs::remove_file(&path).expect("it was there");
        assert!(guard.reload().is_err() && guard.admits(b"bob", b"2"));
    }
}
