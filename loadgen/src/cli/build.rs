//! Turns what was typed into a plan, or says what is wrong with it.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ringcached::ring::SocketAddress;
use rustls::ClientConfig;

use super::args::Args;
use super::problem::Problem;
use crate::arrivals::Law;
use crate::check::ledger::Ledger;
use crate::net::target::{Target, Transport};
use crate::net::tls::{self, TlsOptions};
use crate::net::udp::REQUEST_BYTES_MAX;
use crate::plan::{Checking, Limit, Load, Plan, Replays, Server};
use crate::servers::hash::KeyHash;
use crate::servers::{Distribution, Member, Router, list};
use crate::wire::Protocol;
use crate::wire::auth::Credentials;
use crate::workload::Spec;
use crate::workload::keys::{KEY_BYTES_MAX, KeySpec};
use crate::workload::mix::Command;
use crate::workload::popularity::Popularity;
use crate::workload::size::Sizes;
use crate::workload::trace;

/// The largest item that any server can be told to take.
const VALUE_BYTES_MAX: u64 = 1 << 30;

/// The run the arguments ask for.
pub fn plan(args: &Args) -> Result<Plan, Problem> {
    check_counts(args).map_err(Problem::Usage)?;
    let members = list::parse(&args.servers).map_err(Problem::Usage)?;
    // A trace ends by itself.
    let ends = args.requests.is_some() || args.trace.is_some();
    let default_time = (!ends).then_some(Duration::from_secs(10));
    let plan = Plan {
        router: router(args, &members).map_err(Problem::Usage)?,
        servers: members.into_iter().map(resolve).collect::<Result<_, _>>()?,
        replicas: args.replicas,
        transport: if args.udp { Transport::Udp } else { Transport::Stream },
        protocol: protocol(args).map_err(Problem::Usage)?,
        tls: tls(args)?,
        credentials: credentials(args)?,
        quiet: args.noreply,
        no_delay: !args.nagle,
        threads: args.threads.min(args.connections),
        clients: args.connections,
        load: load(args).map_err(Problem::Usage)?,
        limit: Limit { time: args.time.or(default_time), requests: args.requests },
        warmup: args.warmup,
        interval: args.interval,
        spec: spec(args).map_err(Problem::Usage)?,
        replays: replays(args)?,
        seed: args.seed,
        timeout: args.timeout,
        connect_timeout: args.connect_timeout,
        in_flight_max: args.in_flight as usize,
        lag_allowed: args.lag,
        cpus: args.pin.clone(),
        gather: args.gather,
        checking: checking(args),
        fill_misses: args.fill_misses,
        version_base: version_base(args),
        host: (0, 1),
        large_pages: args.large_pages,
    };
    check_whole(&plan).map_err(Problem::Usage)?;
    Ok(plan)
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
        ("--mget", args.mget.max()),
    ];
    match positive.iter().find(|(_, value)| *value == 0) {
        Some((name, _)) => Err(format!("{name} must be at least 1")),
        None if args.time.is_some_and(|time| time.is_zero()) => {
            Err("--time must be above 0".into())
        }
        None => Ok(()),
    }
}

/// What no server takes. Laws without an upper end are cut to what one does.
fn check_sizes(args: &Args) -> Result<(), String> {
    if let Sizes::Fixed(_) | Sizes::Uniform(..) | Sizes::Weighted(_) = args.key_size {
        let (least, most) = (args.key_size.quantile(0.0), args.key_size.max());
        if least == 0 || most > KEY_BYTES_MAX as u64 {
            return Err(format!("--key-size: a key has between 1 and {KEY_BYTES_MAX} bytes"));
        }
    }
    if args.value_size.max() > VALUE_BYTES_MAX {
        return Err("--value-size: a value has at most 1 GB".into());
    }
    Ok(())
}

/// What several options together forbid.
fn check_whole(plan: &Plan) -> Result<(), String> {
    let checked = !matches!(plan.checking, Checking::Off);
    if plan.replicas >= plan.servers.len() {
        return Err("--replicas needs more servers than copies".into());
    }
    if plan.transport == Transport::Udp && plan.tls.is_some() {
        return Err("--udp and --tls exclude each other".into());
    }
    let request_bytes = plan.spec.keys_per_get.max() * (plan.spec.keys.bytes.max() + 1);
    let stored_bytes = plan.spec.value_bytes.max() + plan.spec.keys.bytes.max() + 64;
    let stores = plan.spec.mix.commands().any(Command::stores);
    if plan.transport == Transport::Udp
        && (request_bytes.max(if stores { stored_bytes } else { 0 })) > REQUEST_BYTES_MAX as u64
    {
        return Err(format!("over UDP a request must fit into {REQUEST_BYTES_MAX} bytes"));
    }
    if checked && plan.replicas > 0 {
        return Err(
            "copies may differ for a while: --replicas excludes --verify and --history".into()
        );
    }
    let all = (plan.clients * plan.host.1) as u64;
    if matches!(plan.checking, Checking::Verify(_)) && plan.spec.keys.count < all {
        return Err(format!("--verify needs a key for each of the {all} connections"));
    }
    if matches!(plan.checking, Checking::History) && plan.spec.value_bytes.quantile(0.0) < 24 {
        return Err(
            "--history needs values of 24 bytes or more: shorter ones have no version".into()
        );
    }
    Ok(())
}

