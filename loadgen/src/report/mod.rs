//! What a person or a program is told about a run.

pub mod files;
pub mod live;
pub mod plot;
pub mod summary;
pub mod table;
