//! The moment from which the server serves: ports, pid file, waiting parent.
//!
//! Called once, after every socket listens: first the files, then the word to the parent of `-d`,
//! so that whoever waited for the parent finds the files complete. Files are written beside their
//! name and renamed, so that no reader sees half of one.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process;

use nix::sys::signal::kill;
use nix::unistd::Pid;

use crate::config::{Config, Failure, exit};

/// Holds while the server is announced. Dropping it removes the pid file.
#[derive(Debug)]
#[must_use = "dropping it withdraws the pid file"]
pub struct Announcement {
    pid_file: Option<PathBuf>,
}

/// Announces that the server listens on `tcp` and `udp`, the bound addresses with their true
/// ports.
///
/// # Errors
/// Exit code 73 when the pid file or the port file cannot be written.
pub fn listening(
    config: &Config,
    tcp: &[SocketAddr],
    udp: &[SocketAddr],
) -> Result<Announcement, Failure> {
    if let Some(path) = &config.port_file {
        let lines = port_lines("TCP", tcp) + &port_lines("UDP", udp);
        replace(path, "lck", &lines).map_err(|error| cannot(path, &error))?;
    }
    if let Some(path) = &config.pid_file {
        warn_of_other(path);
        replace(path, "tmp", &format!("{}\n", process::id()))
            .map_err(|error| cannot(path, &error))?;
    }
    Ok(Announcement { pid_file: config.pid_file.clone() })
}

impl Drop for Announcement {
    fn drop(&mut self) {
        // Only our own: a successor may have written its pid to the same file already.
        if let Some(path) = &self.pid_file
            && pid_in(path) == Some(process::id())
        {
            let _ = fs::remove_file(path);
        }
    }
}

/// The lines of `MEMCACHED_PORT_FILENAME`, one for each address and no line twice.
fn port_lines(transport: &str, bound: &[SocketAddr]) -> String {
    let mut lines = String::new();
    for (i, address) in bound.iter().enumerate() {
        if !bound[..i].contains(address) {
            let family = if address.is_ipv4() { "INET" } else { "INET6" };
            let _ = writeln!(lines, "{transport} {family}: {}", address.port());
        }
    }
    lines
}

/// Writes `text` to `<path>.<suffix>` and renames that to `path`.
fn replace(path: &Path, suffix: &str, text: &str) -> io::Result<()> {
    let mut beside = OsString::from(path);
    beside.push(".");
    beside.push(suffix);
    fs::write(&beside, text)?;
    fs::rename(&beside, path)
}

fn warn_of_other(path: &Path) {
    if let Some(pid) = pid_in(path).filter(|&pid| pid != process::id())
        && i32::try_from(pid).is_ok_and(|pid| kill(Pid::from_raw(pid), None).is_ok())
    {
        eprintln!("ringcached: warning: {} named process {pid}, which runs", path.display());
    }
}

fn pid_in(path: &Path) -> Option<u32> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn cannot(path: &Path, error: &io::Error) -> Failure {
    Failure {
        code: exit::CANT_CREATE,
        message: format!("cannot write {}: {error}", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_one_line() {
        let bound = ["127.0.0.1:5", "[::1]:5", "127.0.0.1:5", "127.0.0.1:6"];
        let bound: Vec<SocketAddr> = bound.iter().map(|text| text.parse().unwrap()).collect();
        assert_eq!(port_lines("TCP", &bound), "TCP INET: 5\nTCP INET6: 5\nTCP INET: 6\n");
    }
}
