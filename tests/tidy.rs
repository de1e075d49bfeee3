//! The house rules, held by machine: what a reader of this repository may rely on in every file.
//!
//! A rule that only stands in a page is broken within a month. Each rule here names its file and
//! line when it is broken, all of them at once, so that one run tells all there is to mend.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const LINE_COLUMNS_MAX: usize = 100;
const FILE_LINES_MAX: usize = 700;

/// What stands at the root of the repository, seen without looking for hidden files.
const ROOT: [&str; 9] = [
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "benches",
    "loadgen",
    "src",
    "tests",
    "tuning",
];

/// Where `unsafe` may be written; everywhere else the compiler denies it as well.
const UNSAFE_ALLOWED: [&str; 5] =
    ["src/ring/", "src/shard/slab", "src/shard/item", "src/mesh/", "src/os/"];

/// Which modules of the server a module may use. `config` stands for its limits only, where a
/// module is told of no other: protocol, shard, mesh and ring know neither each other nor what the
/// user typed.
const MAY_USE: [(&str, &[&str]); 10] = [
    ("config", &["os"]),
    ("protocol", &["config::limits"]),
    ("shard", &["config::limits"]),
    ("mesh", &["config::limits"]),
    ("ring", &["config::limits"]),
    ("os", &["config"]),
    ("tls", &["config"]),
    ("conn", &["config", "protocol"]),
    ("core", &["config", "conn", "mesh", "os", "protocol", "ring", "shard", "tls"]),
    ("control", &["config", "core", "mesh", "os", "protocol", "shard"]),
];

/// A source file of this repository, by its path from the root.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// Lines with their numbers, counted from 1.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(at, line)| (at + 1, line))
    }

    /// This file holds the words that it looks for.
    fn is_this_test(&self) -> bool {
        self.path == "tests/tidy.rs"
    }

    /// The module of the server that the file belongs to, `shard` for src/shard/slab.rs.
    fn module(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        Some(inside.split('/').next()?.trim_end_matches(".rs"))
    }
}

/// Every file that is, or is about to be, under version control.
fn files() -> Vec<PathBuf> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("git runs");
    assert!(listed.status.success(), "git lists no files: {listed:?}");
    let names = String::from_utf8(listed.stdout).expect("file names are text");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    names.lines().map(PathBuf::from).filter(|name| root.join(name).exists()).collect()
}

fn sources(extensions: &[&str]) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let fits = |name: &PathBuf| {
        name.extension().is_some_and(|ext| extensions.iter().any(|wanted| ext == *wanted))
    };
    let read = |name: PathBuf| Source {
        text: fs::read_to_string(root.join(&name)).expect("a source file is text"),
        path: name.to_string_lossy().into_owned(),
    };
    files().into_iter().filter(fits).map(read).collect()
}

/// Fails with every breach of a rule at once.
#[track_caller]
fn assert_none(rule: &str, breaches: Vec<String>) {
    assert!(breaches.is_empty(), "{rule}:\n  {}", breaches.join("\n  "));
}

