//! Can this process use io_uring, and if not, why not and what helps?
//!
//! Run before a port is bound, as the user that will serve: containers and hardened hosts switch
//! io_uring off in several ways that all show as the same errno, and a server that dies after
//! binding, or with a bare "Operation not permitted", costs an operator an afternoon. The attempt
//! (`attempt`) makes a real ring with the flags that the cores use and registers a real buffer
//! ring; the explanation (`explain`) is a pure function of what failed and of the host's state,
//! so that each cause has a test without a kernel that has it.
//!
//! Nothing is degraded here: a kernel that passes has all that the data path needs (Linux 6.1), and
//! what it may do without (`ring::setup` lists it) is tried there.
#![allow(unsafe_code)]

use std::io;

use io_uring::{IoUring, Parameters, Probe, opcode};

use super::facts;
use crate::config::{Failure, exit};

/// Oldest kernel that offers all that is needed, for the explanation only.
const KERNEL_LEAST: (u32, u32) = (6, 1);

/// Operations that the cores submit, with their names.
const OPERATIONS: &[(u8, &str)] = &[
    (opcode::Accept::CODE, "ACCEPT"),
    (opcode::Recv::CODE, "RECV"),
    (opcode::Send::CODE, "SEND"),
    (opcode::SendMsg::CODE, "SENDMSG"),
    (opcode::Shutdown::CODE, "SHUTDOWN"),
    (opcode::Close::CODE, "CLOSE"),
    (opcode::AsyncCancel::CODE, "ASYNC_CANCEL"),
    (opcode::Read::CODE, "READ"),
    (opcode::PollAdd::CODE, "POLL_ADD"),
    (opcode::MsgRingData::CODE, "MSG_RING"),
    (opcode::Timeout::CODE, "TIMEOUT"),
];

/// A feature bit of the ring, as the io-uring crate reads it.
type FeatureBit = fn(&Parameters) -> bool;

/// Features that the cores rely on.
const FEATURES: &[(FeatureBit, &str)] = &[
    (Parameters::is_feature_ext_arg, "EXT_ARG"),
    (Parameters::is_feature_nodrop, "NODROP"),
    (Parameters::is_feature_fast_poll, "FAST_POLL"),
    (Parameters::is_feature_submit_stable, "SUBMIT_STABLE"),
];

/// What did not work.
#[derive(Debug)]
enum Problem {
    /// A call failed.
    Call(&'static str, io::Error),
    /// The ring was made, but these operations or features are missing.
    Missing(Vec<&'static str>),
}

/// What of the host's state bears on io_uring.
#[derive(Debug, Default)]
struct State {
    /// `kernel.io_uring_disabled`; `None` before Linux 6.6.
    disabled: Option<u32>,
    /// A seccomp filter is in place.
    filtered: bool,
    /// uname's release.
    release: String,
    /// Limit of locked memory, for kernels that charge rings to it.
    memlock: String,
}

/// Checks that a ring of the kind the cores use can be made, and drops it again.
///
/// # Errors
/// Exit code 69; the message has three lines: what failed, the likely cause, what helps.
pub fn io_uring() -> Result<(), Failure> {
    attempt().map_err(|problem| Failure {
        code: exit::UNAVAILABLE,
        message: explain(&problem, &State::read()),
    })
}

fn attempt() -> Result<(), Problem> {
    let ring = IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_coop_taskrun()
        .setup_taskrun_flag()
        .setup_submit_all()
        .dontfork()
        .build(8)
        .map_err(|error| Problem::Call("io_uring_setup", error))?;
    let mut probe = Probe::new();
    ring.submitter()
        .register_probe(&mut probe)
        .map_err(|error| Problem::Call("io_uring_register (REGISTER_PROBE)", error))?;
    let missing = missing(&probe, ring.params());
    if !missing.is_empty() {
        return Err(Problem::Missing(missing));
    }
    register_buffers(&ring)
        .map_err(|error| Problem::Call("io_uring_register (REGISTER_PBUF_RING)", error))
}

fn missing(probe: &Probe, parameters: &Parameters) -> Vec<&'static str> {
    let operations = OPERATIONS.iter().filter(|(code, _)| !probe.is_supported(*code));
    let features = FEATURES.iter().filter(|(has, _)| !has(parameters));
    operations.map(|(_, name)| *name).chain(features.map(|(_, name)| *name)).collect()
}

/// Registers a small ring of provided buffers, and takes it back.
fn register_buffers(ring: &IoUring) -> io::Result<()> {
    /// The kernel wants the descriptors at the start of a page.
    #[repr(align(4096))]
    struct Page([u8; 4096]);
    let page = Box::new(Page([0; 4096]));
    let address = page.0.as_ptr() as u64;
    // SAFETY: the page holds 8 descriptors of 16 bytes and outlives the registration, which ends
    // below or with `ring`; no buffer is ever added, so the kernel writes nowhere.
    unsafe { ring.submitter().register_buf_ring_with_flags(address, 8, 0, 0) }?;
    ring.submitter().unregister_buf_ring(0)
}

impl State {
    fn read() -> Self {
        let memlock = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_MEMLOCK);
        Self {
            disabled: facts::line_of("/proc/sys/kernel/io_uring_disabled")
                .and_then(|text| text.parse().ok()),
            filtered: facts::status_field("Seccomp").is_some_and(|mode| mode != "0"),
            release: facts::kernel_release(),
            memlock: memlock.map_or_else(|_| "?".into(), |(soft, _)| format!("{} KB", soft / 1024)),
        }
    }

