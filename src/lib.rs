//! lib
pub mod shard;
