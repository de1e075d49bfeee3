//! A stand-in until the server lands: it binds, announces, and waits for a signal to end.

use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use nix::sys::signal::{SigSet, Signal};

use crate::config::{Config, Failure};
use crate::os::announce;

/// Binds what `config` names and waits for SIGTERM or SIGINT.
///
/// # Errors
/// What cannot be bound, with exit code 71.
pub fn run(config: Config) -> Result<(), Failure> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTERM);
    signals.add(Signal::SIGINT);
    signals.thread_block().map_err(|error| Failure::os("signals", error))?;
    let mut listeners = Vec::new();
    for address in &config.listen {
        match TcpListener::bind((address.host, address.port)) {
            Ok(listener) => listeners.push(listener),
            Err(_) if address.optional => {}
            Err(error) => return Err(Failure::os(format!("{address:?}"), error)),
        }
    }
    let _unix = config.unix_path.as_ref().map(UnixListener::bind);
    let bound: Vec<_> = listeners.iter().filter_map(|l| l.local_addr().ok()).collect();
    let _announcement = announce::listening(&config, &bound)?;
    signals.wait().map_err(|error| Failure::os("signals", error))?;
    Ok(())
}
