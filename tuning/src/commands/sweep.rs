//! `tune sweep`: the flags, the programs to run, and where the outcome goes.

use std::fs;
use std::io::{self, Write};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use tuning::check::{self, Need, Verdict};
use tuning::host::Host;
use tuning::sweep::choose::{By, choose};
use tuning::sweep::run::Bench;
use tuning::sweep::{self, Setting, plot};

#[derive(Debug, Args)]
pub(crate) struct SweepArgs {
    /// The server's binary; by default the one beside this program, or in the PATH.
    #[arg(long, value_name = "FILE")]
    server: Option<PathBuf>,
    /// The load generator's binary, likewise.
    #[arg(long, value_name = "FILE")]
    loadgen: Option<PathBuf>,
    /// Values of -t, as 1,2,4 or 1..4; 1 to the number of cores by default.
    #[arg(short = 't', long, value_delimiter = ',', value_name = "COUNTS", value_parser = counts)]
    threads: Vec<Counts>,
    /// -L off, on, or both.
    #[arg(short = 'L', long, value_delimiter = ',', default_value = "off,on")]
    large_pages: Vec<Switch>,
    /// Another flag with its values, as "-R 20,60,200"; may be given more than once.
    #[arg(long, value_name = "FLAG VALUES", value_parser = flag_list, allow_hyphen_values = true)]
    vary: Vec<FlagList>,
    /// The server's -m, in MB, in every run.
    #[arg(short = 'm', long, default_value_t = 256)]
    memory_limit: u64,
    /// Runs of each setting.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// What the smallest enough setting is measured by.
    #[arg(long, value_enum, default_value = "rate")]
    by: Figure,
    /// Percent of the best that may be missing.
    #[arg(long, default_value_t = 5.0, value_name = "PERCENT")]
    within: f64,
    /// Seconds after which a load that has not ended is given up.
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    patience: u64,
    /// Draw the outcome.
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// The load, in loadgen's words, after --.
    #[arg(last = true, default_values = ["--connections", "64", "--time", "3s", "--warmup", "1s"])]
    load: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    Off,
    On,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Figure {
    Rate,
    P99,
}

/// A flag with each of its values, as the server takes them.
#[derive(Debug, Clone)]
struct FlagList(Vec<String>);

fn flag_list(text: &str) -> Result<FlagList, String> {
    let (flag, values) =
        text.split_once([' ', '=']).ok_or("a flag and its values, as \"-R 20,60\"")?;
    Ok(FlagList(values.split(',').map(|value| format!("{flag} {value}")).collect()))
}

/// One value of -t, or all from one to another.
#[derive(Debug, Clone)]
struct Counts(RangeInclusive<usize>);

fn counts(text: &str) -> Result<Counts, String> {
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    let last = last.strip_prefix('=').unwrap_or(last);
    let number = |text: &str| match text.parse() {
        Ok(number @ 1..=255) => Ok(number),
        _ => Err(format!("{text:?} is no number of threads (1 to 255)")),
    };
    let counts = number(first)?..=number(last)?;
    if counts.is_empty() {
        Err(format!("{text:?} has no number in it"))
    } else {
        Ok(Counts(counts))
    }
}

pub(crate) fn run(args: &SweepArgs) -> io::Result<bool> {
    if args.rounds == 0 || !(0.0..100.0).contains(&args.within) {
        return Err(io::Error::other("--rounds is 1 or more, --within 0 to 100"));
    }
    if let Some(path) = args.plot.as_deref().filter(|path| path.extension() != Some("svg".as_ref()))
    {
        let problem = format!("--plot {}: the name must end in .svg", path.display());
        return Err(io::Error::other(problem));
    }
    let bench = bench(args)?;
    let settings = settings(args);
    note_missing_pages(args, &settings);
    let runs = settings.len();
    let tell = |round: usize, setting: &Setting| {
        eprintln!("round {} of {}, {}", round + 1, args.rounds, setting.label());
    };
    eprintln!("{runs} settings, {} rounds, load: {}", args.rounds, args.load.join(" "));
    let series = sweep::sweep(settings, args.rounds, |setting| bench.run(setting), tell)?;
    let by = match args.by {
        Figure::Rate => By::Rate,
        Figure::P99 => By::P99,
    };
    let choice = choose(&series, by, args.within / 100.0);
    if let Some(path) = &args.plot {
        let server = bench.server.file_name().unwrap_or_default().to_string_lossy();
        let title = format!("{server} under {}", args.load.join(" "));
        fs::write(path, plot::svg(&series, &choice, &title))
            .map_err(|error| io::Error::other(format!("{}: {error}", path.display())))?;
    }
    let out = &mut io::stdout().lock();
    match args.json {
        true => writeln!(out, "{:#}", sweep::json(&series, &choice))?,
        false => write!(out, "{}", sweep::text(&series, &choice))?,
    }
    Ok(choice.is_clear())
}

fn bench(args: &SweepArgs) -> io::Result<Bench> {
    let mut server_flags = vec!["-m".to_owned(), args.memory_limit.to_string()];
    // As root a server asks which account to use; here it is ours, and only for seconds.
    if fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0) {
        server_flags.extend(["-u".to_owned(), "root".to_owned()]);
    }
    Ok(Bench {
        server: binary(args.server.as_deref(), "ringcached")?,
        server_flags,
        loadgen: binary(args.loadgen.as_deref(), "loadgen")?,
        load: args.load.clone(),
        patience: Duration::from_secs(args.patience),
    })
}

/// The program given, or the one that was installed beside this one, or whatever the PATH has.
fn binary(given: Option<&Path>, name: &str) -> io::Result<PathBuf> {
    if let Some(path) = given {
        return Ok(path.to_owned());
    }
    let beside = std::env::current_exe()?.with_file_name(name);
    Ok(if beside.exists() { beside } else { name.into() })
}

fn settings(args: &SweepArgs) -> Vec<Setting> {
    let cores = Host::real().cpus().len().max(1);
    let given: Vec<usize> = args.threads.iter().flat_map(|counts| counts.0.clone()).collect();
    let threads = if given.is_empty() { (1..=cores).collect() } else { given };
    let large_pages: Vec<bool> = args.large_pages.iter().map(|&flag| flag == Switch::On).collect();
    let vary: Vec<Vec<String>> = args.vary.iter().map(|list| list.0.clone()).collect();
    sweep::settings(&threads, &large_pages, &vary)
}

/// Without reserved pages -L on and off differ less than they could.
fn note_missing_pages(args: &SweepArgs, settings: &[Setting]) {
    let threads = settings.iter().map(|setting| setting.threads).max().unwrap_or(1);
    let need = Need {
        memory_mb: args.memory_limit,
        threads,
        large_pages: args.large_pages.contains(&Switch::On),
        ..Need::default()
    };
    let host = Host::real();
    for (_, finding) in check::run(&host, &need, |name| name == "huge-pages") {
        if finding.verdict > Verdict::Good {
            eprintln!("note: {}; -L has to do with transparent pages", finding.reading);
            eprintln!("      {}", finding.mend.commands().join("\n      "));
        }
    }
}
