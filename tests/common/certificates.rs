//! Certificates for one test, made by openssl: an authority, a server and a client that it knows,
//! and a stranger that it does not.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A folder of certificates and keys, removed at the end. `NAME.pem` is the certificate, `NAME.key`
/// its key; names are `authority`, `server`, `client` and `stranger`.
pub(crate) struct Certificates {
    folder: PathBuf,
}

/// The keys that most tests use: small and quick to make.
const CURVE: [&str; 4] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];

impl Certificates {
    /// Tests of one program may ask for the same name at once: each gets a folder of its own.
    pub(crate) fn new(name: &str) -> Self {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let folder = super::scratch_path(&format!("{name}-{number}"));
        fs::create_dir_all(&folder).expect("a scratch folder can be made");
        let made = Self { folder };
        made.authority("authority");
        made.leaf("server", "authority", "serverAuth", &CURVE);
        made.leaf("client", "authority", "clientAuth", &CURVE);
        made.authority("unknown");
        made.leaf("stranger", "unknown", "clientAuth", &CURVE);
        made
    }

    /// Replaces the server's certificate by another one, of another name.
    pub(crate) fn renew(&self) {
        self.leaf("renewed", "authority", "serverAuth", &CURVE);
        for kind in ["pem", "key"] {
            fs::rename(self.path(&format!("renewed.{kind}")), self.path(&format!("server.{kind}")))
                .expect("a file can be replaced");
        }
    }

    /// Gives the server a certificate with a key of RSA, of so many bits: signing by it takes long.
    pub(crate) fn use_rsa(&self, bits: u32) {
        let key = format!("rsa:{bits}");
        self.leaf("server", "authority", "serverAuth", &["-newkey", &key]);
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    pub(crate) fn text(&self, file: &str) -> String {
        self.path(file).to_str().expect("a path of ours is text").to_owned()
    }

    /// The value of `-o` that names the server's files.
    pub(crate) fn option(&self) -> String {
        format!("ssl_chain_cert={},ssl_key={}", self.text("server.pem"), self.text("server.key"))
    }

    /// The value of `-o` that names the authority of clients, too.
    pub(crate) fn option_with_authority(&self) -> String {
        format!("{},ssl_ca_cert={}", self.option(), self.text("authority.pem"))
    }

    fn authority(&self, name: &str) {
        let (key, out) = (format!("{name}.key"), format!("{name}.pem"));
        let subject = format!("/CN={name}");
        let mut command = self.openssl(&["req", "-x509", "-nodes", "-days", "30"]);
        command.args(CURVE).args(["-keyout", &key, "-out", &out, "-subj", &subject]);
        run(&mut command);
    }

    fn leaf(&self, name: &str, authority: &str, usage: &str, key: &[&str]) {
        let file = |kind: &str| format!("{name}.{kind}");
        let extensions = format!(
            "basicConstraints=CA:FALSE\nextendedKeyUsage={usage}\n\
             subjectAltName=DNS:localhost,IP:127.0.0.1\n"
        );
        fs::write(self.path(&file("ext")), extensions).expect("a file can be written");
        let subject = format!("/CN={name}");
        let mut request = self.openssl(&["req", "-nodes"]);
        request.args(key).args(["-keyout", &file("key"), "-out", &file("csr")]);
        run(request.args(["-subj", &subject]));
        let (issuer, issuer_key) = (format!("{authority}.pem"), format!("{authority}.key"));
        let mut sign = self.openssl(&["x509", "-req", "-days", "30", "-CAcreateserial"]);
        sign.args(["-in", &file("csr"), "-CA", &issuer, "-CAkey", &issuer_key]);
        run(sign.args(["-extfile", &file("ext"), "-out", &file("pem")]));
    }

    fn openssl(&self, args: &[&str]) -> Command {
        let mut command = Command::new("openssl");
        command.current_dir(&self.folder).args(args).stdin(Stdio::null());
        command
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[track_caller]
fn run(command: &mut Command) {
    let output = command.output().expect("openssl is there: run tests/setup.sh first");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}
