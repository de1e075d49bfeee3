//! Who the server is, and whom it knows: its certificate and key, and the authorities of clients.
//!
//! Each way of checking clients ([`PeerCheck`]) has sessions of its own. Whoever resumes a session
//! is not checked again, so one that began where no certificate was asked for must not be resumed
//! where one is. For the same reason no session outlives the reading of new files.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    NoServerSessionStorage, ServerSessionMemoryCache, StoresServerSessions, WebPkiClientVerifier,
};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{Error, InconsistentKeys, RootCertStore, ServerConfig, SupportedProtocolVersion};

use super::ciphers;
use super::strangers::Strangers;
use crate::config::limits::TLS_SESSIONS_KEPT;
use crate::config::{KeyFormat, PeerCheck, TlsSettings, TlsVersion};

/// One reading of the files: what all sessions that begin from now on go by.
pub struct Identity {
    /// By [`PeerCheck`], in the order of [`PeerCheck::ALL`].
    configs: Vec<Arc<ServerConfig>>,
}

impl Identity {
    /// Reads what the settings name.
    ///
    /// # Errors
    /// What is wrong with which file, in memcached's words.
    pub fn read(settings: &TlsSettings) -> Result<Self, String> {
        let provider = CryptoProvider {
            cipher_suites: ciphers::choose(settings.ciphers.as_deref())?,
            ..ring::default_provider()
        };
        let provider = Arc::new(provider);
        let certified = Arc::new(certified(settings, &provider)?);
        let authorities = authorities(settings.authority_file.as_deref())?;
        let config = |check| config(settings, &provider, &certified, &authorities, check);
        let configs = PeerCheck::ALL.into_iter().map(config).collect::<Result<_, _>>();
        Ok(Self { configs: configs.map_err(|error| format!("Error setting TLS up: {error}"))? })
    }

    /// What sessions go by whose client is checked so.
    #[must_use]
    pub fn config(&self, check: PeerCheck) -> &Arc<ServerConfig> {
        &self.configs[check as usize]
    }
}

fn config(
    settings: &TlsSettings,
    provider: &Arc<CryptoProvider>,
    certified: &Arc<CertifiedKey>,
    authorities: &Arc<RootCertStore>,
    check: PeerCheck,
) -> Result<Arc<ServerConfig>, Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(versions(settings.version_min))?
        .with_client_cert_verifier(verifier(provider, authorities, check)?)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(CertifiedKey::clone(certified))));
    config.ticketer = ring::Ticketer::new()?;
    config.session_storage = if settings.session_cache {
        ServerSessionMemoryCache::new(TLS_SESSIONS_KEPT)
    } else {
        let none: Arc<dyn StoresServerSessions> = Arc::new(NoServerSessionStorage {});
        none
    };
    Ok(Arc::new(config))
}

fn versions(least: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    static FROM_1_2: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
    match least {
        TlsVersion::V1_2 => &FROM_1_2,
        TlsVersion::V1_3 => &FROM_1_2[..1],
    }
}

fn verifier(
    provider: &Arc<CryptoProvider>,
    authorities: &Arc<RootCertStore>,
    check: PeerCheck,
) -> Result<Arc<dyn ClientCertVerifier>, Error> {
    let is_required = match check {
        PeerCheck::Never => return Ok(WebPkiClientVerifier::no_client_auth()),
        PeerCheck::IfShown => false,
        PeerCheck::Always => true,
    };
    if authorities.is_empty() {
        return Ok(Arc::new(Strangers::new(provider, is_required)));
    }
    let (authorities, provider) = (Arc::clone(authorities), Arc::clone(provider));
    let builder = WebPkiClientVerifier::builder_with_provider(authorities, provider);
    let builder = if is_required { builder } else { builder.allow_unauthenticated() };
    builder.build().map_err(|error| Error::General(error.to_string()))
}

/// The server's certificates and key, which must belong together.
fn certified(settings: &TlsSettings, provider: &CryptoProvider) -> Result<CertifiedKey, String> {
    let missing = || "Error TLS needs a certificate chain and a key".to_owned();
    let chain_file = settings.chain_file.as_deref().ok_or_else(missing)?;
    let key_file = settings.key_file.as_deref().ok_or_else(missing)?;
    let chain = certificates(chain_file)
        .map_err(|why| about("Error loading the certificate chain", chain_file, &why))?;
    let loaded = key(key_file, settings.key_format).and_then(|key| {
        provider.key_provider.load_private_key(key).map_err(|error| error.to_string())
    });
    let key = loaded.map_err(|why| about("Error loading the key", key_file, &why))?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
        Err(error) => Err(format!("Error validating the certificate: {error}")),
    }
}

fn key(file: &Path, format: KeyFormat) -> Result<PrivateKeyDer<'static>, String> {
    match format {
        KeyFormat::Pem => PrivateKeyDer::from_pem_file(file).map_err(|error| error.to_string()),
        KeyFormat::Der => {
            let bytes = std::fs::read(file).map_err(|error| error.to_string())?;
            PrivateKeyDer::try_from(bytes).map_err(str::to_owned)
        }
    }
}

fn authorities(file: Option<&Path>) -> Result<Arc<RootCertStore>, String> {
    let mut store = RootCertStore::empty();
    let Some(file) = file else { return Ok(Arc::new(store)) };
    let wrong = |why: &str| about("Error loading the CA certificate", file, why);
    for certificate in certificates(file).map_err(|why| wrong(&why))? {
        store.add(certificate).map_err(|error| wrong(&error.to_string()))?;
    }
    Ok(Arc::new(store))
}

/// All certificates of a file, at least one.
fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = CertificateDer::pem_file_iter(file).map_err(|error| error.to_string())?;
    let found = found.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
    if found.is_empty() { Err("it holds no certificate".to_owned()) } else { Ok(found) }
}

fn about(what: &str, file: &Path, why: &str) -> String {
    format!("{what}: {} : {why}", file.display())
}
