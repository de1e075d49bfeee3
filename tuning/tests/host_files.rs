//! The files an operator installs, each used as it will be: settings applied, units verified, the
//! init script run through a service's life.
//!
//! Paths within a file are turned to places of the test by replacing their beginnings; everything
//! else is the file as shipped.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{MEMCACHED, Tree, accepts, free_port, program, stdout};
use tempfile::TempDir;
use tuning::check::{self, Need, Verdict};

fn host_file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("host").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

/// The keys and values of the sysctl file, with the keys as paths.
fn sysctls() -> Vec<(String, String)> {
    let file = host_file("60-ringcached.conf");
    let lines = file.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let pair = |line: &str| {
        let (key, value) = line.split_once(" = ").expect("key = value");
        let path = format!("/proc/sys/{}", key.trim_start_matches('-').replace('.', "/"));
        (path, value.to_owned())
    };
    lines.map(pair).collect()
}

#[test]
fn the_sysctl_file_mends_what_the_checks_find() {
    let tree = Tree::sound();
    tree.put("/sys/devices/system/node/node1/cpulist", "2-3");
    for (path, _) in sysctls() {
        let spoilt = if path.ends_with("max_syn_backlog") { "128" } else { "100" };
        tree.put(&path, if path.ends_with("io_uring_disabled") { "2" } else { spoilt });
    }
    let need = Need { threads: 4, backlog: 4096, ..Need::default() };
    let names = ["io_uring", "backlog", "syn-backlog", "swap", "numa"];
    let verdicts = |tree: &Tree| -> Vec<Verdict> {
        let host = tree.host();
        check::run(&host, &need, |name| names.contains(&name)).map(|(_, f)| f.verdict).collect()
    };
    assert_eq!(sysctls().len(), names.len(), "a setting without a check, or the other way round");
    assert!(verdicts(&tree).iter().all(|&verdict| verdict > Verdict::Good));
    for (path, value) in sysctls() {
        tree.put(&path, &value);
    }
    assert_eq!(verdicts(&tree), [Verdict::Good; 5]);
}

#[test]
fn the_kernel_takes_the_network_settings() {
    // They belong to a network namespace, so a new one takes them without touching this host.
    let directory = tempfile::tempdir().expect("a temporary directory");
    let network = directory.path().join("network.conf");
    let file = host_file("60-ringcached.conf");
    let lines: Vec<&str> = file.lines().filter(|line| line.starts_with("net.")).collect();
    fs::write(&network, lines.join("\n")).expect("a file");
    let output = Command::new("unshare").args(["-n", "sysctl", "-p"]).arg(&network).output();
    let output = output.expect("util-linux and procps are installed");
    if String::from_utf8_lossy(&output.stderr).contains("Operation not permitted") {
        eprintln!("skipped: a network namespace needs root; run the tests as root");
        return;
    }
    assert_eq!(stdout(&output).lines().collect::<Vec<_>>(), lines, "{output:?}");
}

/// The units with the programs' places replaced by one that exists here.
fn units() -> TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for name in ["ringcached.service", "ringcached-hugepages.service"] {
        let unit = host_file(name);
        let unit = unit.replace("/usr/bin/ringcached", "/bin/true");
        let unit = unit.replace("/usr/bin/tune", env!("CARGO_BIN_EXE_tune"));
        fs::write(directory.path().join(name), unit).expect("a unit");
    }
    directory
}

fn systemd_analyze(args: &[&str], unit: &Path) -> Output {
    let mut command = Command::new("systemd-analyze");
    command.args(args).arg(unit).output().expect("Debian's package systemd is installed")
}

#[test]
fn systemd_accepts_the_units_without_a_word() {
    let units = units();
    for name in ["ringcached.service", "ringcached-hugepages.service"] {
        let output = systemd_analyze(&["verify", "--man=no"], &units.path().join(name));
        let told = String::from_utf8_lossy(&output.stderr);
        // It also reads this machine's own units, whose faults are not ours.
        let about_us: Vec<&str> = told.lines().filter(|line| line.contains("ringcached")).collect();
        assert!(output.status.success() && about_us.is_empty(), "{told}");
    }
}

#[test]
fn a_misspelt_directive_would_be_noticed() {
    let units = units();
    let path = units.path().join("ringcached.service");
    let unit = fs::read_to_string(&path).expect("the unit");
    fs::write(&path, unit.replace("ProtectClock=", "ProtectClocks=")).expect("the unit");
    let output = systemd_analyze(&["verify", "--man=no"], &path);
    assert!(String::from_utf8_lossy(&output.stderr).contains("ProtectClocks"), "{output:?}");
}

#[test]
fn the_unit_leaves_the_server_little_to_misuse() {
    // Of ten points, memcached's own unit has about five; network access alone is nearly one.
    let args = ["security", "--offline=true", "--no-pager", "--threshold=20"];
    let output = systemd_analyze(&args, &units().path().join("ringcached.service"));
    assert!(output.status.success(), "{}", stdout(&output));
}

