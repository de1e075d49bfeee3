//! `tune check`: the flags, and what is done with them.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use tuning::check::{self, Need, Verdict, apply, report};
use tuning::host::Host;

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The server's -m, in MB.
    #[arg(short = 'm', long, default_value_t = 64)]
    memory_limit: u64,
    /// The server's -c.
    #[arg(short = 'c', long, default_value_t = 1024)]
    conn_limit: u64,
    /// The server's -t; all cores of this host by default.
    #[arg(short = 't', long)]
    threads: Option<usize>,
    /// The server's -b.
    #[arg(short = 'b', long, default_value_t = 1024)]
    listen_backlog: u64,
    /// The server runs with -L.
    #[arg(short = 'L', long)]
    enable_largepages: bool,
    /// The server runs with -k.
    #[arg(short = 'k', long)]
    lock_memory: bool,
    /// Judge, change or take back these facts only.
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    only: Vec<String>,
    /// Make the changes that are settings, telling each, and judge again.
    #[arg(long, conflicts_with = "undo")]
    apply: bool,
    /// Take back what --apply changed.
    #[arg(long)]
    undo: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Read /proc and /sys below this directory.
    #[arg(long, default_value = "/", value_name = "DIR")]
    root: PathBuf,
}

pub(crate) fn run(args: &CheckArgs) -> io::Result<bool> {
    let host = Host::at(&args.root);
    let out = &mut io::stdout().lock();
    refuse_unknown(&args.only)?;
    let wanted = |name: &str| args.only.is_empty() || args.only.iter().any(|only| only == name);
    if args.undo {
        return undo(&host, wanted, out);
    }
    let need = need(args, &host);
    let mut findings: Vec<_> = check::run(&host, &need, wanted).collect();
    let mut failures = 0;
    if args.apply {
        // In JSON mode the output must stay one value, so the telling goes to the side.
        failures = match args.json {
            true => apply::apply(&host, &findings, &mut io::stderr())?,
            false => apply::apply(&host, &findings, out)?,
        };
        findings = check::run(&host, &need, wanted).collect();
    }
    match args.json {
        true => writeln!(out, "{:#}", report::json(&findings))?,
        false => write!(out, "{}", report::text(&findings))?,
    }
    let bad = findings.iter().any(|(_, finding)| finding.verdict == Verdict::Bad);
    Ok(!bad && failures == 0)
}

fn refuse_unknown(only: &[String]) -> io::Result<()> {
    let names: Vec<&str> = check::CHECKS.iter().map(|check| check.name).collect();
    match only.iter().find(|name| !names.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            Err(io::Error::other(format!("no check {name}; there are {}", names.join(", "))))
        }
    }
}

fn need(args: &CheckArgs, host: &Host) -> Need {
    Need {
        memory_mb: args.memory_limit,
        connections: args.conn_limit,
        threads: args.threads.unwrap_or_else(|| host.cpus().len().max(1)),
        backlog: args.listen_backlog,
        large_pages: args.enable_largepages,
        lock_memory: args.lock_memory,
    }
}

fn undo(host: &Host, wanted: impl Fn(&str) -> bool, out: &mut impl Write) -> io::Result<bool> {
    match apply::undo(host, wanted, out) {
        Ok(failures) => Ok(failures == 0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            writeln!(out, "nothing to undo")?;
            Ok(true)
        }
        Err(error) => Err(error),
    }
}
