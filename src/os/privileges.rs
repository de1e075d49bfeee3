//! Becoming the user of `-u`, and giving up the way back.
//!
//! A server on the network must not run as root by accident: started by root without `-u` it
//! refuses and says which flag to add, as memcached does. After the switch no_new_privs holds, so
//! that no set-uid program started from here could undo it.

use std::ffi::CString;

use nix::sys::prctl;
use nix::unistd::{User, geteuid, getuid, initgroups, setgid, setuid};

use crate::config::{Config, Failure, Note, exit};

/// Drops to the user that `config` names.
///
/// # Errors
/// Exit code 64 for root without `-u`, 67 for a user that does not exist, 71 when the switch fails.
pub fn drop_to_user(config: &mut Config) -> Result<(), Failure> {
    let root = getuid().is_root() || geteuid().is_root();
    match (&config.user, root) {
        (None, true) => {
            return Err(Failure::usage(
                "started by root: name the user to switch to (-u NAME), or stay root with -u root",
            ));
        }
        (Some(name), true) => switch_to(&name.clone())?,
        (Some(_), false) => config
            .notes
            .push(Note::Verbose("-u has no effect: only root can become another user".into())),
        (None, false) => {}
    }
    prctl::set_no_new_privs().map_err(|error| Failure::os("no_new_privs", error))?;
    if config.core_dumps {
        // A process that changed its user is not dumpable any more, which would undo -r.
        prctl::set_dumpable(true).map_err(|error| Failure::os("-r", error))?;
    }
    Ok(())
}

fn switch_to(name: &str) -> Result<(), Failure> {
    let failed = |error| Failure::os(format!("-u {name}: cannot become that user"), error);
    let Some(user) = User::from_name(name).map_err(failed)? else {
        return Err(Failure { code: exit::NO_USER, message: format!("-u {name}: no such user") });
    };
    let c_name = CString::new(name).map_err(|_| Failure::usage("-u: a name holds no zero byte"))?;
    // Groups first: afterwards there is no right left to change them.
    initgroups(&c_name, user.gid).map_err(failed)?;
    setgid(user.gid).map_err(failed)?;
    setuid(user.uid).map_err(failed)?;
    assert!(user.uid.is_root() || setuid(0.into()).is_err(), "there must be no way back to root");
    Ok(())
}
