//! Making changes, and taking them back.
//!
//! Each change is written to a journal with the value found before it is made, so that a crash
//! between the two leaves a line too many, which undoing turns into nothing, and never one too
//! few. The journal is lines of path, value found and value written, tab-separated; undoing goes
//! from the last to the first, so that a setting changed twice ends where it began.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};

use super::{Finding, Mend, Setting, Verdict};
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
pub fn apply<'a>(
    host: &Host,
    findings: impl IntoIterator<Item = &'a Finding>,
    out: &mut impl Write,
) -> io::Result<usize> {
    let mut failures = 0;
    for finding in findings {
        if let (Verdict::Fair | Verdict::Bad, Mend::Settings(settings)) =
            (finding.verdict, &finding.mend)
        {
            for setting in settings {
                failures += usize::from(!change(host, setting, out)?);
            }
        }
    }
    Ok(failures)
}

fn change(host: &Host, setting: &Setting, out: &mut impl Write) -> io::Result<bool> {
    let Setting { path, value } = setting;
    let Some(found) = host.chosen(path) else {
        writeln!(out, "{path}: cannot be read, left alone")?;
        return Ok(false);
    };
    if found == *value {
        return Ok(true);
    }
    remember(host, path, &found, value)?;
    if let Err(error) = host.write(path, value) {
        writeln!(out, "{path}: stays {found}: {}", reason(&error))?;
        return Ok(false);
    }
    // The kernel may give less than it was asked for, as with huge pages on a full machine.
    let now = host.chosen(path).unwrap_or_default();
    writeln!(out, "{path}: {found} -> {now}")?;
    Ok(true)
}

fn remember(host: &Host, path: &str, found: &str, value: &str) -> io::Result<()> {
    let journal = host.place(JOURNAL);
    if let Some(directory) = journal.parent() {
        fs::create_dir_all(directory)?;
    }
    let mut file = OpenOptions::new().create(true).append(true).open(journal)?;
    writeln!(file, "{path}\t{found}\t{value}")?;
    file.sync_data()
}

/// Takes back every change in the journal and removes it.
///
/// Returns how many could not be taken back; their lines stay in the journal.
///
/// # Errors
/// If there is no journal (`NotFound`), or it or `out` cannot be written.
pub fn undo(host: &Host, out: &mut impl Write) -> io::Result<usize> {
    let journal = host.place(JOURNAL);
    let text = fs::read_to_string(&journal)?;
    let mut kept = Vec::new();
    for line in text.lines().rev() {
        let mut parts = line.split('\t');
        let (Some(path), Some(found)) = (parts.next(), parts.next()) else { continue };
        match host.write(path, found) {
            Ok(()) => writeln!(out, "{path}: back to {found}")?,
            Err(error) => {
                writeln!(out, "{path}: not set back to {found}: {}", reason(&error))?;
                kept.push(line);
            }
        }
    }
    if kept.is_empty() {
        fs::remove_file(&journal)?;
    } else {
        kept.reverse();
        fs::write(&journal, kept.join("\n") + "\n")?;
    }
    Ok(kept.len())
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
