//! What the program does with its arguments: which task they name, and its exit code.

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::args::{AgentArgs, Args, CheckArgs};
use super::problem::{Problem, USAGE};
use super::{aliases, experiments, single};
use crate::agent;
use crate::bench::{self, Bench};
use crate::check::history::{self, Event, Report};
use crate::engine;
use crate::plan::Plan;
use crate::report::plot;
use crate::report::summary::{Preloaded, Summary};
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
    raise_open_files();
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let done = match arguments.first().map(String::as_str) {
        Some("agent") => serve(&parse(&arguments)),
        Some("check") => check(&parse(&arguments)).map_err(Problem::Failure),
        _ => load(&arguments),
    };
    match done {
        Ok(Verdict::Good) => ExitCode::SUCCESS,
        Ok(Verdict::Lies) => ExitCode::from(2),
        Ok(Verdict::Doubtful) => ExitCode::from(3),
        Err(problem) => {
            eprintln!("loadgen: {}", problem.text());
            problem.code()
        }
    }
}

fn serve(args: &AgentArgs) -> Result<Verdict, Problem> {
    agent::serve(args).map_err(Problem::Failure)?;
    Ok(Verdict::Good)
}

/// Reads a command line, or ends the program with what is wrong with it.
fn parse<T: Parser>(arguments: &[String]) -> T {
    T::try_parse_from(arguments).unwrap_or_else(|error| {
        // A terminal that is gone needs no explanation.
        let _ = error.print();
        std::process::exit(if error.use_stderr() { i32::from(USAGE) } else { 0 })
    })
}

/// Every connection is a file. Refused, the limit stays and the connection too many is told.
fn raise_open_files() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

fn load(arguments: &[String]) -> Result<Verdict, Problem> {
    let mut translated = vec!["loadgen".to_owned()];
    translated.extend(aliases::translate(arguments).map_err(Problem::Usage)?);
    let args: Args = parse(&translated);
    if args.list_workloads {
        PROFILES.iter().for_each(|profile| println!("{:<15}{}", profile.name, profile.about));
        return Ok(Verdict::Good);
    }
    check_reports(&args)?;
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

/// Refuses, before anything runs, reports that are bound to fail after it.
fn check_reports(args: &Args) -> Result<(), Problem> {
    if let Some(path) = &args.plot {
        plot::check_name(path).map_err(Problem::Usage)?;
    }
    let reports = [&args.json, &args.csv, &args.hdr, &args.plot, &args.history];
    for path in reports.into_iter().flatten() {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if folder.is_some_and(|folder| !folder.is_dir()) {
            let problem = format!("cannot write {}: there is no such folder", path.display());
            return Err(Problem::Failure(problem));
        }
    }
    Ok(())
}

/// Flushes and fills the servers as the arguments say.
pub(super) fn fill(
    args: &Args,
    bench: &mut Bench,
    plan: &Arc<Plan>,
) -> Result<Option<Preloaded>, String> {
    if args.flush {
        engine::flush(plan).map_err(|error| error.to_string())?;
    }
    if args.no_preload || args.trace.is_some() {
        return Ok(None);
    }
    let filled = bench.preload(plan).map_err(|error| error.to_string())?;
    if !args.quiet {
        let Preloaded { keys, errors, duration_s, hit_rate } = filled;
        let rate = number(keys as f64 / duration_s.max(1e-9));
        let percent = hit_rate * 100.0;
        eprintln!("preload     {keys} keys at {rate}/s, {errors} errors, hit rate {percent:.1} %");
    }
    Ok(Some(filled))
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
    let report = history::check(&events, initial);
    print!("{}", history_text(&report));
    Ok(history_verdict(&report))
}

/// Violations to print; the others are only counted.
const VIOLATIONS_SHOWN: usize = 20;

/// What the checker of histories found.
pub(super) fn history_text(report: &Report) -> String {
    let Report { events, keys, absences, violations } = report;
    let count = violations.len();
    let found = format!("{events} events on {keys} keys, {absences} found nothing, {count} lies");
    let mut text = format!("history     {found}\n");
    for violation in violations.iter().take(VIOLATIONS_SHOWN) {
        text += &format!("lie         key {}: {}\n", violation.key, violation.what);
    }
    text
}

pub(super) fn history_verdict(report: &Report) -> Verdict {
    if report.violations.is_empty() { Verdict::Good } else { Verdict::Lies }
}

/// Prints a result for people, where it does not get in the way of one for programs.
pub(super) fn tell(args: &Args, text: &str) {
    let to_programs = [&args.json, &args.csv, &args.hdr].map(Option::as_deref);
    if args.quiet {
        return;
    }
    if to_programs.contains(&Some(Path::new("-"))) {
        eprint!("{text}");
    } else {
        print!("{text}");
    }
}
