//! What the user typed, what the program uses, and every limit.
//!
//! Two levels, after ripgrep: [`Flags`] is the command line as typed, read by clap and judged value by
//! value; [`Config`] is what the program uses, judged as a whole. Between them is one function without side
//! effects, [`Config::new`]. [`limits`] holds the constants, [`budget`] adds up the memory that they cost,
//! and [`exit`] says how a refusal reaches the user: one line on stderr and an exit code of sysexits.h.

pub mod exit;
pub mod limits;
mod settings;

pub use exit::Failure;
pub use settings::{
    Binding, Config, CpuId, CrawlerSettings, Host, ListenAddress, LruSettings, Note,
};
