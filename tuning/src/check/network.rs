//! The path of a packet: interrupt, queue, core, backlog.
//!
//! Only interfaces with a device behind them count: loopback and bridges have no interrupts to
//! place. An interface's interrupts are those its device lists, or, for buses that list none, the
//! lines of `/proc/interrupts` that carry its name.

use super::{Finding, Mend, Need, Setting, at_least};
use crate::host::{Host, cpu_mask};

const NET: &str = "/sys/class/net";
const SYN_BACKLOG_MIN: u64 = 4096;

pub(super) fn backlog(host: &Host, need: &Need) -> Finding {
    at_least(host, "/proc/sys/net/core/somaxconn", need.backlog)
}

pub(super) fn syn_backlog(host: &Host, need: &Need) -> Finding {
    let wanted = SYN_BACKLOG_MIN.min(need.backlog.next_power_of_two());
    at_least(host, "/proc/sys/net/ipv4/tcp_max_syn_backlog", wanted)
}

fn interfaces(host: &Host) -> Vec<String> {
    let mut names = host.names(NET);
    names.retain(|name| host.place(&format!("{NET}/{name}/device")).exists());
    names
}

fn queues(host: &Host, interface: &str, prefix: &str) -> Vec<String> {
    let directory = format!("{NET}/{interface}/queues");
    let names = host.numbered(&directory, prefix);
    names.into_iter().map(|name| format!("{directory}/{name}")).collect()
}

pub(super) fn irq(host: &Host, _: &Need) -> Finding {
    let cpus = host.cpus();
    let mut readings = Vec::new();
    let mut settings = Vec::new();
    for interface in interfaces(host) {
        let irqs = interrupts(host, &interface);
        let places: Vec<Option<String>> = irqs.iter().map(|irq| place(host, *irq)).collect();
        readings.push(format!("{interface}: {} interrupts", irqs.len()));
        // On one core, or on none in particular, they all land on the same one.
        let together = places.windows(2).all(|pair| pair[0] == pair[1]);
        if irqs.len() > 1 && cpus.len() > 1 && together {
            settings.extend(
                irqs.iter().zip(cpus.iter().cycle()).map(|(irq, cpu)| {
                    Setting::new(format!("/proc/irq/{irq}/smp_affinity_list"), cpu)
                }),
            );
        }
    }
    if readings.is_empty() {
        return Finding::unknown("no network device");
    }
    if settings.is_empty() {
        return Finding::good(readings.join(", "));
    }
    Finding::fair(format!("{}, all on one core", readings.join(", ")), Mend::Settings(settings))
}

fn interrupts(host: &Host, interface: &str) -> Vec<u32> {
    let device = format!("{NET}/{interface}/device");
    for directory in [format!("{device}/msi_irqs"), format!("{device}/../msi_irqs")] {
        let irqs: Vec<u32> =
            host.names(&directory).iter().filter_map(|name| name.parse().ok()).collect();
        if !irqs.is_empty() {
            return irqs;
        }
    }
    let link = std::fs::read_link(host.place(&device)).unwrap_or_default();
    let device_name = link.file_name().and_then(|name| name.to_str()).unwrap_or(interface);
    let table = host.text("/proc/interrupts").unwrap_or_default();
    table.lines().filter_map(|line| named_interrupt(line, &[interface, device_name])).collect()
}

/// The number at a line's start, if the name at its end is the device's or one of its queues.
fn named_interrupt(line: &str, devices: &[&str]) -> Option<u32> {
    let (number, _) = line.split_once(':')?;
    let name = line.split_whitespace().next_back()?;
    let belongs = |device: &&str| {
        name.strip_prefix(*device).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    devices.iter().any(belongs).then(|| number.trim().parse().ok())?
}

/// Where an interrupt is delivered. The effective place is a single core of those allowed.
fn place(host: &Host, irq: u32) -> Option<String> {
    host.text(&format!("/proc/irq/{irq}/effective_affinity_list"))
        .or_else(|| host.text(&format!("/proc/irq/{irq}/smp_affinity_list")))
}

pub(super) fn rps(host: &Host, _: &Need) -> Finding {
    let cpus = host.cpus();
    let mut readings = Vec::new();
    let mut settings = Vec::new();
    for interface in interfaces(host) {
        let queues = queues(host, &interface, "rx-");
        readings.push(format!("{interface}: receive queues {}", queues.len()));
        if queues.len() < cpus.len() {
            let files = queues.iter().map(|queue| format!("{queue}/rps_cpus"));
            let unset = files.filter(|file| host.text(file).is_some_and(|mask| is_empty(&mask)));
            settings.extend(unset.map(|file| Setting::new(file, cpu_mask(&cpus))));
        }
    }
    if readings.is_empty() {
        return Finding::unknown("no network device");
    }
    let reading = format!("{}, cores {}", readings.join(", "), cpus.len());
    if settings.is_empty() {
        return Finding::good(reading);
    }
    Finding::fair(reading, Mend::Settings(settings))
}

pub(super) fn xps(host: &Host, _: &Need) -> Finding {
    let cpus = host.cpus();
    let mut shown = false;
    let mut settings = Vec::new();
    for interface in interfaces(host) {
        let queues = queues(host, &interface, "tx-");
        // The kernel shows no map for a device with one queue.
        let files = queues.iter().map(|queue| format!("{queue}/xps_cpus"));
        let maps: Vec<_> = files.filter_map(|file| Some((host.text(&file)?, file))).collect();
        shown |= !maps.is_empty();
        if maps.len() > 1 && maps.iter().all(|(mask, _)| is_empty(mask)) {
            let share = |index| cpus.iter().copied().skip(index).step_by(maps.len()).collect();
            settings.extend(maps.iter().enumerate().filter_map(|(index, (_, file))| {
                let cpus: Vec<usize> = share(index);
                (!cpus.is_empty()).then(|| Setting::new(file, cpu_mask(&cpus)))
            }));
        }
    }
    if !shown {
        return Finding::unknown("no device with several send queues");
    }
    if settings.is_empty() {
        return Finding::good("send queues have their cores");
    }
    Finding::fair("send queues belong to no core", Mend::Settings(settings))
}

fn is_empty(mask: &str) -> bool {
    mask.chars().all(|c| matches!(c, '0' | ','))
}
