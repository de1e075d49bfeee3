//! What the user typed, what the program uses, and every limit.
//!
//! Two levels, after ripgrep: [`Flags`] is the command line as typed, read by clap and judged value
//! by value; [`Config`] is what the program uses, judged as a whole. Between them is one function
//! without side effects, [`Config::new`]. [`limits`] holds the constants, [`budget`] adds up the
//! memory that they cost, and [`exit`] says how a refusal reaches the user: one line on stderr and
//! an exit code of sysexits.h.

pub mod budget;
pub mod exit;
pub mod flags;
pub mod limits;
mod listen;
mod settings;
mod suboptions;
mod tls;
mod validate;
pub mod values;

pub use budget::Budget;
pub use exit::Failure;
pub use flags::{Asked, Flags, MEMCACHED_VERSION};
pub use settings::{
    Binding, Config, CpuId, CrawlerSettings, Host, ListenAddress, LruSettings, Manner, Note,
};
pub use tls::{KeyFormat, PeerCheck, TlsSettings, TlsVersion};
