//! What `-Z` and the suboptions `ssl_*` ask for.

use std::path::PathBuf;

use super::exit::Failure;
use super::limits::KIB;

/// The settings of TLS. They are kept and shown without `-Z` too, as memcached does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// `-Z`.
    pub enabled: bool,
    /// `ssl_chain_cert`: the server's certificate, then those that lead to its authority. PEM.
    pub chain_file: Option<PathBuf>,
    /// `ssl_key`: the certificate's private key.
    pub key_file: Option<PathBuf>,
    /// `ssl_keyformat`: how it is written.
    pub key_format: KeyFormat,
    /// `ssl_ca_cert`: the authorities whose clients are known. PEM.
    pub authority_file: Option<PathBuf>,
    /// `ssl_verify_mode`, as typed: 0 to 3.
    pub verify_mode: u32,
    /// `ssl_ciphers`: a list in OpenSSL's grammar.
    pub ciphers: Option<String>,
    /// `ssl_min_version`: the lowest version that is spoken.
    pub version_min: TlsVersion,
    /// `ssl_session_cache`: sessions are kept for clients that take no tickets.
    pub session_cache: bool,
    /// `ssl_wbuf_size`, in bytes; shown only.
    pub write_buffer_bytes: usize,
    /// `ssl_kernel_tls`; shown only.
    pub kernel_tls: bool,
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self {
            enabled: false,
            chain_file: None,
            key_file: None,
            key_format: KeyFormat::Pem,
            authority_file: None,
            verify_mode: 0,
            ciphers: None,
            version_min: TlsVersion::V1_2,
            session_cache: false,
            write_buffer_bytes: 16 * KIB,
            kernel_tls: false,
        }
    }
}

impl TlsSettings {
    /// What the listeners without a prefix want of their clients.
    #[must_use]
    pub fn peer_check(&self) -> PeerCheck {
        match self.verify_mode {
            0 => PeerCheck::Never,
            1 => PeerCheck::IfShown,
            // Mode 3 would spare clients a second look when they renegotiate, which nobody may.
            _ => PeerCheck::Always,
        }
    }

    /// Makes paths absolute, so that they hold for a daemon, and refuses `-Z` without its files.
    pub(super) fn settle(&mut self, enabled: bool) -> Result<(), Failure> {
        self.enabled = enabled;
        let files = [&mut self.chain_file, &mut self.key_file, &mut self.authority_file];
        for path in files.into_iter().flatten() {
            *path = std::path::absolute(&*path)
                .map_err(|error| Failure::usage(format!("path \"{}\": {error}", path.display())))?;
        }
        let needs = |name| Failure::usage(format!("-Z (TLS) needs -o {name}=FILE"));
        if enabled {
            self.chain_file.as_ref().ok_or_else(|| needs("ssl_chain_cert"))?;
            self.key_file.as_ref().ok_or_else(|| needs("ssl_key"))?;
        }
        Ok(())
    }
}

/// How a private key is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFormat {
    /// As text.
    Pem,
    /// As bytes (ASN.1, DER).
    Der,
}

impl KeyFormat {
    /// The number that OpenSSL, and so `ssl_keyformat`, gives it.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Pem => 1,
            Self::Der => 2,
        }
    }
}

/// A version of the protocol. There is no way to speak an older one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    /// 1.2.
    V1_2,
    /// 1.3.
    V1_3,
}

impl TlsVersion {
    /// As `stats settings` shows it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::V1_2 => "tlsv1.2",
            Self::V1_3 => "tlsv1.3",
        }
    }
}

/// Whether a client has to show a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PeerCheck {
    /// It is not asked for one.
    Never,
    /// It is asked; one that is shown must be right.
    IfShown,
    /// Without a right one it does not get in.
    Always,
}

impl PeerCheck {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Never, Self::IfShown, Self::Always];
}
