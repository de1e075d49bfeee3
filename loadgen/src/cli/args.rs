//! The command line as it is typed. The comments are the text of --help: brackets are no links.

#![allow(rustdoc::broken_intra_doc_links)]

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use super::units;
use crate::workload::mix::Mix;
use crate::workload::popularity::Popularity;
use crate::workload::size::Sizes;

const EXIT_CODES: &str = "Exit codes: 0 the result stands, 1 there is none, 2 the server lied, \
                          3 the result is in doubt (--strict), 64 a wrong command line.";

/// Loads memcached-compatible servers and measures them honestly.
///
/// Also: `loadgen agent` waits for a leader's orders, `loadgen check` checks recorded histories.
/// Options of memslap and memaslap are understood.
#[derive(Parser, Clone, Debug)]
#[command(name = "loadgen", version, about, max_term_width = 100, args_override_self = true)]
#[command(after_help = EXIT_CODES)]
pub struct Args {
    /// Servers: host[:port][:weight] or /path, separated by commas.
    #[arg(short, long, env = "MEMCACHED_SERVERS", default_value = "127.0.0.1:11211")]
    #[arg(help_heading = "Servers")]
    pub servers: String,
    /// Who owns a key: modula (or modulo), ketama, ketama-weighted or spy [default: modula, or
    /// ketama-weighted where a weight is given].
    #[arg(long, help_heading = "Servers")]
    pub distribution: Option<String>,
    /// Key hash of modula and ketama: default, md5, crc, fnv1_64, fnv1a_64, fnv1_32, fnv1a_32.
    #[arg(short = 'H', long, default_value = "default", help_heading = "Servers")]
    pub hash: String,
    /// Copies of each value beyond the first, on the servers after its owner.
    #[arg(long, default_value_t = 0, help_heading = "Servers")]
    pub replicas: usize,
    /// Protocol: text, meta or binary.
    #[arg(long, default_value = "text", help_heading = "Servers")]
    pub protocol: String,
    /// Short for --protocol binary.
    #[arg(short = 'B', long, help_heading = "Servers")]
    pub binary: bool,
    /// Over UDP.
    #[arg(short = 'U', long, help_heading = "Servers")]
    pub udp: bool,
    /// Over TLS.
    #[arg(long, help_heading = "Servers")]
    pub tls: bool,
    /// Authorities to trust, in PEM.
    #[arg(long, value_name = "FILE", help_heading = "Servers")]
    pub tls_ca: Option<PathBuf>,
    /// Certificate to show, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_key", help_heading = "Servers")]
    pub tls_cert: Option<PathBuf>,
    /// Key of that certificate, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert", help_heading = "Servers")]
    pub tls_key: Option<PathBuf>,
    /// Trust any certificate.
    #[arg(long, help_heading = "Servers")]
    pub tls_insecure: bool,
    /// User for SASL PLAIN (binary) or text authentication.
    #[arg(short, long, requires = "password", help_heading = "Servers")]
    pub user: Option<String>,
    /// Password of the user; @FILE reads it from a file.
    #[arg(long, requires = "user", help_heading = "Servers")]
    pub password: Option<String>,
    /// Leave Nagle's algorithm on.
    #[arg(long, help_heading = "Servers")]
    pub nagle: bool,
    /// Switch Nagle's algorithm off: it is off.
    #[arg(short = 'N', long, hide = true)]
    pub tcp_nodelay: bool,
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
    #[arg(short = 'P', long, alias = "tps", value_parser = units::count, help_heading = "Load")]
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
    /// Measure for this long [default: 10s without --requests or --trace].
    #[arg(short, long, value_parser = units::duration, help_heading = "Load")]
    pub time: Option<Duration>,
    /// Measure this many requests.
    #[arg(short = 'x', long, alias = "execute_number", value_parser = units::whole)]
    #[arg(help_heading = "Load")]
    pub requests: Option<u64>,
    /// Run this long before measuring.
    #[arg(long, default_value = "0s", value_parser = units::duration, help_heading = "Load")]
    pub warmup: Duration,
    /// CPUs to bind the threads to, in turn: 1 or 0,2,3.
    #[arg(long, value_delimiter = ',', help_heading = "Load")]
    pub pin: Vec<usize>,
    /// Once a reply has come, wait so long for more: less CPU time, later time stamps.
    #[arg(long, default_value = "0s", value_parser = units::duration, help_heading = "Load")]
    pub gather: Duration,
    /// Buffers on huge pages.
    #[arg(short = 'L', long, help_heading = "Load")]
    pub large_pages: bool,

