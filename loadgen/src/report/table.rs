//! The result as a table, for people.

use std::fmt::Write;

use super::summary::{CpuSummary, Percentiles, Summary};
use crate::check::ledger::Findings;

/// The whole table, with a line end behind each row.
pub fn render(summary: &Summary) -> String {
    let mut out = String::new();
    head(&mut out, summary);
    latencies(&mut out, summary);
    tail(&mut out, summary);
    out
}

fn head(out: &mut String, summary: &Summary) {
    let asked = summary.rate_asked.map(|rate| format!(" of {} asked", number(rate)));
    put(out, "requests", &format!("{} in {:.3} s", summary.requests, summary.duration_s));
    put(out, "rate", &format!("{}/s{}", number(summary.rate_achieved), asked.unwrap_or_default()));
    if summary.keys_per_s > summary.rate_achieved * 1.01 {
        put(out, "keys", &format!("{}/s", number(summary.keys_per_s)));
    }
    let looked_up = summary.hits + summary.misses;
    if looked_up > 0 {
        let ratio = 100.0 * summary.hits as f64 / looked_up as f64;
        let line = format!("{} hits, {} misses ({ratio:.2} %)", summary.hits, summary.misses);
        put(out, "reads", &line);
    }
    let errors: Vec<_> = summary.errors.iter().filter(|(_, count)| **count > 0).collect();
    if !errors.is_empty() {
        let errors: Vec<_> = errors.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        put(out, "errors", &errors.join(", "));
    }
}

fn latencies(out: &mut String, summary: &Summary) {
    let _ = writeln!(
        out,
        "\n{:<17} {:>10} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "latency (us)", "count", "p50", "p90", "p99", "p99.9", "p99.99", "max"
    );
    if summary.commands.len() > 1 {
        for (name, command) in &summary.commands {
            row(out, &format!("{name} response"), command.requests, &command.response_us);
        }
    }
    row(out, "response", summary.requests, &summary.response_us);
    row(out, "service", summary.requests, &summary.service_us);
}

fn row(out: &mut String, name: &str, count: u64, at: &Percentiles) {
    let _ = write!(out, "{name:<17} {count:>10}");
    for value in [at.p50, at.p90, at.p99, at.p99_9, at.p99_99, at.max] {
        // A tenth of a microsecond says nothing of a latency of seconds.
        let digits = usize::from(value < 1e5);
        let _ = write!(out, " {value:>8.digits$}");
    }
    out.push('\n');
}

fn tail(out: &mut String, summary: &Summary) {
    out.push('\n');
    let client = &summary.client;
    let busiest = client.busiest_thread * 100.0;
    let waited = client.cpu_waited * 100.0;
    put(out, "client CPU", &cpu(&client.cpu));
    let line = format!("busiest {busiest:.0} % of a CPU, waited {waited:.0} % of the time for one");
    put(out, "workers", &line);
    if summary.rate_asked.is_some() {
        let late = client.sends_late * 100.0;
        let (lag_us, capped) = (client.lag_us_max, client.arrivals_capped);
        let line = format!("{late:.3} % late, worst lag {lag_us:.0} us, {capped} waits at the cap");
        put(out, "sends", &line);
    }
    if let Some(server) = &summary.server_cpu {
        put(out, "server CPU", &format!("{}, {:.2} cores", cpu(server), server.cores));
    }
    if let Some(found) = &summary.verified {
        let Findings { genuine, missing, stale, corrupt, foreign } = found;
        let line = format!(
            "{genuine} right, {missing} missing, {stale} stale, {corrupt} corrupt, \
             {foreign} foreign"
        );
        put(out, "values", &line);
    }
    for doubt in &client.doubts {
        put(out, "doubt", doubt);
    }
    memaslap_line(out, summary);
}

/// The line that scripts around memaslap look for.
fn memaslap_line(out: &mut String, summary: &Summary) {
    let bytes = (summary.bytes_sent + summary.bytes_received) as f64;
    let _ = writeln!(
        out,
        "Run time: {:.1}s Ops: {} TPS: {:.0} Net_rate: {:.1}M/s",
        summary.duration_s,
        summary.requests,
        summary.requests as f64 / summary.duration_s,
        bytes / summary.duration_s / 1_048_576.0,
    );
}

fn cpu(cpu: &CpuSummary) -> String {
    format!(
        "{:.3} us per request ({:.3} user), {:.3} us per key",
        cpu.us_per_request, cpu.user_us_per_request, cpu.us_per_key
    )
}

fn put(out: &mut String, name: &str, value: &str) {
    let _ = writeln!(out, "{name:<12}{value}");
}

/// A rate with three digits or more and a unit.
pub fn number(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{:.3} M", v / 1e6),
        v if v >= 1e4 => format!("{:.1} k", v / 1e3),
        v => format!("{v:.1}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_digits() {
        assert_eq!(number(999.94), "999.9");
        assert_eq!(number(20_000.0), "20.0 k");
        assert_eq!(number(1_234_567.0), "1.235 M");
    }
}
