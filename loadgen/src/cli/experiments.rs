//! Experiments from the command line: compare, search, sweep.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;

use super::args::Args;
use super::problem::Problem;
use super::run::{Verdict, fill, judge, processes, tell};
use super::{build, units};
use crate::bench::{self, Bench, Measured};
use crate::engine::Silent;
use crate::experiment::compare::{self, Contender};
use crate::experiment::search::{self, Condition, Found, Probe};
use crate::experiment::sweep::{self, Axis, Point};
use crate::plan::Plan;
use crate::report::summary::Summary;
use crate::report::table::number;
use crate::report::{files, plot};

/// A probe of a search is this long unless a time is given.
const PROBE_TIME: Duration = Duration::from_secs(3);

/// `--compare`.
pub(super) fn compare(args: &Args) -> Result<Verdict, Problem> {
    if args.plot.is_some() {
        let problem = "--plot draws runs, sweeps and searches, not comparisons";
        return Err(Problem::Usage(problem.into()));
    }
    let plan = build::plan(args)?;
    let contenders = args.compare.iter().map(|text| contender(&plan, text));
    let contenders = contenders.collect::<Result<Vec<_>, _>>()?;
    let mut bench = Bench::default();
    for contender in &contenders {
        fill(args, &mut bench, &contender.plan)?;
    }
    let progress = |round: usize, contender: &Contender, summary: &Summary| {
        if !args.quiet {
            let cpu = summary.server_cpu.map_or(f64::NAN, |cpu| cpu.us_per_key);
            let rate = number(summary.keys_per_s);
            let p99 = summary.response_us.p99;
            let server = contender.server();
            let round = round + 1;
            eprintln!("round {round}  {server}  {rate}/s  {cpu:.3} us CPU a key  p99 {p99:.0} us");
        }
    };
    let standings = compare::compare(&mut bench, &contenders, args.rounds, progress);
    let standings = standings.map_err(|error| error.to_string())?;
    tell(args, &compare::render(&standings));
    write(args.json.as_deref(), &standings)?;
    let runs = standings.iter().flat_map(|standing| &standing.runs);
    Ok(runs.map(|run| judge(args, run)).max().unwrap_or(Verdict::Good))
}

/// `host:port` and perhaps `,pid`.
fn contender(plan: &Plan, text: &str) -> Result<Contender, Problem> {
    let (server, pid) = text.split_once(',').unwrap_or((text, ""));
    let server = build::servers(server)?.remove(0);
    let pid = if pid.is_empty() {
        bench::process_of(&server)
    } else {
        let problem = |_| Problem::Usage(format!("--compare: {pid:?} is no process id"));
        Some(pid.parse().map_err(problem)?)
    };
    Ok(Contender { plan: Arc::new(plan.with_server(server)), pid })
}

/// `--search`.
pub(super) fn search(args: &Args) -> Result<Verdict, Problem> {
    let text = args.search.as_deref().unwrap_or_default();
    let condition = Condition::parse(text, units::duration);
    let condition = condition.map_err(|problem| Problem::Usage(format!("--search: {problem}")))?;
    let mut plan = build::plan(args)?;
    if args.time.is_none() {
        plan.limit.time = Some(PROBE_TIME);
    }
    let mut bench = Bench::default();
    fill(args, &mut bench, &Arc::new(plan.clone()))?;
    let progress = |probe: &Probe| {
        if !args.quiet {
            let verdict = if probe.holds { "holds" } else { "fails" };
            let (asked, achieved) = (number(probe.rate_asked), number(probe.rate_achieved));
            let value = probe.value_us;
            eprintln!("{verdict}  {asked}/s asked  {achieved}/s achieved  {value:.0} us");
        }
    };
    let pids = processes(args, &plan);
    let found = search::search(&mut bench, &plan, &pids, condition, progress);
    let found = found.map_err(|error| error.to_string())?;
    tell(args, &found_text(text, &found));
    write(args.json.as_deref(), &found)?;
    if let Some(path) = &args.plot {
        plot::probes(path, text, condition.limit, &found.probes)?;
    }
    let none = found.rate.is_none() && args.strict;
    Ok(if none { Verdict::Doubtful } else { Verdict::Good })
}

fn found_text(condition: &str, found: &Found) -> String {
    let verdict = match found.rate {
        Some(rate) => format!("{condition} holds up to {}/s", number(rate)),
        None => format!("{condition} holds at no rate that was tried"),
    };
    format!("{verdict}\na closed loop delivers {}/s\n", number(found.rate_closed))
}

/// `--sweep`: the command line is read again for every value, so that any option can be swept.
pub(super) fn sweep(args: &Args, typed: &[String]) -> Result<Verdict, Problem> {
    let axis = Axis::parse(args.sweep.as_deref().unwrap_or_default(), units::count);
    let axis = axis.map_err(Problem::Usage)?;
    let mut bench = Bench::default();
    let mut points: Vec<Point> = Vec::new();
    for value in &axis.values {
        let (point, plan) = swept(typed, &axis.option, value)?;
        let refill = points.is_empty() || REFILLING.contains(&axis.option.as_str());
        if refill {
            fill(&point, &mut bench, &plan)?;
        }
        let pids = processes(&point, &plan);
        let measured =
            bench.measure(&plan, &pids, &mut Silent).map_err(|error| error.to_string())?;
        let Measured { summary, .. } = measured;
        if !args.quiet {
            let (rate, p99) = (number(summary.rate_achieved), summary.response_us.p99);
            eprintln!("{} {value}  {rate}/s  p99 {p99:.0} us", axis.option);
        }
        points.push(Point { value: value.clone(), summary });
    }
    tell(args, &sweep::render(&axis.option, &points));
    write(args.json.as_deref(), &points)?;
    if let Some(path) = &args.plot {
        plot::points(path, &axis.option, &points.iter().map(drawn).collect::<Vec<_>>())?;
    }
    let verdicts = points.iter().map(|point| judge(args, &point.summary));
    Ok(verdicts.max().unwrap_or(Verdict::Good))
}

/// Options after whose change the servers hold the wrong items.
const REFILLING: [&str; 5] = ["keys", "key-size", "key-prefix", "value-size", "servers"];

fn swept(typed: &[String], option: &str, value: &str) -> Result<(Args, Arc<Plan>), Problem> {
    let mut typed = typed.to_vec();
    typed.push(format!("--{option}={value}"));
    let args = Args::try_parse_from(typed).map_err(|error| {
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default();
        let cause = first.strip_prefix("error: ").unwrap_or(first);
        Problem::Usage(format!("--sweep {option}={value}: {cause}"))
    })?;
    let plan = build::plan(&args)?;
    Ok((args, Arc::new(plan)))
}

fn drawn(point: &Point) -> plot::Point {
    let at = &point.summary.response_us;
    plot::Point {
        label: point.value.clone(),
        rate: point.summary.rate_achieved,
        latencies_us: vec![("p50", at.p50), ("p99", at.p99), ("p99.9", at.p99_9)],
    }
}

fn write(path: Option<&Path>, value: &impl serde::Serialize) -> Result<(), String> {
    path.map_or(Ok(()), |path| files::json(path, value))
}
