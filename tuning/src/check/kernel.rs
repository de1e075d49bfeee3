//! What the kernel itself offers: its release, io_uring, the filter over system calls, the clock,
//! and files.

use io_uring::{IoUring, cqueue, squeue};
use ringcached::config::limits::files_reserved;

use super::{Finding, Mend, Need};
use crate::host::Host;

const IO_URING_DISABLED: &str = "/proc/sys/kernel/io_uring_disabled";
const CLOCK: &str = "/sys/devices/system/clocksource/clocksource0";

pub(super) fn release(host: &Host, _: &Need) -> Finding {
    let Some(release) = host.text("/proc/sys/kernel/osrelease") else {
        return Finding::unknown("not shown here");
    };
    let mend = |wanted| Mend::advice(format!("boot a kernel of {wanted} or newer"));
    match version(&release) {
        Some(found) if found < (6, 1) => Finding::bad(release, mend("6.1")),
        Some(found) if found < (6, 12) => Finding::fair(release, mend("6.12")),
        Some(_) => Finding::good(release),
        None => Finding::unknown(release),
    }
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

pub(super) fn io_uring(host: &Host, _: &Need) -> Finding {
    let enable = Mend::setting(IO_URING_DISABLED, 0);
    match host.number(IO_URING_DISABLED) {
        Some(2) => return Finding::bad("disabled for all by kernel.io_uring_disabled = 2", enable),
        Some(1) => {
            return Finding::bad("only for one group: kernel.io_uring_disabled = 1", enable);
        }
        _ => {}
    }
    if !host.is_real() {
        return Finding::good("not disabled");
    }
    match probe() {
        Ok(()) => Finding::good("a ring as the server's can be made"),
        Err(error) => refused(host, &error),
    }
}

/// Makes a ring with the flags the server cannot do without.
fn probe() -> std::io::Result<()> {
    let mut builder = IoUring::<squeue::Entry, cqueue::Entry>::builder();
    builder.setup_single_issuer().setup_defer_taskrun();
    builder.build(8).map(drop)
}

fn refused(host: &Host, error: &std::io::Error) -> Finding {
    use std::io::ErrorKind;
    let advice = match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::Unsupported if filtered(host) => CONTAINER_ADVICE,
        ErrorKind::PermissionDenied => "sysctl -w kernel.io_uring_disabled=0",
        ErrorKind::Unsupported => "boot a kernel built with CONFIG_IO_URING",
        ErrorKind::OutOfMemory => "ulimit -l unlimited",
        ErrorKind::InvalidInput => "boot a kernel of 6.1 or newer",
        _ => "strace -e io_uring_setup tune check --only io_uring",
    };
    Finding::bad(format!("io_uring_setup fails: {error}"), Mend::advice(advice))
}

const CONTAINER_ADVICE: &str = "docker run --security-opt seccomp=container-seccomp.json ...";

fn filtered(host: &Host) -> bool {
    host.field("/proc/self/status", "Seccomp").is_some_and(|mode| mode == "2")
}

pub(super) fn seccomp(host: &Host, _: &Need) -> Finding {
    match host.field("/proc/self/status", "Seccomp").as_deref() {
        None => Finding::unknown("not shown here"),
        Some("0") => Finding::good("no filter"),
        // A filter is no fault as long as it lets io_uring through, and only a ring can tell.
        Some(_) if host.is_real() && probe().is_ok() => Finding::good("a filter with io_uring"),
        Some(_) => {
            Finding::fair("a filter is in force, as in containers", Mend::advice(CONTAINER_ADVICE))
        }
    }
}

pub(super) fn clock(host: &Host, _: &Need) -> Finding {
    let Some(current) = host.text(&format!("{CLOCK}/current_clocksource")) else {
        return Finding::unknown("not shown here");
    };
    let fast = |source: &str| {
        matches!(source, "tsc" | "kvm-clock" | "arch_sys_counter" | "hyperv_clocksource_tsc_page")
    };
    if fast(&current) {
        return Finding::good(current);
    }
    let available = host.text(&format!("{CLOCK}/available_clocksource")).unwrap_or_default();
    let mend = match available.split(' ').find(|source| fast(source)) {
        Some(source) => Mend::setting(&format!("{CLOCK}/current_clocksource"), source),
        None => Mend::advice("boot with tsc=reliable, if the hardware's counter is"),
    };
    Finding::fair(format!("{current}, read by a system call"), mend)
}

pub(super) fn open_files(host: &Host, need: &Need) -> Finding {
    let wanted = need.connections + files_reserved(need.threads) as u64;
    let Some((soft, hard)) = limit(host, "Max open files") else {
        return Finding::unknown("not shown here");
    };
    let reading = format!("soft {soft}, hard {hard}, for -c {}", need.connections);
    // The server raises the soft limit to the hard one by itself.
    if hard >= wanted {
        return Finding::good(reading);
    }
    let advice = format!("LimitNOFILE={wanted} in the unit, or ulimit -Hn {wanted} as root");
    Finding::bad(reading, Mend::advice(advice))
}

/// The soft and the hard limit of this process, unlimited ones as `u64::MAX`.
pub(super) fn limit(host: &Host, name: &str) -> Option<(u64, u64)> {
    let limits = host.text("/proc/self/limits")?;
    let mut values = limits.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace();
    let mut next = || match values.next()? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    };
    Some((next()?, next()?))
}
