//! The UDP frame.
