//! memslap's and memaslap's options in our own words.
//!
//! The two programs give some letters different meanings; the value behind the letter tells which
//! is meant: `-t get` is memslap's test, `-t 2m` memaslap's time; `-e 10000` is memslap's number of
//! requests, `-e 0.1` memaslap's share of expiring items. What has no meaning here (reconnecting,
//! which always happens, or a buffer, which is always there) is taken and dropped. Everything else
//! passes through.

use std::fs;

use crate::workload::profile;

/// Translates arguments, the program's name excluded.
pub fn translate(arguments: &[String]) -> Result<Vec<String>, String> {
    let mut translation = Translation::default();
    let mut rest = Rest { arguments, at: 0 };
    while let Some(argument) = rest.next() {
        translation.take(argument, &mut rest)?;
    }
    translation.finish()
}

/// The arguments not looked at yet.
struct Rest<'a> {
    arguments: &'a [String],
    at: usize,
}

impl<'a> Rest<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let argument = self.arguments.get(self.at)?;
        self.at += 1;
        Some(argument)
    }

    fn peek(&self) -> Option<&'a str> {
        self.arguments.get(self.at).map(String::as_str)
    }

    /// The value of an option: what is attached to it, or the next argument.
    fn value(&mut self, attached: Option<&'a str>, option: &str) -> Result<&'a str, String> {
        attached.or_else(|| self.next()).ok_or_else(|| format!("{option} needs a value"))
    }
}

/// Connections of memaslap, each with a window of its own, if it is not told how many.
const MEMASLAP_CONCURRENCY: u64 = 16;

#[derive(Default)]
struct Translation {
    out: Vec<String>,
    /// A profile's or a file's options: before all others, which therefore win.
    workload: Vec<String>,
    test: Option<String>,
    execute_number: Option<u64>,
    window: Option<u64>,
    sockets: u64,
    connections: Option<u64>,
}

impl Translation {
    fn push(&mut self, option: &str, value: &str) {
        self.out.extend([option.to_owned(), value.to_owned()]);
    }

