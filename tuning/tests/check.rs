//! Every verdict of `tune check` on a made host, the whole table on the real one, and a change
//! made and taken back.

mod common;

use common::{Tree, stdout, tune};
use tuning::check::{self, CHECKS, Finding, Need, Verdict, apply};

fn finding(tree: &Tree, need: &Need, name: &str) -> Finding {
    let host = tree.host();
    let mut found = check::run(&host, need, |other| other == name);
    found.next().unwrap_or_else(|| panic!("no check {name}")).1
}

fn two_threads() -> Need {
    Need { threads: 2, ..Need::default() }
}

#[test]
fn a_sound_host_is_good_throughout() {
    let tree = Tree::sound();
    for (check, finding) in check::run(&tree.host(), &two_threads(), |_| true) {
        assert_eq!(finding.verdict, Verdict::Good, "{}: {}", check.name, finding.reading);
    }
}

#[test]
fn an_empty_tree_gives_no_false_alarm() {
    let host = tuning::host::Host::at("/nonexistent");
    for (check, finding) in check::run(&host, &two_threads(), |_| true) {
        let quiet = finding.verdict <= Verdict::Good;
        assert!(quiet, "{} on nothing: {}", check.name, finding.reading);
    }
}

/// Three lines each: a check, the verdict it must give, and the file of the sound host that is
/// spoilt; the text that spoils it; how the first mending command must start.
const SPOILT: &str = "\
kernel Bad /proc/sys/kernel/osrelease
    5.15.0-91-generic
    boot a kernel of 6.1
kernel Fair /proc/sys/kernel/osrelease
    6.8.0-31-generic
    boot a kernel of 6.12
io_uring Bad /proc/sys/kernel/io_uring_disabled
    2
    sysctl -w kernel.io_uring_disabled=0
io_uring Bad /proc/sys/kernel/io_uring_disabled
    1
    sysctl -w kernel.io_uring_disabled=0
seccomp Fair /proc/self/status
    Seccomp:\t2
    docker run --security-opt seccomp=
clock Fair /sys/devices/system/clocksource/clocksource0/current_clocksource
    hpet
    echo tsc >
memory Bad /proc/meminfo
    MemAvailable: 102400 kB
    start the server with -m 
cgroup-memory Bad /sys/fs/cgroup/system.slice/memory.max
    67108864
    docker run --memory 1
thp Fair /sys/kernel/mm/transparent_hugepage/enabled
    always madvise [never]
    echo madvise >
thp Fair /sys/kernel/mm/transparent_hugepage/defrag
    [always] defer madvise never
    echo madvise >
swap Fair /proc/sys/vm/swappiness
    60
    sysctl -w vm.swappiness=1
memlock Bad /proc/self/limits
    Max locked memory  65536  65536  bytes
    LimitMEMLOCK=infinity
nofile Bad /proc/self/limits
    Max open files  1024  1024  files
    LimitNOFILE=10
cpuset Fair /proc/self/status
    Cpus_allowed_list:\t1
    start with -t 1
cgroup-cpu Fair /sys/fs/cgroup/system.slice/cache.service/cpu.max
    150000 100000
    docker run without --cpus
governor Fair /sys/devices/system/cpu/cpu1/cpufreq/scaling_governor
    powersave
    echo performance > /sys/devices/system/cpu/cpu1/
idle Fair /sys/devices/system/cpu/cpu0/cpuidle/state1/latency
    400
    echo 1 > /sys/devices/system/cpu/cpu0/cpuidle/state1/disable
backlog Fair /proc/sys/net/core/somaxconn
    128
    sysctl -w net.core.somaxconn=1024
syn-backlog Fair /proc/sys/net/ipv4/tcp_max_syn_backlog
    256
    sysctl -w net.ipv4.tcp_max_syn_backlog=1024
irq Fair /proc/irq/41/effective_affinity_list
    0
    echo 0 > /proc/irq/40/smp_affinity_list
";

struct Spoilt {
    name: &'static str,
    verdict: &'static str,
    path: &'static str,
    text: &'static str,
    command: &'static str,
}

fn spoilt() -> Vec<Spoilt> {
    let lines: Vec<&str> = SPOILT.lines().map(str::trim).collect();
    let entry = |three: &[&'static str]| {
        let words: Vec<&str> = three[0].split(' ').collect();
        let [name, verdict, path] = words[..] else { panic!("three words: {}", three[0]) };
        Spoilt { name, verdict, path, text: three[1], command: three[2] }
    };
    lines.chunks_exact(3).map(entry).collect()
}

