//! What a host needs to serve a cache well, how much memory a data set asks for, and which
//! thread count and page size pay there.
//!
//! ```text
//!   tune check   /proc, /sys ──> one table of checks ──> reading, verdict, mending command
//!   tune size    items, sizes, or a running server's stats ──> -m -f -n -t, bytes per item
//!   tune sweep   server x loadgen over -t and -L lists ──> smallest setting that is enough
//! ```
//!
//! The three share nothing but [`host`]: every file of `/proc` and `/sys` is read below a root
//! that can be given, so that each verdict is tested on a made tree as well as on the real one.
//! `host/` beside the sources holds the files an operator installs: sysctl settings, the units of
//! systemd, the SysV script and its defaults, and the seccomp profile for containers.

pub mod check;
pub mod host;
pub mod size;
pub mod sweep;
