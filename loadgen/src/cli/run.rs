//! What the program does with its arguments: which task they name, and its exit code.

use std::fs;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;

use super::args::{AgentArgs, Args, CheckArgs};
use super::{aliases, experiments, single};
use crate::agent;
use crate::bench::{self, Bench};
use crate::check::history::{self, Event, Report};
use crate::engine;
use crate::plan::Plan;
use crate::report::summary::Summary;
use crate::report::table::number;
use crate::workload::profile::PROFILES;

/// How a run went, beside its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The result stands.
    Good,
    /// The result is in doubt.
    Doubtful,
    /// The server lied.
    Lies,
}

/// Runs the program; a problem is told on the standard error and makes a failure.
pub fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let done = match arguments.first().map(String::as_str) {
        Some("agent") => agent::serve(&AgentArgs::parse_from(&arguments)).map(|()| Verdict::Good),
        Some("check") => check(&CheckArgs::parse_from(&arguments)),
        _ => load(&arguments),
    };
    match done {
        Ok(Verdict::Good) => ExitCode::SUCCESS,
        Ok(Verdict::Lies) => ExitCode::from(2),
        Ok(Verdict::Doubtful) => ExitCode::from(3),
        Err(problem) => {
            eprintln!("loadgen: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn load(arguments: &[String]) -> Result<Verdict, String> {
    let mut translated = vec!["loadgen".to_owned()];
    translated.extend(aliases::translate(arguments)?);
    let args = Args::parse_from(&translated);
    if args.list_workloads {
        PROFILES.iter().for_each(|profile| println!("{:<15}{}", profile.name, profile.about));
        return Ok(Verdict::Good);
    }
    if !args.compare.is_empty() {
        experiments::compare(&args)
    } else if args.search.is_some() {
        experiments::search(&args)
    } else if args.sweep.is_some() {
        experiments::sweep(&args, &translated)
    } else {
        single::run(&args, &translated)
    }
}

/// Flushes and fills the servers as the arguments say.
pub(super) fn fill(args: &Args, bench: &mut Bench, plan: &Arc<Plan>) -> Result<(), String> {
    if args.flush {
        engine::flush(plan).map_err(|error| error.to_string())?;
    }
    if args.no_preload || args.trace.is_some() {
        return Ok(());
    }
    let loaded = bench.preload(plan).map_err(|error| error.to_string())?;
    if !args.quiet {
        let rate = number(loaded.keys as f64 / loaded.duration.as_secs_f64().max(1e-9));
        let kept = loaded.kept * 100.0;
        let errors = loaded.errors;
        eprintln!(
            "preload     {} keys at {rate}/s, {errors} errors, {kept:.1} % kept",
            loaded.keys
        );
    }
    Ok(())
}

/// The server processes on this host whose CPU time is read.
pub(super) fn processes(args: &Args, plan: &Plan) -> Vec<u32> {
    match args.server_pid {
        Some(pid) => vec![pid],
        None => plan.servers.iter().filter_map(bench::process_of).collect(),
    }
}

/// What a summary is worth.
pub(super) fn judge(args: &Args, summary: &Summary) -> Verdict {
    let errors: u64 = summary.errors.values().sum();
    if summary.verified.is_some_and(|findings| findings.lies() > 0) {
        Verdict::Lies
    } else if args.strict && (errors > 0 || !summary.client.doubts.is_empty()) {
        Verdict::Doubtful
    } else {
        Verdict::Good
    }
}

fn check(args: &CheckArgs) -> Result<Verdict, String> {
    let (mut initial, mut events) = (0, Vec::new());
    for path in &args.files {
        let text =
            fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        for (number, line) in text.lines().enumerate() {
            if let Some(version) = line.strip_prefix("initial ") {
                initial = version.parse().unwrap_or(initial).max(initial);
                continue;
            }
            let event = Event::parse(line);
            let place = || format!("{} line {}: no event", path.display(), number + 1);
            events.push(event.ok_or_else(place)?);
        }
    }
    Ok(tell_history(&history::check(&events, initial)))
}

/// Violations to print; the others are only counted.
const VIOLATIONS_SHOWN: usize = 20;

/// Prints what the checker of histories found.
pub(super) fn tell_history(report: &Report) -> Verdict {
    let Report { events, keys, absences, violations } = report;
    let count = violations.len();
    println!("history     {events} events on {keys} keys, {absences} found nothing, {count} lies");
    for violation in violations.iter().take(VIOLATIONS_SHOWN) {
        println!("lie         key {}: {}", violation.key, violation.what);
    }
    if violations.is_empty() { Verdict::Good } else { Verdict::Lies }
}
