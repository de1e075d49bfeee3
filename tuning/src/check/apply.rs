//! Making changes, and taking them back.
//!
//! Each change is written to a journal with the value found before it is made, so that a crash
//! between the two leaves a line too many, which undoing turns into nothing, and never one too
//! few. A line of the journal is the check's name, the path, the value found and the value
//! written, tab-separated; undoing goes from the last to the first, so that a setting changed
//! twice ends where it began.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};

use super::{Check, Finding, Mend, Setting, Verdict};
use crate::host::Host;

/// Where the journal is kept, below the host's root.
pub const JOURNAL: &str = "/var/lib/ringcached/tune.journal";

/// Makes the settings that `findings` ask for, telling `out` of each as it is made.
///
/// Returns how many could not be made; each of those is told with its reason and passed over,
/// because the next setting may well be allowed.
///
/// # Errors
/// If the journal cannot be written, before the change it should have held; or if `out` fails.
pub fn apply(
    host: &Host,
    findings: &[(&Check, Finding)],
    out: &mut impl Write,
) -> io::Result<usize> {
    let mut failures = 0;
    for (check, finding) in findings {
        if let (Verdict::Fair | Verdict::Bad, Mend::Settings(settings)) =
            (finding.verdict, &finding.mend)
        {
            for setting in settings {
                failures += usize::from(!change(host, check.name, setting, out)?);
            }
        }
    }
    Ok(failures)
}

fn change(host: &Host, name: &str, setting: &Setting, out: &mut impl Write) -> io::Result<bool> {
    let Setting { path, value } = setting;
    let Some(found) = host.chosen(path) else {
        writeln!(out, "{path}: cannot be read, left alone")?;
        return Ok(false);
    };
    if found == *value {
        return Ok(true);
    }
    remember(host, &format!("{name}\t{path}\t{found}\t{value}"))?;
    if let Err(error) = host.write(path, value) {
        writeln!(out, "{path}: stays {found}: {}", reason(&error))?;
        return Ok(false);
    }
    // The kernel may give less than it was asked for, as with huge pages on a full machine.
    let now = host.chosen(path).unwrap_or_default();
    writeln!(out, "{path}: {found} -> {now}")?;
    Ok(true)
}

fn remember(host: &Host, line: &str) -> io::Result<()> {
    let journal = host.place(JOURNAL);
    if let Some(directory) = journal.parent() {
        fs::create_dir_all(directory)?;
    }
    let mut file = OpenOptions::new().create(true).append(true).open(journal)?;
    writeln!(file, "{line}")?;
    file.sync_data()
}

/// Takes back the changes in the journal that were made for checks with a `wanted` name.
///
/// Lines that are not wanted, or cannot be taken back, stay in the journal; the latter are
/// counted. An empty journal is removed.
///
/// # Errors
/// If there is no journal (`NotFound`), or it or `out` cannot be written.
pub fn undo(host: &Host, wanted: impl Fn(&str) -> bool, out: &mut impl Write) -> io::Result<usize> {
    let journal = host.place(JOURNAL);
    let text = fs::read_to_string(&journal)?;
    let mut kept = Vec::new();
    let mut failures = 0;
    for line in text.lines().rev() {
        let mut parts = line.split('\t');
        let (Some(name), Some(path), Some(found)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        if !wanted(name) {
            kept.push(line);
        } else if !restore(host, path, found, out)? {
            kept.push(line);
            failures += 1;
        }
    }
    if kept.is_empty() {
        fs::remove_file(&journal)?;
    } else {
        kept.reverse();
        fs::write(&journal, kept.join("\n") + "\n")?;
    }
    Ok(failures)
}

fn restore(host: &Host, path: &str, found: &str, out: &mut impl Write) -> io::Result<bool> {
    match host.write(path, found) {
        Ok(()) => writeln!(out, "{path}: back to {found}")?,
        Err(error) => {
            writeln!(out, "{path}: not set back to {found}: {}", reason(&error))?;
            return Ok(false);
        }
    }
    Ok(true)
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "permission denied, are you root?".into(),
        io::ErrorKind::ReadOnlyFilesystem => {
            "read-only here: set it on the container's host".into()
        }
        io::ErrorKind::InvalidInput => "the kernel refuses the value".into(),
        io::ErrorKind::NotFound => "no such setting on this kernel".into(),
        _ => error.to_string(),
    }
}
