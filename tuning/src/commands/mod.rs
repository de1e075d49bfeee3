//! One file a subcommand: its flags, and how they become calls of the library.

pub(crate) mod check;
pub(crate) mod size;
pub(crate) mod sweep;
