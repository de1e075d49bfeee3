//! One run, alone or with agents on other hosts, and all its reports.

use std::path::Path;
use std::sync::Arc;

use super::args::Args;
use super::build;
use super::run::{Verdict, fill, judge, processes, tell_history};
use crate::agent::Team;
use crate::bench::{Bench, Measured};
use crate::check::history::{self, Event};
use crate::engine::{Observer, Start};
use crate::measure::series::Row;
use crate::measure::tally::Tally;
use crate::plan::Plan;
use crate::report::files::{self, HdrLog};
use crate::report::live::Live;
use crate::report::summary::Summary;
use crate::report::{plot, table};

/// Runs once and reports.
pub(super) fn run(args: &Args, typed: &[String]) -> Result<Verdict, String> {
    let mut plan = build::plan(args)?;
    plan.host = (0, 1 + args.agents.len());
    let plan = Arc::new(plan);
    let mut bench = Bench::default();
    fill(args, &mut bench, &plan)?;
    let mut watch = Watch {
        live: Live::new(!args.quiet, plan.limit.time),
        log: args.hdr.as_deref().map(HdrLog::new),
    };
    let measured = measure(args, typed, &mut bench, &plan, &mut watch);
    watch.live.end();
    let Measured { summary, outcome, .. } = measured?;
    if !args.quiet {
        print!("{}", table::render(&summary));
    }
    if let Some(path) = &args.json {
        files::json(path, &summary)?;
    }
    if let Some(path) = &args.csv {
        files::csv(path, &outcome.series)?;
    }
    if let Some(log) = &watch.log {
        log.write()?;
    }
    if let Some(path) = &args.plot {
        plot::run(path, &outcome.tally.latencies(), &outcome.series)?;
    }
    let verdict = judge(args, &summary);
    match &args.history {
        None => Ok(verdict),
        Some(path) => Ok(verdict.max(checked(path, plan.version_base, &outcome.events)?)),
    }
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

fn checked(path: &Path, initial: u64, events: &[Event]) -> Result<Verdict, String> {
    // The first line names the versions that were there before.
    let mut text = format!("initial {initial}\n");
    for event in events {
        text += &event.line();
        text.push('\n');
    }
    files::write(path, text.as_bytes())?;
    Ok(tell_history(&history::check(events, initial)))
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
