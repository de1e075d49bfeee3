//! The server's certificate: at the start, when it is renewed, and when the new one is broken.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::common::certificates::Certificates;
use crate::common::server::run_to_end;
use crate::common::{Server, Wire};
use crate::handshake::greet;
use crate::{client_config, server, stat, stats, tunnel};

/// What the server shows to a new client.
fn shown(certificates: &Certificates, server: &Server) -> Vec<u8> {
    let session = greet(server.port(), &client_config(certificates, None)).expect("let in");
    session.peer_certificates().expect("it shows one")[0].to_vec()
}

#[test]
fn a_start_without_its_files_says_what_is_wrong() {
    let certificates = Certificates::new("start");
    let (chain, key) = (certificates.text("server.pem"), certificates.text("server.key"));
    let other_key = certificates.text("client.key");
    let broken = certificates.text("broken.pem");
    fs::write(&broken, "-----BEGIN CERTIFICATE-----\nno\n").expect("a file can be written");
    let pair = |chain: &str, key: &str| format!("ssl_chain_cert={chain},ssl_key={key}");
    for (option, part) in [
        (String::from("track_sizes"), "-Z (TLS) needs -o ssl_chain_cert=FILE"),
        (format!("ssl_chain_cert={chain}"), "-Z (TLS) needs -o ssl_key=FILE"),
        (pair("/none.pem", &key), "Error loading the certificate chain: /none.pem : "),
        (pair(&broken, &key), "Error loading the certificate chain: "),
        (pair(&key, &key), "Error loading the certificate chain: "),
        (pair(&chain, "/none.key"), "Error loading the key: /none.key : "),
        (pair(&chain, &chain), "Error loading the key: "),
        (pair(&chain, &other_key), "Error validating the certificate: "),
        (pair(&chain, &key) + ",ssl_ca_cert=/none.pem", "Error loading the CA certificate: /none"),
        (pair(&chain, &key) + ",ssl_ciphers=RC4", "Error setting the provided cipher(s): RC4"),
        (pair(&chain, &key) + ",ssl_keyformat=2", "Error loading the key: "),
    ] {
        let (status, _, errors) =
            run_to_end(&["-u", "root", "-l", "127.0.0.1", "-p", "1", "-Z", "-o", &option]);
        assert_eq!(status.code(), Some(64), "{option}: {errors}");
        assert!(errors.starts_with("ringcached: ") && errors.contains(part), "{option}: {errors}");
        assert_eq!(errors.lines().count(), 1, "{option}: {errors}");
    }
}

#[test]
fn keys_come_in_either_format() {
    let certificates = Certificates::new("formats");
    certificates.use_rsa(2048);
    let der = certificates.text("server.der");
    let converted = std::process::Command::new("openssl")
        .args(["pkey", "-in", &certificates.text("server.key"), "-outform", "DER", "-out", &der])
        .status();
    assert!(converted.is_ok_and(|status| status.success()));
    let chain = certificates.text("server.pem");
    let option = format!("ssl_chain_cert={chain},ssl_key={der},ssl_keyformat=2");
    let server = Server::ringcached(&["-Z", "-o", &option]);
    shown(&certificates, &server);
}

/// Asks for the certificates to be read again, and checks what comes of it.
fn renews(refresh: impl Fn(&Server, &mut Wire) -> String) {
    let certificates = Certificates::new(&format!("renewed-{:?}", std::thread::current().id()));
    let server = server(&certificates, &["-t", "2"]);
    let tunnel = tunnel(&certificates, &server);
    let mut before = tunnel.connect();
    before.assert_in_step();
    let old = shown(&certificates, &server);
    assert_eq!(shown(&certificates, &server), old);
    certificates.renew();
    assert_eq!(shown(&certificates, &server), old, "nobody has asked for the new one");
    assert_eq!(refresh(&server, &mut before), "");
    let new = shown(&certificates, &server);
    assert_ne!(new, old, "the new certificate is shown");
    before.assert_in_step();
    let key = certificates.text("server.key");
    let kept = fs::read(&key).expect("it is there");
    fs::write(&key, "broken").expect("it can be written");
    let complaint = refresh(&server, &mut before);
    assert!(complaint.contains(&format!("Error loading the key: {key} : ")), "{complaint}");
    assert_eq!(shown(&certificates, &server), new, "the one before stays");
    fs::write(&key, kept).expect("it can be written");
    assert_eq!(refresh(&server, &mut before), "");
    before.assert_in_step();
}

#[test]
fn a_command_renews_the_certificate() {
    renews(|_, wire| match wire.ask("refresh_certs\r\n") {
        answer if answer == "OK" => String::new(),
        answer => answer,
    });
}