    fn take<'a>(&mut self, argument: &'a str, rest: &mut Rest<'a>) -> Result<(), String> {
        let (name, attached) = split(argument);
        let next = attached.or_else(|| rest.peek());
        let numeric =
            next.is_some_and(|next| next.starts_with(|c: char| c.is_ascii_digit() || c == '.'));
        match name {
            "--test" => self.test = Some(rest.value(attached, name)?.to_owned()),
            "-t" if next.is_some_and(is_test) => {
                self.test = Some(rest.value(attached, name)?.to_owned());
            }
            "--execute-number" => {
                self.execute_number = Some(super::units::whole(rest.value(attached, name)?)?);
            }
            "-e" | "--exp_verify" => {
                let value = rest.value(attached, name)?;
                match value.parse::<f64>() {
                    Ok(share) if share <= 1.0 => self.push("--ttl", &expiring(share)),
                    _ => self.execute_number = Some(super::units::whole(value)?),
                }
            }
            "-w" | "--win_size" => {
                self.window = Some(super::units::bytes(rest.value(attached, name)?)?);
            }
            "-c" | "--concurrency" | "--connections" => {
                let value = rest.value(attached, name)?;
                self.connections = Some(super::units::whole(value)?);
            }
            "-n" | "--conn_sock" if numeric => {
                self.sockets = super::units::whole(rest.value(attached, name)?)?;
            }
            "-v" | "--verify" if numeric => {
                rest.value(attached, name)?;
                self.out.push("--verify".into());
            }
            "-o" | "--overwrite" => {
                let share: f64 = rest.value(attached, name)?.parse().unwrap_or(1.0);
                self.push("--growth", &format!("{}", (1.0 - share).clamp(0.0, 1.0)));
            }
            "-p" | "--rep_write" if numeric => {
                let copies = super::units::whole(rest.value(attached, name)?)?;
                self.push("--replicas", &copies.saturating_sub(1).to_string());
            }
            "-p" => {
                let password = rest.value(attached, name)?;
                self.push("--password", password);
            }
            "-F" | "--cfg_cmd" if next.is_some_and(|next| !next.starts_with('-')) => {
                let path = rest.value(attached, name)?;
                let text = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
                self.workload.extend(memaslap_config(&text)?);
            }
            "-F" => self.out.push("--flush".into()),
            "-b" if self.is_memslap() => self.out.push("--binary".into()),
            "-l" | "--initial-load" => drop(rest.value(attached, name)?),
            "-d" if !numeric => {}
            "-R" | "--reconnect" | "--buffer" | "-n" | "--non-blocking" | "-b" | "--verbose"
            | "-v" | "--debug" => {}
            "--workload" => self.workload.extend(workload(rest.value(attached, name)?)?),
            _ => self.out.push(argument.to_owned()),
        }
        Ok(())
    }

    fn is_memslap(&self) -> bool {
        self.test.is_some() || self.execute_number.is_some()
    }

    /// Whether an option was typed, under one of its names.
    fn has(&self, names: &[&str]) -> bool {
        let is_one = |argument: &String| names.contains(&split(argument).0);
        self.out.iter().any(is_one)
    }

    fn finish(mut self) -> Result<Vec<String>, String> {
        // A workload may name arrivals for those who give it a rate; whoever types them means one.
        let opens = ["--rate", "-P", "--tps", "--search", "--sweep"];
        if self.has(&["--arrivals"]) && !self.has(&opens) {
            return Err("--arrivals are those of an open loop: it needs --rate".into());
        }
        if let Some(connections) = self.connections {
            let connections = connections * self.sockets.max(1);
            self.push("--connections", &connections.to_string());
        }
        if let Some(window) = self.window {
            let clients = self.connections.unwrap_or(MEMASLAP_CONCURRENCY);
            self.push("--keys", &(window * clients).to_string());
        }
        let clients = self.connections.unwrap_or(1);
        let mut options = if self.is_memslap() { self.memslap(clients)? } else { Vec::new() };
        options.append(&mut self.workload);
        options.append(&mut self.out);
        Ok(options)
    }

    /// memslap's tests: so many keys, each thread as many requests.
    fn memslap(&self, clients: u64) -> Result<Vec<String>, String> {
        let number = self.execute_number.unwrap_or(10_000).max(1);
        let all = number * clients;
        // A datagram holds a shorter value, and libmemcached's sets of longer ones fail.
        let values = if self.has(&["--udp", "-U"]) { "50-1200" } else { "50-4999" };
        let common = format!(
            "--connections {clients} --keys {number} --key-size 20-59 --value-size {values}"
        );
        let test = match self.test.as_deref() {
            None | Some("set") => {
                format!("--mix set --popularity sequential --requests {all} --no-preload")
            }
            Some("get") => format!("--mix get --requests {all}"),
            Some("mget") => {
                format!("--mix get --mget {number} --popularity sequential --requests {clients}")
            }
            Some(other) => return Err(format!("--test {other}: none of get, set, mget")),
        };
        Ok(format!("{common} {test}").split(' ').map(str::to_owned).collect())
    }
}

/// `--name=value` and `-nvalue` are cut in two.
fn split(argument: &str) -> (&str, Option<&str>) {
    if argument.starts_with("--") {
        return match argument.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (argument, None),
        };
    }
    let short = argument.starts_with('-') && argument.len() > 2 && argument.is_char_boundary(2);
    if short {
        (&argument[..2], Some(argument[2..].trim_start_matches('=')))
    } else {
        (argument, None)
    }
}

fn is_test(value: &str) -> bool {
    matches!(value, "get" | "set" | "mget")
}

/// memaslap lets a share of the items expire after a minute.
fn expiring(share: f64) -> String {
    format!("60s:{share},0:{}", 1.0 - share)
}

