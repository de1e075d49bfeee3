//! `tune size`: the flags, and the demand they describe.

use std::io::{self, Write};

use clap::Args;
use tuning::size::layout::Parts;
use tuning::size::observed::{Observed, observe};
use tuning::size::sizes::Sizes;
use tuning::size::{CORE_REQUESTS_PER_S, Demand, plan};

/// How long an expired item may stay before the crawler has come by, in seconds.
const CRAWL_LAG_S: f64 = 60.0;

#[derive(Debug, Args)]
pub(crate) struct SizeArgs {
    /// Learn items, sizes and rate from this running server (host:port).
    #[arg(long, value_name = "HOST:PORT", conflicts_with_all = ["key", "value"])]
    from: Option<String>,
    /// Items alive at a time: 5000000 or 5M.
    #[arg(long, value_name = "COUNT", value_parser = count)]
    #[arg(required_unless_present_any = ["from", "ttl"])]
    items: Option<f64>,
    /// Key bytes: 20, 10-40, or weighted as 16:3,32:1.
    #[arg(long, value_name = "SIZES", default_value = "24")]
    key: Sizes,
    /// Value bytes, likewise; k and m are understood.
    #[arg(long, value_name = "SIZES", required_unless_present = "from")]
    value: Option<Sizes>,
    /// Share of items with client flags other than 0, as compressed values have.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    flagged: f64,
    /// Share of items with an expiry time.
    #[arg(long, value_name = "SHARE", default_value_t = 1.0)]
    expiring: f64,
    /// Seconds that items live; with --sets it bounds how many live at a time.
    #[arg(long, value_name = "SECONDS", requires = "sets")]
    ttl: Option<f64>,
    /// Sets of new keys, a second.
    #[arg(long, value_name = "RATE", value_parser = count, requires = "ttl")]
    sets: Option<f64>,
    /// Requests a second to plan cores for.
    #[arg(long, value_name = "RATE", value_parser = count)]
    rate: Option<f64>,
    /// Requests a second that one core serves here, as tune sweep measures it.
    #[arg(long, value_name = "RATE", value_parser = count, default_value_t = CORE_REQUESTS_PER_S)]
    core_rate: f64,
    /// The server's -t, if it is not to be planned.
    #[arg(short = 't', long)]
    threads: Option<usize>,
    /// Percent of memory to add for growth.
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0)]
    headroom: f64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// A number, perhaps with k, M or G behind it, which are decimal as in loadgen's rates.
fn count(text: &str) -> Result<f64, String> {
    let (number, scale) = match text.trim_end_matches(|c: char| c.is_ascii_alphabetic()) {
        number if number.len() == text.len() => (number, 1.0),
        number => (number, scale(&text[number.len()..])?),
    };
    let number: f64 = number.parse().map_err(|_| format!("{text:?} is no number"))?;
    Ok(number * scale)
}

fn scale(unit: &str) -> Result<f64, String> {
    match unit {
        "k" | "K" => Ok(1e3),
        "m" | "M" => Ok(1e6),
        "g" | "G" => Ok(1e9),
        _ => Err(format!("{unit:?} is no unit (k M G)")),
    }
}

pub(crate) fn run(args: &SizeArgs) -> io::Result<bool> {
    refuse_nonsense(args)?;
    let seen = args.from.as_deref().map(|from| observe(from, args.expiring)).transpose()?;
    let plan = plan(&demand(args, seen.as_ref()));
    let out = &mut io::stdout().lock();
    if args.json {
        writeln!(out, "{:#}", plan.json())?;
        return Ok(true);
    }
    if let Some(seen) = &seen {
        let Observed { items, requests_per_s, evictions, slab_bytes_per_item, .. } = seen;
        writeln!(out, "seen: {items:.0} items of {:.0} bytes,", seen.payload.mean())?;
        writeln!(out, "      {slab_bytes_per_item:.1} bytes of pages each,")?;
        writeln!(out, "      {requests_per_s:.0} requests/s, {evictions} evictions")?;
        if *evictions > 0 {
            writeln!(out, "      it has evicted: what it holds now is less than its data set")?;
        }
    }
    write!(out, "{}", plan.text())?;
    Ok(true)
}

fn refuse_nonsense(args: &SizeArgs) -> io::Result<()> {
    let above_zero = [args.items, args.ttl, args.sets, args.rate, Some(args.core_rate)];
    if above_zero.iter().flatten().any(|&number| !(number > 0.0 && number < 1e15)) {
        return Err(io::Error::other("items, rates and TTL must be above 0"));
    }
    if ![args.flagged, args.expiring].iter().all(|share| (0.0..=1.0).contains(share)) {
        return Err(io::Error::other("--flagged and --expiring are shares of 0 to 1"));
    }
    if !(0.0..=1e4).contains(&args.headroom) {
        return Err(io::Error::other("--headroom is 0 to 10000 percent"));
    }
    if args.threads.is_some_and(|threads| !(1..=255).contains(&threads)) {
        return Err(io::Error::other("-t is 1 to 255"));
    }
    Ok(())
}

fn demand(args: &SizeArgs, seen: Option<&Observed>) -> Demand {
    let seen_items = seen.map(|seen| seen.items);
    let seen_rate = seen.map(|seen| seen.requests_per_s);
    let living = args.ttl.zip(args.sets).map(|(ttl, sets)| (ttl + CRAWL_LAG_S) * sets);
    let living = living.unwrap_or(f64::INFINITY);
    let value = args.value.iter().map(|value| args.key.plus(value));
    let payload = seen.map(|seen| seen.payload.clone()).into_iter().chain(value).next();
    Demand {
        items: args.items.or(seen_items).unwrap_or(f64::INFINITY).min(living),
        payload: payload.expect("the command line has --value or --from"),
        parts: Parts { flagged: args.flagged, expiring: args.expiring },
        requests_per_s: args.rate.or(seen_rate).unwrap_or(0.0),
        core_requests_per_s: args.core_rate,
        threads: args.threads,
        headroom: args.headroom / 100.0,
    }
}
