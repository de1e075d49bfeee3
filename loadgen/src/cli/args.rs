//! The command line as it is typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use super::units;
use crate::workload::mix::Mix;
use crate::workload::popularity::Popularity;
use crate::workload::size::Sizes;

/// Loads memcached-compatible servers and measures them honestly.
#[derive(Parser, Clone, Debug)]
#[command(name = "loadgen", version, about, max_term_width = 100)]
pub struct Args {
    /// Servers: host[:port][:weight] or /path, separated by commas.
    #[arg(short, long, env = "MEMCACHED_SERVERS", default_value = "127.0.0.1:11211")]
    #[arg(help_heading = "Servers")]
    pub servers: String,
    /// Leave Nagle's algorithm on.
    #[arg(long, help_heading = "Servers")]
    pub nagle: bool,
    /// Time a connection may take to come up.
    #[arg(long, default_value = "2s", value_parser = units::duration, help_heading = "Servers")]
    pub connect_timeout: Duration,
    /// Time a reply may take before its connection is given up.
    #[arg(long, default_value = "5s", value_parser = units::duration, help_heading = "Servers")]
    pub timeout: Duration,

    /// Worker threads.
    #[arg(short = 'T', long, default_value_t = 1, help_heading = "Load")]
    pub threads: usize,
    /// Connections to each server, all threads together.
    #[arg(short = 'c', long, alias = "concurrency", default_value_t = 16)]
    #[arg(help_heading = "Load")]
    pub connections: usize,
    /// Closed loop: requests each connection keeps under way.
    #[arg(long, default_value_t = 1, help_heading = "Load")]
    pub depth: usize,
    /// Open loop: requests a second in all (k and M count thousands and millions).
    #[arg(long, value_parser = units::count, help_heading = "Load")]
    pub rate: Option<f64>,
    /// Open loop: the times between requests: fixed, poisson or facebook.
    #[arg(long, default_value = "fixed", help_heading = "Load")]
    pub arrivals: String,
    /// Open loop: requests under way at most; what is due above it waits, and its wait counts.
    #[arg(long, default_value = "100k", value_parser = units::whole, help_heading = "Load")]
    pub in_flight: u64,
    /// Open loop: a request that goes out later than this behind its time is counted as late.
    #[arg(long, default_value = "1ms", value_parser = units::duration, help_heading = "Load")]
    pub lag: Duration,
    /// Measure for this long [default: 10s without --requests].
    #[arg(short, long, value_parser = units::duration, help_heading = "Load")]
    pub time: Option<Duration>,
    /// Measure this many requests.
    #[arg(short = 'x', long, alias = "execute-number", value_parser = units::whole)]
    #[arg(help_heading = "Load")]
    pub requests: Option<u64>,
    /// Run this long before measuring.
    #[arg(long, default_value = "0s", value_parser = units::duration, help_heading = "Load")]
    pub warmup: Duration,
    /// CPUs to bind the threads to, in turn: 1 or 0,2,3.
    #[arg(long, value_delimiter = ',', help_heading = "Load")]
    pub pin: Vec<usize>,
    /// Buffers on huge pages.
    #[arg(short = 'L', long, help_heading = "Load")]
    pub large_pages: bool,

    /// Commands and their shares: get=9,set=1 or 9:1 (gets to sets).
    #[arg(long, alias = "ratio", default_value = "9:1", value_parser = units::mix)]
    #[arg(help_heading = "Workload")]
    pub mix: Mix,
    /// Keys in one get.
    #[arg(short = 'd', long, alias = "division", default_value = "1")]
    #[arg(value_parser = units::sizes, help_heading = "Workload")]
    pub mget: Sizes,
    /// Number of keys.
    #[arg(long, default_value = "100k", value_parser = units::whole, help_heading = "Workload")]
    pub keys: u64,
    /// Put in front of every key.
    #[arg(long, default_value = "key:", help_heading = "Workload")]
    pub key_prefix: String,
    /// Whole key lengths in bytes: 16, 10-40, or weighted, 16:3,20-30:1.
    #[arg(long, default_value = "16", value_parser = units::sizes, help_heading = "Workload")]
    pub key_size: Sizes,
    /// Value lengths in bytes, likewise.
    #[arg(short = 'X', long, alias = "fixed_size", default_value = "64")]
    #[arg(value_parser = units::sizes, help_heading = "Workload")]
    pub value_size: Sizes,
    /// Which keys: uniform, zipf:0.99, hot:0.1:0.9 (keys:requests) or sequential.
    #[arg(long, default_value = "uniform", value_parser = units::popularity)]
    #[arg(help_heading = "Workload")]
    pub popularity: Popularity,
    /// Short for --popularity zipf:S.
    #[arg(long, value_name = "S", help_heading = "Workload")]
    pub zipf: Option<f64>,
    /// Times to live: 60, 1h-2h, or weighted; 0 is for ever.
    #[arg(long, default_value = "0", value_parser = units::expiries, help_heading = "Workload")]
    pub ttl: Sizes,
    /// Client flags of stored items.
    #[arg(long, default_value_t = 0, help_heading = "Workload")]
    pub flags: u32,
    /// Do not set every key before measuring.
    #[arg(long, help_heading = "Workload")]
    pub no_preload: bool,
    /// Seed of keys, commands and arrivals.
    #[arg(long, default_value_t = 1, help_heading = "Workload")]
    pub seed: u64,

    /// Servers to run in turn with the same load: host:port[,pid], two or more.
    #[arg(long, num_args = 2.., value_name = "SERVER", help_heading = "Experiments")]
    pub compare: Vec<String>,
    /// Rounds of a comparison.
    #[arg(long, default_value_t = 5, help_heading = "Experiments")]
    pub rounds: usize,

    /// Process id of the server on this host [default: found by its port].
    #[arg(long, help_heading = "Report")]
    pub server_pid: Option<u32>,
    /// Write the result as JSON; - is the standard output.
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    pub json: Option<PathBuf>,
    /// Length of an interval of the time series.
    #[arg(long, default_value = "1s", value_parser = units::duration, help_heading = "Report")]
    pub interval: Duration,
    /// No live line and no table.
    #[arg(short, long, help_heading = "Report")]
    pub quiet: bool,
}