fn router(args: &Args, members: &[Member]) -> Result<Router, String> {
    let weighted = members.iter().any(|member| member.weight > 1);
    let distribution = match args.distribution.as_deref() {
        // As libmemcached does: a weight means weighted ketama.
        None if weighted => Distribution::KetamaWeighted,
        Some("ketama" | "consistent") if weighted => Distribution::KetamaWeighted,
        None => Distribution::Modula,
        Some(name) => Distribution::named(name).ok_or_else(|| {
            format!("--distribution {name}: none of modula, ketama, ketama-weighted, spy")
        })?,
    };
    let hash =
        KeyHash::named(&args.hash).ok_or_else(|| format!("--hash {} is unknown", args.hash))?;
    Ok(Router::new(members, distribution, hash))
}

/// The servers of a list, resolved.
pub fn servers(list: &str) -> Result<Vec<Server>, Problem> {
    let members = list::parse(list).map_err(Problem::Usage)?;
    Ok(members.into_iter().map(resolve).collect::<Result<_, _>>()?)
}

fn resolve(member: Member) -> Result<Server, String> {
    let problem = |error: std::io::Error| format!("cannot resolve {}: {error}", member.host);
    let target = Target::resolve(&member.host, member.port).map_err(problem)?;
    let address = target.socket_address().map_err(problem)?;
    // A run's few addresses live as long as the process: the ring may need them to the end.
    let address = SocketAddress::leak(&*address);
    Ok(Server { member, target, address })
}

fn protocol(args: &Args) -> Result<Protocol, String> {
    if args.binary {
        return Ok(Protocol::Binary);
    }
    let named = Protocol::named(&args.protocol);
    named.ok_or_else(|| format!("--protocol {}: none of text, meta, binary", args.protocol))
}

fn tls(args: &Args) -> Result<Option<Arc<ClientConfig>>, Problem> {
    if !args.tls {
        return Ok(None);
    }
    if args.tls_ca.is_none() && !args.tls_insecure {
        return Err(Problem::Usage("--tls needs --tls-ca FILE or --tls-insecure".into()));
    }
    let options = TlsOptions {
        authorities: args.tls_ca.as_deref(),
        identity: args.tls_cert.as_deref().zip(args.tls_key.as_deref()),
        insecure: args.tls_insecure,
    };
    Ok(Some(tls::config(&options)?))
}

fn credentials(args: &Args) -> Result<Option<Credentials>, String> {
    let (Some(user), Some(password)) = (&args.user, &args.password) else { return Ok(None) };
    let password = match password.strip_prefix('@') {
        None => password.clone(),
        Some(path) => {
            let text = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
            text.trim_end_matches(['\r', '\n']).to_owned()
        }
    };
    Ok(Some(Credentials { user: user.clone(), password }))
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

fn replays(args: &Args) -> Result<Replays, Problem> {
    let Some(path) = &args.trace else { return Ok(Replays::default()) };
    let usage = |text: &str| Err(Problem::Usage(text.into()));
    if args.verify || args.history.is_some() {
        return usage("a trace tells no versions: --trace excludes --verify and --history");
    }
    let once = args.search.is_none() && args.sweep.is_none() && args.compare.is_empty();
    if !once {
        return usage("a trace is replayed once: --trace excludes --search, --sweep and --compare");
    }
    Ok(Replays::new(trace::replay(path, args.threads.min(args.connections))?))
}

fn checking(args: &Args) -> Checking {
    if args.history.is_some() {
        Checking::History
    } else if args.verify {
        Checking::Verify(Arc::new(Ledger::new(args.keys)))
    } else {
        Checking::Off
    }
}

/// Values of checked runs must be newer than those of earlier ones; others are the same every time.
fn version_base(args: &Args) -> u64 {
    if !args.verify && args.history.is_none() {
        return 0;
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs() << 30)
}

fn spec(args: &Args) -> Result<Spec, String> {
    if args.key_prefix.len() + 20 > KEY_BYTES_MAX {
        return Err("--key-prefix leaves no room for a number in a key of 250 bytes".into());
    }
    if args.key_prefix.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
        return Err("--key-prefix has blanks or control characters".into());
    }
    check_sizes(args)?;
    let shares = [("growth", args.growth), ("once", args.once), ("churn", args.churn)];
    if let Some((name, _)) = shares.iter().find(|(_, share)| !(0.0..=1.0).contains(share)) {
        return Err(format!("--{name} is a share between 0 and 1"));
    }
    if args.growth > 0.0 && args.once + args.churn > 0.0 {
        return Err("--growth excludes --once and --churn".into());
    }
    let popularity = args.zipf.map_or_else(|| args.popularity.clone(), Popularity::Zipf);
    Ok(Spec {
        mix: args.mix.clone(),
        keys_per_get: args.mget.clone(),
        keys: KeySpec {
            count: args.keys,
            // A trace's keys have their own lengths, of which a prefix would take too much.
            prefix: if args.trace.is_some() { String::new() } else { args.key_prefix.clone() },
            bytes: args.key_size.clone(),
        },
        popularity,
        value_bytes: args.value_size.clone(),
        expiry_s: args.ttl.clone(),
        flags: args.flags,
        growth: args.growth,
        once: args.once,
        churn: args.churn,
    })
}
