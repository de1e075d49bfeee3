//! TLS, by rustls: which authorities to trust, which certificate to show.
//!
//! A session is pure state: cipher text in, plain text out and the other way round. The ring moves
//! the bytes.

use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme,
};

/// What the command line says about TLS.
#[derive(Clone, Debug, Default)]
pub struct TlsOptions<'a> {
    /// A file of authorities to trust.
    pub authorities: Option<&'a Path>,
    /// Our certificate and its key.
    pub identity: Option<(&'a Path, &'a Path)>,
    /// Trust anybody.
    pub insecure: bool,
}

/// Builds the settings of all sessions. The error names the file that is wrong.
pub fn config(options: &TlsOptions<'_>) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = if options.insecure {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(TrustAnybody(provider)))
    } else {
        let file = options.authorities.ok_or("--tls needs --tls-ca FILE or --tls-insecure")?;
        builder.with_root_certificates(roots(file)?)
    };
    let config = match options.identity {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => {
            let key = PrivateKeyDer::from_pem_file(key).map_err(|error| in_file(key, &error))?;
            let chain = certificates(chain)?;
            builder.with_client_auth_cert(chain, key).map_err(|error| error.to_string())?
        }
    };
    Ok(Arc::new(config))
}

fn roots(file: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots.add(certificate).map_err(|error| in_file(file, &error))?;
    }
    Ok(roots)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = CertificateDer::pem_file_iter(file).map_err(|error| in_file(file, &error))?;
    found.collect::<Result<_, _>>().map_err(|error| in_file(file, &error))
}

fn in_file(file: &Path, error: &dyn std::fmt::Display) -> String {
    format!("{}: {error}", file.display())
}

/// One connection's session.
pub struct Session(Box<ClientConnection>);

impl Session {
    /// A session with the server of this name, whose handshake has yet to happen.
    pub fn new(config: &Arc<ClientConfig>, host: &str) -> io::Result<Self> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let mut session = ClientConnection::new(config.clone(), name).map_err(io::Error::other)?;
        // What is sealed at once is bounded by what a connection has under way, not here.
        session.set_buffer_limit(None);
        Ok(Self(Box::new(session)))
    }

    /// Makes the handshake over a socket that blocks.
    pub fn shake_hands(&mut self, socket: &mut (impl Read + Write)) -> io::Result<()> {
        while self.0.is_handshaking() {
            self.0.complete_io(socket)?;
        }
        Ok(())
    }

    /// Takes plain text over and appends the cipher text to send, that of the handshake included.
    pub fn seal(&mut self, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        self.0.writer().write_all(plain)?;
        while self.0.wants_write() {
            self.0.write_tls(out)?;
        }
        Ok(())
    }

    /// Takes cipher text in and appends the plain text it brought.
    pub fn open(&mut self, mut cipher: &[u8], plain: &mut Vec<u8>) -> io::Result<()> {
        while !cipher.is_empty() {
            self.0.read_tls(&mut cipher)?;
            let state = self.0.process_new_packets().map_err(io::Error::other)?;
            let (start, bytes) = (plain.len(), state.plaintext_bytes_to_read());
            plain.resize(start + bytes, 0);
            self.0.reader().read_exact(&mut plain[start..])?;
        }
        Ok(())
    }

    /// Whether there is cipher text to send without any plain text: a step of the handshake.
    pub fn wants_send(&self) -> bool {
        self.0.wants_write()
    }
}

/// Accepts every certificate: for tests against servers with made-up ones.
#[derive(Debug)]
struct TrustAnybody(Arc<CryptoProvider>);

impl ServerCertVerifier for TrustAnybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
