//! text/mod
