//! Real clients over TLS: by their own where they have it, else through the tunnel.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::common::certificates::Certificates;
use crate::common::{Server, clients_dir, scratch_path};
use crate::{server, stat, tunnel};

/// The numbers of cores that every client is run against.
const CORES: [&str; 2] = ["1", "2"];

/// Runs a command to its end, within a minute and a half; fails with all that it said.
#[track_caller]
fn run(program: impl AsRef<Path>, args: &[&str]) -> String {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", "90"]).arg(program.as_ref()).args(args);
    let output = command.stdin(Stdio::null()).output().expect("timeout starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{said}{complained}", output.status);
    said
}

#[track_caller]
fn python(script: &str, args: &[&str]) {
    let interpreter = clients_dir().join("python/bin/python");
    assert!(interpreter.exists(), "python's clients are missing: run tests/setup.sh first");
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(script);
    let script = script.to_str().expect("a path in UTF-8").to_owned();
    assert!(run(interpreter, &[&[script.as_str()], args].concat()).contains("passed"));
}

fn on_each_number_of_cores(name: &str, test: impl Fn(&Certificates, &Server)) {
    let certificates = Certificates::new(name);
    for cores in CORES {
        test(&certificates, &server(&certificates, &["-t", cores, "-m", "128"]));
    }
}

#[test]
fn pymemcache() {
    on_each_number_of_cores("pymemcache", |certificates, server| {
        let authority = certificates.text("authority.pem");
        python("pymemcache_client.py", &[&server.address(), &authority]);
    });
}

#[test]
fn bmemcached() {
    on_each_number_of_cores("bmemcached", |certificates, server| {
        let authority = certificates.text("authority.pem");
        python("bmemcached_client.py", &[&server.address(), "--authority", &authority]);
    });
}

/// Clients that have a password; pylibmc, which knows no TLS, comes through the tunnel.
#[test]
fn credentials() {
    let certificates = Certificates::new("credentials");
    let users = scratch_path("tls-clients.users");
    std::fs::write(&users, "ann:right\n").expect("the scratch folder takes a file");
    let (option, authority) =
        (certificates.option_with_authority(), certificates.text("authority.pem"));
    for cores in CORES {
        let args = ["-Z", "-o", &option, "-t", cores];
        let file = users.to_str().expect("a path in UTF-8");
        let text = Server::ringcached(&[&args[..], &["-Y", file]].concat());
        let variables = [("MEMCACHED_SASL_PWDB", users.as_path())];
        let sasl = Server::ringcached_with(&variables, &[&args[..], &["-S"]].concat());
        for (client, server) in [("pymemcache", &text), ("bmemcached", &sasl)] {
            let address = server.address();
            python("credentials.py", &[client, &address, "ann", "right", &authority]);
        }
        let tunnel = tunnel(&certificates, &sasl);
        let address = format!("127.0.0.1:{}", tunnel.port());
        python("credentials.py", &["pylibmc", &address, "ann", "right"]);
    }
    let _ = std::fs::remove_file(users);
}

#[test]
fn python_ssl() {
    let certificates = Certificates::new("python-ssl");
    for cores in CORES {
        let options = "ssl_verify_mode=2";
        let server = server(&certificates, &["-t", cores, "-o", options]);
        let [authority, chain, key] =
            ["authority.pem", "client.pem", "client.key"].map(|file| certificates.text(file));
        python("ssl_client.py", &[&server.address(), &authority, &chain, &key]);
    }
}

/// The whole of libmemcached's own test of a server's capabilities, text and binary.
#[test]
fn memccapable() {
    on_each_number_of_cores("memccapable", |certificates, server| {
        let tunnel = tunnel(certificates, server);
        let port = tunnel.port().to_string();
        let said = run("memccapable", &["-h", "127.0.0.1", "-p", &port]);
        assert!(said.contains("All tests passed") && !said.contains("FAIL"), "{said}");
    });
}

/// The load generator speaks TLS itself. Values are checked, so a record that went astray would be
/// seen.
#[test]
fn loadgen() {
    on_each_number_of_cores("loadgen", |certificates, server| {
        let report = scratch_path("loadgen-tls.json");
        let (authority, report_text) =
            (certificates.text("authority.pem"), report.to_str().expect("text").to_owned());
        for protocol in ["text", "meta", "binary"] {
            let said = run(
                loadgen_binary(),
                &[
                    "--servers",
                    &server.address(),
                    "--tls",
                    "--tls-ca",
                    &authority,
                    "--protocol",
                    protocol,
                    "--time",
                    "1s",
                    "--connections",
                    "8",
                    "--depth",
                    "8",
                    "--keys",
                    "1000",
                    "--verify",
                    "--json",
                    &report_text,
                ],
            );
            let report = std::fs::read_to_string(&report).expect("a report");
            assert!(report.contains("\"requests\""), "{said}\n{report}");
        }
        let tunnel = tunnel(certificates, server);
        let mut wire = tunnel.connect();
        assert!(stat(&mut wire, "get_hits") > 1000);
        assert_eq!(stat(&mut wire, "ssl_proto_errors"), 0);
        let _ = std::fs::remove_file(report);
    });
}

/// The load generator, built if this package's tests are run alone.
fn loadgen_binary() -> PathBuf {
    let beside = Path::new(env!("CARGO_BIN_EXE_ringcached")).with_file_name("loadgen");
    if !beside.exists() {
        let build = Command::new(env!("CARGO")).args(["build", "--package", "loadgen"]).status();
        assert!(build.is_ok_and(|status| status.success()), "loadgen cannot be built");
    }
    beside
}
