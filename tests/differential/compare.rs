//! Runs scripts against both servers until they part, then looks for the shortest script that shows
//! it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::common::{Server, show};
use crate::replay::{Dialect, Transcript, replay};
use crate::script::Script;

/// How long a failing script is shortened before it is shown.
const SHRINK_WITHIN: Duration = Duration::from_secs(45);

/// Differences that do not show again may come once in so many commands.
const PER_PASSING_DIFFERENCE: usize = 20_000;

/// The two servers of a comparison.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) reference: Server,
    pub(crate) subject: Server,
    pub(crate) dialect: Dialect,
    /// True if the yardstick is the memcached whose behaviour ringcached has, not Debian's older
    /// one.
    pub(crate) today: bool,
}

impl Pair {
    /// Starts both; `args` are what both understand, `subject_args` what only ringcached gets.
    pub(crate) fn start(dialect: Dialect, args: &[&str], subject_args: &[&str]) -> Self {
        let subject_args: Vec<&str> = args.iter().chain(subject_args).copied().collect();
        let reference = Server::memcached(args);
        let subject = Server::ringcached(&subject_args);
        for server in [&reference, &subject] {
            // The lowest CAS ids are used up, so that scripts can name an id below all others.
            let first = |n| format!("set first{n} 0 0 1\r\n1\r\ndelete first{n}\r\n");
            let all: String = (0..50).map(first).collect();
            server.connect().expect(all, "STORED\r\nDELETED\r\n".repeat(50));
        }
        let version = reference.connect().ask("version\r\n");
        let today = match version.as_str() {
            "VERSION 1.6.18" => false,
            "VERSION 1.6.45" => true,
            other => panic!("no yardstick: {other}; what that version does is not listed"),
        };
        Self { reference, subject, dialect, today }
    }

    /// Runs scripts until `commands` commands were sent to both, or fails with a shortened script.
    ///
    /// memcached's clock ticks once a second, and a flush at that moment may or may not reach an
    /// item. So a difference counts that shows again, or that is not the only one of its kind.
    pub(crate) fn compare(&self, seed: u64, commands: usize, generate: impl Fn(u64) -> Script) {
        let mut sent = 0;
        let mut round = 0;
        let mut passing = 0;
        while sent < commands {
            let script = generate(seed.wrapping_add(round));
            if let Some(difference) = self.difference(&script) {
                passing += 1;
                let lasting = (0..3).any(|_| self.difference(&script).is_some());
                if lasting || passing > commands / PER_PASSING_DIFFERENCE + 1 {
                    self.fail(seed, round, &script, difference);
                }
            }
            sent += script.commands();
            round += 1;
        }
        println!(
            "{sent} commands in {round} scripts from seed {seed}: {passing} differences passed"
        );
    }

    /// What parts the two on this script, if anything does.
    pub(crate) fn difference(&self, script: &Script) -> Option<String> {
        static TAGS: AtomicU32 = AtomicU32::new(0);
        let tag = TAGS.fetch_add(1, Ordering::Relaxed);
        let expected = replay(&self.reference, script, tag, self.dialect);
        let found = replay(&self.subject, script, tag, self.dialect);
        (expected != found).then(|| describe(script, tag, &expected, &found))
    }

    fn fail(&self, seed: u64, round: u64, script: &Script, difference: String) -> ! {
        let shortest = self.shrink(script);
        let (shown, how) = match self.difference(&shortest) {
            Some(difference) => (difference, "and shows again"),
            None => (difference, "but did not show again; the first time:"),
        };
        panic!(
            "seed {seed}, script {round} ({} commands, shortened to {}), {how}\n{shown}",
            script.commands(),
            shortest.commands(),
        );
    }

    /// Leaves out whatever can be left out while the two still part: ever smaller runs of commands.
    fn shrink(&self, script: &Script) -> Script {
        let since = Instant::now();
        let mut best = script.clone();
        let mut run = best.commands().div_ceil(2);
        while run > 0 && since.elapsed() < SHRINK_WITHIN {
            let mut from = 0;
            while from < best.commands() && since.elapsed() < SHRINK_WITHIN {
                let shorter = without(&best, from, run);
                if self.difference(&shorter).is_some() {
                    best = shorter;
                } else {
                    from += run;
                }
            }
            run /= 2;
        }
        self.without_cuts(best)
    }

    fn without_cuts(&self, script: Script) -> Script {
        let mut whole = script.clone();
        whole.segments.iter_mut().for_each(|segment| segment.cuts_seed = 0);
        if self.difference(&whole).is_some() { whole } else { script }
    }
}

/// `script` less `count` commands from the `from`-th on, counted over all its connections.
fn without(script: &Script, from: usize, count: usize) -> Script {
    let mut shorter = script.clone();
    let mut at = 0;
    for segment in &mut shorter.segments {
        segment.commands.retain(|_| {
            at += 1;
            !(from..from + count).contains(&(at - 1))
        });
    }
    shorter.segments.retain(|segment| !segment.commands.is_empty());
    shorter
}

fn describe(script: &Script, tag: u32, expected: &Transcript, found: &Transcript) -> String {
    let at = expected.segments.iter().zip(&found.segments).take_while(|(a, b)| a == b).count();
    let ((expected, expected_end), (found, found_end)) =
        (&expected.segments[at], &found.segments[at]);
    let parted = expected.iter().zip(found).take_while(|(a, b)| a == b).count();
    let from = parted.saturating_sub(60);
    format!(
        "they part on connection {at} at byte {parted} of the replies:\n  \
         memcached ({expected_end:?}): ...{}\n  ringcached ({found_end:?}): ...{}\n{}",
        show(&expected[from..]),
        show(&found[from..]),
        script.show(tag),
    )
}
