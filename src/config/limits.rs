//! Limits.
/// Bytes of one block.
pub const BLOCK_BYTES: usize = 16 * 1024;
