//! What a person or a program is told about a run.

pub mod live;
pub mod summary;
pub mod table;
