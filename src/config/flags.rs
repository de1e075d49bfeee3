//! The command line as typed.
//!
//! Every flag of memcached 1.6.45 is a field here, short and long, joined or apart; clap reads
//! them, and this file turns clap's page-long errors into one line that names the flag, the value
//! and what is allowed. Each value is judged alone; what must hold between two of them is
//! `Config::new`'s matter. Flags may repeat and the last one counts, except `-l` and `-o`, which
//! add up, as with getopt.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, CommandFactory, FromArgMatches, Parser};

use super::exit::Failure;
use super::settings::Binding;
use super::values::{self, Port};
use super::{limits, suboptions};

/// What `version` and `-V` call the memcached whose behaviour this is.
pub const MEMCACHED_VERSION: &str = "1.6.45";

/// The command line, value by value.
#[derive(Parser, Clone, Debug)]
#[command(
    name = "ringcached",
    about = "A cache server that speaks memcached, one pinned core on one io_uring each",
    version = concat!(env!("CARGO_PKG_VERSION"), " (memcached 1.6.45)"),
    disable_help_flag = true,
    disable_version_flag = true,
    infer_long_args = true,
    args_override_self = true,
    max_term_width = 100
)]
pub struct Flags {
    /// TCP port; 0 is off, -1 any free one (11211)
    #[arg(short = 'p', long, value_name = "PORT", help_heading = NETWORK)]
    #[arg(value_parser = values::port)]
    pub port: Option<Port>,

    /// UDP port; 0 is off, -1 any free one (0)
    #[arg(short = 'U', long, value_name = "PORT", help_heading = NETWORK)]
    #[arg(value_parser = values::port)]
    pub udp_port: Option<Port>,

    /// Addresses to listen on, :PORT may follow; * for all (127.0.0.1,::1)
    #[arg(short = 'l', long, value_name = "ADDR", help_heading = NETWORK)]
    #[arg(value_parser = values::text)]
    pub listen: Vec<String>,

    /// Unix socket to listen on instead of the network
    #[arg(short = 's', long, value_name = "FILE", help_heading = NETWORK)]
    #[arg(value_parser = PathBufValueParser::new().map(values::path))]
    pub unix_socket: Option<PathBuf>,

    /// Access mask of the Unix socket, in octal (700)
    #[arg(short = 'a', long, value_name = "MASK", help_heading = NETWORK)]
    #[arg(value_parser = values::octal)]
    pub unix_mask: Option<u32>,

    /// Most connections at a time (1024)
    #[arg(short = 'c', long, value_name = "N", help_heading = NETWORK)]
    #[arg(value_parser = |s: &str| values::number(s, 1, limits::CONNECTIONS_MAX))]
    pub conn_limit: Option<usize>,

    /// Length of the queue of connections not accepted yet (1024)
    #[arg(short = 'b', long, value_name = "N", help_heading = NETWORK)]
    #[arg(value_parser = |s: &str| values::number(s, 1, limits::BACKLOG_MAX))]
    pub listen_backlog: Option<u32>,

    /// Protocol: auto, ascii or binary (auto)
    #[arg(short = 'B', long, value_name = "NAME", help_heading = NETWORK)]
    #[arg(value_parser = values::binding)]
    pub protocol: Option<Binding>,

    /// TLS; needs -o ssl_chain_cert and ssl_key
    #[arg(short = 'Z', long, help_heading = NETWORK)]
    pub enable_ssl: bool,

    /// Memory for items and their index, in MB (64)
    #[arg(short = 'm', long, value_name = "MB", help_heading = MEMORY)]
    #[arg(value_parser = |s: &str| values::number(s, 1, limits::MEMORY_MB_MOST))]
    pub memory_limit: Option<u64>,

    /// Answer with an error when memory is full; never evict
    #[arg(short = 'M', long, help_heading = MEMORY)]
    pub disable_evictions: bool,

    /// Largest item, in bytes or with k, m or g (1m)
    #[arg(short = 'I', long, value_name = "SIZE", help_heading = MEMORY)]
    #[arg(value_parser = item_size)]
    pub max_item_size: Option<usize>,

    /// Bytes of key, value and flags in the smallest class (48)
    #[arg(short = 'n', long, value_name = "BYTES", help_heading = MEMORY)]
    #[arg(value_parser = |s: &str| values::number(s, 1, limits::CHUNK_BYTES_MIN_MOST))]
    pub slab_min_size: Option<usize>,

    /// How much larger each slab class is than the one before (1.25)
    #[arg(short = 'f', long, value_name = "FACTOR", help_heading = MEMORY)]
    #[arg(value_parser = |s: &str| values::ratio(s, 1.0, limits::GROWTH_FACTOR_MOST))]
    pub slab_growth_factor: Option<f64>,

