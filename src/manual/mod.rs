//! The manual, in chapters. There is no code here.
//!
//! - [`operations`]: starting, sizing, limits, containers, files, signals, exit codes.

pub mod operations;
