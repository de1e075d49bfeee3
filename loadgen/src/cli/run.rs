//! What the program does with its arguments.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;

use super::args::Args;
use super::build;
use crate::compare::{self, Contender};
use crate::engine::{self, Phase, Silent};
use crate::measure::cpu::CpuTime;
use crate::plan::Plan;
use crate::report::live::Live;
use crate::report::summary::Summary;
use crate::report::table::{self, number};

/// Runs the program; a problem is told on the standard error and makes a failure.
pub fn main(args: &Args) -> ExitCode {
    let done = if args.compare.is_empty() { single(args) } else { versus(args) };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("loadgen: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn single(args: &Args) -> Result<(), String> {
    let plan = build::plan(args)?;
    if !args.no_preload {
        preload(args, &plan)?;
    }
    let pid = args.server_pid.or_else(|| compare::process_of(&plan.servers[0]));
    let cpu = || pid.and_then(|pid| CpuTime::of_process(pid).ok());
    let before = cpu();
    let mut live = Live::new(!args.quiet, plan.interval, plan.limit.time);
    let outcome = engine::run(&plan, Phase::Measure, &mut live);
    live.end();
    let outcome = outcome.map_err(|error| error.to_string())?;
    let server = cpu().zip(before).map(|(after, before)| after.since(before));
    let summary = Summary::new(&plan, &outcome, server);
    if !args.quiet {
        print!("{}", table::render(&summary));
    }
    write_json(args.json.as_deref(), &summary)
}

fn preload(args: &Args, plan: &Plan) -> Result<(), String> {
    let outcome = engine::run(plan, Phase::Preload, &mut Silent);
    let outcome = outcome.map_err(|error| error.to_string())?;
    let (errors, keys) = (outcome.tally.errors_total(), outcome.tally.keys());
    if !args.quiet {
        let rate = keys as f64 / outcome.duration.as_secs_f64().max(1e-9);
        println!("preload     {keys} keys at {}/s, {errors} errors", number(rate));
    }
    Ok(())
}

fn versus(args: &Args) -> Result<(), String> {
    let mut contenders = Vec::new();
    for text in &args.compare {
        let (server, pid) = text.split_once(',').unwrap_or((text, ""));
        let server = build::servers(server)?.pop().ok_or("--compare has an empty server")?;
        let pid = if pid.is_empty() {
            compare::process_of(&server)
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
    let standings = compare::compare(&plan, &contenders, args.rounds, !args.no_preload, progress)
        .map_err(|error| error.to_string())?;
    if !args.quiet {
        print!("{}", compare::render(&standings));
    }
    write_json(args.json.as_deref(), &standings)
}

fn write_json(path: Option<&Path>, value: &impl Serialize) -> Result<(), String> {
    let Some(path) = path else { return Ok(()) };
    let mut text = serde_json::to_string_pretty(value).map_err(|error| error.to_string())?;
    text.push('\n');
    if path == Path::new("-") {
        return std::io::stdout().write_all(text.as_bytes()).map_err(|error| error.to_string());
    }
    fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}
