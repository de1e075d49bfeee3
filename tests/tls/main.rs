//! TLS from the outside: handshakes, certificates, traffic, ends, real clients.
//!
//! The certificates are made by openssl when a test starts. Most tests talk through a tunnel that
//! speaks TLS for them, so that they can be written as if there were none.

#[path = "../common/mod.rs"]
mod common;

mod clients;
mod ends;
mod handshake;
mod identity;
mod traffic;

use std::sync::Arc;

use common::Server;
use common::certificates::Certificates;
use common::tunnel::Tunnel;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};

/// A server that speaks TLS, with `args` behind its certificate.
fn server(certificates: &Certificates, args: &[&str]) -> Server {
    let option = certificates.option_with_authority();
    Server::ringcached(&[&["-Z", "-o", &option], args].concat())
}

/// What clients go by that show the certificate of `name`, or none.
fn client_config(certificates: &Certificates, name: Option<&str>) -> Arc<ClientConfig> {
    client_config_of(certificates, name, rustls::ALL_VERSIONS)
}

fn client_config_of(
    certificates: &Certificates,
    name: Option<&str>,
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ClientConfig> {
    let read = |file: &str| {
        CertificateDer::from_pem_file(certificates.path(file)).expect("a certificate of ours")
    };
    let mut roots = RootCertStore::empty();
    roots.add(read("authority.pem")).expect("an authority of ours");
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .expect("versions that there are")
        .with_root_certificates(roots);
    Arc::new(match name {
        None => builder.with_no_client_auth(),
        Some(name) => {
            let key = PrivateKeyDer::from_pem_file(certificates.path(&format!("{name}.key")))
                .expect("a key of ours");
            builder
                .with_client_auth_cert(vec![read(&format!("{name}.pem"))], key)
                .expect("they belong together")
        }
    })
}

/// A tunnel to `server` for clients without a certificate.
fn tunnel(certificates: &Certificates, server: &Server) -> Tunnel {
    Tunnel::to(server.port(), client_config(certificates, None))
}

/// One value of the general statistics.
#[track_caller]
fn stat(wire: &mut common::Wire, name: &str) -> u64 {
    stats(wire, "stats")
        .lines()
        .find_map(|line| line.strip_prefix(&format!("STAT {name} ")))
        .map_or_else(|| panic!("{name} is not listed"), |value| value.parse().expect("a number"))
}

#[track_caller]
fn stats(wire: &mut common::Wire, command: &str) -> String {
    wire.send(format!("{command}\r\n"));
    String::from_utf8(wire.read_until(b"END\r\n")).expect("text")
}
