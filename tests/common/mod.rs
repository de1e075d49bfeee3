//! What every test program of this folder shares: servers, a raw connection, a random source,
//! /proc.
//!
//! The tests talk to the real binary over loopback. A server is started on a port of its own, is
//! waited for with a bound, and is killed by its process id when its handle is dropped, so a
//! failing test leaves nothing behind. The same handle runs Debian's memcached, which most tests
//! hold as their yardstick: what passes against memcached and fails against ringcached is a
//! difference that users would see.
//!
//! Every test program includes this module and uses its own part of it, hence the allowance below.
#![allow(dead_code, unused_imports)]

pub(crate) mod certificates;
pub(crate) mod process;
pub(crate) mod random;
pub(crate) mod server;
pub(crate) mod tunnel;
pub(crate) mod wire;

pub(crate) use random::Random;
pub(crate) use server::Server;
pub(crate) use wire::Wire;

use std::path::PathBuf;

/// The folder into which tests/setup.sh puts the clients, below cargo's target directory.
pub(crate) fn clients_dir() -> PathBuf {
    let scratch = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    scratch.parent().expect("the scratch folder lies in the target directory").join("clients")
}

/// A file or folder name below cargo's scratch folder, unique to this process and to `name`.
pub(crate) fn scratch_path(name: &str) -> PathBuf {
    let scratch = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    std::fs::create_dir_all(&scratch).expect("the scratch folder can be made");
    scratch.join(format!("{}-{name}", std::process::id()))
}

/// Shows bytes of a protocol so that a person can read them and paste them into a test.
pub(crate) fn show(bytes: &[u8]) -> String {
    let mut text = bytes[..bytes.len().min(2000)].escape_ascii().to_string();
    if bytes.len() > 2000 {
        text.push_str(&format!("... ({} bytes in all)", bytes.len()));
    }
    text.replace("\\r\\n", "\\r\\n\n    ")
}

/// Shows bytes on one line, the middle left out where they are many.
pub(crate) fn show_line(bytes: &[u8]) -> String {
    if bytes.len() <= 700 {
        return bytes.escape_ascii().to_string();
    }
    let (head, tail) = (&bytes[..400], &bytes[bytes.len() - 20..]);
    format!("{}... {} bytes ...{}", head.escape_ascii(), bytes.len() - 420, tail.escape_ascii())
}

/// Fails with the first place at which two replies part, with what came before it.
#[track_caller]
pub(crate) fn assert_same_bytes(what: &str, expected: &[u8], found: &[u8]) {
    if expected == found {
        return;
    }
    let parted = expected.iter().zip(found).take_while(|(a, b)| a == b).count();
    let from = parted.saturating_sub(120);
    panic!(
        "{what}: replies part at byte {parted}\n  expected ...{}\n  found    ...{}",
        show(&expected[from..]),
        show(&found[from..])
    );
}
