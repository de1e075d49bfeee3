//! memcached over UDP: every datagram starts with request number, position, number of datagrams and
//! two zeros.
//!
//! A request is one datagram; its reply may be many, may come late, out of order, twice or never.
//! What is incomplete is kept by request number and dropped with the request.

use std::collections::BTreeMap;

/// Bytes in front of the protocol's.
pub const FRAME_BYTES: usize = 8;
/// A request must fit one datagram, and that one an Ethernet frame.
pub const REQUEST_BYTES_MAX: usize = 1400;

/// Writes the frame of request `number` in front of what is appended next.
pub fn write_frame(out: &mut Vec<u8>, number: u16) {
    out.extend_from_slice(&number.to_be_bytes());
    out.extend_from_slice(&[0, 0, 0, 1, 0, 0]);
}

/// Replies that have not come whole.
#[derive(Default)]
pub struct Reassembly {
    partial: BTreeMap<u16, Vec<Option<Vec<u8>>>>,
}

impl Reassembly {
    /// Takes a datagram; the request's number and its whole reply when nothing is missing any more.
    pub fn take(&mut self, datagram: &[u8]) -> Option<(u16, Vec<u8>)> {
        let (frame, content) = datagram.split_first_chunk::<FRAME_BYTES>()?;
        let field = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
        let (number, position, count) = (field(0), usize::from(field(2)), usize::from(field(4)));
        if position >= count {
            return None;
        }
        if count == 1 {
            return Some((number, content.to_vec()));
        }
        let parts = self.partial.entry(number).or_insert_with(|| vec![None; count]);
        *parts.get_mut(position)? = Some(content.to_vec());
        if parts.iter().any(Option::is_none) {
            return None;
        }
        let parts = self.partial.remove(&number)?;
        Some((number, parts.into_iter().flatten().flatten().collect()))
    }

    /// Drops what came of a request that was given up.
    pub fn forget(&mut self, number: u16) {
        self.partial.remove(&number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(number: u16, position: u16, count: u16, content: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        [number, position, count, 0].iter().for_each(|field| out.extend(field.to_be_bytes()));
        out.extend(content);
        out
    }

    #[test]
    fn replies_are_joined_in_any_order() {
        let mut reassembly = Reassembly::default();
        assert_eq!(reassembly.take(&datagram(5, 0, 1, b"END")), Some((5, b"END".to_vec())));
        assert_eq!(reassembly.take(&datagram(6, 2, 3, b"c")), None);
        assert_eq!(reassembly.take(&datagram(6, 0, 3, b"a")), None);
        assert_eq!(reassembly.take(&datagram(6, 0, 3, b"a")), None);
        assert_eq!(reassembly.take(&datagram(6, 1, 3, b"b")), Some((6, b"abc".to_vec())));
    }

    #[test]
    fn damaged_frames_are_dropped() {
        let mut reassembly = Reassembly::default();
        assert_eq!(reassembly.take(b"short"), None);
        assert_eq!(reassembly.take(&datagram(1, 3, 2, b"")), None);
        assert_eq!(reassembly.take(&datagram(1, 0, 2, b"a")), None);
        assert_eq!(reassembly.take(&datagram(1, 5, 9, b"a")), None);
        reassembly.forget(1);
        assert_eq!(reassembly.take(&datagram(1, 1, 2, b"b")), None);
    }
}
