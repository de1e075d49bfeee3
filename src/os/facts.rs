//! Facts about the host that decide whether and how well the server runs: what `--check` prints.

use std::fmt;
use std::fs;

use nix::sys::resource::{Resource, getrlimit};

use super::affinity;
use super::pages::PageFacts;
use super::rlimits::Limit;

/// What `--check` prints below the probe's outcome.
#[derive(Clone, Debug)]
pub struct HostFacts {
    kernel: String,
    cpus_allowed: Vec<usize>,
    pages: PageFacts,
    somaxconn: String,
}

impl HostFacts {
    /// Reads them.
    pub fn read() -> Self {
        Self {
            kernel: kernel_release(),
            cpus_allowed: affinity::allowed().iter().map(|cpu| cpu.0).collect(),
            pages: PageFacts::read(),
            somaxconn: line_of("/proc/sys/net/core/somaxconn").unwrap_or_else(|| "?".into()),
        }
    }
}

impl fmt::Display for HostFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "kernel        {}", self.kernel)?;
        writeln!(f, "CPUs allowed  {} {:?}", self.cpus_allowed.len(), self.cpus_allowed)?;
        writeln!(f, "huge pages    {}", self.pages)?;
        writeln!(f, "open files    {}", limit_text(Resource::RLIMIT_NOFILE))?;
        writeln!(f, "locked bytes  {}", limit_text(Resource::RLIMIT_MEMLOCK))?;
        write!(f, "somaxconn     {}", self.somaxconn)
    }
}

/// The kernel's release, as uname tells it.
pub fn kernel_release() -> String {
    match nix::sys::utsname::uname() {
        Ok(name) => name.release().to_string_lossy().into_owned(),
        Err(_) => "unknown".into(),
    }
}

/// A field of /proc/self/status, such as `Seccomp` or `CapEff`.
pub fn status_field(name: &str) -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.trim().to_owned())
}

/// The one line of a small file of /proc or /sys.
pub(super) fn line_of(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

fn limit_text(resource: Resource) -> String {
    match getrlimit(resource) {
        Ok((soft, hard)) => format!("{}, at most {}", Limit(soft), Limit(hard)),
        Err(error) => error.to_string(),
    }
}
