//! loadgen from the outside: its binary against Debian's memcached, against ringcached, and against
//! servers of a few lines that lie, dawdle or fail on purpose.
//!
//! [`run`] runs the binary and reads its reports, [`server`] has the real servers and [`fake`] the
//! made ones; every other module is about one thing that the program promises.

mod agents;
mod aliases;
mod experiments;
mod fake;
mod frozen;
mod lies;
mod protocols;
mod reports;
mod routing;
mod run;
mod server;
mod usage;
mod workloads;
