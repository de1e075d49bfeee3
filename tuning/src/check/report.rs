//! The table a person reads, and the same as JSON for programs.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{Check, Finding, Verdict};

/// Commands shown for one finding; a host with many cores has one for each of them.
const COMMANDS_SHOWN_MAX: usize = 3;

impl Verdict {
    /// The word in the report's second column.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unknown => "-",
            Self::Good => "good",
            Self::Fair => "fair",
            Self::Bad => "BAD",
        }
    }
}

/// One line for each finding; below those that are not good, why it matters and what mends it.
#[must_use]
pub fn text(findings: &[(&Check, Finding)]) -> String {
    let mut text = String::new();
    for (check, finding) in findings {
        let Finding { reading, verdict, mend } = finding;
        let _ = writeln!(text, "{:<14} {:<5} {reading}", check.name, verdict.word());
        if *verdict < Verdict::Fair {
            continue;
        }
        let _ = writeln!(text, "{:20} ({})", "", check.why);
        let commands = mend.commands();
        for command in commands.iter().take(COMMANDS_SHOWN_MAX) {
            let _ = writeln!(text, "{:20} {command}", "");
        }
        if let Some(more) = commands.len().checked_sub(COMMANDS_SHOWN_MAX).filter(|&n| n > 0) {
            let _ = writeln!(text, "{:20} and {more} more like it: --apply makes them all", "");
        }
    }
    text + &summary(findings)
}

fn summary(findings: &[(&Check, Finding)]) -> String {
    let count = |verdict| findings.iter().filter(|(_, found)| found.verdict == verdict).count();
    format!(
        "{} good, {} fair, {} bad, {} not shown by this host\n",
        count(Verdict::Good),
        count(Verdict::Fair),
        count(Verdict::Bad),
        count(Verdict::Unknown)
    )
}

/// An object for each finding: name, reading, verdict, why, and every mending command.
#[must_use]
pub fn json(findings: &[(&Check, Finding)]) -> Value {
    let entries = findings.iter().map(|(check, finding)| {
        let verdict = match finding.verdict {
            Verdict::Unknown => "unknown",
            other => other.word(),
        };
        json!({
            "name": check.name,
            "reading": finding.reading,
            "verdict": verdict.to_lowercase(),
            "why": check.why,
            "mend": finding.mend.commands(),
        })
    });
    entries.collect()
}
