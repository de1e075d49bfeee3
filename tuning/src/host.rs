//! The host as files: `/proc`, `/sys` and little else.
//!
//! Every path is absolute as an operator would type it and is looked up below [`Host::root`]. The
//! real host has the root `/`; a test gives a directory it made. Nothing is cached, because a
//! reading that is shown must be the one that holds now, and a file that is absent or unreadable
//! is `None`: kernels and containers differ in what they show, and that alone is no fault.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::{fs, io};

/// A machine, seen through the files below `root`.
#[derive(Debug, Clone)]
pub struct Host {
    root: PathBuf,
}

impl Host {
    /// The machine this program runs on.
    #[must_use]
    pub fn real() -> Self {
        Self::at("/")
    }

    /// A tree of files that looks like a machine.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Whether system calls, too, speak of this host: a made tree has no kernel to ask.
    #[must_use]
    pub fn is_real(&self) -> bool {
        self.root == Path::new("/")
    }

    /// Where `path` really lies.
    #[must_use]
    pub fn place(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// The file's text without surrounding white space.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.place(path)).ok().map(|text| text.trim().to_owned())
    }

    /// The file's text as a number.
    #[must_use]
    pub fn number<T: FromStr>(&self, path: &str) -> Option<T> {
        self.text(path)?.parse().ok()
    }

    /// The word in brackets, as in `always [madvise] never`; the whole text if none is.
    #[must_use]
    pub fn chosen(&self, path: &str) -> Option<String> {
        let text = self.text(path)?;
        let bracketed = text.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
        Some(bracketed.map_or(&*text, |(word, _)| word).to_owned())
    }

    /// What follows `key` and a colon on its line, as in `/proc/self/status`.
    #[must_use]
    pub fn field(&self, path: &str, key: &str) -> Option<String> {
        let text = self.text(path)?;
        let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        Some(value.trim().to_owned())
    }

    /// A field of `/proc/meminfo`, in KiB except for counts of pages.
    #[must_use]
    pub fn meminfo(&self, key: &str) -> Option<u64> {
        self.field("/proc/meminfo", key)?.split(' ').next()?.parse().ok()
    }

    /// Names in a directory, those with numbers in numeric order; none if it is absent.
    #[must_use]
    pub fn names(&self, directory: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.place(directory)) else { return Vec::new() };
        let mut names: Vec<String> =
            entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort_by_key(|name| (trailing_number(name), name.clone()));
        names
    }

    /// Names in a directory that are `prefix` and a number, as `cpu0` or `rx-3`.
    #[must_use]
    pub fn numbered(&self, directory: &str, prefix: &str) -> Vec<String> {
        let mut names = self.names(directory);
        names.retain(|name| {
            name.strip_prefix(prefix).is_some_and(|number| number.parse::<u32>().is_ok())
        });
        names
    }

    /// The CPUs this program may run on, or else those online.
    #[must_use]
    pub fn cpus(&self) -> Vec<usize> {
        let allowed = self.field("/proc/self/status", "Cpus_allowed_list");
        cpu_list(
            &allowed.or_else(|| self.text("/sys/devices/system/cpu/online")).unwrap_or_default(),
        )
    }

    /// Writes a setting. The file must be there already: the kernel makes it, never this program.
    ///
    /// # Errors
    /// As the operating system has it: `PermissionDenied` without root, `ReadOnlyFilesystem` in
    /// most containers, `InvalidInput` for a value that the kernel refuses.
    pub fn write(&self, path: &str, value: &str) -> io::Result<()> {
        let mut file = fs::OpenOptions::new().write(true).truncate(true).open(self.place(path))?;
        io::Write::write_all(&mut file, format!("{value}\n").as_bytes())
    }
}

/// Parses the kernel's list of CPUs, as `0-3,8`. Whatever is no number is left out.
#[must_use]
pub fn cpu_list(text: &str) -> Vec<usize> {
    text.split(',').flat_map(|part| cpu_range(part.trim()).into_iter().flatten()).collect()
}

fn cpu_range(part: &str) -> Option<std::ops::RangeInclusive<usize>> {
    let (first, last) = part.split_once('-').unwrap_or((part, part));
    Some(first.parse().ok()?..=last.parse().ok()?)
}

/// Writes CPUs as the kernel's mask: groups of 32 bits in hexadecimal, the highest first.
#[must_use]
pub fn cpu_mask(cpus: &[usize]) -> String {
    let words = cpus.iter().max().map_or(1, |highest| highest / 32 + 1);
    let mut groups = vec![0u32; words];
    for cpu in cpus {
        groups[words - 1 - cpu / 32] |= 1 << (cpu % 32);
    }
    let (first, rest) = groups.split_first().expect("a mask has at least one group");
    rest.iter().fold(format!("{first:x}"), |mask, group| format!("{mask},{group:08x}"))
}

fn trailing_number(name: &str) -> u64 {
    name.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_lists_and_masks_are_the_kernels() {
        assert_eq!(cpu_list("0-3,8,10-11"), [0, 1, 2, 3, 8, 10, 11]);
        assert_eq!(cpu_list(""), [0usize; 0]);
        assert_eq!(cpu_mask(&[0, 1, 5]), "23");
        assert_eq!(cpu_mask(&[0, 33, 64]), "1,00000002,00000001");
    }

    #[test]
    fn names_with_numbers_come_in_numeric_order() {
        let tree = tempfile::tempdir().expect("a temporary directory");
        for name in ["cpu10", "cpu2", "cpu0", "cpufreq", "cpuidle"] {
            fs::create_dir(tree.path().join(name)).expect("a directory");
        }
        assert_eq!(Host::at(tree.path()).numbered("/", "cpu"), ["cpu0", "cpu2", "cpu10"]);
    }

    #[test]
    fn what_is_absent_is_none() {
        let tree = tempfile::tempdir().expect("a temporary directory");
        let host = Host::at(tree.path());
        assert_eq!(host.text("/proc/version"), None);
        assert!(host.names("/sys").is_empty() && host.cpus().is_empty());
        assert!(host.write("/proc/sys/vm/swappiness", "1").is_err(), "it must not make files");
    }
}