/// An installation in a temporary directory: the script, its settings, the programs.
struct Installation {
    directory: TempDir,
    port: u16,
}

impl Installation {
    fn new(daemon: &Path) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let root = directory.path().to_str().expect("a path in UTF-8");
        for folder in ["usr/bin", "etc/default", "run"] {
            fs::create_dir_all(directory.path().join(folder)).expect("a directory");
        }
        let bin = directory.path().join("usr/bin");
        fs::copy(daemon, bin.join("ringcached")).expect("the daemon");
        fs::copy(env!("CARGO_BIN_EXE_tune"), bin.join("tune")).expect("tune");
        let script = ["/usr/bin/", "/etc/", "/run/"]
            .iter()
            .fold(host_file("ringcached.init"), |script, beginning| {
                script.replace(beginning, &format!("{root}{beginning}"))
            });
        fs::write(directory.path().join("init"), script).expect("the script");
        let installation = Self { directory, port: free_port() };
        installation.settings(|shipped| shipped);
        installation
    }

    /// Writes the shipped settings with this port and account, and whatever else a test changes.
    fn settings(&self, change: impl Fn(String) -> String) {
        let shipped = host_file("ringcached.default")
            .replace("PORT=\"11211\"", &format!("PORT=\"{}\"", self.port))
            .replace("USER=\"nobody\"", "USER=\"root\"");
        let path = self.directory.path().join("etc/default/ringcached");
        fs::write(path, change(shipped)).expect("the settings");
    }

    fn service(&self, action: &str) -> (i32, String) {
        let script = self.directory.path().join("init");
        let mut command = Command::new("sh");
        let output = command.arg(script).arg(action).env_clear().env("PATH", "/usr/bin:/bin");
        let output = output.output().expect("a shell");
        let told = stdout(&output) + &String::from_utf8_lossy(&output.stderr);
        (output.status.code().unwrap_or(-1), told)
    }

    fn pid(&self) -> Option<u32> {
        let path = self.directory.path().join("run/ringcached/ringcached.pid");
        fs::read_to_string(path).ok()?.trim().parse().ok()
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        self.service("stop");
    }
}

/// The daemons that the script must carry: ours if it is built, and memcached, whose flags and
/// habits ours share.
fn daemons() -> Vec<PathBuf> {
    let ours = program("ringcached");
    if ours.is_none() {
        eprintln!("without ringcached: cargo build --bin ringcached, or name it in RINGCACHED");
    }
    ours.into_iter().chain([MEMCACHED.into()]).collect()
}

#[test]
fn the_init_script_carries_a_service_through_its_life() {
    for daemon in daemons() {
        let installation = Installation::new(&daemon);
        let service = |action| installation.service(action);
        assert_eq!(service("status").0, 3, "stopped is 3");
        let (code, told) = service("start");
        assert!(code == 0 && told.contains("started (pid "), "{daemon:?}: {code} {told}");
        assert!(accepts(&installation.address()), "{daemon:?} does not listen");
        let first = installation.pid().expect("a pid file");
        let command_line = fs::read_to_string(format!("/proc/{first}/cmdline")).expect("a process");
        let command_line = command_line.replace('\0', " ");
        assert!(command_line.ends_with("-m 64 -c 1024 -l 127.0.0.1 "), "{command_line}");

        let (code, told) = service("start");
        assert!(code == 0 && told.contains("running already"), "{told}");
        assert_eq!(installation.pid(), Some(first), "started twice");
        assert_eq!(service("status").0, 0);
        assert_eq!(service("reload").0, 0);
        assert_eq!(service("restart").0, 0);
        let second = installation.pid().expect("a pid file");
        assert!(second != first && accepts(&installation.address()));

        let (code, told) = service("stop");
        assert!(code == 0 && told.contains("stopped"), "{told}");
        // Whoever adopted the daemon may not have buried it yet; what is dead has no program.
        let program = fs::read_link(format!("/proc/{second}/exe"));
        assert!(program.is_err(), "{daemon:?} still runs as {program:?}");
        assert_eq!((service("status").0, service("stop").0), (3, 0));
        assert_eq!(service("reload").0, 7, "nothing to reload");
    }
}

#[test]
fn the_init_script_tells_a_foreign_process_and_a_failed_start() {
    let installation = Installation::new(Path::new(MEMCACHED));
    // A number that was used again: this test's own.
    let run = installation.directory.path().join("run/ringcached");
    fs::create_dir_all(&run).expect("a directory");
    fs::write(run.join("ringcached.pid"), std::process::id().to_string()).expect("a pid file");
    let (code, told) = installation.service("status");
    assert!(code == 1 && told.contains("pid file is there"), "{code} {told}");
    assert_eq!(installation.service("stop").0, 0, "and this test is still here");

    installation.settings(|shipped| shipped.replace("OPTIONS=\"", "OPTIONS=\"--no-such-flag "));
    let (code, told) = installation.service("start");
    assert!(code != 0, "{told}");
    assert_eq!(installation.service("frobnicate").0, 2);
}
