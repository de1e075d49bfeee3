//! What the program does with its arguments.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use serde::Serialize;

use super::args::{Args, CheckArgs};
use super::{aliases, build};
use crate::bench::{self, Bench, Measured};
use crate::check::history::{self, Event, Report};
use crate::compare::{self, Contender};
use crate::engine::{self, RunError};
use crate::plan::Plan;
use crate::report::live::Live;
use crate::report::summary::Summary;
use crate::report::table::{self, number};
use crate::workload::profile::PROFILES;

/// How a run went, beside its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// The result stands.
    Good,
    /// The server lied.
    Lies,
    /// The result is in doubt.
    Doubtful,
}

/// Runs the program; a problem is told on the standard error and makes a failure.
pub fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let done = match arguments.first().map(String::as_str) {
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
    let args = Args::parse_from(translated);
    if args.list_workloads {
        let line = |profile: &crate::workload::profile::Profile| {
            println!("{:<15}{}", profile.name, profile.about);
        };
        PROFILES.iter().for_each(line);
        return Ok(Verdict::Good);
    }
    if args.compare.is_empty() { single(&args) } else { versus(&args) }
}

fn single(args: &Args) -> Result<Verdict, String> {
    let plan = Arc::new(build::plan(args)?);
    let mut bench = Bench::default();
    fill(args, &mut bench, &plan)?;
    let pids = match args.server_pid {
        Some(pid) => vec![pid],
        None => plan.servers.iter().filter_map(bench::process_of).collect(),
    };
    let mut live = Live::new(!args.quiet, plan.limit.time);
    let measured = bench.measure(&plan, &pids, &mut live);
    live.end();
    let Measured { summary, outcome } = measured.map_err(told)?;
    if !args.quiet {
        print!("{}", table::render(&summary));
    }
    write_json(args.json.as_deref(), &summary)?;
    let mut verdict = judge(args, &summary);
    if let Some(path) = &args.history {
        write_history(path, plan.version_base, &outcome.events)?;
        let report = history::check(&outcome.events, plan.version_base);
        verdict = told_history(&report).max(verdict);
    }
    Ok(verdict)
}

impl Verdict {
    fn max(self, other: Self) -> Self {
        if self == Self::Good { other } else { self }
    }
}

fn judge(args: &Args, summary: &Summary) -> Verdict {
    let errors: u64 = summary.errors.values().sum();
    if summary.verified.is_some_and(|findings| findings.lies() > 0) {
        Verdict::Lies
    } else if args.strict && (errors > 0 || !summary.client.doubts.is_empty()) {
        Verdict::Doubtful
    } else {
        Verdict::Good
    }
}

/// A run's error in words.
fn told(error: RunError) -> String {
    error.to_string()
}

fn fill(args: &Args, bench: &mut Bench, plan: &Arc<Plan>) -> Result<(), String> {
    if args.flush {
        engine::flush(plan).map_err(told)?;
    }
    if args.no_preload {
        return Ok(());
    }
    let loaded = bench.preload(plan).map_err(told)?;
    if !args.quiet {
        let rate = number(loaded.keys as f64 / loaded.duration.as_secs_f64().max(1e-9));
        let kept = loaded.kept * 100.0;
        let errors = loaded.errors;
        println!("preload     {} keys at {rate}/s, {errors} errors, {kept:.1} % kept", loaded.keys);
    }
    Ok(())
}

fn versus(args: &Args) -> Result<Verdict, String> {
    let mut contenders = Vec::new();
    for text in &args.compare {
        let (server, pid) = text.split_once(',').unwrap_or((text, ""));
        let server = build::servers(server)?.remove(0);
        let pid = if pid.is_empty() {
            bench::process_of(&server)
        } else {
            Some(pid.parse().map_err(|_| format!("{pid:?} is no process id"))?)
        };
        contenders.push(Contender { server, pid });
    }
    let plan = build::plan(args)?;
    let progress = |round: usize, contender: &Contender, summary: &Summary| {
        if !args.quiet {
            let cpu = summary.server_cpu.map_or(f64::NAN, |cpu| cpu.us_per_key);
            let rate = number(summary.keys_per_s);
            let p99 = summary.response_us.p99;
            let server = &contender.server.target;
            eprintln!("round {round}  {server}  {rate}/s  {cpu:.3} us CPU a key  p99 {p99:.0} us");
        }
    };
    let mut bench = Bench::default();
    let fill = !args.no_preload;
    let standings = compare::compare(&mut bench, &plan, &contenders, args.rounds, fill, progress)
        .map_err(told)?;
    if !args.quiet {
        print!("{}", compare::render(&standings));
    }
    write_json(args.json.as_deref(), &standings)?;
    let errors = standings.iter().any(|standing| standing.errors > 0);
    Ok(if args.strict && errors { Verdict::Doubtful } else { Verdict::Good })
}

fn write_json(path: Option<&Path>, value: &impl Serialize) -> Result<(), String> {
    let Some(path) = path else { return Ok(()) };
    let mut text = serde_json::to_string_pretty(value).map_err(|error| error.to_string())?;
    text.push('\n');
    if path == Path::new("-") {
        return std::io::stdout().write_all(text.as_bytes()).map_err(|error| error.to_string());
    }
    fs::write(path, text).map_err(|error| cannot_write(path, &error))
}

fn cannot_write(path: &Path, error: &std::io::Error) -> String {
    format!("cannot write {}: {error}", path.display())
}

/// The first line of a history file names the versions that were there before.
fn write_history(path: &Path, initial: u64, events: &[Event]) -> Result<(), String> {
    let write = || {
        let mut file = BufWriter::new(fs::File::create(path)?);
        writeln!(file, "initial {initial}")?;
        events.iter().try_for_each(|event| writeln!(file, "{}", event.line()))?;
        file.flush()
    };
    write().map_err(|error| cannot_write(path, &error))
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
    Ok(told_history(&history::check(&events, initial)))
}

/// Violations to print; the others are only counted.
const VIOLATIONS_SHOWN: usize = 20;

fn told_history(report: &Report) -> Verdict {
    let Report { events, keys, absences, violations } = report;
    let count = violations.len();
    println!("history     {events} events on {keys} keys, {absences} found nothing, {count} lies");
    for violation in violations.iter().take(VIOLATIONS_SHOWN) {
        println!("lie         key {}: {}", violation.key, violation.what);
    }
    if violations.is_empty() { Verdict::Good } else { Verdict::Lies }
}