    /// Huge pages: reserved, else transparent, else plain ones
    #[arg(short = 'L', long, help_heading = MEMORY)]
    pub enable_largepages: bool,

    /// Lock all memory, so that it is never swapped out
    #[arg(short = 'k', long, help_heading = MEMORY)]
    pub lock_memory: bool,

    /// Keep no CAS ids: 8 bytes less an item
    #[arg(short = 'C', long, help_heading = MEMORY)]
    pub disable_cas: bool,

    /// File to keep the cache in over a restart
    #[arg(short = 'e', long, value_name = "FILE", help_heading = MEMORY)]
    #[arg(value_parser = PathBufValueParser::new().map(values::path))]
    pub memory_file: Option<PathBuf>,

    /// Cores: a pinned thread, ring and shard each (CPUs allowed)
    #[arg(short = 't', long, value_name = "N", help_heading = CORES)]
    #[arg(value_parser = |s: &str| values::number(s, 1, limits::THREADS_MAX))]
    pub threads: Option<usize>,

    /// Accepted without effect: each turn serves every connection (20)
    #[arg(short = 'R', long, value_name = "N", help_heading = CORES)]
    #[arg(value_parser = |s: &str| values::number(s, 1, limits::REQUESTS_PER_EVENT_MAX))]
    pub max_reqs_per_event: Option<u32>,

    /// Number of NAPI ids that connections are spread by
    #[arg(short = 'N', long, value_name = "N", help_heading = CORES, alias = "napi_ids")]
    #[arg(value_parser = |s: &str| values::number(s, 0, limits::THREADS_MAX as u32))]
    pub napi_ids: Option<u32>,

    /// Allow the shutdown command
    #[arg(short = 'A', long, help_heading = ACCESS)]
    pub enable_shutdown: bool,

    /// Refuse flush_all
    #[arg(short = 'F', long, help_heading = ACCESS)]
    pub disable_flush_all: bool,

    /// Refuse cachedump, metadump and stats detail
    #[arg(short = 'X', long, help_heading = ACCESS)]
    pub disable_dumping: bool,

    /// Refuse watch
    #[arg(short = 'W', long, help_heading = ACCESS)]
    pub disable_watch: bool,

    /// SASL authentication
    #[arg(short = 'S', long, help_heading = ACCESS)]
    pub enable_sasl: bool,

    /// File of user:password lines to authenticate the text protocol by
    #[arg(short = 'Y', long, value_name = "FILE", help_heading = ACCESS)]
    #[arg(value_parser = PathBufValueParser::new().map(values::path))]
    pub auth_file: Option<PathBuf>,

    /// Run in the background
    #[arg(short = 'd', long, help_heading = PROCESS)]
    pub daemon: bool,

    /// User to become when started by root
    #[arg(short = 'u', long, value_name = "NAME", help_heading = PROCESS)]
    #[arg(value_parser = values::text)]
    pub user: Option<String>,

    /// File to hold the process id while the server runs
    #[arg(short = 'P', long, value_name = "FILE", help_heading = PROCESS)]
    #[arg(value_parser = PathBufValueParser::new().map(values::path))]
    pub pidfile: Option<PathBuf>,

    /// Raise the limit of core files as far as it goes
    #[arg(short = 'r', long, help_heading = PROCESS)]
    pub enable_coredumps: bool,

    /// Say more: -v errors and notes, -vv set-up, -vvv everything
    #[arg(short = 'v', long, action = ArgAction::Count, help_heading = PROCESS)]
    pub verbose: u8,

    /// Delimiter of key prefixes; counts stats detail from the start
    #[arg(short = 'D', value_name = "CHAR", help_heading = PROCESS)]
    #[arg(value_parser = values::delimiter)]
    pub delimiter: Option<u8>,

    /// Extended options, a list or repeated; see below
    #[arg(short = 'o', long, value_name = "LIST", help_heading = PROCESS)]
    #[arg(value_parser = values::text)]
    pub extended: Vec<String>,

    /// Check whether the server can run here, print what matters to it, and exit
    #[arg(long, help_heading = INFORMATION)]
    pub check: bool,

    /// Print this help
    #[arg(short = 'h', long, action = ArgAction::HelpShort, help_heading = INFORMATION)]
    help: Option<bool>,

    /// Print the licence
    #[arg(short = 'i', long, help_heading = INFORMATION)]
    pub license: bool,

    /// Print the version
    #[arg(short = 'V', long, action = ArgAction::Version, help_heading = INFORMATION)]
    version: Option<bool>,
}

const NETWORK: &str = "Network";
const MEMORY: &str = "Memory";
const CORES: &str = "Cores";
const ACCESS: &str = "What clients may do";
const PROCESS: &str = "Process";
const INFORMATION: &str = "Information";

