//! Experiments: many measurements that answer one question.

pub mod compare;
pub mod search;
pub mod sweep;
