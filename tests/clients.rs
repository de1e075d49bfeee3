//! Real clients against the real binary, on one core and on two.
//!
//! What a client library expects of a server is written down nowhere but in the library. So each is
//! run through all that it can do, by a script in tests/clients/ or by its own test program, and
//! says itself whether it got what it expected. tests/setup.sh installs them.

mod common;

use std::path::PathBuf;
use std::process::{Command, Stdio};

use common::{Server, clients_dir, scratch_path};

/// The numbers of cores that every client is run against.
const CORES: [&str; 2] = ["1", "2"];

/// Runs `command` to its end, bounded by timeout(1); fails with all that it said.
#[track_caller]
fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| {
        panic!("{command:?} does not start ({error}): run tests/setup.sh first")
    });
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{said}{complained}", output.status);
    said
}

/// A command that ends after a minute and a half at the latest.
fn bounded(program: impl Into<PathBuf>) -> Command {
    let program = program.into();
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", "90"]).arg(program);
    command
}

/// A script in tests/clients/ under the python that tests/setup.sh made.
fn python(script: &str, server: &Server) -> String {
    let interpreter = clients_dir().join("python/bin/python");
    assert!(interpreter.exists(), "python's clients are missing: run tests/setup.sh first");
    run(bounded(interpreter).arg(self::script(script)).arg(server.address()))
}

fn script(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

fn on_each_number_of_cores(test: impl Fn(&Server)) {
    for cores in CORES {
        test(&Server::ringcached(&["-t", cores, "-m", "128"]));
    }
}

#[test]
fn python_memcached() {
    on_each_number_of_cores(|server| {
        assert!(python("python_memcached.py", server).contains("passed"));
    });
}

#[test]
fn pymemcache() {
    on_each_number_of_cores(|server| {
        assert!(python("pymemcache_client.py", server).contains("passed"));
    });
}

#[test]
fn pylibmc() {
    on_each_number_of_cores(|server| {
        assert!(python("pylibmc_client.py", server).contains("passed"));
    });
}

#[test]
fn bmemcached() {
    on_each_number_of_cores(|server| {
        assert!(python("bmemcached_client.py", server).contains("passed"));
    });
}

/// Clients that have a password, by SASL or, where they know none, by memcached's way in text.
#[test]
fn credentials() {
    let users = scratch_path("clients.users");
    std::fs::write(&users, "ann:right\n").expect("the scratch folder takes a file");
    for cores in CORES {
        let text = ["-Y", users.to_str().expect("a path in UTF-8"), "-t", cores];
        let text = Server::ringcached(&text);
        let variables = [("MEMCACHED_SASL_PWDB", users.as_path())];
        let sasl = Server::ringcached_with(&variables, &["-S", "-t", cores]);
        for (client, server) in [("pymemcache", &text), ("bmemcached", &sasl), ("pylibmc", &sasl)] {
            let interpreter = clients_dir().join("python/bin/python");
            let mut command = bounded(interpreter);
            command.arg(script("credentials.py")).args([client, &server.address(), "ann", "right"]);
            assert!(run(&mut command).contains("passed"));
        }
    }
    let _ = std::fs::remove_file(users);
}

#[test]
fn memjs() {
    let packages = clients_dir().join("node");
    assert!(packages.join("node_modules/memjs").exists(), "memjs is missing: run tests/setup.sh");
    on_each_number_of_cores(|server| {
        let script = script("memjs_client.js");
        let said = run(bounded("node").arg(script).arg(server.address()).arg(&packages));
        assert!(said.contains("passed"), "{said}");
    });
}

#[test]
fn perl_cache_memcached() {
    on_each_number_of_cores(|server| {
        let said =
            run(bounded("/usr/bin/perl").arg(script("cache_memcached.pl")).arg(server.address()));
        assert!(said.contains("passed"), "{said}");
    });
}

#[test]
fn ruby_dalli() {
    on_each_number_of_cores(|server| {
        let said =
            run(bounded("/usr/bin/ruby").arg(script("dalli_client.rb")).arg(server.address()));
        assert!(said.contains("passed"), "{said}");
    });
}

#[test]
fn php_extensions() {
    on_each_number_of_cores(|server| {
        for part in ["memcache", "memcached", "memcached-binary"] {
            let mut php = bounded("/usr/bin/php");
            let said = run(php.arg(script("php_clients.php")).arg(server.address()).arg(part));
            assert!(said.contains("passed"), "{said}");
        }
    });
}

/// Sessions are locked, read, written and destroyed by either handler; php-memcached's speaks
/// binary.
#[test]
fn php_sessions() {
    on_each_number_of_cores(|server| {
        let address = server.address();
        let handlers = [("memcache", format!("tcp://{address}")), ("memcached", address.clone())];
        for (handler, path) in handlers {
            let mut php = bounded("/usr/bin/php");
            php.args(["-d", "session.use_cookies=0", "-d", "session.cache_limiter="]);
            php.args(["-d", &format!("session.save_handler={handler}")]);
            php.args(["-d", &format!("session.save_path={path}")]);
            php.arg(script("php_clients.php")).args([address.as_str(), "session"]);
            let said = run(&mut php);
            assert!(said.contains("passed"), "{handler}: {said}");
        }
    });
}

/// The whole of libmemcached's own test of a server's capabilities, text and binary.
///
/// It wants `delete a b c d e` refused. memcached 1.6.45 no longer does that and fails two of its
/// tests.
#[test]
fn memccapable() {
    on_each_number_of_cores(|server| {
        let port = server.port().to_string();
        let said = run(bounded("memccapable").args(["-h", "127.0.0.1", "-p", &port]));
        assert!(said.contains("All tests passed"), "{said}");
        assert!(!said.contains("FAIL"), "{said}");
    });
}

#[test]
fn libmemcached_tools() {
    on_each_number_of_cores(|server| {
        let servers = format!("--servers={}", server.address());
        let tool = |name: &str| {
            let mut command = bounded(name);
            command.arg(&servers);
            command
        };
        let folder = scratch_path("tools");
        std::fs::create_dir_all(&folder).expect("a scratch folder can be made");
        let file = folder.join("copied");
        std::fs::write(&file, "what memccp copies\n").expect("a file can be written");

        run(&mut tool("memcping"));
        run(tool("memccp").arg(&file));
        assert_eq!(run(tool("memccat").arg("copied")).trim_end(), "what memccp copies");
        run(tool("memcexist").arg("copied"));
        run(tool("memctouch").args(["--expire=1000", "copied"]));
        let dumped = run(&mut tool("memcdump"));
        assert!(dumped.lines().any(|key| key == "copied"), "memcdump showed: {dumped}");
        let stats = run(&mut tool("memcstat"));
        assert!(stats.contains("curr_items: 1"), "memcstat showed: {stats}");
        run(tool("memcrm").arg("copied"));
        let gone = tool("memcexist").arg("copied").status().expect("memcexist runs");
        assert!(!gone.success(), "memcexist found what memcrm removed");
        run(&mut tool("memcflush"));
        let _ = std::fs::remove_dir_all(&folder);
    });
}

/// A load of text gets and sets from several threads at once, all of which must find what they
/// stored.
#[test]
fn memcslap() {
    on_each_number_of_cores(|server| {
        let servers = format!("--servers={}", server.address());
        for test in ["--test=set", "--test=get", "--test=mget"] {
            let loads = ["--concurrency=4", "--execute-number=2000", "--initial-load=2000"];
            let said = run(bounded("memcslap").arg(&servers).arg(test).args(loads));
            assert!(!said.contains("FAIL"), "{said}");
        }
    });
}
