//! lib
pub mod protocol;
