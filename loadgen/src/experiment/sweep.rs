//! Runs over values of one option and lines the results up.

use std::fmt::Write;

use serde::Serialize;

use crate::report::summary::Summary;
use crate::report::table::number;

/// One value and its run.
#[derive(Clone, Debug, Serialize)]
pub struct Point {
    /// The option's value, as typed.
    pub value: String,
    /// What it gave.
    pub summary: Summary,
}

/// An option and the values to give it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Axis {
    /// The option's name without dashes.
    pub option: String,
    /// Its values.
    pub values: Vec<String>,
}

/// More runs than this are a slip of the keyboard.
const VALUES_MAX: usize = 200;

impl Axis {
    /// Reads `connections=1,10,100`, `rate=10k:100k:10k` (low, high, step) or `depth=1:64:x2` (low,
    /// high, factor).
    pub fn parse(text: &str, count: impl Fn(&str) -> Result<f64, String>) -> Result<Self, String> {
        let (option, list) = text.split_once('=').ok_or("--sweep wants OPTION=VALUES")?;
        let mut values = Vec::new();
        for part in list.split(',').filter(|part| !part.is_empty()) {
            match part.split(':').collect::<Vec<_>>()[..] {
                [low, high, step] => values.extend(steps(&count, low, high, step)?),
                _ => values.push(part.to_owned()),
            }
        }
        if values.is_empty() || values.len() > VALUES_MAX {
            return Err(format!("--sweep {text}: it needs between 1 and {VALUES_MAX} values"));
        }
        Ok(Self { option: option.trim_start_matches('-').to_owned(), values })
    }
}

fn steps(
    count: &impl Fn(&str) -> Result<f64, String>,
    low: &str,
    high: &str,
    step: &str,
) -> Result<Vec<String>, String> {
    let (mut at, end) = (count(low)?, count(high)?);
    let factor = step.strip_prefix('x').map(count).transpose()?;
    let stride = if factor.is_some() { 0.0 } else { count(step)? };
    if factor.map_or(stride <= 0.0, |factor| factor <= 1.0 || at <= 0.0) {
        return Err(format!("{step:?} leads nowhere"));
    }
    let mut values = Vec::new();
    while at <= end * (1.0 + 1e-9) && values.len() <= VALUES_MAX {
        values.push(format!("{at}"));
        at = factor.map_or(at + stride, |factor| at * factor);
    }
    Ok(values)
}

/// The points as a table.
pub fn render(option: &str, points: &[Point]) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{option:>12}{:>11}{:>11}{:>10}{:>10}{:>10}{:>8}{:>11}{:>11}",
        "rate/s", "keys/s", "p50 us", "p99 us", "p99.9 us", "errors", "client us", "server us"
    );
    for Point { value, summary } in points {
        let errors: u64 = summary.errors.values().sum();
        let server = summary
            .server_cpu
            .map_or_else(|| "-".into(), |cpu| format!("{:.3}", cpu.us_per_request));
        let _ = writeln!(
            out,
            "{value:>12}{:>11}{:>11}{:>10.1}{:>10.1}{:>10.1}{errors:>8}{:>11.3}{server:>11}{}",
            number(summary.rate_achieved),
            number(summary.keys_per_s),
            summary.response_us.p50,
            summary.response_us.p99,
            summary.response_us.p99_9,
            summary.client.cpu.us_per_request,
            if summary.client.doubts.is_empty() { "" } else { " ?" },
        );
    }
    if points.iter().any(|point| !point.summary.client.doubts.is_empty()) {
        out += "? in doubt: the client, rather than the server, may have set the pace\n";
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::units::count;

    fn values(text: &str) -> Vec<String> {
        Axis::parse(text, count).expect("an axis").values
    }

    #[test]
    fn lists_ranges_and_factors() {
        assert_eq!(values("connections=1,10,100"), ["1", "10", "100"]);
        assert_eq!(values("rate=10k:30k:10k"), ["10000", "20000", "30000"]);
        assert_eq!(values("depth=1:8:x2"), ["1", "2", "4", "8"]);
        assert_eq!(values("value-size=10-20,1k"), ["10-20", "1k"]);
        for text in ["depth", "depth=", "depth=1:8:0", "depth=1:8:x1", "rate=1:1M:1"] {
            assert!(Axis::parse(text, count).is_err(), "{text}");
        }
    }
}
