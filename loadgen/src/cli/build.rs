//! Turns what was typed into a plan, or says what is wrong with it.

use std::time::Duration;

use super::args::Args;
use crate::arrivals::Law;
use crate::net::target::{Target, Transport};
use crate::plan::{Limit, Load, Plan, Server};
use crate::wire::Protocol;
use crate::workload::Spec;
use crate::workload::keys::{KEY_BYTES_MAX, KeySpec};
use crate::workload::popularity::Popularity;

/// The run the arguments ask for.
pub fn plan(args: &Args) -> Result<Plan, String> {
    check_counts(args)?;
    let default_time = args.requests.is_none().then_some(Duration::from_secs(10));
    Ok(Plan {
        servers: servers(&args.servers)?,
        transport: Transport::Stream,
        protocol: Protocol::Text,
        no_delay: !args.nagle,
        threads: args.threads.min(args.connections),
        clients: args.connections,
        load: load(args)?,
        limit: Limit { time: args.time.or(default_time), requests: args.requests },
        warmup: args.warmup,
        interval: args.interval,
        spec: spec(args)?,
        seed: args.seed,
        timeout: args.timeout,
        connect_timeout: args.connect_timeout,
        in_flight_max: args.in_flight as usize,
        lag_allowed: args.lag,
        cpus: args.pin.clone(),
        large_pages: args.large_pages,
    })
}

fn check_counts(args: &Args) -> Result<(), String> {
    let positive = [
        ("--threads", args.threads as u64),
        ("--connections", args.connections as u64),
        ("--depth", args.depth as u64),
        ("--keys", args.keys),
        ("--in-flight", args.in_flight),
        ("--interval", args.interval.as_millis() as u64),
        ("--rounds", args.rounds as u64),
        ("--requests", args.requests.unwrap_or(1)),
    ];
    match positive.iter().find(|(_, value)| *value == 0) {
        Some((name, _)) => Err(format!("{name} must be at least 1")),
        None => Ok(()),
    }
}

fn load(args: &Args) -> Result<Load, String> {
    let law = match args.arrivals.as_str() {
        "fixed" => Law::Fixed,
        "poisson" => Law::Poisson,
        "facebook" => Law::Facebook,
        other => return Err(format!("--arrivals {other}: none of fixed, poisson, facebook")),
    };
    match args.rate {
        None => Ok(Load::Closed { depth: args.depth }),
        Some(rate) if rate > 0.0 => Ok(Load::Open { rate, law }),
        Some(_) => Err("--rate must be above 0".into()),
    }
}

fn spec(args: &Args) -> Result<Spec, String> {
    if args.key_prefix.len() + 20 > KEY_BYTES_MAX {
        return Err("--key-prefix leaves no room for a number in a key of 250 bytes".into());
    }
    let unfit = |byte: u8| byte <= b' ' || byte == 0x7f;
    if args.key_prefix.bytes().any(unfit) {
        return Err("--key-prefix has blanks or control characters".into());
    }
    let popularity = args.zipf.map_or_else(|| args.popularity.clone(), Popularity::Zipf);
    Ok(Spec {
        mix: args.mix.clone(),
        keys_per_get: args.mget.clone(),
        keys: KeySpec {
            count: args.keys,
            prefix: args.key_prefix.clone(),
            bytes: args.key_size.clone(),
        },
        popularity,
        value_bytes: args.value_size.clone(),
        expiry_s: args.ttl.clone(),
        flags: args.flags,
    })
}

/// The servers of a list, resolved.
pub fn servers(list: &str) -> Result<Vec<Server>, String> {
    list.split(',')
        .filter(|server| !server.trim().is_empty())
        .map(|one| server(one.trim()))
        .collect()
}

fn server(text: &str) -> Result<Server, String> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !text.starts_with('/') => {
            (host, port.parse().map_err(|_| format!("{text:?} has no port"))?)
        }
        _ => (text, if text.starts_with('/') { 0 } else { 11211 }),
    };
    let target = Target::resolve(host.trim_matches(['[', ']']), port);
    let target = target.map_err(|error| format!("cannot resolve {host}: {error}"))?;
    Ok(Server { host: host.into(), port, weight: 1, target })
}