#[test]
fn each_spoilt_fact_is_found_and_mended_by_the_right_command() {
    for Spoilt { name, verdict, path, text, command } in spoilt() {
        let tree = Tree::sound();
        tree.put(path, text);
        let found = finding(&tree, &two_threads(), name);
        let given = format!("{:?}", found.verdict);
        assert_eq!(given, verdict, "{name} with {text:?}: {}", found.reading);
        let first = found.mend.commands().into_iter().next().unwrap_or_default();
        assert!(first.starts_with(command), "{name} with {text:?}: {first:?}");
    }
}

#[test]
fn large_pages_are_wanted_only_with_large_pages() {
    let tree = Tree::sound();
    let mut need = Need { memory_mb: 1024, large_pages: false, ..two_threads() };
    assert_eq!(finding(&tree, &need, "huge-pages").verdict, Verdict::Good);
    need.large_pages = true;
    let found = finding(&tree, &need, "huge-pages");
    let command = "echo 514 > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";
    assert_eq!(found.mend.commands(), [command]);
    tree.put("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "514");
    assert_eq!(finding(&tree, &need, "huge-pages").verdict, Verdict::Good);
}

#[test]
fn what_the_server_takes_follows_its_flags() {
    let tree = Tree::sound();
    tree.put("/proc/meminfo", "MemAvailable: 524288 kB");
    let verdict = |need: &Need, name| finding(&tree, need, name).verdict;
    let small = two_threads();
    assert_eq!(verdict(&small, "memory"), Verdict::Good);
    // Connections have buffers, and -k locks all of it.
    let many = Need { connections: 1_000_000, ..two_threads() };
    assert_eq!(verdict(&many, "memory"), Verdict::Bad);
    assert_eq!(verdict(&many, "nofile"), Verdict::Bad);
    let locked = Need { lock_memory: true, ..two_threads() };
    assert_eq!(
        (verdict(&small, "memlock"), verdict(&locked, "memlock")),
        (Verdict::Good, Verdict::Bad)
    );
}

#[test]
fn numa_is_judged_by_nodes_and_by_the_threads_asked_for() {
    let tree = Tree::sound();
    tree.put("/sys/devices/system/cpu/online", "0-3");
    tree.put("/proc/self/status", "Cpus_allowed_list:\t0-3");
    tree.put("/sys/devices/system/node/node1/cpulist", "2-3");
    let need = Need { threads: 2, ..Need::default() };
    let bound = finding(&tree, &need, "numa").mend.commands().concat();
    assert!(bound.starts_with("numactl"), "{bound}");
    let all = Need { threads: 4, ..Need::default() };
    assert_eq!(finding(&tree, &all, "numa").verdict, Verdict::Good);
    tree.put("/proc/sys/kernel/numa_balancing", "1");
    let moved = finding(&tree, &all, "numa").mend.commands();
    assert_eq!(moved, ["sysctl -w kernel.numa_balancing=0"]);
}

#[test]
fn queues_fewer_than_cores_are_spread_and_send_queues_shared_out() {
    let tree = Tree::sound();
    tree.put("/proc/self/status", "Cpus_allowed_list:\t0-3");
    tree.put("/sys/class/net/eth0/queues/tx-0/xps_cpus", "0");
    tree.put("/sys/class/net/eth0/queues/tx-1/xps_cpus", "0");
    let rps = finding(&tree, &two_threads(), "rps").mend.commands();
    let queue = |name, mask| format!("echo {mask} > /sys/class/net/eth0/queues/{name}");
    assert_eq!(rps, [queue("rx-0/rps_cpus", "f"), queue("rx-1/rps_cpus", "f")]);
    let xps = finding(&tree, &two_threads(), "xps").mend.commands();
    assert_eq!(xps, [queue("tx-0/xps_cpus", "5"), queue("tx-1/xps_cpus", "a")]);
}

#[test]
fn interrupts_without_a_list_are_found_by_the_devices_name() {
    let tree = Tree::sound();
    std::fs::remove_dir_all(tree.path().join("sys/class/net/eth0/device")).expect("removed");
    tree.put("/sys/class/net/eth0/device/vendor", "0x1af4");
    tree.put(
        "/proc/interrupts",
        " 40: 1 0 IO-APIC eth0-rx-0\n 41: 2 0 IO-APIC eth0-tx-0\n 42: 0 0 x",
    );
    tree.put("/proc/irq/41/effective_affinity_list", "0");
    let found = finding(&tree, &two_threads(), "irq");
    assert_eq!(found.reading, "eth0: 2 interrupts, all on one core");
}

#[test]
fn version_one_cgroups_bind_too() {
    let tree = Tree::sound();
    tree.put("/proc/self/cgroup", "4:memory:/box\n1:cpu,cpuacct:/box");
    tree.put("/sys/fs/cgroup/memory/box/memory.limit_in_bytes", "104857600");
    tree.put("/sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_quota_us", "50000");
    tree.put("/sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_period_us", "100000");
    tree.put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712");
    let memory = finding(&tree, &two_threads(), "cgroup-memory").reading;
    assert!(memory.starts_with("100 MB, -m 64 takes "), "{memory}");
    assert_eq!(finding(&tree, &two_threads(), "cgroup-cpu").reading, "0.50 cores, for -t 2");
}

#[test]
fn applying_mends_all_settings_and_undoing_restores_each() {
    let tree = Tree::sound();
    let settings: Vec<_> = spoilt().into_iter().filter(is_setting).collect();
    for spoilt in &settings {
        tree.put(spoilt.path, spoilt.text);
    }
    let before: Vec<String> = settings.iter().map(|spoilt| tree.read(spoilt.path)).collect();
    let root = tree.path().to_str().expect("a path in UTF-8");
    let checked = stdout(&tune(&["check", "--root", root, "-t", "2"]));
    assert!(checked.contains(" fair "), "{checked}");
    let unchanged: Vec<String> = settings.iter().map(|spoilt| tree.read(spoilt.path)).collect();
    assert_eq!(before, unchanged, "checking alone must write nothing");

    let applied = tune(&["check", "--root", root, "-t", "2", "--apply"]);
    let told = stdout(&applied);
    assert!(applied.status.success() && told.contains(": 128 -> 1024"), "{told}");
    assert!(!told.contains(" fair ") && told.contains(" 0 fair, 0 bad"), "{told}");

    let some = stdout(&tune(&["check", "--root", root, "--undo", "--only", "swap"]));
    assert_eq!(some, "/proc/sys/vm/swappiness: back to 60\n");
    let undone = tune(&["check", "--root", root, "--undo"]);
    assert!(undone.status.success() && stdout(&undone).contains("back to 128"));
    let after = |path: &str| tree.read(path);
    assert_eq!(after("/proc/sys/net/core/somaxconn"), "128");
    assert_eq!(after("/proc/sys/kernel/io_uring_disabled"), "1");
    assert_eq!(after("/sys/kernel/mm/transparent_hugepage/enabled"), "never");
    assert!(!tree.path().join(apply::JOURNAL.trim_start_matches('/')).exists());
    assert_eq!(stdout(&tune(&["check", "--root", root, "--undo"])), "nothing to undo\n");
}

/// Where an interrupt is delivered in the end is the kernel's own note, which no tree follows.
fn is_setting(spoilt: &Spoilt) -> bool {
    let setting = spoilt.command.starts_with("sysctl") || spoilt.command.starts_with("echo");
    setting && spoilt.name != "irq"
}

#[test]
fn a_change_that_fails_is_told_and_the_next_is_made() {
    let tree = Tree::sound();
    let gone = check::Setting { path: "/proc/sys/vm/none".into(), value: "1".into() };
    let there = check::Setting { path: "/proc/sys/vm/swappiness".into(), value: "0".into() };
    let finding = Finding {
        reading: String::new(),
        verdict: Verdict::Fair,
        mend: check::Mend::Settings(vec![gone, there]),
    };
    let mut told = Vec::new();
    let findings = [(&CHECKS[0], finding)];
    assert_eq!(apply::apply(&tree.host(), &findings, &mut told).expect("a journal"), 1);
    let told = String::from_utf8(told).expect("text");
    assert!(told.contains("/proc/sys/vm/none: cannot be read, left alone"), "{told}");
    assert_eq!(tree.read("/proc/sys/vm/swappiness"), "0");
}

#[test]
fn the_real_host_is_judged_in_full() {
    let output = tune(&["check", "--json"]);
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let found = found.as_array().expect("an array");
    assert_eq!(found.len(), CHECKS.len());
    assert_eq!(found[0]["verdict"], "good", "tests need a kernel that the server runs on");
    let bad = found.iter().any(|finding| finding["verdict"] == "bad");
    assert_eq!(output.status.code(), Some(i32::from(bad)));
}

#[test]
fn an_unknown_name_is_refused_with_the_known_ones() {
    let output = tune(&["check", "--only", "entropy"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && told.contains("no check entropy; there are kernel"));
}
