//! Resource limits: raise what the flags need, and say what was got.
//!
//! Too few descriptors lower `-c` with a warning, as Valkey does: a cache that serves fewer clients
//! is of more use than one that does not start. A core limit that stays at zero under `-r` is an
//! error, because the flag asks for nothing else.

use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, rlim_t, setrlimit};

use crate::config::limits::{MIB, files_reserved};
use crate::config::{Budget, Config, Failure, Note, exit};

/// Memory that is mapped but in no budget (stacks, libraries) and yet locked under `-k`.
const LOCKED_BESIDE_BUDGET_BYTES: usize = 64 * MIB;

/// Raises the limits that `config` needs, while the process still may.
///
/// # Errors
/// Exit code 71 when not even one connection has a descriptor, or `-r` cannot be had.
pub fn raise(config: &mut Config) -> Result<(), Failure> {
    raise_open_files(config)?;
    if config.core_dumps {
        raise_core(config)?;
    }
    if config.lock_memory {
        // Refusal shows in `lock_memory`, which knows what is needed.
        let _ = setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY);
    }
    Ok(())
}

fn raise_open_files(config: &mut Config) -> Result<(), Failure> {
    let reserved = files_reserved(config.threads);
    let needed = (config.connections_max + reserved) as rlim_t;
    let got = raise_to(Resource::RLIMIT_NOFILE, needed)
        .map_err(|error| Failure::os("cannot read the limit of open files", error))?;
    if got >= needed {
        config.notes.push(Note::Verbose(format!(
            "open files: {got} allowed, {} connections and {reserved} reserved",
            config.connections_max
        )));
        return Ok(());
    }
    let connections = (got as usize).saturating_sub(reserved);
    if connections == 0 {
        return Err(Failure {
            code: exit::OS_ERROR,
            message: format!(
                "{got} open files are allowed, {} are the least for -t {}: ulimit -n {needed}",
                reserved + 1,
                config.threads
            ),
        });
    }
    config.notes.push(Note::Warning(format!(
        "-c {} lowered to {connections}: {got} open files are allowed, {needed} needed \
         (ulimit -n {needed})",
        config.connections_max
    )));
    config.connections_max = connections;
    Ok(())
}

/// Raises a soft limit, and the hard one where that is allowed; returns the soft limit then.
fn raise_to(resource: Resource, needed: rlim_t) -> nix::Result<rlim_t> {
    let (soft, hard) = getrlimit(resource)?;
    if soft >= needed {
        return Ok(soft);
    }
    let wanted = hard.max(needed);
    if hard >= needed || setrlimit(resource, needed, wanted).is_err() {
        setrlimit(resource, needed.min(hard), hard)?;
    }
    Ok(getrlimit(resource)?.0)
}

fn raise_core(config: &mut Config) -> Result<(), Failure> {
    let failed = |error| Failure::os("-r cannot raise the core file limit", error);
    let (_, hard) = getrlimit(Resource::RLIMIT_CORE).map_err(failed)?;
    if setrlimit(Resource::RLIMIT_CORE, RLIM_INFINITY, RLIM_INFINITY).is_err() {
        setrlimit(Resource::RLIMIT_CORE, hard, hard).map_err(failed)?;
    }
    let (soft, _) = getrlimit(Resource::RLIMIT_CORE).map_err(failed)?;
    if soft == 0 {
        return Err(Failure::os("-r cannot raise the core file limit", "the hard limit is 0"));
    }
    config.notes.push(Note::Verbose(format!("core files: up to {} bytes", Limit(soft))));
    Ok(())
}

/// Locks all memory of the process, present and future, if `-k` asks for it. Locks do not outlive a
/// fork, so this comes after going to the background. Like memcached, a refusal is a warning.
///
/// With too low a limit the first lock succeeds and a later allocation fails in its place, so what
/// the process will need is compared with the limit first.
pub fn lock_memory(config: &mut Config) {
    if !config.lock_memory {
        return;
    }
    let needed = Budget::new(config).total_bytes() + LOCKED_BESIDE_BUDGET_BYTES;
    let limit = getrlimit(Resource::RLIMIT_MEMLOCK).map_or(0, |(soft, _)| soft);
    let outcome = if limit < needed as rlim_t && !has_ipc_lock() {
        Err(format!("{} KB may be locked and {} KB are needed", limit / 1024, needed / 1024))
    } else {
        mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE)
            .map_err(|error| error.to_string())
    };
    config.notes.push(match outcome {
        Ok(()) => Note::Verbose("all memory is locked".into()),
        Err(why) => {
            config.lock_memory = false;
            Note::Warning(format!("-k has no effect: {why} (ulimit -l unlimited)"))
        }
    });
}

/// Whether the process may lock as much as it likes.
fn has_ipc_lock() -> bool {
    const CAP_IPC_LOCK: u64 = 1 << 14;
    let effective = super::facts::status_field("CapEff");
    effective.and_then(|bits| u64::from_str_radix(&bits, 16).ok()).unwrap_or(0) & CAP_IPC_LOCK != 0
}

/// A limit as people read it.
pub(super) struct Limit(pub(super) rlim_t);

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            RLIM_INFINITY => f.write_str("unlimited"),
            limit => write!(f, "{limit}"),
        }
    }
}