/// Where a line of any Rust file breaks a rule.
fn breaches(breaks: impl Fn(&Source, &str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources(&["rs"]).iter().filter(|source| !source.is_this_test()) {
        for (number, line) in source.lines() {
            if breaks(source, line) {
                found.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
    }
    found
}

#[test]
fn lines_fit_the_page() {
    let found = breaches(|_, line| line.chars().count() > LINE_COLUMNS_MAX);
    assert_none("a line has at most 100 columns", found);
}

#[test]
fn lines_hold_no_tabs_and_end_without_blanks() {
    let found = breaches(|_, line| line.contains('\t') || line.ends_with(' '));
    assert_none("a line has no tab and no blank at its end", found);
}

#[test]
fn files_are_one_idea_long() {
    let all = sources(&["rs"]);
    let long = all.iter().map(|source| (source, source.text.lines().count()));
    let long = long.filter(|(_, lines)| *lines > FILE_LINES_MAX);
    let found = long.map(|(source, lines)| format!("{}: {lines} lines", source.path)).collect();
    assert_none("a file has at most 700 lines", found);
}

#[test]
fn files_open_with_an_essay() {
    let all = sources(&["rs"]);
    let mute = all.iter().filter(|source| !source.text.starts_with("//!"));
    assert_none("a file opens with //!", mute.map(|source| source.path.clone()).collect());
}

#[test]
fn nothing_is_left_over() {
    let words = ["todo!(", "unimplemented!(", "dbg!(", "FIXME", "XXX", "TODO", "#[ignore"];
    let found = breaches(|_, line| words.iter().any(|word| line.contains(word)));
    assert_none("nothing is left for later", found);
}

/// True where a line of code, not of comment, opens unsafe code.
fn opens_unsafe(line: &str) -> bool {
    let code = line.trim_start();
    let openings = ["unsafe {", "unsafe impl", "unsafe fn", "unsafe extern"];
    !code.starts_with("//") && openings.iter().any(|opening| code.contains(opening))
}

#[test]
fn unsafe_stays_where_it_belongs() {
    let found = breaches(|source, line| {
        let allowed = UNSAFE_ALLOWED.iter().any(|place| source.path.starts_with(place));
        !allowed && (opens_unsafe(line) || line.contains("allow(unsafe_code)"))
    });
    assert_none("unsafe belongs to ring, shard/slab, shard/item, mesh and os", found);
}

#[test]
fn unsafe_says_why_it_is_sound() {
    const LINES_ABOVE: usize = 3;
    let mut found = Vec::new();
    for source in sources(&["rs"]).iter().filter(|source| !source.is_this_test()) {
        let lines: Vec<&str> = source.text.lines().collect();
        for (at, line) in lines.iter().enumerate().filter(|(_, line)| opens_unsafe(line)) {
            let near = &lines[at.saturating_sub(LINES_ABOVE)..=at];
            // An unsafe function says in its documentation what its caller must hold.
            let told = |line: &&str| line.contains("SAFETY") || line.contains("# Safety");
            if !near.iter().any(told) && !documents_safety(&lines[..at]) {
                found.push(format!("{}:{}: {}", source.path, at + 1, line.trim()));
            }
        }
    }
    assert_none("unsafe has a SAFETY line within three lines above", found);
}

/// True if the comment that ends right here has a section on safety.
fn documents_safety(above: &[&str]) -> bool {
    let comment = |line: &&&str| line.trim_start().starts_with("///") || line.contains("#[");
    above.iter().rev().take_while(comment).any(|line| line.contains("# Safety"))
}

/// The modules that a line of code names after `crate::`, with one more word for config.
fn used_modules(line: &str) -> Vec<String> {
    if line.trim_start().starts_with("//") {
        return Vec::new();
    }
    let name = |text: &str| -> String {
        text.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ':')).collect()
    };
    let uses = line.split("crate::").skip(1).map(name);
    uses.map(|path| path.split("::").take(2).collect::<Vec<_>>().join("::")).collect()
}

#[test]
fn modules_use_only_what_lies_below_them() {
    let mut found = Vec::new();
    for source in &sources(&["rs"]) {
        let Some(module) = source.module() else { continue };
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == module) else { continue };
        for (number, line) in source.lines() {
            for used in used_modules(line) {
                let first = used.split("::").next().unwrap_or_default();
                let fine = first == module || allowed.iter().any(|a| *a == first || *a == used);
                if !fine {
                    found.push(format!("{}:{number}: {module} uses {used}", source.path));
                }
            }
        }
    }
    assert_none("a module uses only what its row of the table names", found);
}

#[test]
fn no_machine_is_named() {
    // Spelled in parts, so that this file does not break its own rule.
    let places = ["work", "farm", "root", "home"].map(|place| format!("/{place}/"));
    let mut found = Vec::new();
    for source in &sources(&["rs", "toml", "sh", "md", "py", "js", "pl", "php", "rb", "yml"]) {
        for (number, line) in source.lines() {
            if places.iter().any(|place| line.contains(place.as_str())) {
                found.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
    }
    assert_none("no path of a developer's machine stands in the repository", found);
}

#[test]
fn the_root_is_as_agreed() {
    let seen: BTreeSet<String> = files()
        .iter()
        .filter_map(|path| path.components().next())
        .map(|first| first.as_os_str().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.'))
        .collect();
    let agreed: BTreeSet<String> = ROOT.map(String::from).into();
    assert_eq!(seen, agreed, "the visible root is exactly what was agreed");
}