    /// A workload by name (see --list-workloads) or a file of options; options beside it win.
    #[arg(long, value_name = "NAME|FILE", help_heading = "Workload")]
    pub workload: Option<String>,
    /// List the named workloads.
    #[arg(long, help_heading = "Workload")]
    pub list_workloads: bool,
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
    /// Whole key lengths in bytes: 16, 10-40, 16:3,20-30:1, fb-key, gev:L:S:K, pareto:L:S:K or
    /// quantiles:0=1:0.5=9:1=90.
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
    /// Share of the sets that make a new key; popular keys are then the newest.
    #[arg(long, default_value_t = 0.0, help_heading = "Workload")]
    pub growth: f64,
    /// Share of the requests for a key that no other request names.
    #[arg(long, default_value_t = 0.0, help_heading = "Workload")]
    pub once: f64,
    /// Share of the requests with which a key is replaced by a new one, as popular as the old.
    #[arg(long, default_value_t = 0.0, help_heading = "Workload")]
    pub churn: f64,
    /// Times to live: 60, 1h-2h, or weighted; 0 is for ever.
    #[arg(long, default_value = "0", value_parser = units::expiries, help_heading = "Workload")]
    pub ttl: Sizes,
    /// Client flags of stored items.
    #[arg(long, default_value_t = 0, help_heading = "Workload")]
    pub flags: u32,
    /// Ask for no replies to writes.
    #[arg(long, help_heading = "Workload")]
    pub noreply: bool,
    /// Set a key that was read and not found, as an application would.
    #[arg(long, help_heading = "Workload")]
    pub fill_misses: bool,
    /// Replay a trace: Twitter's or Meta's CSV, also compressed with gzip or zstd.
    #[arg(long, value_name = "FILE", help_heading = "Workload")]
    pub trace: Option<PathBuf>,
    /// Empty the servers first.
    #[arg(long, help_heading = "Workload")]
    pub flush: bool,
    /// Do not set every key before measuring.
    #[arg(long, help_heading = "Workload")]
    pub no_preload: bool,
    /// Seed of keys, commands and arrivals.
    #[arg(long, default_value_t = 1, help_heading = "Workload")]
    pub seed: u64,

    /// Judge every value that comes back: right, stale, corrupt, foreign, or missing.
    #[arg(long, help_heading = "Checks")]
    pub verify: bool,
    /// Record everything, check that the server never lied, and write the history to a file.
    #[arg(long, value_name = "FILE", help_heading = "Checks")]
    #[arg(conflicts_with_all = ["verify", "search", "sweep", "compare"])]
    pub history: Option<PathBuf>,
    /// Exit with 3 when the result is in doubt: errors, lies, or a client that was the bottleneck.
    #[arg(long, help_heading = "Checks")]
    pub strict: bool,

    /// Find the highest rate that holds a condition: p99<1ms.
    #[arg(long, value_name = "CONDITION", help_heading = "Experiments")]
    #[arg(conflicts_with_all = ["sweep", "compare", "rate"])]
    pub search: Option<String>,
    /// Run over values of one option: connections=1,10,100, rate=10k:100k:10k, depth=..,
    /// value-size=.., threads=.., keys=.. or mget=...
    #[arg(long, value_name = "OPTION=VALUES", help_heading = "Experiments")]
    #[arg(conflicts_with = "compare")]
    pub sweep: Option<String>,
    /// Servers to run in turn with the same load: host:port[,pid], two or more.
    #[arg(long, num_args = 2.., value_name = "SERVER", help_heading = "Experiments")]
    pub compare: Vec<String>,
    /// Rounds of a comparison.
    #[arg(long, default_value_t = 5, help_heading = "Experiments")]
    pub rounds: usize,
    /// Hosts that load as well: host:port of every `loadgen agent`, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "HOST:PORT", help_heading = "Experiments")]
    #[arg(conflicts_with_all = ["search", "sweep", "compare"])]
    pub agents: Vec<String>,
    /// Word that agents ask for.
    #[arg(long, env = "LOADGEN_TOKEN", default_value = "", help_heading = "Experiments")]
    #[arg(hide_env_values = true)]
    pub agent_token: String,

    /// Process id of the server on this host [default: found by its port].
    #[arg(long, help_heading = "Report")]
    pub server_pid: Option<u32>,
    /// Write the result as JSON; - is the standard output.
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    pub json: Option<PathBuf>,
    /// Write a row for every interval as CSV.
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    #[arg(conflicts_with_all = ["search", "sweep", "compare"])]
    pub csv: Option<PathBuf>,
    /// Write every interval's histograms as a mergeable HDR log.
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    #[arg(conflicts_with_all = ["search", "sweep", "compare"])]
    pub hdr: Option<PathBuf>,
    /// Draw the result: FILE.svg or FILE.png.
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    pub plot: Option<PathBuf>,
    /// Length of an interval of the time series.
    #[arg(short = 'S', long, alias = "stat_freq", default_value = "1s")]
    #[arg(value_parser = units::duration, help_heading = "Report")]
    pub interval: Duration,
    /// No live line and no table.
    #[arg(short, long, help_heading = "Report")]
    pub quiet: bool,
}

/// Waits for a leader's orders and loads servers with it.
#[derive(Parser, Clone, Debug)]
#[command(name = "loadgen agent", bin_name = "loadgen agent", max_term_width = 100)]
pub struct AgentArgs {
    /// Address to wait at.
    #[arg(long, default_value = "127.0.0.1:11255")]
    pub listen: String,
    /// Word that leaders must know.
    #[arg(long, env = "LOADGEN_TOKEN", default_value = "", hide_env_values = true)]
    pub agent_token: String,
    /// Serve one leader and end.
    #[arg(long)]
    pub once: bool,
}

/// Checks histories that --history wrote.
#[derive(Parser, Clone, Debug)]
#[command(name = "loadgen check", bin_name = "loadgen check", max_term_width = 100)]
pub struct CheckArgs {
    /// History files of one run.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
}
