//! Lists of statistics, in the form of whichever protocol asked.

use std::fmt::Display;
use std::io::Write;

use crate::protocol::Opcode;
use crate::protocol::reply::{Status, line, put_binary_error, put_binary_stat, put_stat};

/// How a list goes out.
#[derive(Clone, Copy, Debug)]
pub(in crate::core) enum Form {
    /// Lines of `STAT name value`.
    Text,
    /// A packet for each entry.
    Binary {
        /// As received.
        opcode: Opcode,
        /// As received.
        opaque: u32,
    },
}

/// A list in the making.
pub(in crate::core) struct Listing {
    form: Form,
    reply: Vec<u8>,
    /// A name or value that is being formatted.
    name: Vec<u8>,
    value: Vec<u8>,
}

impl Listing {
    pub(in crate::core) fn new(form: Form) -> Self {
        Self { form, reply: Vec::with_capacity(4096), name: Vec::new(), value: Vec::new() }
    }

    /// Adds an entry.
    pub(in crate::core) fn put(&mut self, name: impl Display, value: impl Display) {
        format_into(&mut self.name, name);
        format_into(&mut self.value, value);
        match self.form {
            Form::Text => put_stat(&mut self.reply, &self.name, &self.value),
            Form::Binary { opcode, opaque } => {
                put_binary_stat(&mut self.reply, opcode, opaque, &self.name, &self.value);
            }
        }
    }

    /// Adds lines that are no entries. In the binary protocol they are the value of one.
    pub(in crate::core) fn put_lines(&mut self, name: &[u8], lines: &[u8]) {
        match self.form {
            Form::Text => self.reply.extend_from_slice(lines),
            Form::Binary { opcode, opaque } => {
                put_binary_stat(&mut self.reply, opcode, opaque, name, lines);
            }
        }
    }

    /// The reply to a request that is refused. `line` is the text protocol's.
    pub(in crate::core) fn refuse(self, line: &[u8]) -> Vec<u8> {
        match self.form {
            Form::Text => line.to_vec(),
            Form::Binary { opcode, opaque } => {
                let mut reply = Vec::new();
                put_binary_error(&mut reply, opcode, opaque, Status::KeyNotFound);
                reply
            }
        }
    }

    /// The whole reply.
    pub(in crate::core) fn end(self) -> Vec<u8> {
        self.end_with(line::END)
    }

    /// The whole reply, if in the text protocol it ends with `last`.
    pub(in crate::core) fn end_with(mut self, last: &[u8]) -> Vec<u8> {
        match self.form {
            Form::Text => self.reply.extend_from_slice(last),
            Form::Binary { opcode, opaque } => {
                put_binary_stat(&mut self.reply, opcode, opaque, b"", b"");
            }
        }
        self.reply
    }
}

fn format_into(text: &mut Vec<u8>, value: impl Display) {
    text.clear();
    write!(text, "{value}").expect("memory takes any text");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_in_text() {
        let mut listing = Listing::new(Form::Text);
        listing.put("pid", 7);
        listing.put(format_args!("items:{}:{}", 1, "number"), "x");
        assert_eq!(listing.end(), b"STAT pid 7\r\nSTAT items:1:number x\r\nEND\r\n");
    }

    #[test]
    fn a_binary_list_ends_with_an_empty_entry() {
        let mut listing = Listing::new(Form::Binary { opcode: Opcode(0x10), opaque: 9 });
        listing.put("pid", 7);
        let reply = listing.end();
        assert_eq!(reply.len(), 24 + 4 + 24);
        assert_eq!(&reply[24..28], b"pid7");
        assert_eq!(reply[28 + 8..28 + 12], [0; 4], "no body");
    }
}