fn workload(name: &str) -> Result<Vec<String>, String> {
    if let Some(options) = profile::named(name) {
        return Ok(options);
    }
    let text = fs::read_to_string(name)
        .map_err(|error| format!("--workload {name}: no such name, and as a file: {error}"))?;
    Ok(profile::parse_file(&text))
}

/// The three sections of memaslap's configuration file: ranges of key and value lengths with their
/// shares, and the shares of set (0) and get (1).
fn memaslap_config(text: &str) -> Result<Vec<String>, String> {
    let mut section = "";
    let (mut keys, mut values, mut mix) = (Vec::new(), Vec::new(), Vec::new());
    for line in text.lines().map(|line| line.split('#').next().unwrap_or("").trim()) {
        let fields: Vec<_> = line.split_whitespace().collect();
        match (section, &fields[..]) {
            (_, []) => {}
            (_, ["key" | "value" | "cmd"]) => section = fields[0],
            ("key", [low, high, share]) => keys.push(format!("{low}-{high}:{share}")),
            ("value", [low, high, share]) => values.push(format!("{low}-{high}:{share}")),
            ("cmd", ["0", share]) => mix.push(format!("set={share}")),
            ("cmd", ["1", share]) => mix.push(format!("get={share}")),
            _ => return Err(format!("memaslap configuration: {line:?} is not understood")),
        }
    }
    let parts = [("--key-size", keys), ("--value-size", values), ("--mix", mix)];
    let given = parts.into_iter().filter(|(_, list)| !list.is_empty());
    Ok(given.flat_map(|(option, list)| [option.to_owned(), list.join(",")]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(line: &str) -> String {
        let arguments: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        translate(&arguments).expect("a translation").join(" ")
    }

    #[test]
    fn memslap_tests_become_workloads() {
        let line =
            translated("--servers=a --concurrency=4 --execute-number=100 --test=get --flush");
        assert!(line.starts_with("--connections 4 --keys 100 "), "{line}");
        assert!(line.contains("--mix get --requests 400") && line.contains("--servers=a --flush"));
        assert!(
            translated("--test=set").contains("--mix set --popularity sequential --requests 10000")
        );
        assert!(translated("-t mget -e 50").contains("--mget 50"));
        assert!(translate(&["--test=put".to_owned()]).is_err());
    }

    #[test]
    fn memaslap_options_become_ours() {
        let line = "-s a:1 -T 4 -c 128 -t 20s -X 1024 -w 10k -o 0.2 -d 10 -S 5s -R -B -P 10k \
                    -v 0.1 -e 0.1";
        let line = translated(line);
        for part in [
            "-s a:1",
            "-T 4",
            "--connections 128",
            "-t 20s",
            "-X 1024",
            "--keys 1310720",
            "--growth 0.8",
            "-d 10",
            "-S 5s",
            "-B",
            "-P 10k",
            "--verify",
            "--ttl 60s:0.1,0:0.9",
        ] {
            assert!(line.contains(part), "{part} is not in {line}");
        }
        assert!(!line.contains("-R"));
        assert!(translated("-c 8 -n 2 -x 1000").contains("--connections 16"));
    }

    #[test]
    fn memaslap_configuration_is_read() {
        let text = "key\n16 32 1 # lengths\nvalue\n100 200 0.5\n1024 1024 0.5\ncmd\n0 0.1\n1 0.9\n";
        let options = memaslap_config(text).expect("options").join(" ");
        let expected =
            "--key-size 16-32:1 --value-size 100-200:0.5,1024-1024:0.5 --mix set=0.1,get=0.9";
        assert_eq!(options, expected);
        assert!(memaslap_config("cmd\n7 0.1\n").is_err());
    }

    #[test]
    fn ours_pass_through_and_win_over_a_profile() {
        let line = translated("--rate 20k --workload etc --value-size 100");
        assert!(line.ends_with("--rate 20k --value-size 100"), "{line}");
        assert!(line.starts_with("--mix get=30,set=1"));
        assert_eq!(translated("--compare a:1 b:2 -t 1s"), "--compare a:1 b:2 -t 1s");
    }
}
