//! One run, alone or with agents on other hosts, and all its reports.

use std::path::Path;
use std::sync::Arc;

use super::args::Args;
use super::build;
use super::problem::Problem;
use super::run::{Verdict, fill, history_text, history_verdict, judge, processes, tell};
use crate::agent::Team;
use crate::bench::{Bench, Measured};
use crate::check::history::{self, Event};
use crate::engine::{Observer, Outcome, Start};
use crate::measure::series::Row;
use crate::measure::tally::Tally;
use crate::plan::Plan;
use crate::report::files::{self, HdrLog};
use crate::report::live::Live;
use crate::report::summary::Summary;
use crate::report::{plot, table};

/// Runs once and reports.
pub(super) fn run(args: &Args, typed: &[String]) -> Result<Verdict, Problem> {
    let mut plan = build::plan(args)?;
    plan.host = (0, 1 + args.agents.len());
    let plan = Arc::new(plan);
    let mut bench = Bench::default();
    let preload = fill(args, &mut bench, &plan)?;
    let mut watch = Watch {
        live: Live::new(!args.quiet, plan.limit),
        log: args.hdr.as_deref().map(HdrLog::new),
    };
    let measured = measure(args, typed, &mut bench, &plan, &mut watch);
    watch.live.end();
    let Measured { mut summary, outcome, .. } = measured?;
    summary.preload = preload;
    let mut verdict = judge(args, &summary);
    if args.history.is_some() {
        let report = history::check(&outcome.events, plan.version_base);
        tell(args, &history_text(&report));
        verdict = verdict.max(history_verdict(&report));
    }
    tell(args, &table::render(&summary));
    write_files(args, &plan, &summary, &outcome, watch.log.as_ref())?;
    Ok(verdict)
}

/// Writes every report that was asked for, and only then tells of those that could not be.
fn write_files(
    args: &Args,
    plan: &Plan,
    summary: &Summary,
    outcome: &Outcome,
    log: Option<&HdrLog>,
) -> Result<(), String> {
    let latencies = || outcome.tally.latencies();
    let written = [
        args.json.as_ref().map(|path| files::json(path, summary)),
        args.csv.as_ref().map(|path| files::csv(path, &outcome.series)),
        log.map(HdrLog::write),
        args.plot.as_ref().map(|path| plot::run(path, &latencies(), &outcome.series)),
        args.history.as_ref().map(|path| write_history(path, plan.version_base, &outcome.events)),
    ];
    let problems: Vec<_> = written.into_iter().flatten().filter_map(Result::err).collect();
    if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
}

fn measure(
    args: &Args,
    typed: &[String],
    bench: &mut Bench,
    plan: &Arc<Plan>,
    watch: &mut Watch,
) -> Result<Measured, String> {
    let pids = processes(args, plan);
    if args.agents.is_empty() {
        return bench.measure(plan, &pids, watch).map_err(|error| error.to_string());
    }
    let team = Arc::new(Team::call(&args.agents, &args.agent_token, typed)?);
    let starter = team.clone();
    let start = Start::When(Box::new(move || starter.start()));
    let measured = bench.measure_from(plan, &pids, start, watch);
    let mut measured = measured.map_err(|error| match team.problem() {
        Some(problem) => problem,
        None => error.to_string(),
    })?;
    team.gather(&mut measured.outcome)?;
    let whole = Plan { threads: plan.threads * plan.host.1, ..(**plan).clone() };
    let server_cpu = measured.server_cpu;
    measured.summary = Summary::new(&whole, &measured.outcome, server_cpu);
    Ok(measured)
}

fn write_history(path: &Path, initial: u64, events: &[Event]) -> Result<(), String> {
    // The first line names the versions that were there before.
    let mut text = format!("initial {initial}\n");
    for event in events {
        text += &event.line();
        text.push('\n');
    }
    files::write(path, text.as_bytes())
}

/// Sees every interval: the live line and the log.
struct Watch {
    live: Live,
    log: Option<HdrLog>,
}

impl Observer for Watch {
    fn interval(&mut self, row: &Row, tally: &Tally) {
        self.live.interval(row, tally);
        if let Some(log) = &mut self.log {
            log.note(row, tally);
        }
    }
}