/// What a command line asks for.
#[derive(Debug)]
pub enum Asked {
    /// The server, or its `--check` or `-i`.
    Run(Box<Flags>),
    /// Help or version: this text on stdout, and a good end.
    Print(String),
}

impl Flags {
    /// Reads a command line, the program's name first.
    ///
    /// # Errors
    /// A [`Failure`] of one line with exit code 64 for an unknown flag or a value out of bounds.
    pub fn parse<I, S>(arguments: I) -> Result<Asked, Failure>
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString> + Clone,
    {
        let command = grammar().after_help(after_help());
        let matches = command.try_get_matches_from(arguments);
        match matches.and_then(|mut matches| Self::from_arg_matches_mut(&mut matches)) {
            Ok(flags) => Ok(Asked::Run(Box::new(flags))),
            Err(error) => answer(&error),
        }
    }
}

/// The flags as getopt reads them: the word after one that takes a value is its value, whatever it
/// begins with.
fn grammar() -> clap::Command {
    Flags::command().mut_args(|flag| {
        let takes_value = flag.get_action().takes_values();
        flag.allow_hyphen_values(takes_value)
    })
}

/// What may stand before an address of `-l`.
const PREFIXES: &str = "\
Before an address of -l, in this order:
  notls: btls: mtls:       in the clear, by TLS, by TLS with a certificate of the client
  proto[NAME]:             ascii, binary or negotiating
  tag[NAME]: tag_NAME_:    no effect: for the Lua proxy
";

/// What follows the flags: the suboptions, and the prefixes of addresses.
fn after_help() -> String {
    format!("{}\n{PREFIXES}", suboptions::help())
}

fn item_size(text: &str) -> Result<usize, String> {
    values::size(text, limits::ITEM_BYTES_MAX_LEAST, limits::ITEM_BYTES_MAX_MOST)
}

/// Help and version reach us as errors of clap; true errors become one line.
fn answer(error: &clap::Error) -> Result<Asked, Failure> {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            Ok(Asked::Print(error.render().to_string()))
        }
        _ => Err(Failure::usage(one_line(error))),
    }
}

fn one_line(error: &clap::Error) -> String {
    let argument = context(error, ContextKind::InvalidArg).unwrap_or_default();
    let flag = argument.split(' ').next().unwrap_or_default();
    let value = context(error, ContextKind::InvalidValue).unwrap_or_default();
    match error.kind() {
        ErrorKind::ValueValidation => {
            format!("{} \"{value}\": {}", both_names(flag), allowed(error))
        }
        ErrorKind::InvalidValue if value.is_empty() => {
            format!("{} needs a value: {}", both_names(flag), allowed_for(flag))
        }
        ErrorKind::TooManyValues => format!("{} takes no value", both_names(flag)),
        ErrorKind::UnknownArgument if flag.starts_with('-') => {
            format!("unknown flag {flag}; --help lists all there are")
        }
        ErrorKind::UnknownArgument => {
            format!("unexpected argument \"{argument}\"; --help lists all flags")
        }
        _ => first_line(&error.render().to_string()),
    }
}

/// A flag by its short and its long name, whichever was typed.
fn both_names(flag: &str) -> String {
    let command = Flags::command();
    let long = flag.trim_start_matches('-');
    let found = command.get_arguments().find(|known| known.get_long() == Some(long));
    match found.and_then(clap::Arg::get_short) {
        Some(short) => format!("-{short} ({flag})"),
        None => flag.to_owned(),
    }
}

/// What a value that was refused had to be.
fn allowed(error: &clap::Error) -> String {
    std::error::Error::source(error).map(ToString::to_string).unwrap_or_default()
}

/// What the value of a flag has to be: what its parser says of an empty one.
fn allowed_for(flag: &str) -> String {
    match grammar().try_get_matches_from(["ringcached", &format!("{flag}=")]) {
        Err(error) if error.kind() == ErrorKind::ValueValidation => allowed(&error),
        _ => "it must not be empty".to_owned(),
    }
}

fn context(error: &clap::Error, kind: ContextKind) -> Option<String> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    }
}

fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(arguments: &[&str]) -> Flags {
        match Flags::parse([&["ringcached"], arguments].concat()) {
            Ok(Asked::Run(flags)) => *flags,
            other => panic!("{arguments:?} gave {other:?}"),
        }
    }

    fn refusal(arguments: &[&str]) -> String {
        match Flags::parse([&["ringcached"], arguments].concat()) {
            Err(failure) => {
                assert_eq!(failure.code, super::super::exit::USAGE);
                assert!(!failure.message.contains('\n'), "one line: {}", failure.message);
                failure.message
            }
            other => panic!("{arguments:?} gave {other:?}"),
        }
    }

    #[test]
    fn short_long_joined_and_apart_are_one() {
        for spelling in [
            &["-m", "1024"][..],
            &["-m1024"],
            &["-m 1024"],
            &["-m", " 1024"],
            &["--memory-limit=1024"],
            &["--memory-limit", "1024"],
            &["--memory-l=1024"],
            &["-m64", "-m1024"],
        ] {
            assert_eq!(flags(spelling).memory_limit, Some(1024), "{spelling:?}");
        }
    }

    #[test]
    fn verbosity_counts() {
        assert_eq!(flags(&[]).verbose, 0);
        assert_eq!(flags(&["-v"]).verbose, 1);
        assert_eq!(flags(&["-vv"]).verbose, 2);
        assert_eq!(flags(&["-vvv"]).verbose, 3);
        assert_eq!(flags(&["-v", "--verbose", "-dv"]).verbose, 3);
    }

    #[test]
    fn switches_join_and_the_last_may_take_a_value() {
        let flags = flags(&["-dMCvrm32"]);
        assert!(flags.daemon && flags.disable_evictions && flags.disable_cas);
        assert!(flags.enable_coredumps);
        assert_eq!((flags.verbose, flags.memory_limit), (1, Some(32)));
    }

    #[test]
    fn lists_add_up_and_the_rest_is_overridden() {
        let flags =
            flags(&["-l", "a", "-l", "b,c", "-o", "modern", "-o", "track_sizes", "-p", "1"]);
        assert_eq!(flags.listen, ["a", "b,c"]);
        assert_eq!(flags.extended, ["modern", "track_sizes"]);
        assert_eq!(flags.port, Some(Port::Fixed(1)));
    }

    #[test]
    fn negative_ports_are_values() {
        assert_eq!(flags(&["-p", "-1"]).port, Some(Port::Any));
        assert_eq!(flags(&["-p-1", "-U", "0"]).port, Some(Port::Any));
        assert_eq!(flags(&["--port=-1"]).port, Some(Port::Any));
    }

    #[test]
    fn refusals_name_flag_value_and_what_is_allowed() {
        assert_eq!(refusal(&["-q"]), "unknown flag -q; --help lists all there are");
        assert_eq!(refusal(&["--bogus"]), "unknown flag --bogus; --help lists all there are");
        assert_eq!(
            refusal(&["-p", "99999"]),
            "-p (--port) \"99999\": allowed is 1 to 65535, 0 for off, -1 for any free port"
        );
        assert_eq!(
            refusal(&["-I", "1"]),
            "-I (--max-item-size) \"1\": allowed is 1 KB to 1 GB, in bytes or with k, m or g"
        );
        for (arguments, part) in [
            (&["-m", "x"][..], "-m (--memory-limit) \"x\": allowed is a whole number from 1 to"),
            (&["-m", "-5"], "-m (--memory-limit) \"-5\": allowed is"),
            (&["-m"], "-m (--memory-limit) needs a value: allowed is a whole number from 1 to"),
            (&["--port"], "-p (--port) needs a value: allowed is 1 to 65535"),
            (&["-u"], "-u (--user) needs a value: it must not be empty"),
            (&["-s", ""], "-s (--unix-socket) needs a value: it must not be empty"),
            (&["-D", "ab"], "-D \"ab\": allowed is one printable character"),
            (&["-D"], "-D needs a value: allowed is one printable character"),
            (&["-t0"], "-t (--threads) \"0\""),
            (&["-f", "1"], "-f (--slab-growth-factor) \"1\""),
            (&["--daemon=1"], "-d (--daemon) takes no value"),
            (&["stray"], "unexpected argument \"stray\""),
        ] {
            let text = refusal(arguments);
            assert!(text.contains(part), "{arguments:?}: {text}");
        }
    }

    #[test]
    fn every_flag_of_memcached_is_known() {
        let command = Flags::command();
        let shorts: String = command.get_arguments().filter_map(clap::Arg::get_short).collect();
        for flag in "aAZpsUmMckhiVrvdlPufntDLRCbBISFXWYeoN".chars() {
            assert!(shorts.contains(flag), "-{flag} is missing");
        }
    }

    #[test]
    fn version_names_both() {
        let Ok(Asked::Print(text)) = Flags::parse(["ringcached", "-V"]) else { panic!() };
        let expected = format!("ringcached 0.1.0 (memcached {MEMCACHED_VERSION})\n");
        assert_eq!(text, expected);
    }

    #[test]
    fn help_shows_groups_and_suboptions() {
        for spelling in ["-h", "--help"] {
            let Ok(Asked::Print(text)) = Flags::parse(["ringcached", spelling]) else { panic!() };
            for part in ["Network:", "--memory-limit", "idle_timeout", "maxconns_fast"] {
                assert!(text.contains(part), "{part} is missing:\n{text}");
            }
            assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        }
    }
}