    /// The release is below [`KERNEL_LEAST`]; a release that cannot be read counts as new.
    fn is_old(&self) -> bool {
        let mut numbers = self.release.split(['.', '-', '+']).map(str::parse::<u32>);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < KERNEL_LEAST,
            _ => false,
        }
    }
}

/// Three lines: what failed, the likely cause, and the one thing that helps.
fn explain(problem: &Problem, state: &State) -> String {
    let failed = match problem {
        Problem::Call(call, error) => format!("{call} failed: {}", named(error)),
        Problem::Missing(names) => format!("the kernel does not offer {}", names.join(", ")),
    };
    let (cause, remedy) = cause(problem, state);
    format!(
        "io_uring cannot be used here: {failed}\n  likely cause: {cause}\n  to fix it: {remedy}"
    )
}

fn named(error: &io::Error) -> String {
    match error.raw_os_error().map(nix::Error::from_raw) {
        Some(errno) => format!("{errno:?} ({})", errno.desc()),
        None => error.to_string(),
    }
}

fn cause(problem: &Problem, state: &State) -> (String, String) {
    let errno = match problem {
        Problem::Call(_, error) => error.raw_os_error().unwrap_or(0),
        Problem::Missing(_) => libc::EINVAL,
    };
    let upgrade = || {
        let (major, minor) = KERNEL_LEAST;
        format!("boot Linux {major}.{minor} or newer (Debian: apt install linux-image-amd64)")
    };
    match errno {
        libc::EPERM | libc::EACCES if state.disabled == Some(2) => (
            "kernel.io_uring_disabled is 2: io_uring is switched off for every process".into(),
            "sysctl -w kernel.io_uring_disabled=0".into(),
        ),
        libc::EPERM | libc::EACCES if state.disabled == Some(1) => (
            "kernel.io_uring_disabled is 1: only kernel.io_uring_group and administrators may"
                .into(),
            "sysctl -w kernel.io_uring_disabled=0".into(),
        ),
        libc::EPERM | libc::EACCES | libc::ENOSYS if state.filtered => (
            "a seccomp filter forbids it, as the default profiles of Docker 25, containerd 2 and \
             Kubernetes do"
                .into(),
            "docker run --security-opt seccomp=unconfined ..., or a profile that allows \
             io_uring_setup, io_uring_enter and io_uring_register"
                .into(),
        ),
        libc::EPERM | libc::EACCES => (
            "a security module (SELinux, AppArmor) or a hardened kernel forbids it".into(),
            "journalctl -k --grep 'denied|io_uring' shows which one".into(),
        ),
        libc::ENOSYS => {
            (format!("Linux {} is built without io_uring or too old", state.release), upgrade())
        }
        libc::ENOMEM => (
            format!("the limit of locked memory ({}) is too low for a ring", state.memlock),
            "ulimit -l unlimited (systemd: LimitMEMLOCK=infinity)".into(),
        ),
        libc::EMFILE | libc::ENFILE => {
            ("no file descriptor is left".into(), "ulimit -n 4096".into())
        }
        libc::EINVAL if state.is_old() => {
            (format!("Linux {} is too old for what the server uses", state.release), upgrade())
        }
        _ => (
            format!(
                "Linux {} refuses a part of io_uring; a filter or a patched kernel",
                state.release
            ),
            upgrade(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(errno: i32, state: &State) -> String {
        let error = io::Error::from_raw_os_error(errno);
        let text = explain(&Problem::Call("io_uring_setup", error), state);
        assert_eq!(text.lines().count(), 3, "{text}");
        text
    }

    fn state(disabled: Option<u32>, filtered: bool, release: &str) -> State {
        State { disabled, filtered, release: release.into(), memlock: "64 KB".into() }
    }

    #[test]
    fn this_machine_passes() {
        if let Err(problem) = attempt() {
            eprintln!("skipped: {problem:?}; run it where io_uring works");
        }
    }

    #[test]
    fn each_cause_has_its_remedy() {
        for (errno, state, cause, remedy) in [
            (libc::EPERM, state(Some(2), false, "6.8.0"), "io_uring_disabled is 2", "sysctl -w"),
            (libc::EPERM, state(Some(1), true, "6.8.0"), "io_uring_disabled is 1", "sysctl -w"),
            (libc::EPERM, state(Some(0), true, "6.8.0"), "seccomp", "docker run"),
            (libc::ENOSYS, state(Some(0), true, "6.8.0"), "seccomp", "docker run"),
            (libc::EPERM, state(None, false, "6.1.0"), "security module", "journalctl"),
            (libc::ENOSYS, state(None, false, "4.19.0"), "without io_uring", "Linux 6.1"),
            (libc::ENOMEM, state(None, false, "5.10.0"), "(64 KB)", "ulimit -l"),
            (libc::EMFILE, state(None, false, "6.8.0"), "no file descriptor", "ulimit -n"),
            (libc::EINVAL, state(None, false, "5.15.0-91"), "5.15.0-91 is too old", "Linux 6.1"),
            (libc::EINVAL, state(Some(0), false, "6.8.0"), "refuses a part", "Linux 6.1"),
        ] {
            let text = told(errno, &state);
            assert!(text.lines().nth(1).unwrap().contains(cause), "{text}");
            assert!(text.lines().nth(2).unwrap().contains(remedy), "{text}");
        }
        let text = told(libc::EPERM, &state(Some(2), false, "6.8.0"));
        assert!(text.contains("io_uring_setup failed: EPERM (Operation not permitted)"), "{text}");
    }

    #[test]
    fn an_old_kernel_lacks_operations_by_name() {
        let nothing = Probe::new();
        let names: Vec<&str> = OPERATIONS.iter().map(|(_, name)| *name).collect();
        let missing: Vec<&str> = OPERATIONS
            .iter()
            .filter(|(code, _)| !nothing.is_supported(*code))
            .map(|(_, name)| *name)
            .collect();
        assert_eq!(missing, names);
        let text = explain(&Problem::Missing(missing), &state(None, false, "5.10.0"));
        assert!(text.contains("does not offer ACCEPT, RECV"), "{text}");
        assert!(text.contains("5.10.0 is too old"), "{text}");
    }

    #[test]
    fn releases_compare_as_numbers() {
        for (release, old) in [
            ("5.15.0", true),
            ("6.0", true),
            ("6.1.0-13-amd64", false),
            ("10.2", false),
            ("?", false),
        ] {
            assert_eq!(state(None, false, release).is_old(), old, "{release}");
        }
    }
}