/// A signal has no answer. The age of the certificates tells that it was heeded, the log that it
/// could not be.
#[test]
fn a_signal_renews_the_certificate() {
    renews(|server, wire| {
        const WITHIN: Duration = Duration::from_secs(20);
        let age = |wire: &mut Wire| stat(wire, "time_since_server_cert_refresh");
        let complaints = |server: &Server| server.log().matches("Error loading").count();
        let since = Instant::now();
        while age(wire) < 1 {
            sleep(Duration::from_millis(20));
        }
        let had = complaints(server);
        server.signal(Signal::SIGHUP);
        while since.elapsed() < WITHIN {
            if complaints(server) > had {
                return server.log();
            }
            if age(wire) == 0 {
                return String::new();
            }
            sleep(Duration::from_millis(5));
        }
        panic!("the signal was not heeded: {}", server.log());
    });
}

/// A key that takes its time to be read, as on a disk that hangs, keeps nobody waiting but the one
/// who asked for it; his requests are answered in order.
#[test]
fn a_slow_disk_holds_up_no_core() {
    let certificates = Certificates::new("slow");
    let server = server(&certificates, &["-t", "2"]);
    let tunnel = tunnel(&certificates, &server);
    let (mut asks, mut others) = (tunnel.connect(), [tunnel.connect(), tunnel.connect()]);
    others.iter_mut().for_each(Wire::assert_in_step);
    let key = certificates.text("server.key");
    let kept = fs::read(&key).expect("it is there");
    fs::remove_file(&key).expect("it can be removed");
    nix::unistd::mkfifo(key.as_str(), nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    asks.send("mn\r\nrefresh_certs\r\nmn\r\n");
    asks.expect("", "MN\r\n");
    for _ in 0..20 {
        others.iter_mut().for_each(Wire::assert_in_step);
    }
    assert!(asks.is_silent_for(Duration::from_millis(100)), "the key has not been read yet");
    fs::write(&key, "broken").expect("somebody reads the pipe");
    assert!(asks.line().contains("Error loading the key"));
    asks.expect("", "MN\r\n");
    fs::remove_file(&key).expect("it can be removed");
    fs::write(&key, kept).expect("it can be written");
    asks.expect("refresh_certs noreply\r\nrefresh_certs\r\nmn\r\n", "OK\r\nMN\r\n");
}

#[test]
fn without_tls_there_is_nothing_to_refresh() {
    let server = Server::ringcached(&[]);
    let mut wire = server.connect();
    wire.expect("refresh_certs\r\n", "Error TLS not enabled\r\n");
    wire.expect("refresh_certs noreply\r\nmn\r\n", "MN\r\n");
    let settings = stats(&mut wire, "stats settings");
    for line in [
        "ssl_enabled no",
        "ssl_chain_cert (null)",
        "ssl_key (null)",
        "ssl_verify_mode 0",
        "ssl_keyformat 1",
        "ssl_ciphers NULL",
        "ssl_ca_cert NULL",
        "ssl_wbuf_size 16384",
        "ssl_session_cache no",
        "ssl_kernel_tls no",
        "ssl_min_version tlsv1.2",
    ] {
        assert!(settings.contains(&format!("STAT {line}\r\n")), "{line} in {settings}");
    }
    assert!(!stats(&mut wire, "stats").contains("ssl_"));
}

#[test]
fn settings_and_statistics_tell_of_tls() {
    let certificates = Certificates::new("settings");
    let options = "ssl_verify_mode=1,ssl_wbuf_size=64,ssl_session_cache,ssl_kernel_tls,\
                   ssl_ciphers=HIGH:!aNULL,ssl_min_version=3";
    let server = server(&certificates, &["-o", options, "-v"]);
    for name in ["ssl_wbuf_size", "ssl_kernel_tls"] {
        assert!(server.log().contains(&format!("-o {name} has no effect")), "{}", server.log());
    }
    let tunnel = tunnel(&certificates, &server);
    let mut wire = tunnel.connect();
    let settings = stats(&mut wire, "stats settings");
    for line in [
        "ssl_enabled yes".to_owned(),
        format!("ssl_chain_cert {}", certificates.text("server.pem")),
        format!("ssl_key {}", certificates.text("server.key")),
        "ssl_verify_mode 1".to_owned(),
        "ssl_ciphers HIGH:!aNULL".to_owned(),
        format!("ssl_ca_cert {}", certificates.text("authority.pem")),
        "ssl_wbuf_size 65536".to_owned(),
        "ssl_session_cache yes".to_owned(),
        "ssl_kernel_tls yes".to_owned(),
        "ssl_min_version tlsv1.3".to_owned(),
    ] {
        assert!(settings.contains(&format!("STAT {line}\r\n")), "{line} in {settings}");
    }
    let general = stats(&mut wire, "stats");
    let order = [
        "STAT log_watchers ",
        "STAT ssl_new_sessions 1\r\n",
        "STAT ssl_handshake_errors 0\r\n",
        "STAT ssl_proto_errors 0\r\n",
        "STAT time_since_server_cert_refresh ",
        "STAT unexpected_napi_ids ",
    ];
    let places: Vec<_> = order.iter().map(|line| general.find(line)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?} in {general}");
    let connections = stats(&mut wire, "stats conns");
    assert!(connections.contains(":state conn_parse_cmd\r\n"), "{connections}");
}
