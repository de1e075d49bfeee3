//! A script: what is sent to both servers, with holes for what differs between them or between
//! runs.
//!
//! Two things cannot be written down beforehand. A CAS id is what the server made it, so a script
//! says "the n-th id that this server showed". And the keys of a script carry a tag that is new in
//! every run, so that a failing script can be run again, shortened, against servers that have seen
//! it before.

use crate::common::Random;

/// Digits in a tag; fixed, so that lengths of keys do not depend on the run.
pub(crate) const TAG_DIGITS: usize = 6;

/// A CAS id that neither server will have given out.
const NO_ID: u64 = 1 << 50;

/// A part of a command.
#[derive(Clone, Debug)]
pub(crate) enum Piece {
    Bytes(Vec<u8>),
    /// The tag of the run.
    Tag,
    /// The tag in base64; where it stands behind a multiple of three bytes, it is that of the
    /// whole.
    TagBase64,
    /// In decimal, the CAS id shown the given number of ids ago, modulo those seen; [`NO_ID`] if
    /// none was.
    CasText(usize),
    /// The same in eight bytes, for the binary protocol.
    CasBinary(usize),
}

/// One command, or something malformed in the place of one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Command {
    pub(crate) pieces: Vec<Piece>,
}

impl Command {
    pub(crate) fn text(text: impl AsRef<[u8]>) -> Self {
        let mut command = Self::default();
        command.push(text);
        command
    }

    pub(crate) fn push(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.pieces.push(Piece::Bytes(bytes.as_ref().to_vec()));
        self
    }

    pub(crate) fn extend(&mut self, pieces: &[Piece]) -> &mut Self {
        self.pieces.extend_from_slice(pieces);
        self
    }

    /// The bytes that go over the wire.
    pub(crate) fn render(&self, tag: u32, cas_ids: &[u64], out: &mut Vec<u8>) {
        for piece in &self.pieces {
            match piece {
                Piece::Bytes(bytes) => out.extend_from_slice(bytes),
                Piece::Tag => out.extend_from_slice(tag_text(tag).as_bytes()),
                Piece::TagBase64 => out.extend(base64_of_digits(&tag_text(tag))),
                Piece::CasText(ago) => out.extend(nth_id(cas_ids, *ago).to_string().bytes()),
                Piece::CasBinary(ago) => out.extend(nth_id(cas_ids, *ago).to_be_bytes()),
            }
        }
    }
}

/// The commands of one connection, and where their bytes are cut into writes.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) commands: Vec<Command>,
    /// Seeds the choice of cuts; 0 sends all in one write.
    pub(crate) cuts_seed: u64,
    /// The server is to close after the last command, so nothing is sent behind it.
    pub(crate) closes: bool,
}

impl Segment {
    /// Offsets at which `len` bytes are cut, in order.
    pub(crate) fn cuts(&self, len: usize) -> Vec<usize> {
        if self.cuts_seed == 0 || len < 2 {
            return Vec::new();
        }
        let mut random = Random::new(self.cuts_seed);
        let mut cuts: Vec<usize> =
            (0..random.below(6)).map(|_| 1 + random.below(len - 1)).collect();
        cuts.sort_unstable();
        cuts.dedup();
        cuts
    }
}

/// Connections one after the other; keys live on between them, and CAS ids seen are used by the
/// next.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) segments: Vec<Segment>,
}

impl Script {
    pub(crate) fn commands(&self) -> usize {
        self.segments.iter().map(|segment| segment.commands.len()).sum()
    }

    /// The script as a person would read it.
    pub(crate) fn show(&self, tag: u32) -> String {
        let mut text = String::new();
        for (at, segment) in self.segments.iter().enumerate() {
            text.push_str(&format!("  connection {at}, cuts {:#x}:\n", segment.cuts_seed));
            for command in &segment.commands {
                let mut bytes = Vec::new();
                command.render(tag, &[], &mut bytes);
                text.push_str(&format!("    {}\n", crate::common::show_line(&bytes)));
            }
        }
        text
    }
}

pub(crate) fn tag_text(tag: u32) -> String {
    format!("{:0width$}", tag % 10u32.pow(TAG_DIGITS as u32), width = TAG_DIGITS)
}

/// Base64 of text whose length is a multiple of three.
fn base64_of_digits(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = Vec::new();
    for three in text.as_bytes().chunks_exact(3) {
        let bits = three.iter().fold(0, |bits: usize, &byte| bits << 8 | usize::from(byte));
        encoded.extend([18, 12, 6, 0].map(|shift| ALPHABET[bits >> shift & 63]));
    }
    encoded
}

fn nth_id(cas_ids: &[u64], ago: usize) -> u64 {
    if cas_ids.is_empty() { NO_ID } else { cas_ids[cas_ids.len() - 1 - ago % cas_ids.len()] }
}
