//! The identity in force, and its replacement while the server runs.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use rustls::Error;

use super::{Identity, Session};
use crate::config::{PeerCheck, TlsSettings};

/// Holds the identity that new sessions get.
pub struct Keeper {
    settings: TlsSettings,
    current: Mutex<Current>,
}

struct Current {
    identity: Arc<Identity>,
    since: Instant,
}

impl Keeper {
    /// Reads the files that the settings name; nothing, if TLS is off.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub fn of(settings: &TlsSettings) -> Result<Option<Self>, String> {
        if !settings.enabled {
            return Ok(None);
        }
        let identity = Arc::new(Identity::read(settings)?);
        let current = Mutex::new(Current { identity, since: Instant::now() });
        Ok(Some(Self { settings: settings.clone(), current }))
    }

    /// Reads the files again. Sessions that have begun go on with what they began with.
    ///
    /// # Errors
    /// What is wrong with which file; the identity stays as it was.
    pub fn refresh(&self) -> Result<(), String> {
        let identity = Arc::new(Identity::read(&self.settings)?);
        let mut current = self.current.lock().expect("no thread panics with the lock");
        *current = Current { identity, since: Instant::now() };
        Ok(())
    }

    /// Seconds since the files were read with success.
    #[must_use]
    pub fn age_s(&self) -> u64 {
        let current = self.current.lock().expect("no thread panics with the lock");
        current.since.elapsed().as_secs()
    }

    /// A new session whose client is checked so.
    ///
    /// # Errors
    /// As [`Session::new`].
    pub fn session(&self, check: PeerCheck) -> Result<Session, Error> {
        let current = self.current.lock().expect("no thread panics with the lock");
        let identity = Arc::clone(&current.identity);
        drop(current);
        Session::new(identity.config(check))
    }
}
