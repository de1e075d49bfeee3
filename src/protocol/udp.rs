//! The frame of a UDP datagram: four numbers of two bytes, big-endian.
//!
//! A request must be one datagram. A reply may be several, numbered from 0, each of at most
//! [`PAYLOAD_BYTES_MAX`] bytes behind its frame. What may be sent to whom is not decided here.

/// Bytes of a frame.
pub const FRAME_BYTES: usize = 8;
/// Bytes of the longest reply datagram, frame included.
pub const DATAGRAM_BYTES_MAX: usize = 1400;
/// Bytes of reply that fit one datagram.
pub const PAYLOAD_BYTES_MAX: usize = DATAGRAM_BYTES_MAX - FRAME_BYTES;

/// The number that a client gave its request; every datagram of the reply repeats it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestId(pub u16);

/// Splits a request datagram. `None` if it is to be dropped: empty, or one of several.
pub fn parse(datagram: &[u8]) -> Option<(RequestId, &[u8])> {
    let (frame, payload) = datagram.split_first_chunk::<FRAME_BYTES>()?;
    let [id_0, id_1, _, _, total_0, total_1, _, _] = *frame;
    let is_whole = u16::from_be_bytes([total_0, total_1]) == 1;
    let id = RequestId(u16::from_be_bytes([id_0, id_1]));
    (is_whole && !payload.is_empty()).then_some((id, payload))
}

/// The frame of one of `total` reply datagrams.
pub fn frame(id: RequestId, sequence: u16, total: u16) -> [u8; FRAME_BYTES] {
    assert!(sequence < total, "datagrams are numbered from 0");
    let ([id_0, id_1], [sequence_0, sequence_1]) = (id.0.to_be_bytes(), sequence.to_be_bytes());
    let [total_0, total_1] = total.to_be_bytes();
    [id_0, id_1, sequence_0, sequence_1, total_0, total_1, 0, 0]
}

/// Datagrams that a reply of so many bytes takes; `None` if there are too many to number.
pub fn datagrams(reply_bytes: usize) -> Option<u16> {
    u16::try_from(reply_bytes.div_ceil(PAYLOAD_BYTES_MAX)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_one_datagram() {
        let datagram = b"\x12\x34\0\0\0\x01\0\0get a\r\n";
        assert_eq!(parse(datagram), Some((RequestId(0x1234), &b"get a\r\n"[..])));
        assert_eq!(parse(b"\x12\x34\0\0\0\x02\0\0get a\r\n"), None);
        assert_eq!(parse(b"\x12\x34\0\0\x01\x01\0\0get a\r\n"), None);
        assert_eq!(parse(b"\x12\x34\0\0\0\0\0\0get a\r\n"), None);
        for length in 0..=FRAME_BYTES {
            assert_eq!(parse(&datagram[..length]), None);
        }
    }

    #[test]
    fn replies_are_numbered() {
        assert_eq!(frame(RequestId(0x1234), 1, 2), [0x12, 0x34, 0, 1, 0, 2, 0, 0]);
        assert_eq!(datagrams(1), Some(1));
        assert_eq!(datagrams(1392), Some(1));
        assert_eq!(datagrams(1393), Some(2));
        assert_eq!(datagrams(1392 * 65535), Some(65535));
        assert_eq!(datagrams(1392 * 65535 + 1), None);
    }
}
